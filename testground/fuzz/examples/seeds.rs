//! Writes the first corpora: what encoders make. Fuzzing adds to them; this is run again
//! where a message changes.
//!
//! `cargo run -p fuzz-targets --example seeds`

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use dht::{Item, Record};
use fuzz_targets::message::peer;
use guid::Guid;
use libp2p_identity::{Keypair, PeerId};
use overlay_core::{
    Addrs, Answer, AnyOf, AppId, Body, Contact, Errand, Full, Location, Message, MessageId, Part,
    Publish, Routed, Search, Spread, Stored, Task, TraceHop, View, Way,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let messages = messages();
    for (name, message) in &messages {
        write(&corpus, "message", name, &wire::encode(message))?;
    }
    write(&corpus, "frame", "messages", &frames(&messages))?;
    write(&corpus, "frame", "none", &[0xff, 0xff, 0, 0])?;
    write(
        &corpus,
        "frame",
        "above-the-limit",
        &[1, 0, 0, 0x80, 0x80, 1],
    )?;
    write(
        &corpus,
        "frame",
        "claimed-not-sent",
        &[0xff, 0xff, 7, 0x80, 0x80, 0x20, 1],
    )?;
    for (name, contact) in contacts() {
        write(&corpus, "contact", name, &contact)?;
    }
    for (name, record) in records() {
        write(&corpus, "record", name, &record)?;
    }
    for (name, claim) in claims() {
        write(&corpus, "claim", name, &claim)?;
    }
    for (name, version) in versions() {
        write(&corpus, "version", name, &version)?;
    }
    for (name, message) in bitswap_messages() {
        write(&corpus, "bitswap", name, &message)?;
    }
    // Of the cores' targets the bytes mean nothing until they are read, so any will do.
    for (target, seeds, length) in [("hostile", 6, 600), ("network", 4, 300)] {
        for seed in 0..seeds {
            let mut bytes = vec![0; length];
            ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
            write(&corpus, target, &format!("random-{seed}"), &bytes)?;
        }
    }
    Ok(())
}

fn write(corpus: &Path, target: &str, name: &str, data: &[u8]) -> std::io::Result<()> {
    let folder = corpus.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), data)
}

fn bitswap_messages() -> Vec<(&'static str, Vec<u8>)> {
    use bitswap::{Entry, Message, Payload, Prefix, Presence, WantType};
    let cid: cid::Cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        .parse()
        .expect("a CID");
    let v0: cid::Cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
        .parse()
        .expect("a CID");
    let wants = Message {
        entries: vec![
            Entry::want(cid, WantType::Have),
            Entry::want(v0, WantType::Block),
            Entry::cancel(cid),
        ],
        full: true,
        ..Message::default()
    };
    let answers = Message {
        blocks: vec![Payload {
            prefix: Prefix::of(&cid),
            data: Bytes::from_static(b"a block"),
        }],
        presences: vec![(cid, Presence::Have), (v0, Presence::DontHave)],
        pending_bytes: 7,
        ..Message::default()
    };
    vec![
        ("wants", wants.encode()),
        ("answers", answers.encode()),
        ("presences-without-cid", [0x22, 0].repeat(64)),
        (
            "entries-without-cid",
            [vec![0x0a, 64], [0x0a, 0].repeat(32)].concat(),
        ),
        ("old-blocks", vec![0x12, 2, b'a', b'b']),
        ("length-beyond-the-end", vec![0x0a, 0xff, 0xff, 0xff, 0x7f]),
    ]
}

/// A node with as many addresses.
fn contact(number: u8, addrs: u8) -> Contact<PeerId> {
    let peer = peer(number);
    let addrs: Vec<_> = (0..addrs)
        .map(|at| {
            let addr = format!("/ip4/10.0.{at}.{number}/udp/4747/quic-v1");
            addr.parse().expect("an address")
        })
        .collect();
    Contact {
        guid: overlay::guid_of_peer(&peer),
        peer,
        addrs: Addrs::new(overlay::encode_addrs(&addrs).into()),
    }
}

/// One message of each kind, with each of the things it may carry.
fn messages() -> BTreeMap<String, Message<PeerId>> {
    let sender = contact(1, 2);
    let (other, third) = (contact(2, 1), contact(3, 0));
    let (key, object) = (Guid::hash(b"key"), Guid::hash(b"object"));
    let id = MessageId {
        origin: sender.guid,
        number: 77,
    };
    let view = View {
        sender: sender.clone(),
        active: true,
        leafs: vec![other.clone(), third.clone()],
        failed: vec![Guid::hash(b"dead")],
        rtt_micros: Some(1500),
        probe_period_ms: 60_000,
    };
    let trace = vec![
        TraceHop {
            contact: sender.clone(),
            rtt_micros: None,
        },
        TraceHop {
            contact: other.clone(),
            rtt_micros: Some(800),
        },
    ];
    let deliver = Task::Deliver {
        app: AppId(1),
        payload: Bytes::from_static(b"to a holder"),
    };
    let search = Search {
        object,
        salt: 1,
        want: 2,
        errand: 5,
        task: Task::Find,
        reached: vec![other.guid],
        silent: Vec::new(),
        asides: None,
    };
    let mut all = BTreeMap::new();
    let mut add = |name: &str, message: Message<PeerId>| {
        all.insert(name.to_owned(), message);
    };
    add(
        "probe",
        Message::Probe {
            nonce: 1,
            view: view.clone(),
        },
    );
    add(
        "probe-reply",
        Message::ProbeReply {
            nonce: 1,
            view: view.clone(),
        },
    );
    add("ping", Message::Ping { nonce: u64::MAX });
    add(
        "pong",
        Message::Pong {
            nonce: 2,
            active: true,
        },
    );
    add("heartbeat", Message::Heartbeat);
    add("ack", Message::Ack { id });
    add("refuse", Message::Refuse { id });
    add("leave", Message::Leave);
    let bodies = [
        (
            "app",
            Body::App {
                app: AppId(7),
                payload: Bytes::from_static(b"hello"),
                wants_reply: true,
                any_of: None,
            },
        ),
        (
            "app-any-of",
            Body::App {
                app: AppId(7),
                payload: Bytes::from_static(b"hello"),
                wants_reply: true,
                any_of: AnyOf::new(5),
            },
        ),
        ("neighbours", Body::NeighbourSet { k: 16 }),
        (
            "join",
            Body::Join {
                rows: vec![other.clone()],
                near: vec![third.clone()],
            },
        ),
        ("replica-set", Body::ReplicaSet { k: 3 }),
        ("search", Body::Search(Box::new(search.clone()))),
        (
            "search-aside",
            Body::Search(Box::new(Search {
                task: deliver.clone(),
                asides: Some(vec![third.guid]),
                ..search
            })),
        ),
    ];
    for (name, body) in bodies {
        let routed = Routed {
            id,
            key,
            origin: sender.clone(),
            hops: 2,
            trace: (name == "replica-set").then(|| trace.clone()),
            body,
        };
        add(&format!("route-{name}"), Message::Route(routed));
    }
    let answers = [
        ("app", Answer::App(Bytes::from_static(b"hello back"))),
        ("refused", Answer::Refused("overloaded".to_owned())),
        (
            "join",
            Answer::Join {
                rows: vec![other.clone()],
                near: vec![third.clone()],
                leafs: vec![other.clone(), third.clone()],
            },
        ),
        (
            "replica-set",
            Answer::ReplicaSet(vec![other.clone(), third.clone()]),
        ),
        ("holder", Answer::Holder),
        (
            "searched",
            Answer::Searched {
                reached: vec![other.guid],
            },
        ),
    ];
    for (name, answer) in answers {
        let reply = Message::Reply {
            id,
            hops: 3,
            trace: (name == "replica-set").then(|| trace.clone()),
            from: sender.clone(),
            answer,
        };
        add(&format!("reply-{name}"), reply);
    }
    for (name, part) in [("row", Part::Row(3)), ("near", Part::Near)] {
        let request = Message::StateRequest { nonce: 3, part };
        add(&format!("state-request-{name}"), request);
        let reply = Message::StateReply {
            nonce: 3,
            part,
            contacts: vec![other.clone(), third.clone()],
            rtts: vec![900, 70_000],
        };
        add(&format!("state-reply-{name}"), reply);
    }
    add(
        "announce",
        Message::Announce {
            sender: sender.clone(),
            rtt_micros: 400,
        },
    );
    let located = [
        (
            "publish",
            Location::Publish(Publish {
                nonce: 4,
                holder: sender.clone(),
                object,
                salt: Some(2),
                lifetime: 900,
                except: vec![third.guid],
                spread: Spread {
                    backups: 1,
                    neighbours: 1,
                    copies: 1,
                },
            }),
        ),
        (
            "published",
            Location::Published {
                nonce: 4,
                stored: Stored::Kept,
                way: Way::Next(other.clone()),
                also: vec![third.clone()],
            },
        ),
        (
            "published-full",
            Location::Published {
                nonce: 4,
                stored: Stored::Full(Full::Publisher),
                way: Way::Root,
                also: Vec::new(),
            },
        ),
        ("unpublish", Location::Unpublish { nonce: 5, object }),
        ("unpublished", Location::Unpublished { nonce: 5 }),
        (
            "moved",
            Location::Moved {
                ways: vec![(object, 0), (object, 2)],
            },
        ),
        (
            "errand",
            Location::Errand(Errand {
                nonce: 6,
                id,
                origin: other.clone(),
                hops: 2,
                object,
                errand: 9,
                task: deliver,
            }),
        ),
        (
            "errand-taken",
            Location::ErrandTaken {
                nonce: 6,
                holds: true,
            },
        ),
    ];
    for (name, message) in located {
        add(name, Message::Location(message));
    }
    // To be refused: each is just beyond one bound, or lies.
    let dead = (0..65u8).map(|number| Guid::hash(&[number])).collect();
    let nonce = 7;
    for (name, view) in [
        (
            "beyond-dead",
            View {
                failed: dead,
                ..view.clone()
            },
        ),
        (
            "beyond-sender",
            View {
                sender: third.clone(),
                ..view.clone()
            },
        ),
        (
            "beyond-forged",
            View {
                leafs: vec![Contact {
                    guid: third.guid,
                    ..contact(2, 0)
                }],
                ..view
            },
        ),
    ] {
        add(name, Message::Probe { nonce, view });
    }
    let ways = vec![(object, 0); 65];
    add("beyond-ways", Message::Location(Location::Moved { ways }));
    let hop = trace[0].clone();
    add(
        "beyond-trace",
        Message::Route(Routed {
            id,
            key,
            origin: sender,
            hops: 2,
            trace: Some(vec![hop; 66]),
            body: Body::ReplicaSet { k: 3 },
        }),
    );
    all
}

/// Messages as they go on a stream, behind the settings of the target.
fn frames(messages: &BTreeMap<String, Message<PeerId>>) -> Vec<u8> {
    let mut stream = vec![0xff, 0xff, 0x40];
    for name in ["heartbeat", "ping", "ack", "publish"] {
        let frame = wire::encode(&messages[name]);
        stream.extend_from_slice(&wire::frame_header(frame.len()));
        stream.extend_from_slice(&frame);
    }
    stream
}

/// PeerIds, keys and addresses, behind the byte that says which.
fn contacts() -> Vec<(&'static str, Vec<u8>)> {
    let key = Keypair::ed25519_from_bytes([1; 32]).expect("32 bytes are a key");
    let hashed = PeerId::from_bytes(&[&[0x12, 0x20][..], &[9; 32]].concat());
    let hashed = hashed.expect("a SHA-256 multihash");
    let with = |first: u8, rest: &[u8]| [&[first], rest].concat();
    vec![
        ("peer-inline", with(0, &peer(1).to_bytes())),
        ("peer-hashed", with(0, &hashed.to_bytes())),
        ("key", with(0, &key.public().encode_protobuf())),
        ("addrs", with(1, contact(1, 3).addrs.as_bytes())),
        ("addrs-twice-named", with(1, &twice_named())),
        ("addrs-none", with(1, &[0, 0, 0])),
        ("addrs-many", with(1, contact(1, 16).addrs.as_bytes())),
    ]
}

/// An address that names a node twice, and one that names a node and nothing else.
fn twice_named() -> Vec<u8> {
    let of = |addr: &str| overlay::encode_addrs(&[addr.parse().expect("an address")]);
    let (ip, name) = (of("/ip4/10.0.0.1"), peer(2).to_bytes());
    // Code and length of a `/p2p` part, both varints.
    let named = [&[0xa5, 0x03, name.len() as u8], &name[..]].concat();
    let twice = [&ip[1..], &named[..], &named[..]].concat();
    [
        &[twice.len() as u8],
        &twice[..],
        &[named.len() as u8],
        &named[..],
    ]
    .concat()
}

fn versions() -> Vec<(&'static str, Vec<u8>)> {
    use objects::{Fields, Heads, Name, Record};
    let key = Keypair::ed25519_from_bytes([1; 32]).expect("32 bytes are a key");
    let root = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    let root: cid::Cid = root.parse().expect("a CID");
    let sign = |content: Option<cid::Cid>, size, before: &[&Record]| {
        let fields = Fields {
            name: Name::new("photos/cat.jpg").expect("a name"),
            seq: before.first().map_or(0, |before| before.seq()) + 1,
            previous: before.iter().map(|before| before.vguid()).collect(),
            root: content,
            size,
            time: 2_000_000_000_000,
            properties: None,
        };
        Record::sign(&key, fields).expect("within its bounds")
    };
    let first = sign(Some(root), 5, &[]);
    let second = sign(Some(root), 6, &[&first]);
    let fork = sign(Some(root), 7, &[&first]);
    let removal = sign(None, 0, &[&second, &fork]);
    let heads = Heads::of(second.clone()).join(Heads::of(fork));
    let heads = [&heads.aguid().to_bytes()[..], &heads.encode()].concat();
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("first", first.encoded().to_vec()),
        ("second", second.encoded().to_vec()),
        ("removal", removal.encoded().to_vec()),
        ("fork", heads),
        ("name", text("photos/cat.jpg@v3")),
        ("name-decomposed", text("e\u{301}t\u{e9}/a")),
        ("owner", text("bob:photos/cat.jpg")),
        (
            "aguid",
            text("hedgerow:0123456789abcdef0123456789abcdef@v2"),
        ),
        ("path", text("/ipfs/bafnonsense")),
    ]
}

fn claims() -> Vec<(&'static str, Vec<u8>)> {
    use claims::{Claim, Item, Secret};
    let block: cid::Cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        .parse()
        .expect("a CID");
    let (ours, other) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
    let name = Claim::of(block, &ours).to_bytes();
    let with = |item: Item| [&name[..], &item.encode()].concat();
    vec![
        ("claim", name.clone()),
        ("release", with(Item::release(block, &ours, 2_000_000_000))),
        ("ended", with(Item::release(block, &ours, 1))),
        ("ahead", with(Item::release(block, &ours, u64::MAX))),
        ("forged", with(Item::release(block, &other, 2_000_000_000))),
        ("cut-off", name[..40].to_vec()),
    ]
}

fn records() -> Vec<(&'static str, Vec<u8>)> {
    let key = Keypair::ed25519_from_bytes([1; 32]).expect("32 bytes are a key");
    let at = Guid::hash(b"key");
    let sign = |seq, value| {
        let record = Record::sign(&key, at, seq, 2_000_000_000, value);
        record.expect("within its bounds").encoded().to_vec()
    };
    vec![
        ("value", sign(1, Some(Bytes::from_static(b"a value")))),
        ("tombstone", sign(2, None)),
        ("item", Item::of(at, &key.public()).to_bytes().to_vec()),
    ]
}
