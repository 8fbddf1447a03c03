//! Nodes that run in tasks of their own, and can be asked what they think of each other.

use std::sync::Arc;

use futures::StreamExt;
use libp2p_gossipsub as gossipsub;
use libp2p_identity::PeerId;
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt;
use notify::{Behaviour, Handle};
use tokio::sync::{mpsc, oneshot};

use crate::toy::{Kept, Toy};

pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) handle: Handle,
    pub(crate) kept: Arc<Kept>,
    asks: mpsc::Sender<Ask>,
    address: libp2p_core::Multiaddr,
}

enum Ask {
    Score(PeerId, oneshot::Sender<Option<f64>>),
    Listeners(String, oneshot::Sender<usize>),
    Publish(String, Vec<u8>),
    Dial(libp2p_core::Multiaddr),
    Topics(oneshot::Sender<Vec<String>>),
}

impl Node {
    pub(crate) async fn start() -> Node {
        let mut opener = None;
        let mut swarm = Swarm::new_ephemeral_tokio(|keypair| {
            let mut config = gossipsub::ConfigBuilder::default();
            config.message_id_fn(notify::message_id);
            let (behaviour, gossip) = Behaviour::new(&keypair, &mut config).unwrap();
            opener = Some(gossip);
            behaviour
        });
        let (address, _) = swarm.listen().with_memory_addr_external().await;
        let peer = *swarm.local_peer_id();
        let (asks, queue) = mpsc::channel(16);
        tokio::spawn(run(swarm, queue));
        let kept = Arc::<Kept>::default();
        let handle = opener.unwrap().open(Arc::new(Toy(Arc::clone(&kept)))).await;
        Node {
            peer,
            handle,
            kept,
            asks,
            address,
        }
    }

    /// Connects to another node.
    pub(crate) async fn dial(&self, other: &Node) {
        self.ask(Ask::Dial(other.address.clone())).await;
    }

    /// What gossipsub thinks of a peer.
    pub(crate) async fn score(&self, peer: PeerId) -> f64 {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Score(peer, reply)).await;
        answer.await.unwrap().unwrap_or_default()
    }

    /// Publishes whatever bytes on whatever topic, as a node of somebody else's making may.
    pub(crate) async fn publish(&self, topic: &str, data: Vec<u8>) {
        self.ask(Ask::Publish(topic.to_owned(), data)).await;
    }

    /// Topics that it has subscribed to.
    pub(crate) async fn topics(&self) -> Vec<String> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Topics(reply)).await;
        answer.await.unwrap()
    }

    /// Waits until so many of its peers have subscribed to a topic.
    pub(crate) async fn until_listened(&self, topic: &str, wanted: usize) {
        until("peers have subscribed", async || {
            let (reply, answer) = oneshot::channel();
            self.ask(Ask::Listeners(topic.to_owned(), reply)).await;
            answer.await.unwrap() >= wanted
        })
        .await;
    }

    async fn ask(&self, ask: Ask) {
        assert!(self.asks.send(ask).await.is_ok(), "the node has ended");
    }
}

async fn run(mut swarm: Swarm<Behaviour>, mut asks: mpsc::Receiver<Ask>) {
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = event {
                    panic!("a message of {} got past the channel", message.topic);
                }
            }
            ask = asks.recv() => match ask {
                None => return,
                Some(Ask::Dial(address)) => swarm.dial(address).unwrap(),
                Some(Ask::Score(peer, reply)) => {
                    reply.send(swarm.behaviour().gossip().peer_score(&peer)).unwrap();
                }
                Some(Ask::Listeners(topic, reply)) => {
                    let peers = swarm.behaviour().gossip().all_peers();
                    let listen = |topics: &Vec<&gossipsub::TopicHash>| {
                        topics.iter().any(|known| known.as_str() == topic)
                    };
                    reply.send(peers.filter(|(_, topics)| listen(topics)).count()).unwrap();
                }
                Some(Ask::Topics(reply)) => {
                    let topics = swarm.behaviour().gossip().topics();
                    reply.send(topics.map(ToString::to_string).collect()).unwrap();
                }
                Some(Ask::Publish(topic, data)) => {
                    let topic = gossipsub::IdentTopic::new(topic);
                    let gossip = swarm.behaviour_mut().gossip_mut();
                    gossip.publish(topic.hash(), data).unwrap();
                }
            },
        }
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let late = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < late,
            "never came true: {what}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
