//! Connections and the messages waiting for one (O5, O6).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use libp2p_core::{ConnectedPoint, Multiaddr};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionId, DialError, NotifyHandler, ToSwarm,
    dial_opts::{DialOpts, PeerCondition},
};
use tokio::time::{Duration, Instant};

use crate::Event;

/// Peers being dialled at a time. Joining dials a leaf set and a few rows of the table.
const MAX_DIALLING: usize = 128;

/// Messages waiting for one peer's connection: a request, its retries, some heartbeats.
const MAX_WAITING_PER_PEER: usize = 32;

/// A peer that does not want an idle connection as long as we do is not dialled for its
/// sake more often than this.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(60);

/// Messages waiting for connections in all.
const MAX_WAITING: usize = 1024;

pub(crate) type Action = ToSwarm<Event, wire::Command>;

struct Dial {
    /// Our own attempt.
    connection: ConnectionId,
    /// Somebody else was dialling already, so our attempt was not made: theirs decides.
    waits_for_other: bool,
    addrs: Vec<Multiaddr>,
    waiting: VecDeque<Bytes>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Handed to a connection, or waiting for one.
    Accepted,
    /// A bound was reached.
    Dropped,
}

#[derive(Default)]
pub(crate) struct Links {
    connected: wire::Connections,
    dialling: BTreeMap<PeerId, Dial>,
    waiting: usize,
    /// Peers whose connections are kept while idle.
    kept: BTreeSet<PeerId>,
    /// When a lost peer was last dialled to see whether it lives; bounded by `kept` over
    /// the interval.
    confirmed: BTreeMap<PeerId, Instant>,
    actions: VecDeque<Action>,
}

impl Links {
    pub(crate) fn pop_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn is_kept(&self, peer: &PeerId) -> bool {
        self.kept.contains(peer)
    }

    /// Sends on the oldest of the best connections (W11); dials if there is none.
    pub(crate) fn send(
        &mut self,
        peer: PeerId,
        addrs: impl FnOnce() -> Vec<Multiaddr>,
        message: Bytes,
    ) -> Sent {
        if let Some(connection) = self.connected.oldest(&peer) {
            let event = wire::Command::Send(message);
            let handler = NotifyHandler::One(connection);
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler,
                event,
            });
            return Sent::Accepted;
        }
        if self.waiting >= MAX_WAITING {
            return Sent::Dropped;
        }
        if !self.dialling.contains_key(&peer) {
            if self.dialling.len() >= MAX_DIALLING {
                return Sent::Dropped;
            }
            self.start_dialling(peer, addrs());
        }
        let Some(dial) = self.dialling.get_mut(&peer) else {
            return Sent::Dropped;
        };
        if dial.waiting.len() >= MAX_WAITING_PER_PEER {
            return Sent::Dropped;
        }
        dial.waiting.push_back(message);
        self.waiting += 1;
        Sent::Accepted
    }

    fn start_dialling(&mut self, peer: PeerId, addrs: Vec<Multiaddr>) {
        let connection = self.dial(peer, addrs.clone());
        let waiting = VecDeque::new();
        self.dialling.insert(
            peer,
            Dial {
                connection,
                waits_for_other: false,
                addrs,
                waiting,
            },
        );
    }

    /// The last connection to a peer is gone. If we kept it, dials the peer at once: a
    /// process that died refuses, and the core learns of it long before a timeout; one
    /// that only had no use for the connection answers (O6).
    pub(crate) fn confirm(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.confirmed.retain(|_, at| now - *at < CONFIRM_INTERVAL);
        if self.kept.contains(&peer)
            && !self.dialling.contains_key(&peer)
            && self.dialling.len() < MAX_DIALLING
            && !self.confirmed.contains_key(&peer)
        {
            self.confirmed.insert(peer, now);
            self.start_dialling(peer, Vec::new());
        }
    }

    fn dial(&mut self, peer: PeerId, addrs: Vec<Multiaddr>) -> ConnectionId {
        let opts = DialOpts::peer_id(peer)
            .addresses(addrs)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .extend_addresses_through_behaviour()
            .build();
        let connection = opts.connection_id();
        self.actions.push_back(ToSwarm::Dial { opts });
        connection
    }

    pub(crate) fn on_established(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        self.connected.add(peer, connection, endpoint);
        let Some(dial) = self.dialling.remove(&peer) else {
            return;
        };
        self.waiting -= dial.waiting.len();
        for message in dial.waiting {
            self.send(peer, Vec::new, message);
        }
    }

    /// `true` if this was the last connection to the peer.
    pub(crate) fn on_closed(&mut self, peer: PeerId, connection: ConnectionId) -> bool {
        self.connected.remove(peer, connection)
    }

    /// `true` if the peer cannot be reached; what waited for it is dropped.
    pub(crate) fn on_dial_failure(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        error: &DialError,
    ) -> bool {
        let Some(dial) = self.dialling.get_mut(&peer) else {
            return false;
        };
        let ours = dial.connection == connection;
        if ours && matches!(error, DialError::DialPeerConditionFalse(_)) {
            dial.waits_for_other = true;
            return false;
        }
        if !ours {
            // Another behaviour failed with its addresses; now try with ours.
            if std::mem::take(&mut dial.waits_for_other) {
                let addrs = dial.addrs.clone();
                let connection = self.dial(peer, addrs);
                if let Some(dial) = self.dialling.get_mut(&peer) {
                    dial.connection = connection;
                }
            }
            return false;
        }
        if let Some(dial) = self.dialling.remove(&peer) {
            self.waiting -= dial.waiting.len();
        }
        true
    }

    /// Keeps the connections to exactly these peers while they are idle.
    pub(crate) fn keep(&mut self, peers: BTreeSet<PeerId>) {
        let changed: Vec<PeerId> = self.kept.symmetric_difference(&peers).copied().collect();
        self.kept = peers;
        for peer in changed {
            let keep = self.kept.contains(&peer);
            for connection in self.connected.all(&peer) {
                self.actions.push_back(ToSwarm::NotifyHandler {
                    peer_id: peer,
                    handler: NotifyHandler::One(connection),
                    event: wire::Command::KeepAlive(keep),
                });
            }
        }
    }

    /// Drops what waits for a peer.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        if let Some(dial) = self.dialling.remove(peer) {
            self.waiting -= dial.waiting.len();
        }
    }
}
