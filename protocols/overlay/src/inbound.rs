//! What is checked of a message before the core sees it (O2, O3).

use libp2p_identity::PeerId;
use overlay_core::{Config, InvalidMessage, Location, Message};

use crate::guid_of_peer;

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It is no message.
    #[error(transparent)]
    Undecodable(#[from] wire::DecodeError),
    /// A list or a number in it is out of bounds.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
    /// A contact in it claims a place that is not its own.
    #[error("a contact's GUID does not belong to its key")]
    Forged,
    /// It says that it is from somebody else.
    #[error("the sender names itself as another peer")]
    NotItself,
}

/// Reads a message that came on a connection with `from` and checks what the core relies
/// on: its form, its bounds (P26), that its contacts stand where their keys put them and
/// that its sender is who the connection says (O2).
///
/// # Errors
/// The first of these that does not hold.
pub fn read(bytes: &[u8], from: PeerId, config: &Config) -> Result<Message<PeerId>, Rejected> {
    let message: Message<PeerId> = wire::decode(bytes)?;
    message.validate(config)?;
    if claimed_sender(&message).is_some_and(|claimed| claimed != from) {
        return Err(Rejected::NotItself);
    }
    if message
        .contacts()
        .any(|contact| contact.guid != guid_of_peer(&contact.peer))
    {
        return Err(Rejected::Forged);
    }
    Ok(message)
}

/// Whom the message says it is from, if its kind says so.
fn claimed_sender(message: &Message<PeerId>) -> Option<PeerId> {
    match message {
        Message::Probe { view, .. } | Message::ProbeReply { view, .. } => Some(view.sender.peer),
        Message::Reply { from, .. } => Some(from.peer),
        Message::Announce { sender, .. } => Some(sender.peer),
        Message::Location(Location::Publish(publish)) => Some(publish.holder.peer),
        // A routed message names who sent it first, which is rarely who brings it.
        Message::Route(_)
        | Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Heartbeat
        | Message::Ack { .. }
        | Message::Refuse { .. }
        | Message::StateRequest { .. }
        | Message::StateReply { .. }
        | Message::Location(_)
        | Message::Leave => None,
    }
}
