//! Gossipsub, and what is announced over it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint, Multiaddr};
use libp2p_gossipsub as gossipsub;
use libp2p_gossipsub::{
    ConfigBuilder, IdentTopic, MessageAcceptance, MessageAuthenticity, PublishError, TopicHash,
};
use libp2p_identity::{Keypair, PeerId};
use libp2p_swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use tokio::sync::mpsc;

use crate::bucket::Bucket;
use crate::channel::{Channel, Contact};
use crate::command::{Command, Inbound};
use crate::handle::Handle;
use crate::score;
use crate::stats::Counters;
use crate::topic::{SHARDS, topic};
use crate::worker::Worker;

/// Commands that wait for the Swarm's task.
const COMMANDS: usize = 256;

/// Messages that wait to be looked at, of one channel. What comes beyond is not forwarded.
const INBOUND: usize = 256;

/// What a channel's holders ask that waits for its task.
const ASKS: usize = 64;

/// Own statements that wait until somebody has subscribed to their topic.
const UNSENT: usize = 64;

type Inner = gossipsub::Behaviour;

/// Gossipsub is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gossipsub: {0}")]
pub struct BuildError(String);

/// Gossipsub with channels on it. Its events are gossipsub's; those of the channels' topics
/// do not appear.
pub struct Behaviour {
    gossip: Inner,
    commands: mpsc::Receiver<Command>,
    channels: HashMap<TopicHash, Shard>,
    buckets: HashMap<PeerId, Bucket>,
    unsent: VecDeque<(IdentTopic, Bytes)>,
    dials: VecDeque<DialOpts>,
}

struct Shard {
    number: u8,
    max_size: usize,
    inbound: mpsc::Sender<Inbound>,
}

/// Opens channels. Cheap to clone.
#[derive(Clone)]
pub struct Gossip {
    commands: mpsc::Sender<Command>,
}

impl Gossip {
    /// Opens a channel; its task runs until the behaviour or all clones of the handle are
    /// gone. Names of channels are given once.
    pub async fn open(&self, channel: Arc<dyn Channel>) -> Handle {
        let (inbound, messages) = mpsc::channel(INBOUND);
        let (asks, queue) = mpsc::channel(ASKS);
        let counters = Arc::<Counters>::default();
        let open = Command::Open {
            name: channel.name(),
            max_size: channel.max_size(),
            inbound,
        };
        // Where the behaviour is gone, the task ends at once.
        let _ = self.commands.send(open).await;
        let worker = Worker::new(channel, self.commands.clone(), Arc::clone(&counters));
        tokio::spawn(worker.run(messages, queue));
        Handle::new(asks, counters)
    }
}

impl Behaviour {
    /// Gossipsub as `config` says, but that messages are looked at before they are forwarded,
    /// and that peers are scored.
    ///
    /// # Errors
    /// Where the configuration contradicts itself.
    pub fn new(
        keypair: &Keypair,
        config: &mut ConfigBuilder,
    ) -> Result<(Behaviour, Gossip), BuildError> {
        let config = config.validate_messages().build();
        let config = config.map_err(|error| BuildError(error.to_string()))?;
        let signed = MessageAuthenticity::Signed(keypair.clone());
        let failed = |error: &str| BuildError(error.to_owned());
        let mut gossip = Inner::new(signed, config).map_err(failed)?;
        let (params, thresholds) = score::peer();
        let scored = gossip.with_peer_score(params, thresholds);
        scored.map_err(|error| failed(&error))?;
        let (sender, commands) = mpsc::channel(COMMANDS);
        let behaviour = Behaviour {
            gossip,
            commands,
            channels: HashMap::new(),
            buckets: HashMap::new(),
            unsent: VecDeque::new(),
            dials: VecDeque::new(),
        };
        Ok((behaviour, Gossip { commands: sender }))
    }

    /// Gossipsub itself, for topics that are no channel's.
    pub fn gossip_mut(&mut self) -> &mut Inner {
        &mut self.gossip
    }

    /// Gossipsub itself.
    pub fn gossip(&self) -> &Inner {
        &self.gossip
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open {
                name,
                max_size,
                inbound,
            } => {
                for number in 0..SHARDS {
                    let topic = topic(name, number);
                    let shard = Shard {
                        number,
                        max_size,
                        inbound: inbound.clone(),
                    };
                    self.channels.insert(topic.hash(), shard);
                    let scored = self.gossip.set_topic_params(topic, score::shard());
                    scored.expect("peers are scored since the start");
                }
            }
            Command::Subscribe(topic) => {
                if let Err(error) = self.gossip.subscribe(&topic) {
                    tracing::warn!(%topic, %error, "not subscribed");
                }
            }
            Command::Unsubscribe(topic) => {
                self.gossip.unsubscribe(&topic);
            }
            Command::Publish(topic, data) => self.publish(topic, data),
            Command::Verdict {
                id,
                source,
                acceptance,
            } => {
                let gossip = &mut self.gossip;
                gossip.report_message_validation_result(&id, &source, acceptance);
            }
            Command::Meet(contacts) => self.meet(contacts),
        }
    }

    fn publish(&mut self, topic: IdentTopic, data: Bytes) {
        match self.gossip.publish(topic.hash(), data.clone()) {
            // Somebody else was quicker: nothing is left to say.
            Ok(_) | Err(PublishError::Duplicate) => {}
            Err(PublishError::NoPeersSubscribedToTopic) => {
                // Those who bring the shard together are being dialled.
                if self.unsent.len() >= UNSENT {
                    self.unsent.pop_front();
                }
                self.unsent.push_back((topic, data));
            }
            Err(error) => tracing::debug!(%topic, %error, "a statement was not announced"),
        }
    }

    /// Announces what waited for somebody to subscribe.
    fn publish_unsent(&mut self, subscribed: &TopicHash) {
        let all = std::mem::take(&mut self.unsent);
        for (topic, data) in all {
            match topic.hash() == *subscribed {
                true => self.publish(topic, data),
                false => self.unsent.push_back((topic, data)),
            }
        }
    }

    fn meet(&mut self, contacts: Vec<Contact>) {
        let connected = |peer: &PeerId| self.gossip.all_peers().any(|(known, _)| known == peer);
        let strangers = contacts
            .into_iter()
            .filter(|contact| !connected(&contact.peer));
        let dials = strangers.map(|contact| {
            DialOpts::peer_id(contact.peer)
                .addresses(contact.addrs)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .extend_addresses_through_behaviour()
                .build()
        });
        self.dials.extend(dials);
    }

    /// Hands a message of a channel to its task; another one is the event that it was.
    fn on_event(&mut self, event: gossipsub::Event) -> Option<gossipsub::Event> {
        match event {
            gossipsub::Event::Message {
                propagation_source: source,
                message_id: id,
                message,
            } => {
                let Some(shard) = self.channels.get(&message.topic) else {
                    let gossip = &mut self.gossip;
                    let accept = MessageAcceptance::Accept;
                    gossip.report_message_validation_result(&id, &source, accept);
                    return Some(gossipsub::Event::Message {
                        propagation_source: source,
                        message_id: id,
                        message,
                    });
                };
                let acceptance = if message.data.len() > shard.max_size {
                    MessageAcceptance::Reject
                } else {
                    let now = Instant::now();
                    let bucket = self.buckets.entry(source);
                    let bucket = bucket.or_insert_with(|| Bucket::new(now));
                    let inbound = Inbound::Message {
                        id: id.clone(),
                        source,
                        shard: shard.number,
                        data: message.data.into(),
                    };
                    if bucket.take(now) && shard.inbound.try_send(inbound).is_ok() {
                        return None;
                    }
                    MessageAcceptance::Ignore
                };
                let gossip = &mut self.gossip;
                gossip.report_message_validation_result(&id, &source, acceptance);
                None
            }
            gossipsub::Event::Subscribed { ref topic, .. } if self.channels.contains_key(topic) => {
                self.publish_unsent(&topic.clone());
                None
            }
            gossipsub::Event::Unsubscribed { ref topic, .. }
                if self.channels.contains_key(topic) =>
            {
                None
            }
            other => Some(other),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<Inner>;
    type ToSwarm = gossipsub::Event;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.gossip
            .handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gossip
            .handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.gossip
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gossip
            .handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(established) if established.other_established == 0 => {
                // One shard of each channel: they have one task.
                for shard in self.channels.values().filter(|shard| shard.number == 0) {
                    // A full queue shows that there is enough to do without.
                    let _ = shard.inbound.try_send(Inbound::Met);
                }
            }
            FromSwarm::ConnectionClosed(closed) if closed.remaining_established == 0 => {
                // Who comes back at once has no more than if it had stayed.
                let now = Instant::now();
                self.buckets.retain(|_, bucket| !bucket.is_full(now));
            }
            _ => {}
        }
        self.gossip.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.gossip.on_connection_handler_event(peer, id, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(opts) = self.dials.pop_front() {
                return Poll::Ready(ToSwarm::Dial { opts });
            }
            if let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
                self.on_command(command);
                continue;
            }
            match self.gossip.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => {
                    if let Some(event) = self.on_event(event) {
                        return Poll::Ready(ToSwarm::GenerateEvent(event));
                    }
                }
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
