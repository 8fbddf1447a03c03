//! Writes to one peer: this node's wants, and what the peer wants (Z1, Z8, Z10).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::AsyncWriteExt as _;
use libp2p_swarm::Stream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::behaviour::PROTOCOL;
use crate::bounds::{BATCH, BATCH_BYTES, ENTRIES_PER_MESSAGE, MAX_BLOCK};
use crate::client::Input;
use crate::message::{Message, Payload, Presence, WantType};
use crate::peer::Peer;
use crate::prefix::Prefix;
use crate::server::as_kept;
use crate::shared::{Open, Shared};

/// How much is written before the peer has to show again that it takes anything.
const CHUNK: usize = 64 * 1024;

/// A stream and what it speaks.
struct Outbound {
    stream: Stream,
    /// It is of a version that knows no want-have (Z16).
    plain: bool,
}

/// Runs until there is nothing to send, and nothing is owed, for a while.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>) {
    let mut outbound = None;
    loop {
        let entries = peer.take_requests(ENTRIES_PER_MESSAGE);
        let sent = if entries.is_empty() {
            answer(&shared, &peer, &mut outbound).await
        } else {
            let message = Message {
                entries,
                ..Message::default()
            };
            send(&shared, &peer, &mut outbound, message)
                .await
                .map(|()| true)
        };
        match sent {
            Ok(true) => {}
            Ok(false) => {
                let idle = timeout(shared.config.idle_timeout, peer.wake.notified()).await;
                let due = || shared.wants.lock().has_due(peer.id);
                if idle.is_err() && peer.stop_if_idle(due) {
                    break;
                }
            }
            Err(error) => {
                tracing::debug!(peer = %peer.id, %error, "bitswap message not sent");
                shared.counters.sends_failed.add(1);
                shared.wants.lock().clear(peer.id);
                peer.stop();
                shared.tell(Input::Failed(peer.id, error)).await;
                break;
            }
        }
    }
    if let Some(mut outbound) = outbound.take() {
        // A clean end costs nothing, and its failure neither.
        let _ = timeout(shared.config.write_timeout, outbound.stream.close()).await;
    }
    shared.forget_idle(peer.id);
}

/// Answers wants of the peer with one message; whether there were any.
async fn answer(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    outbound: &mut Option<Outbound>,
) -> Result<bool, String> {
    if !shared.wants.lock().has_due(peer.id) {
        return Ok(false);
    }
    let room = shared.outbound.acquire_many(BATCH_BYTES as u32).await;
    let _room = room.map_err(|_| "the node is stopping")?;
    let mut message = Message::default();
    let mut bytes = 0;
    while bytes < BATCH && message.presences.len() + message.blocks.len() < ENTRIES_PER_MESSAGE {
        let Some(want) = shared.wants.lock().next(peer.id) else {
            break;
        };
        let kept = as_kept(&want.cid);
        let found = match want.want {
            WantType::Have => {
                let has = shared.source.has(&kept).await;
                if has {
                    message.presences.push((want.cid, Presence::Have));
                }
                has
            }
            WantType::Block => {
                let data = shared.source.get(&kept).await;
                let data = data.filter(|data| data.len() <= MAX_BLOCK);
                let has = data.is_some();
                if let Some(data) = data {
                    bytes += data.len();
                    let prefix = Prefix::of(&want.cid);
                    message.blocks.push(Payload { prefix, data });
                }
                has
            }
        };
        if found {
            shared.wants.lock().answered(peer.id, &want);
        } else if want.send_dont_have {
            message.presences.push((want.cid, Presence::DontHave));
        }
    }
    if message.is_empty() {
        return Ok(true);
    }
    let blocks = message.blocks.len() as u64;
    send(shared, peer, outbound, message).await?;
    shared.counters.blocks_sent.add(blocks);
    shared.counters.bytes_sent.add(bytes as u64);
    Ok(true)
}

/// Sends one message. A stream that was open already may have ended unnoticed, so it is
/// tried twice.
async fn send(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    outbound: &mut Option<Outbound>,
    mut message: Message,
) -> Result<(), String> {
    loop {
        let fresh = outbound.is_none();
        let open = match outbound {
            Some(open) => open,
            None => outbound.insert(open_stream(shared, peer).await?),
        };
        if open.plain {
            let before = message.entries.len();
            let known = |entry: &crate::Entry| entry.cancel || entry.want == WantType::Block;
            message.entries.retain(known);
            if message.entries.len() < before {
                shared.tell(Input::Plain(peer.id)).await;
            }
            // It would not understand them.
            message.presences.clear();
            if message.is_empty() {
                return Ok(());
            }
        }
        let body = message.encode();
        match write(&mut open.stream, &body, shared.config.write_timeout).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                *outbound = None;
                if fresh {
                    return Err(error.to_string());
                }
            }
        }
    }
}

async fn open_stream(shared: &Arc<Shared>, peer: &Arc<Peer>) -> Result<Outbound, String> {
    let (reply, opened) = oneshot::channel();
    let open = Open {
        peer: peer.id,
        addrs: peer.addrs(),
        reply,
    };
    let opened = timeout(shared.config.open_timeout, async {
        shared
            .opens
            .send(open)
            .await
            .map_err(|_| "the node is stopping".to_owned())?;
        opened
            .await
            .unwrap_or_else(|_| Err("the connection ended".to_owned()))
    });
    let opened = opened
        .await
        .unwrap_or_else(|_| Err("no connection in time".to_owned()));
    let (stream, protocol) = opened?;
    Ok(Outbound {
        stream,
        plain: protocol != PROTOCOL,
    })
}

async fn write(stream: &mut Stream, body: &[u8], patience: Duration) -> std::io::Result<()> {
    within(patience, stream.write_all(&wire::frame_header(body.len()))).await?;
    for chunk in body.chunks(CHUNK) {
        within(patience, stream.write_all(chunk)).await?;
    }
    within(patience, stream.flush()).await
}

async fn within(
    patience: Duration,
    work: impl Future<Output = std::io::Result<()>>,
) -> std::io::Result<()> {
    timeout(patience, work)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}
