//! Peers that lie, hang and send garbage (R2 to R7).

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p_swarm::{Stream, Swarm};
use libp2p_swarm_test::SwarmExt;
use replicas::{Config, GetError, MAX_HEADER};
use tokio::time::Instant;

use crate::map::{Mood, item, key, name};
use crate::net::Net;
use crate::raw::Raw;

#[tokio::test(start_paused = true)]
async fn a_peer_that_lies_is_counted_and_the_next_one_asked() {
    let net = Net::start(5).await;
    let id = name(1);
    let bytes = item(&id, 1, b"truth");
    let set = net.closest(key(&id), 3);
    for node in &set {
        node.map.keep(&id, bytes.clone());
    }
    set[0].map.set(Mood::Lies);
    set[1].map.set(Mood::Lies);
    let asker = net.outsider(key(&id), 3);
    assert_eq!(asker.handle.get(&id).await.unwrap(), bytes);
    let stats = asker.handle.stats();
    assert!(stats.mismatches <= 2);

    // Nobody tells the truth: that is not the same as not found.
    set[2].map.set(Mood::Lies);
    assert!(matches!(
        asker.handle.get(&id).await,
        Err(GetError::Unavailable { .. })
    ));
    assert!(asker.handle.stats().mismatches >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_costs_a_hedge_and_all_that_hang_a_timeout() {
    let net = Net::start(5).await;
    let id = name(1);
    let bytes = item(&id, 1, b"x");
    let set = net.closest(key(&id), 3);
    for node in &set {
        node.map.keep(&id, bytes.clone());
        node.map.set(Mood::Hangs);
    }
    set[2].map.set(Mood::Honest);
    let asker = net.outsider(key(&id), 3);
    let start = Instant::now();
    assert_eq!(asker.handle.get(&id).await.unwrap(), bytes);
    assert!(start.elapsed() < Duration::from_secs(2));

    for node in &net.nodes {
        node.map.set(Mood::Hangs);
    }
    asker.map.set(Mood::Honest);
    assert!(matches!(
        asker.handle.get(&id).await,
        Err(GetError::Timeout { .. })
    ));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_died_unnoticed_does_not_stop_puts_and_gets() {
    let mut net = Net::start(5).await;
    let id = name(1);
    let dead = net.closest(key(&id), 3)[0].contact.peer;
    net.kill_silently(dead);
    let writer = net.outsider(key(&id), 3);
    let receipt = writer
        .handle
        .put(id.clone(), item(&id, 1, b"x"))
        .await
        .unwrap();
    assert_eq!(receipt.stored_on.len(), 2);
    let others = net.nodes.iter().filter(|node| node.contact.peer != dead);
    for node in others {
        assert_eq!(node.handle.get(&id).await.unwrap(), item(&id, 1, b"x"));
    }
}

/// Opens a stream to the first node of a net from a peer that is no member.
async fn open_to(net: &Net) -> (Stream, tokio::task::JoinHandle<()>) {
    let (raw, mut streams) = Raw::new(true);
    let mut swarm = Swarm::new_ephemeral_tokio(|_| raw);
    swarm.dial(net.nodes[0].contact.addrs[0].clone()).unwrap();
    let running = tokio::spawn(swarm.loop_on_next());
    (streams.recv().await.unwrap(), running)
}

#[tokio::test(start_paused = true)]
async fn garbage_and_oversized_frames_end_the_stream_and_nothing_else() {
    let net = Net::start(1).await;
    let oversized = wire::frame_header(MAX_HEADER + 1).to_vec();
    let garbage = [&[20][..], &[0xff; 20]].concat();
    let endless = vec![0xff; 64];
    // A put that announces more than an item may have.
    let huge = announcement(&name(1), u32::MAX);
    for (number, bad) in [oversized, garbage, endless, huge].into_iter().enumerate() {
        let (mut stream, running) = open_to(&net).await;
        stream.write_all(&bad).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        // Reset or closed, and no answer either way.
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, [], "case {number}");
        assert_eq!(net.nodes[0].handle.stats().bad_streams, number as u64 + 1);
        running.abort();
    }
    let id = name(1);
    net.nodes[0]
        .handle
        .put(id.clone(), item(&id, 1, b"x"))
        .await
        .unwrap();
}

/// A way on which little comes through is waited for as long as something does; a peer that
/// sends nothing more loses its stream, and what was held for it.
#[tokio::test(start_paused = true)]
async fn who_sends_slowly_is_heard_to_the_end_and_who_stops_is_not() {
    let net = Net::start(1).await;
    let id = name(1);
    let bytes = item(&id, 1, &[7; 100_000]);
    let pause = crate::net::config().request_timeout * 2 / 3;
    let quarter = bytes.len().div_ceil(4);
    // All of it; half of it; and all of it, but next to nothing at a time.
    for (number, (size, pieces)) in [(quarter, 4), (quarter, 2), (100, 1000)]
        .into_iter()
        .enumerate()
    {
        let (mut stream, running) = open_to(&net).await;
        let begin = announcement(&id, bytes.len() as u32);
        stream.write_all(&begin).await.unwrap();
        for piece in bytes.chunks(size).take(pieces) {
            tokio::time::sleep(pause).await;
            // Who is given up has no stream to write to.
            if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        let mut answer = [0; 1];
        let answered = stream.read_exact(&mut answer).await.is_ok();
        assert_eq!(answered, pieces == 4, "case {number}");
        running.abort();
    }
}

/// A put that says how many bytes follow: n, b and q, in CBOR.
fn announcement(id: &replicas::ItemId, bytes: u32) -> Vec<u8> {
    let mut header = wire::encode(&Announce {
        b: bytes,
        n: 1,
        q: Put {
            put: Id { id: id.clone() },
        },
    });
    header.splice(0..0, wire::frame_header(header.len()).to_vec());
    header
}

#[derive(serde::Serialize)]
struct Announce {
    b: u32,
    n: u64,
    q: Put,
}

#[derive(serde::Serialize)]
struct Put {
    put: Id,
}

#[derive(serde::Serialize)]
struct Id {
    id: bytes::Bytes,
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_garbage_is_passed_over() {
    let mut net = Net::start(4).await;
    let (raw, mut streams) = Raw::new(false);
    let swarm = Swarm::new_ephemeral_tokio(|_| raw);
    let (bad, _running) = net.run(swarm).await;
    tokio::spawn(async move {
        while let Some(mut stream) = streams.recv().await {
            tokio::spawn(async move {
                let _ = stream.write_all(&[0xff; 100]).await;
                let _ = stream.flush().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    let last = net.nodes.len() - 1;
    // Names of which the bad peer is a replica, asked for by somebody else.
    for n in 0..20 {
        let id = name(n);
        let receipt = net.nodes[last]
            .handle
            .put(id.clone(), item(&id, 1, b"x"))
            .await
            .unwrap();
        assert!(!receipt.stored_on.contains(&bad.peer));
        assert!(receipt.stored_on.len() >= 2);
        assert_eq!(
            net.nodes[0].handle.get(&id).await.unwrap(),
            item(&id, 1, b"x")
        );
    }
    net.kill(0);
}

#[test]
fn the_defaults_are_valid_and_what_is_not_is_refused() {
    Config::default().validate(2 << 20).unwrap();
    let small = Config {
        fetch_bytes: 1000,
        ..Config::default()
    };
    assert!(small.validate(1001).unwrap_err().contains("fetch_bytes"));
    assert!(
        Config {
            replicas: 0,
            ..Config::default()
        }
        .validate(1)
        .is_err()
    );
}
