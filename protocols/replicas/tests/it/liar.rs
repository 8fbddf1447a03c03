//! A neighbour whose list has no end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use guid::{Guid, Span};
use libp2p_swarm::{Stream, Swarm};
use libp2p_swarm_test::SwarmExt;
use serde::{Deserialize, Serialize};

use crate::map::{item, key, name};
use crate::net::{Net, until};
use crate::raw::Raw;

/// A request as it is on the wire (R3).
#[derive(Deserialize)]
struct Request {
    n: u64,
    b: u32,
    q: Asked,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Asked {
    Get {},
    Put {},
    Has {},
    Digest { spans: Vec<Span> },
    List { span: Span, after: Option<Bytes> },
}

#[derive(Serialize)]
struct Answer {
    n: u64,
    b: u32,
    a: Said,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Missing,
    Stored { version: u64 },
    Held { version: Option<u64> },
    Digests { digests: Vec<Digest> },
    Entries { entries: Vec<Entry>, more: bool },
}

#[derive(Serialize)]
struct Digest {
    c: u64,
    s: Guid,
}

#[derive(Serialize)]
struct Entry {
    g: Guid,
    i: Bytes,
    v: u64,
}

/// Names enough for a list that outlasts every test, each with its place.
fn names() -> Vec<(Guid, Bytes)> {
    (0..200_000)
        .map(|n| Bytes::from(format!("lie-{n}")))
        .map(|name| (key(&name), name))
        .collect()
}

/// Claims to keep one item on each arc, and then lists one after the other, none of which
/// it has when asked.
async fn lie(mut stream: Stream, names: Arc<Vec<(Guid, Bytes)>>, listed: Arc<AtomicUsize>) {
    while let Ok(frame) = wire::read_frame(&mut stream, replicas::MAX_HEADER).await {
        let Ok(request) = wire::decode::<Request>(&frame) else {
            return;
        };
        let mut body = vec![0; request.b as usize];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let said = match request.q {
            Asked::Get {} => Said::Missing,
            Asked::Put {} => Said::Stored { version: 1 },
            Asked::Has {} => Said::Held { version: None },
            Asked::Digest { spans } => Said::Digests {
                digests: spans
                    .iter()
                    .map(|span| Digest { c: 1, s: span.from })
                    .collect(),
            },
            Asked::List { span, after } => {
                listed.fetch_add(1, Ordering::Relaxed);
                let place = |guid: Guid| span.from.clockwise_to(guid);
                let behind = after.map(|after| place(key(&after)));
                let next = names
                    .iter()
                    .filter(|(guid, _)| span.contains(*guid))
                    .filter(|(guid, _)| behind.is_none_or(|behind| place(*guid) > behind))
                    .min_by_key(|(guid, _)| place(*guid));
                Said::Entries {
                    more: next.is_some(),
                    entries: next
                        .map(|(guid, name)| Entry {
                            g: *guid,
                            i: name.clone(),
                            v: 1,
                        })
                        .into_iter()
                        .collect(),
                }
            }
        };
        let header = wire::encode(&Answer {
            n: request.n,
            b: 0,
            a: said,
        });
        let frame = [wire::frame_header(header.len()).as_ref(), &header].concat();
        if stream.write_all(&frame).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_lists_for_ever_keeps_nobody_from_repair() {
    let mut net = Net::start(0).await;
    let (raw, mut streams) = Raw::new(false);
    let (_, _running) = net.run(Swarm::new_ephemeral_tokio(|_| raw)).await;
    let (names, listed) = (Arc::new(names()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&listed);
    tokio::spawn(async move {
        while let Some(stream) = streams.recv().await {
            tokio::spawn(lie(stream, Arc::clone(&names), Arc::clone(&count)));
        }
    });
    for _ in 0..4 {
        net.add().await;
    }
    for n in 0..20 {
        let id = name(n);
        let put = net.nodes[n % 4].handle.put(id.clone(), item(&id, 1, b"x"));
        put.await.unwrap();
    }
    net.kill(0);
    until("the honest have what is theirs", || {
        (0..20).map(name).all(|id| {
            let mut nodes: Vec<_> = net.nodes.iter().collect();
            let place = key(&id);
            nodes.sort_by(|a, b| place.cmp_distance(a.contact.guid, b.contact.guid));
            // Two of the three closest are honest at least.
            nodes[..2].iter().all(|node| node.map.kept(&id).is_some())
        })
    })
    .await;
    until("the liar is asked for its list", || {
        listed.load(Ordering::Relaxed) > 0
    })
    .await;
    // Whoever compared with the liar gave up on it.
    until("the liar is found out", || {
        let stats = net.nodes.iter().map(|node| node.handle.stats());
        stats.map(|stats| stats.reconcile_failed).sum::<u64>() > 0
    })
    .await;
}
