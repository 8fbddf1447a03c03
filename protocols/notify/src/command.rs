//! What is said between the task of a channel and the behaviour.

use bytes::Bytes;
use libp2p_gossipsub::{IdentTopic, MessageAcceptance, MessageId};
use libp2p_identity::PeerId;
use tokio::sync::mpsc;

use crate::channel::Contact;

/// To the behaviour.
pub(crate) enum Command {
    /// A channel whose messages have at most so many bytes.
    Open {
        name: &'static str,
        max_size: usize,
        inbound: mpsc::Sender<Inbound>,
    },
    Subscribe(IdentTopic),
    Unsubscribe(IdentTopic),
    Publish(IdentTopic, Bytes),
    /// What is to be done with a message.
    Verdict {
        id: MessageId,
        source: PeerId,
        acceptance: MessageAcceptance,
    },
    /// These are to be connected.
    Meet(Vec<Contact>),
}

/// To the task of a channel.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A message that nobody has looked at.
    Message {
        id: MessageId,
        source: PeerId,
        shard: u8,
        data: Bytes,
    },
    /// A node is connected that was not: something may have been missed.
    Met,
}
