//! The task that owns the Swarm.
//!
//! It translates: events of one behaviour to calls of another, commands to dials. It
//! copies no bulk bytes and waits for nothing but the Swarm and its queues.

mod reach;

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    time::Duration,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::ConnectedPoint,
    gossipsub, identify,
    kad::{self, store::RecordStore},
    ping,
    swarm::{
        ConnectionId, DialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use self::reach::Reached;
use super::{
    Command, ConnectError, ConnectedPeer, Ends, addresses,
    behaviour::{Behaviour, BehaviourEvent},
    gossip, kademlia,
    nat::{Link, Path, Relays, path_of},
    providing::Providing,
    rendezvous::{self, Found, Rendezvous},
};
use crate::remembered::{MAX_ADDRS, OFFERED, RememberedPeers};

/// Protocols by which a peer shows that it is a Hedgerow node start with this.
const OUR_OVERLAY: &str = "/hedgerow/overlay/";

/// How often changed remembered peers are written; losing a minute of them is no loss.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// While no other node is known, remembered peers and bootstrap addresses are tried again
/// after the first of these times, each time after twice as long, up to the second.
const COMPANY_FIRST: Duration = Duration::from_secs(1);
const COMPANY_LATER: Duration = Duration::from_secs(15);

/// How often reservations and relayed connections are looked after.
const TENDING: Duration = Duration::from_secs(1);

/// Longest agent string and most protocols kept for a peer; identify itself allows 4 KiB.
const MAX_AGENT: usize = 128;
const MAX_PROTOCOLS: usize = 64;

/// What is known about a connected peer.
#[derive(Debug, Default)]
struct Peer {
    connections: BTreeMap<ConnectionId, Link>,
    addrs: Vec<Multiaddr>,
    agent: String,
    protocols: Vec<String>,
    rtt: Option<Duration>,
}

/// Owns the Swarm and drives it.
pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    ends: Ends,
    peers: BTreeMap<PeerId, Peer>,
    dials: HashMap<ConnectionId, oneshot::Sender<Result<PeerId, ConnectError>>>,
    remembered: RememberedPeers,
    bootstrap: Vec<Multiaddr>,
    rendezvous: Rendezvous,
    kad_queries: kademlia::Queries,
    providing: Providing,
    topics: gossip::Topics,
    reached: Reached,
}

impl Driver {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        ends: Ends,
        remembered: RememberedPeers,
        bootstrap: Vec<Multiaddr>,
        relays: Relays,
    ) -> Self {
        let me = *swarm.local_peer_id();
        let mut driver = Self {
            swarm,
            ends,
            peers: BTreeMap::new(),
            dials: HashMap::new(),
            remembered,
            bootstrap,
            rendezvous: Rendezvous::new(me),
            kad_queries: kademlia::Queries::default(),
            providing: Providing::new(me),
            topics: gossip::Topics::default(),
            reached: Reached::new(relays),
        };
        driver.tend();
        driver.look_for_company();
        driver
    }

    /// Runs until `stop`; then the remembered peers are on disk.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut save = tokio::time::interval(SAVE_INTERVAL);
        let mut wait = COMPANY_FIRST;
        let mut look_again = pin!(tokio::time::sleep(wait));
        let mut rendezvous = tokio::time::interval(rendezvous::INTERVAL);
        let mut tend = tokio::time::interval(TENDING);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = self.ends.commands.recv() => self.on_command(command),
                _ = save.tick() => drop(self.save()),
                _ = tend.tick() => self.tend(),
                () = &mut look_again => {
                    wait = match self.is_alone() {
                        true => (wait * 2).min(COMPANY_LATER),
                        false => COMPANY_FIRST,
                    };
                    self.look_for_company();
                    look_again.as_mut().reset(Instant::now() + wait);
                }
                _ = rendezvous.tick() => {
                    if self.rendezvous.is_due(self.is_alone()) {
                        self.meet();
                    }
                }
            }
        }
        if let Some(saving) = self.save() {
            // A panic there has been reported where it happened.
            let _ = saving.await;
        }
    }

    /// Starts to write what has changed, on a thread that may wait for the disk.
    fn save(&mut self) -> Option<JoinHandle<()>> {
        let write = self.remembered.take_changes()?;
        Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = write() {
                tracing::warn!(%error, "remembered peers not written");
            }
        }))
    }

    /// Tries whoever was known before, and the bootstrap addresses, while this node is alone.
    fn look_for_company(&mut self) {
        // A connection to somebody else is no company.
        if !self.is_alone() || self.reached.is_patient() {
            return;
        }
        for peer in self.remembered.newest(OFFERED) {
            let overlay = &mut self.swarm.behaviour_mut().overlay;
            overlay.add_peer(peer.peer, peer.addrs);
        }
        for address in self.bootstrap.clone() {
            let (bare, peer) = addresses::split_peer(address.clone());
            if let Some(peer) = peer {
                self.swarm
                    .behaviour_mut()
                    .overlay
                    .add_peer(peer, vec![bare]);
            } else if let Err(error) = self.swarm.dial(address.clone()) {
                tracing::debug!(%address, %error, "bootstrap address not dialled");
            }
        }
    }

    /// Whether no other node of the network is known.
    fn is_alone(&self) -> bool {
        let overlay = self.swarm.behaviour().overlay.handle();
        overlay.snapshot().leaf_set.contacts().next().is_none()
    }

    /// Announces this node in Kademlia and asks for others of its network.
    fn meet(&mut self) {
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            self.rendezvous.meet(kad);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Peers(reply) => {
                // Whoever asked may be gone; nothing is lost then.
                let _ = reply.send(self.peers.iter().map(describe).collect());
            }
            Command::Reach(reply) => {
                let _ = reply.send(self.reach());
            }
            Command::Connect { address, reply } => self.connect(address, reply),
            Command::Gossip(ask) => {
                let gossip = self.swarm.behaviour_mut().gossipsub.gossip_mut();
                self.topics.ask(gossip, ask);
            }
            Command::Provide(keys) => {
                let kad = self.swarm.behaviour_mut().kad.as_mut();
                self.providing.add(kad, keys);
            }
            Command::Unprovide(key) => {
                let kad = self.swarm.behaviour_mut().kad.as_mut();
                self.providing.remove(kad, &key);
            }
            Command::Kad(ask) => {
                let wanted = ask.peer();
                let kad = self.swarm.behaviour_mut().kad.as_mut();
                self.kad_queries.ask(kad, ask);
                if let Some((id, peer)) = wanted.and_then(|id| self.peers.get_key_value(&id)) {
                    self.kad_queries.learn(*id, &peer.addrs);
                }
            }
        }
    }

    fn connect(
        &mut self,
        address: Multiaddr,
        reply: oneshot::Sender<Result<PeerId, ConnectError>>,
    ) {
        let (bare, peer) = addresses::split_peer(address);
        let opts: DialOpts = match peer {
            Some(peer) if self.peers.contains_key(&peer) => {
                let _ = reply.send(Ok(peer));
                return;
            }
            Some(peer) => DialOpts::peer_id(peer)
                .addresses(vec![bare])
                .condition(PeerCondition::Always)
                .build(),
            None => DialOpts::unknown_peer_id().address(bare).build(),
        };
        let connection = opts.connection_id();
        match self.swarm.dial(opts) {
            Ok(()) => {
                self.dials.retain(|_, waiting| !waiting.is_closed());
                self.dials.insert(connection, reply);
            }
            Err(error) => {
                let _ = reply.send(Err(failed(&error)));
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                let peer = self.peers.entry(peer_id).or_default();
                let link = Link::new(peer_id, &endpoint, &peer.connections);
                peer.connections.insert(connection_id, link);
                if let Some(reply) = self.dials.remove(&connection_id) {
                    let _ = reply.send(Ok(peer_id));
                }
                tracing::debug!(peer = %peer_id, address = %endpoint.get_remote_address(), "connected");
                if let ConnectedPoint::Dialer { address, .. } = endpoint {
                    // An address that worked is worth more than what the peer will say.
                    let (bare, _) = addresses::split_peer(address);
                    self.kad_queries.learn(peer_id, std::slice::from_ref(&bare));
                    self.remembered.seen(peer_id, [bare]);
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                if num_established == 0 {
                    self.peers.remove(&peer_id);
                } else if let Some(peer) = self.peers.get_mut(&peer_id) {
                    peer.connections.remove(&connection_id);
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => {
                tracing::debug!(peer = ?peer_id.map(|peer| peer.to_string()), %error, "dial failed");
                let condition = matches!(error, DialError::DialPeerConditionFalse(_));
                if let Some(peer) = peer_id.filter(|_| !condition) {
                    self.reached.unreachable(peer, &failed(&error).to_string());
                }
                if let Some(reply) = self.dials.remove(&connection_id) {
                    let _ = reply.send(Err(failed(&error)));
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                if Self::is_told(&address) {
                    self.reached.tests.listens(&address);
                    // On a LAN what is listened on is what others dial; Kademlia tells
                    // only external addresses.
                    self.swarm.add_external_address(address.clone());
                }
                self.ends.listening.send_modify(|list| {
                    if !list.contains(&address) {
                        list.push(address);
                    }
                });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.forget_address(&address),
            SwarmEvent::ListenerClosed {
                listener_id,
                addresses,
                reason,
            } => {
                for address in addresses {
                    self.forget_address(&address);
                }
                let reason = reason.err().map(|error| innermost(&error));
                self.on_listener_closed(listener_id, reason);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::debug!(%error, "listener"),
            _ => {}
        }
    }

    fn forget_address(&mut self, address: &Multiaddr) {
        tracing::info!(%address, "no longer listening");
        self.swarm.remove_external_address(address);
        self.ends
            .listening
            .send_modify(|list| list.retain(|listed| listed != address));
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Ok(rtt),
            }) => {
                if let Some(peer) = self.peers.get_mut(&peer)
                    && peer.uses(connection)
                {
                    peer.rtt = Some(rtt);
                }
            }
            BehaviourEvent::Probing(event) => self.on_tested(event),
            BehaviourEvent::RelayClient(event) => self.on_relay_client(event),
            BehaviourEvent::Relay(event) => self.on_relay(&event),
            BehaviourEvent::Dcutr(event) => {
                tracing::debug!(peer = %event.remote_peer_id, result = ?event.result, "punching");
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => self.on_discovered(found),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Gossipsub(gossipsub::Event::Message { message, .. }) => {
                let gossip = self.swarm.behaviour_mut().gossipsub.gossip_mut();
                self.topics.on_message(gossip, message);
            }
            BehaviourEvent::Overlay(event) => tracing::debug!(?event, "overlay"),
            _ => {}
        }
    }

    fn on_kad(&mut self, event: kad::Event) {
        if let kad::Event::RoutingUpdated { .. } = event
            && let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
        {
            self.providing.go_on(kad);
        }
        match event {
            kad::Event::RoutablePeer { peer, address }
            | kad::Event::PendingRoutablePeer { peer, address }
                if addresses::is_lan(&address) =>
            {
                if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
                    kad.add_address(&peer, address);
                }
            }
            // The first peers of the table are the first who can tell of others.
            kad::Event::RoutingUpdated {
                is_new_peer: true, ..
            } if self.is_alone() => self.meet(),
            // Kademlia has checked that providers speak for themselves; its store is
            // bounded. Values are not taken: nobody validates them.
            kad::Event::InboundRequest {
                request:
                    kad::InboundRequest::AddProvider {
                        record: Some(record),
                    },
            } => {
                if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
                    && let Err(error) = kad.store_mut().add_provider(record)
                {
                    tracing::debug!(%error, "provider record not kept");
                }
            }
            kad::Event::OutboundQueryProgressed {
                id, result, step, ..
            } => {
                let kad = self.swarm.behaviour_mut().kad.as_mut();
                let others = self.providing.on_progress(kad, id, result);
                let others =
                    others.and_then(|result| self.kad_queries.on_progress(id, result, step.last));
                if let Some(result) = others {
                    self.on_rendezvous(id, result, step.last);
                }
            }
            _ => {}
        }
    }

    fn on_rendezvous(&mut self, id: kad::QueryId, result: kad::QueryResult, last: bool) {
        match self.rendezvous.on_progress(id, result, last) {
            Some(Found::Members(members)) => self.dial_members(members),
            Some(Found::Member(peer, mut addrs)) => {
                addrs.truncate(MAX_ADDRS);
                tracing::debug!(%peer, ?addrs, "found by Kademlia");
                self.swarm.behaviour_mut().overlay.add_peer(peer, addrs);
            }
            None => {}
        }
    }

    /// Dials those that are said to belong to the network and are not connected; where no
    /// address is known, asks for one.
    fn dial_members(&mut self, members: Vec<PeerId>) {
        for member in members {
            if self.peers.contains_key(&member) {
                continue;
            }
            let opts =
                DialOpts::peer_id(member).condition(PeerCondition::DisconnectedAndNotDialing);
            if let Err(DialError::NoAddresses) = self.swarm.dial(opts.build())
                && let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
            {
                self.rendezvous.look_up(kad, member);
            }
        }
    }

    fn on_discovered(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        let mut by_peer: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for (peer, address) in found {
            let addrs = by_peer.entry(peer).or_default();
            if addrs.len() < MAX_ADDRS {
                addrs.push(addresses::split_peer(address).0);
            }
        }
        for (peer, addrs) in by_peer {
            tracing::debug!(%peer, ?addrs, "found by mDNS");
            self.swarm.behaviour_mut().overlay.add_peer(peer, addrs);
        }
    }

    /// Whoever says it speaks our overlay is offered to it, however it was met.
    fn on_identified(&mut self, peer_id: PeerId, info: identify::Info) {
        self.on_possible_relay(peer_id, &info);
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        let mut far_ends = peer.connections.values().map(|link| &link.address);
        let local = far_ends.any(addresses::is_loopback);
        peer.addrs = addresses::dialable(info.listen_addrs, local, MAX_ADDRS);
        peer.agent = info.agent_version.chars().take(MAX_AGENT).collect();
        peer.protocols = info
            .protocols
            .iter()
            .take(MAX_PROTOCOLS)
            .map(ToString::to_string)
            .collect();
        let addrs = peer.addrs.clone();
        let behaviour = self.swarm.behaviour_mut();
        if info
            .protocols
            .iter()
            .any(|protocol| protocol.as_ref().starts_with(OUR_OVERLAY))
        {
            behaviour.overlay.add_peer(peer_id, addrs.clone());
            self.remembered.seen(peer_id, addrs.clone());
        }
        if let Some(kad) = behaviour.kad.as_mut()
            && kad
                .protocol_names()
                .iter()
                .any(|name| info.protocols.contains(name))
        {
            for address in addrs {
                kad.add_address(&peer_id, address);
            }
        }
    }
}

impl Peer {
    /// Whether messages go over this connection: while there is a direct one, over no relayed.
    fn uses(&self, connection: ConnectionId) -> bool {
        let relayed = path_of(self.connections.values()) == Some(Path::Relayed);
        let link = self.connections.get(&connection);
        link.is_some_and(|link| link.relayed == relayed)
    }
}

fn describe((id, peer): (&PeerId, &Peer)) -> ConnectedPeer {
    let mut links: Vec<&Link> = peer.connections.values().collect();
    links.sort_by_key(|link| link.relayed);
    ConnectedPeer {
        peer: *id,
        path: path_of(peer.connections.values()).unwrap_or(Path::Direct),
        connections: links.iter().map(|link| link.address.clone()).collect(),
        addrs: peer.addrs.clone(),
        agent: peer.agent.clone(),
        protocols: peer.protocols.clone(),
        rtt: peer.rtt,
    }
}

/// Dial errors in words: libp2p's own text lists nested transports over several lines.
fn failed(error: &DialError) -> ConnectError {
    let text = match error {
        DialError::Transport(attempts) if !attempts.is_empty() => attempts
            .iter()
            .map(|(address, error)| format!("{address}: {}", innermost(error)))
            .collect::<Vec<_>>()
            .join("; "),
        DialError::NoAddresses => "no address is known for this peer".to_owned(),
        other => innermost(other),
    };
    ConnectError::Failed(text)
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
