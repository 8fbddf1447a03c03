//! Messages that a person publishes and reads by gossipsub, under topics that other libp2p
//! programs share (A14 of `docs/specs/control-api.md`).

use std::collections::HashMap;

use bytes::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{self, IdentTopic, PublishError, TopicHash},
};
use tokio::sync::{mpsc, oneshot};

use super::Command;

/// Largest message a person publishes; larger things are stored, and their CID is sent.
const MAX_MESSAGE: usize = 64 * 1024;

/// Longest name of a topic in bytes: each peer keeps it for each other.
const MAX_TOPIC: usize = 256;

/// Listeners at a time, each an open connection of the API; a peer takes 100 topics of
/// another unless told otherwise.
const MAX_LISTENERS: usize = 64;

/// Messages that wait for one listener, 1 MiB each at most. One that keeps up with no more
/// is ended.
const QUEUE: usize = 16;

/// Why nothing was published, or nobody can listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// See `MAX_TOPIC`.
    #[error("a topic is a name of 1 to {MAX_TOPIC} bytes")]
    Topic,
    /// A topic of this program's own protocols.
    #[error("topics that begin with /hedgerow/ are this program's own")]
    Reserved,
    /// See `MAX_MESSAGE`.
    #[error("a message has {MAX_MESSAGE} bytes at most")]
    TooLarge,
    /// No connected peer has subscribed to the topic.
    #[error("no peer listens to this topic")]
    NobodyListens,
    /// The same message was published a moment ago.
    #[error("the same message was published a moment ago")]
    Duplicate,
    /// The peers do not keep up.
    #[error("the peers do not keep up")]
    Busy,
    /// See `MAX_LISTENERS`.
    #[error("{MAX_LISTENERS} programs listen already")]
    TooMany,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

/// A message of a topic.
#[derive(Clone, Debug)]
pub struct GossipMessage {
    /// Who signed it.
    pub from: PeerId,
    /// Its bytes.
    pub data: Bytes,
}

/// What a person wants of gossipsub.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Publishes to whoever listens.
    Publish(String, Bytes, oneshot::Sender<Result<(), GossipError>>),
    /// Subscribes for as long as somebody reads.
    Listen(
        String,
        oneshot::Sender<Result<mpsc::Receiver<GossipMessage>, GossipError>>,
    ),
    /// Somebody reads no more.
    Left,
}

/// Yields the messages of a topic; the node is subscribed while one lives.
#[derive(Debug)]
pub(crate) struct Listener {
    messages: mpsc::Receiver<GossipMessage>,
    commands: mpsc::Sender<Command>,
}

/// Who listens to what.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    listeners: HashMap<TopicHash, Vec<mpsc::Sender<GossipMessage>>>,
}

impl Listener {
    pub(crate) fn new(
        messages: mpsc::Receiver<GossipMessage>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self { messages, commands }
    }

    /// The next message; none when the listener did not keep up or the node stops.
    pub(crate) async fn next(&mut self) -> Option<GossipMessage> {
        self.messages.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.messages.close();
        // If the queue is full, the next message of the topic shows it.
        let _ = self.commands.try_send(Command::Gossip(Ask::Left));
    }
}

impl Topics {
    pub(crate) fn ask(&mut self, gossip: &mut gossipsub::Behaviour, ask: Ask) {
        // Who asked may be gone; a receiver that nobody takes closes.
        match ask {
            Ask::Publish(topic, data, reply) => drop(reply.send(publish(gossip, topic, data))),
            Ask::Listen(topic, reply) => drop(reply.send(self.listen(gossip, topic))),
            Ask::Left => self.clean(gossip),
        }
    }

    /// Hands a message to those who listen to its topic.
    pub(crate) fn on_message(
        &mut self,
        gossip: &mut gossipsub::Behaviour,
        message: gossipsub::Message,
    ) {
        let Some(listeners) = self.listeners.get_mut(&message.topic) else {
            return;
        };
        // Messages are signed, or they do not get here.
        let Some(from) = message.source else {
            return;
        };
        let data = Bytes::from(message.data);
        listeners.retain(|listener| {
            let message = GossipMessage {
                from,
                data: data.clone(),
            };
            listener.try_send(message).is_ok()
        });
        self.clean(gossip);
    }

    fn listen(
        &mut self,
        gossip: &mut gossipsub::Behaviour,
        topic: String,
    ) -> Result<mpsc::Receiver<GossipMessage>, GossipError> {
        self.clean(gossip);
        let topic = checked(topic)?;
        if self.listeners.values().map(Vec::len).sum::<usize>() >= MAX_LISTENERS {
            return Err(GossipError::TooMany);
        }
        gossip.subscribe(&topic).map_err(|error| {
            tracing::debug!(%error, "not subscribed");
            GossipError::Busy
        })?;
        let (sender, messages) = mpsc::channel(QUEUE);
        self.listeners.entry(topic.hash()).or_default().push(sender);
        Ok(messages)
    }

    /// Forgets those who are gone, and unsubscribes from what nobody listens to.
    fn clean(&mut self, gossip: &mut gossipsub::Behaviour) {
        self.listeners.retain(|topic, listeners| {
            listeners.retain(|listener| !listener.is_closed());
            if listeners.is_empty() {
                gossip.unsubscribe(&IdentTopic::new(topic.as_str()));
            }
            !listeners.is_empty()
        });
    }
}

fn checked(topic: String) -> Result<IdentTopic, GossipError> {
    if topic.is_empty() || topic.len() > MAX_TOPIC {
        return Err(GossipError::Topic);
    }
    // What a person writes there would count against this node with its peers.
    if notify::is_reserved(&topic) {
        return Err(GossipError::Reserved);
    }
    Ok(IdentTopic::new(topic))
}

fn publish(
    gossip: &mut gossipsub::Behaviour,
    topic: String,
    data: Bytes,
) -> Result<(), GossipError> {
    let topic = checked(topic)?;
    if data.len() > MAX_MESSAGE {
        return Err(GossipError::TooLarge);
    }
    match gossip.publish(topic.hash(), data) {
        Ok(_) => Ok(()),
        Err(PublishError::NoPeersSubscribedToTopic) => Err(GossipError::NobodyListens),
        Err(PublishError::Duplicate) => Err(GossipError::Duplicate),
        Err(PublishError::MessageTooLarge) => Err(GossipError::TooLarge),
        Err(error) => {
            tracing::debug!(%error, "not published");
            Err(GossipError::Busy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;

    fn gossip() -> gossipsub::Behaviour {
        gossipsub::Behaviour::new(
            gossipsub::MessageAuthenticity::Signed(Keypair::generate_ed25519()),
            gossipsub::Config::default(),
        )
        .unwrap()
    }

    fn listen(topics: &mut Topics, gossip: &mut gossipsub::Behaviour, topic: &str) -> Listening {
        let (reply, mut answer) = oneshot::channel();
        topics.ask(gossip, Ask::Listen(topic.to_owned(), reply));
        answer.try_recv().unwrap()
    }

    type Listening = Result<mpsc::Receiver<GossipMessage>, GossipError>;

    fn message(topic: &str, data: &[u8]) -> gossipsub::Message {
        gossipsub::Message {
            source: Some(PeerId::random()),
            data: data.to_vec(),
            sequence_number: Some(1),
            topic: IdentTopic::new(topic).hash(),
        }
    }

    #[test]
    fn the_node_is_subscribed_while_somebody_listens() {
        let (mut topics, mut gossip) = (Topics::default(), gossip());
        let mut one = listen(&mut topics, &mut gossip, "tea").unwrap();
        let other = listen(&mut topics, &mut gossip, "tea").unwrap();
        topics.on_message(&mut gossip, message("tea", b"hot"));
        topics.on_message(&mut gossip, message("coffee", b"cold"));
        assert_eq!(&one.try_recv().unwrap().data[..], b"hot");
        assert!(one.try_recv().is_err());
        drop(one);
        topics.ask(&mut gossip, Ask::Left);
        assert_eq!(gossip.topics().count(), 1);
        drop(other);
        topics.ask(&mut gossip, Ask::Left);
        assert_eq!(gossip.topics().count(), 0);
    }

    #[test]
    fn who_does_not_keep_up_is_ended_and_the_others_are_not() {
        let (mut topics, mut gossip) = (Topics::default(), gossip());
        let mut slow = listen(&mut topics, &mut gossip, "tea").unwrap();
        let mut quick = listen(&mut topics, &mut gossip, "tea").unwrap();
        for _ in 0..=QUEUE {
            topics.on_message(&mut gossip, message("tea", b"x"));
            quick.try_recv().unwrap();
        }
        let kept = std::iter::from_fn(|| slow.try_recv().ok()).count();
        assert_eq!(kept, QUEUE);
        assert!(slow.is_closed());
        assert!(!quick.is_closed());
    }

    #[test]
    fn names_messages_and_listeners_are_bounded() {
        let (mut topics, mut gossip) = (Topics::default(), gossip());
        let long = "x".repeat(MAX_TOPIC + 1);
        for wrong in ["", &long] {
            let refused = listen(&mut topics, &mut gossip, wrong);
            assert_eq!(refused.unwrap_err(), GossipError::Topic);
        }
        let own = notify::topic("objects", 0).to_string();
        let refused = listen(&mut topics, &mut gossip, &own);
        assert_eq!(refused.unwrap_err(), GossipError::Reserved);
        let (reply, mut answer) = oneshot::channel();
        let large = Bytes::from(vec![0; MAX_MESSAGE + 1]);
        topics.ask(&mut gossip, Ask::Publish("tea".to_owned(), large, reply));
        assert_eq!(answer.try_recv().unwrap(), Err(GossipError::TooLarge));
        let (reply, mut answer) = oneshot::channel();
        let small = Bytes::from_static(b"x");
        topics.ask(&mut gossip, Ask::Publish("tea".to_owned(), small, reply));
        assert_eq!(answer.try_recv().unwrap(), Err(GossipError::NobodyListens));
        let all: Vec<_> = (0..MAX_LISTENERS)
            .map(|_| listen(&mut topics, &mut gossip, "tea").unwrap())
            .collect();
        let refused = listen(&mut topics, &mut gossip, "tea");
        assert_eq!(refused.unwrap_err(), GossipError::TooMany);
        drop(all);
        assert!(listen(&mut topics, &mut gossip, "tea").is_ok());
    }
}
