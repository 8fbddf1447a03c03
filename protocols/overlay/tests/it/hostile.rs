//! Peers that break the rules: they are refused, and nobody else notices.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use guid::Guid;
use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, Swarm, SwarmEvent,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p_swarm_test::SwarmExt as _;
use overlay::{Event, PROTOCOL, RefusalReason, guid_of_peer};
use overlay_core::{Addrs, Contact, Location, Message, Publish, Spread, View};

use crate::net::{Node, in_time, network};

/// Speaks the protocol by hand.
#[derive(Default)]
struct Attacker {
    /// Sent again each time the node has dropped our stream and we gave up.
    persistent: Option<Bytes>,
    actions: VecDeque<ToSwarm<(), wire::Command>>,
}

impl Attacker {
    fn handler() -> wire::Handler {
        wire::Handler::new(wire::HandlerConfig {
            messages: Some(wire::MessageConfig {
                protocol: PROTOCOL,
                max_frame: 1 << 24,
                queue: 1024,
            }),
            streams: None,
            open_timeout: Duration::from_secs(5),
            keep_alive: true,
        })
    }
}

impl NetworkBehaviour for Attacker {
    type ConnectionHandler = wire::Handler;
    type ToSwarm = ();

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Self::handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Self::handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer_id: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let (wire::Event::MessagesFailed(_), Some(message)) = (event, &self.persistent) {
            let event = wire::Command::Send(message.clone());
            let handler = NotifyHandler::Any;
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id,
                handler,
                event,
            });
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<(), THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Sends the messages to the node from a peer of its own, until the node hangs up.
async fn attack(node: &Node, make: impl FnOnce(PeerId) -> Vec<Bytes>) -> PeerId {
    let mut swarm = Swarm::new_ephemeral_tokio(|_| Attacker::default());
    let me = *swarm.local_peer_id();
    swarm.dial(node.addr.clone()).expect("dialled");
    let messages = make(me);
    swarm.behaviour_mut().persistent = messages.last().cloned();
    for message in messages {
        let event = wire::Command::Send(message);
        let handler = NotifyHandler::Any;
        let action = ToSwarm::NotifyHandler {
            peer_id: node.peer,
            handler,
            event,
        };
        // Delivered once the connection is there, in the loop below.
        swarm.behaviour_mut().actions.push_back(action);
    }
    let held = std::mem::take(&mut swarm.behaviour_mut().actions);
    in_time(async {
        let mut held = Some(held);
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => {
                    if let Some(actions) = held.take() {
                        swarm.behaviour_mut().actions = actions;
                    }
                }
                SwarmEvent::ConnectionClosed { .. } => break,
                _ => {}
            }
        }
    })
    .await;
    // It is refused for a while.
    swarm.dial(node.addr.clone()).expect("dialled");
    in_time(async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionClosed { .. }
                | SwarmEvent::OutgoingConnectionError { .. } => {
                    break;
                }
                _ => {}
            }
        }
    })
    .await;
    me
}

async fn refused(node: &mut Node) -> (PeerId, RefusalReason) {
    in_time(async {
        loop {
            if let Some(Event::PeerRefused { peer, reason }) = node.events.recv().await {
                return (peer, reason);
            }
        }
    })
    .await
}

fn probe(sender: Contact<PeerId>, leafs: Vec<Contact<PeerId>>) -> Bytes {
    let view = View {
        sender,
        active: true,
        leafs,
        failed: Vec::new(),
        rtt_micros: None,
        probe_period_ms: 0,
    };
    Bytes::from(wire::encode(&Message::Probe { nonce: 1, view }))
}

fn contact(guid: Guid, peer: PeerId) -> Contact<PeerId> {
    Contact {
        guid,
        peer,
        addrs: Addrs::default(),
    }
}

#[tokio::test]
async fn a_forged_guid_is_refused() {
    let mut nodes = network(2).await;
    let target = nodes[0].guid();
    // As close to the node as can be, which no key gives.
    let forged = Guid::new(target.as_u128() ^ 1);
    let attacker = attack(&nodes[0], |me| vec![probe(contact(forged, me), Vec::new())]).await;
    assert_eq!(
        refused(&mut nodes[0]).await,
        (attacker, RefusalReason::ForgedContact)
    );

    // Honest about itself, but not about others.
    let attacker = attack(&nodes[0], |me| {
        let other = contact(forged, PeerId::random());
        vec![probe(contact(guid_of_peer(&me), me), vec![other])]
    })
    .await;
    assert_eq!(
        refused(&mut nodes[0]).await,
        (attacker, RefusalReason::ForgedContact)
    );
    let snapshot = nodes[0].handle.snapshot();
    assert!(
        snapshot
            .leaf_set
            .contacts()
            .all(|contact| contact.guid != forged)
    );
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let mut nodes = network(2).await;
    let victim = contact(nodes[1].guid(), nodes[1].peer);
    let attacker = attack(&nodes[0], |_| vec![probe(victim, Vec::new())]).await;
    assert_eq!(
        refused(&mut nodes[0]).await,
        (attacker, RefusalReason::NotItself)
    );
}

#[tokio::test]
async fn nobody_publishes_for_another() {
    let mut nodes = network(2).await;
    let victim = contact(nodes[1].guid(), nodes[1].peer);
    let object = Guid::hash(b"object");
    let publish = Message::Location(Location::Publish(Publish {
        nonce: 1,
        holder: victim,
        object,
        salt: Some(0),
        lifetime: 900,
        except: Vec::new(),
        spread: Spread::default(),
    }));
    let attacker = attack(&nodes[0], |_| vec![Bytes::from(wire::encode(&publish))]).await;
    assert_eq!(
        refused(&mut nodes[0]).await,
        (attacker, RefusalReason::NotItself)
    );
    let found = in_time(nodes[0].handle.locate(object, 1)).await;
    assert_eq!(found, Err(overlay::RouteError::NotFound));
}

#[tokio::test]
async fn garbage_disturbs_nobody_else() {
    let mut nodes = network(3).await;
    let garbage = || {
        let truncated = wire::encode(&("nonsense", vec![0u8; 100]));
        (0..32u8)
            .map(|n| Bytes::from(truncated[..usize::from(n)].to_vec()))
            .collect()
    };
    let attacker = attack(&nodes[0], |_| garbage()).await;
    assert_eq!(
        refused(&mut nodes[0]).await,
        (attacker, RefusalReason::Garbage)
    );
    let oversized = || vec![Bytes::from(vec![0; 1 << 20]); 4];
    let attacker = attack(&nodes[0], |_| oversized()).await;
    assert_eq!(
        refused(&mut nodes[0]).await,
        (attacker, RefusalReason::Garbage)
    );

    for node in &nodes {
        assert_eq!(node.handle.snapshot().leaf_set.contacts().count(), 2);
        let hops = in_time(node.handle.trace(nodes[1].guid()))
            .await
            .expect("traced");
        assert_eq!(
            hops.last().map(|hop| hop.contact.guid),
            Some(nodes[1].guid())
        );
    }
}

#[test]
fn peer_ids_that_no_key_has_do_not_panic() {
    // A multihash that says SHA-256 but has too few bytes, as a hostile contact may.
    let odd = PeerId::from_bytes(&[0x12, 2, 1, 2]);
    if let Ok(peer) = odd {
        let _ = guid_of_peer(&peer);
    }
}
