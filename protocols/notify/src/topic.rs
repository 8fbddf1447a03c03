//! Which topic a subject belongs to (E1).

use guid::Guid;
use libp2p_gossipsub::{IdentTopic, Message, MessageId};

/// Topics of a channel. Some implementations let a peer subscribe to a hundred at most.
pub const SHARDS: u8 = 32;

/// Bits of a subject that say its shard.
const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// What all our topics begin with.
const OURS: &str = "/hedgerow/";

/// The shard of a subject: its first bits.
pub fn shard_of(subject: Guid) -> u8 {
    (subject.as_u128() >> (u128::BITS - SHARD_BITS)) as u8
}

/// The topic of a shard of a channel.
pub fn topic(channel: &str, shard: u8) -> IdentTopic {
    IdentTopic::new(format!("{OURS}notify/1.0.0/{channel}/{shard:02}"))
}

/// Where on the ring those are who bring the followers of a shard together (E4).
pub(crate) fn place_of(channel: &str, shard: u8) -> Guid {
    Guid::hash(topic(channel, shard).hash().as_str().as_bytes())
}

/// Whether a topic is one of this project's protocols, which people do not write to by hand.
pub fn is_reserved(topic: &str) -> bool {
    topic.starts_with(OURS)
}

/// What a message is told from others by (E2): the hash of its data, and of our topics of the
/// topic too. Else one statement, told once where it does not belong, would make everybody a liar
/// who passes it on where it does.
pub fn message_id(message: &Message) -> MessageId {
    let topic = message.topic.as_str();
    let hash = match is_reserved(topic) {
        true => Guid::hash(&[topic.as_bytes(), b"\0", &message.data].concat()),
        false => Guid::hash(&message.data),
    };
    hash.to_bytes().to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_spread_over_all_shards() {
        let of = |first: u8| shard_of(Guid::new(u128::from(first) << 120));
        assert_eq!((of(0), of(7), of(8), of(255)), (0, 0, 1, SHARDS - 1));
        let text = topic("objects", 3).to_string();
        assert_eq!(text, "/hedgerow/notify/1.0.0/objects/03");
        assert!(is_reserved(&text) && !is_reserved("tea"));
    }
}
