//! What can be said on each protocol of a node. All of them put the length of a message before it,
//! as an unsigned varint. What they mean is in `docs/specs`; the product's own code is not used.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_bytes::ByteBuf;

const KIB: u32 = 1024;

/// Requests in one write.
const BATCH: usize = 16;

/// Entries of a wantlist: as many as a peer may have.
const WANTS: usize = 1024;

/// Item bytes that a put of a block may announce.
const MAX_BLOCK: u32 = 2 * 1024 * KIB;

/// Messages of the overlay as its fuzzer has them, damaged before they are sent.
const OVERLAY: [&[u8]; 12] = [
    include_bytes!("../../../fuzz/corpus/message/probe"),
    include_bytes!("../../../fuzz/corpus/message/probe-reply"),
    include_bytes!("../../../fuzz/corpus/message/route-join"),
    include_bytes!("../../../fuzz/corpus/message/route-replica-set"),
    include_bytes!("../../../fuzz/corpus/message/reply-join"),
    include_bytes!("../../../fuzz/corpus/message/reply-replica-set"),
    include_bytes!("../../../fuzz/corpus/message/state-reply-row"),
    include_bytes!("../../../fuzz/corpus/message/publish"),
    include_bytes!("../../../fuzz/corpus/message/errand"),
    include_bytes!("../../../fuzz/corpus/message/moved"),
    include_bytes!("../../../fuzz/corpus/message/beyond-trace"),
    include_bytes!("../../../fuzz/corpus/message/beyond-dead"),
];

/// Those that name no sender, and are right from anybody.
const OVERLAY_FROM_ANYBODY: [&[u8]; 4] = [
    include_bytes!("../../../fuzz/corpus/message/ping"),
    include_bytes!("../../../fuzz/corpus/message/state-request-row"),
    include_bytes!("../../../fuzz/corpus/message/state-request-near"),
    include_bytes!("../../../fuzz/corpus/message/route-neighbours"),
];

/// Messages of bitswap.
const BITSWAP: [&[u8]; 5] = [
    include_bytes!("../../../fuzz/corpus/bitswap/answers"),
    include_bytes!("../../../fuzz/corpus/bitswap/wants"),
    include_bytes!("../../../fuzz/corpus/bitswap/old-blocks"),
    include_bytes!("../../../fuzz/corpus/bitswap/entries-without-cid"),
    include_bytes!("../../../fuzz/corpus/bitswap/length-beyond-the-end"),
];

/// The protocols of a node that take what a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Overlay,
    Blocks,
    Dht,
    Bitswap,
    Kademlia,
    Gossip,
}

impl Protocol {
    pub(super) const ALL: [Protocol; 6] = [
        Protocol::Overlay,
        Protocol::Blocks,
        Protocol::Dht,
        Protocol::Bitswap,
        Protocol::Kademlia,
        Protocol::Gossip,
    ];

    pub(super) fn id(self) -> &'static str {
        match self {
            Protocol::Overlay => "/hedgerow/overlay/1.0.0",
            Protocol::Blocks => "/hedgerow/blocks/1.0.0",
            Protocol::Dht => "/hedgerow/dht/1.0.0",
            Protocol::Bitswap => "/ipfs/bitswap/1.2.0",
            Protocol::Kademlia => "/ipfs/lan/kad/1.0.0",
            Protocol::Gossip => "/meshsub/1.1.0",
        }
    }

    /// The longest frame that it takes, bytes.
    pub(super) fn max_frame(self) -> u32 {
        match self {
            Protocol::Overlay => 512 * KIB,
            Protocol::Blocks | Protocol::Dht | Protocol::Gossip => 64 * KIB,
            Protocol::Bitswap => 4 * 1024 * KIB,
            Protocol::Kademlia => 16 * KIB,
        }
    }

    /// How the longest thing begins that may come on a stream, and how many bytes it promises.
    pub(super) fn begin_of_longest(self, chance: &mut ChaCha8Rng) -> (Vec<u8>, usize) {
        let length = self.max_frame();
        match self {
            // A put whose bytes never come to an end.
            Protocol::Blocks => {
                let put = Asked::Put { id: cid(chance) };
                (asked(chance, MAX_BLOCK, &put), MAX_BLOCK as usize)
            }
            _ => (varint(u64::from(length)), length as usize),
        }
    }

    /// A frame of the right length with a message that was damaged.
    pub(super) fn damaged(self, chance: &mut ChaCha8Rng) -> Vec<u8> {
        let mut body = match self {
            Protocol::Overlay => any(chance, &OVERLAY).to_vec(),
            Protocol::Bitswap => any(chance, &BITSWAP).to_vec(),
            Protocol::Blocks | Protocol::Dht => body_of(0, 0, &any_asked(chance)),
            Protocol::Kademlia => kademlia(chance),
            Protocol::Gossip => gossip(chance),
        };
        for _ in 0..chance.next_u32() % 4 {
            let at = chance.next_u32() as usize % body.len();
            body[at] ^= 1 << (chance.next_u32() % 8);
        }
        framed(&body)
    }

    /// Requests that are right.
    pub(super) fn request(self, chance: &mut ChaCha8Rng) -> Vec<u8> {
        let one = |chance: &mut ChaCha8Rng| match self {
            Protocol::Overlay => framed(any(chance, &OVERLAY_FROM_ANYBODY)),
            Protocol::Blocks | Protocol::Dht => {
                let wanted = any_asked(chance);
                asked(chance, 0, &wanted)
            }
            Protocol::Bitswap => framed(&wants(chance)),
            Protocol::Kademlia => framed(&kademlia(chance)),
            Protocol::Gossip => framed(&gossip(chance)),
        };
        match self {
            Protocol::Bitswap => one(chance),
            _ => std::iter::repeat_with(|| one(chance))
                .take(BATCH)
                .flatten()
                .collect(),
        }
    }
}

/// An unsigned varint.
pub(super) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = varint(body.len() as u64);
    frame.extend_from_slice(body);
    frame
}

fn any<'a>(chance: &mut ChaCha8Rng, of: &[&'a [u8]]) -> &'a [u8] {
    of[chance.next_u32() as usize % of.len()]
}

fn random<const N: usize>(chance: &mut ChaCha8Rng) -> [u8; N] {
    let mut bytes = [0; N];
    chance.fill_bytes(&mut bytes);
    bytes
}

/// A CIDv1 of raw bytes that nobody has.
fn cid(chance: &mut ChaCha8Rng) -> ByteBuf {
    ByteBuf::from([&[0x01, 0x55, 0x12, 0x20][..], &random::<32>(chance)].concat())
}

// Requests of the replicas' protocol, R2 to R9 of docs/specs/replicas.md.

#[derive(Serialize)]
struct Header<'a> {
    n: u64,
    b: u32,
    q: &'a Asked,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Asked {
    Get {
        id: ByteBuf,
    },
    Put {
        id: ByteBuf,
    },
    Has {
        id: ByteBuf,
    },
    Digest {
        spans: Vec<Arc>,
    },
    List {
        span: Arc,
        after: Option<ByteBuf>,
        limit: u32,
    },
}

#[derive(Serialize)]
struct Arc {
    from: ByteBuf,
    to: ByteBuf,
}

fn arc(chance: &mut ChaCha8Rng) -> Arc {
    Arc {
        from: ByteBuf::from(random::<16>(chance)),
        to: ByteBuf::from(random::<16>(chance)),
    }
}

fn any_asked(chance: &mut ChaCha8Rng) -> Asked {
    match chance.next_u32() % 4 {
        0 => Asked::Get { id: cid(chance) },
        1 => Asked::Has { id: cid(chance) },
        2 => Asked::Digest {
            spans: (0..64).map(|_| arc(chance)).collect(),
        },
        _ => Asked::List {
            span: arc(chance),
            after: None,
            limit: u32::MAX,
        },
    }
}

fn asked(chance: &mut ChaCha8Rng, bytes: u32, wanted: &Asked) -> Vec<u8> {
    framed(&body_of(u64::from(chance.next_u32()), bytes, wanted))
}

fn body_of(number: u64, bytes: u32, wanted: &Asked) -> Vec<u8> {
    let header = Header {
        n: number,
        b: bytes,
        q: wanted,
    };
    serde_ipld_dagcbor::to_vec(&header).expect("numbers and bytes can be encoded")
}

// Protocol buffers: a field is its number and kind, then its value.

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [
        vec![(field << 3) | 2],
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

/// A full wantlist of what nobody has, every entry wanting an answer (Z3).
fn wants(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let entry = |chance: &mut ChaCha8Rng| {
        let fields = [bytes(1, &cid(chance)), number(4, 1), number(5, 1)];
        bytes(1, &fields.concat())
    };
    let entries: Vec<u8> = (0..WANTS).flat_map(|_| entry(chance)).collect();
    bytes(1, &[entries, number(2, 1)].concat())
}

/// FIND_NODE and GET_PROVIDERS of anything.
fn kademlia(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let kind = 3 + u64::from(chance.next_u32() % 2);
    let key = [&[0x12, 0x20][..], &random::<32>(chance)].concat();
    [number(1, kind), bytes(2, &key)].concat()
}

/// Subscriptions to topics that nobody knows.
fn gossip(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let topic = u64::from_be_bytes(random(chance)).to_string();
    let subscription = [number(1, 1), bytes(2, topic.as_bytes())].concat();
    bytes(1, &subscription)
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn frames_have_the_length_they_say() {
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        for protocol in Protocol::ALL {
            for _ in 0..100 {
                let frame = protocol.damaged(&mut chance);
                let (length, rest) = read_varint(&frame);
                assert_eq!(length as usize, rest.len(), "{protocol:?}");
                assert!(length <= u64::from(protocol.max_frame()), "{protocol:?}");
            }
        }
    }

    fn read_varint(bytes: &[u8]) -> (u64, &[u8]) {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0);
        let (number, rest) = bytes.split_at(end.expect("it ends") + 1);
        let value = number
            .iter()
            .rev()
            .fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f));
        (value, rest)
    }
}
