//! Nodes, each driven by a task of its own.

use std::time::Duration;

use futures::StreamExt as _;
use guid::Guid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt as _;
use overlay::{Behaviour, Config, Contact, Event, Handle};
use tokio::{sync::mpsc, task::JoinHandle};

/// Far above what anything here takes; a test that hangs fails by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) peer: PeerId,
    pub(crate) addr: Multiaddr,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    task: JoinHandle<()>,
}

impl Node {
    /// A node that knows of `others`.
    pub(crate) async fn start(config: Config, others: &[Node]) -> Node {
        let mut swarm = Swarm::new_ephemeral_tokio(|key| Behaviour::new(config, &key));
        let (addr, _) = swarm.listen().await;
        let handle = swarm.behaviour().handle();
        let peer = *swarm.local_peer_id();
        for other in others {
            swarm
                .behaviour_mut()
                .add_peer(other.peer, vec![other.addr.clone()]);
        }
        let (sender, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                if let SwarmEvent::Behaviour(event) = swarm.select_next_some().await {
                    let _ = sender.send(event);
                }
            }
        });
        Node {
            handle,
            peer,
            addr,
            events,
            task,
        }
    }

    pub(crate) fn guid(&self) -> Guid {
        self.handle.me().guid
    }

    /// Ends it without a word to anybody.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until its leaf set consists of the other `count` nodes.
    pub(crate) async fn knows(&self, count: usize) {
        let mut changes = self.handle.changes();
        while self.handle.snapshot().leaf_set.contacts().count() != count {
            changes.changed().await.expect("the node runs");
        }
    }
}

/// `count` nodes that have found each other.
pub(crate) async fn network(count: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..count {
        let node = Node::start(Config::default(), &nodes[..nodes.len().min(1)]).await;
        in_time(node.handle.active()).await;
        nodes.push(node);
    }
    for node in &nodes {
        in_time(node.knows(count - 1)).await;
    }
    nodes
}

pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("done in time")
}

/// All nodes, the closest to `key` first.
pub(crate) fn by_closeness(nodes: &[Node], key: Guid) -> Vec<Guid> {
    let mut guids: Vec<Guid> = nodes.iter().map(Node::guid).collect();
    guids.sort_by(|a, b| key.cmp_distance(*a, *b));
    guids
}

pub(crate) fn guids(contacts: &[Contact]) -> Vec<Guid> {
    contacts.iter().map(|contact| contact.guid).collect()
}
