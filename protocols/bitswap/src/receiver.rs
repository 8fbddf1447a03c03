//! Reads one stream of a peer (Z1, Z2, Z18).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt as _};
use libp2p_swarm::Stream;
use tokio::time::timeout;

use crate::bounds::{MAX_BLOCK, MAX_MESSAGE};
use crate::client::Input;
use crate::message::{Message, Payload};
use crate::peer::Peer;
use crate::shared::Shared;

/// Below this many bytes, hashing takes less time than handing it to another thread.
const HASH_INLINE: usize = 16 * 1024;

/// A stream that notes when anything came.
struct Noting {
    stream: Stream,
    peer: Arc<Peer>,
}

impl AsyncRead for Noting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(read)) if read > 0) {
            self.peer.heard_now();
        }
        read
    }
}

/// Reads until the stream ends or is no bitswap.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>, mut stream: Stream) {
    // Whether the connection is worth keeping is this side's decision (Z19).
    stream.ignore_for_keep_alive();
    let mut stream = Noting {
        stream,
        peer: Arc::clone(&peer),
    };
    loop {
        // A stream may rest between two messages, but holds no room meanwhile.
        let mut first = [0];
        if !matches!(stream.read(&mut first).await, Ok(1)) {
            return;
        }
        // In this order: who has used up its own room waits without holding that of others.
        let Ok(_one) = peer.reading.acquire().await else {
            return;
        };
        let Ok(_all) = shared.reading.acquire().await else {
            return;
        };
        let mut frame = (&first[..]).chain(&mut stream);
        let frame = wire::read_frame(&mut frame, MAX_MESSAGE);
        let message = match timeout(shared.config.read_timeout, frame).await {
            Ok(Ok(frame)) => Message::decode(frame).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a message took too long".to_owned()),
        };
        match message {
            Ok(message) => take(&shared, &peer, message).await,
            Err(error) => {
                tracing::debug!(peer = %peer.id, %error, "bitswap stream reset");
                shared.counters.bad_streams.add(1);
                return;
            }
        }
    }
}

async fn take(shared: &Arc<Shared>, peer: &Arc<Peer>, message: Message) {
    if message.full || !message.entries.is_empty() {
        let mut wants = shared.wants.lock();
        // What is read after the end of the last connection would stay for ever: the list
        // of who is gone has been cleared (Z9).
        let refused = match peer.is_connected() {
            true => wants.update(peer.id, message.entries, message.full),
            false => 0,
        };
        drop(wants);
        shared.counters.wants_refused.add(refused as u64);
        shared.wake(peer);
    }
    for (cid, presence) in message.presences {
        shared.tell(Input::Presence(peer.id, cid, presence)).await;
    }
    for block in message.blocks {
        take_block(shared, peer, block).await;
    }
}

async fn take_block(shared: &Arc<Shared>, peer: &Arc<Peer>, block: Payload) {
    let bytes = block.data.len();
    shared.counters.blocks_received.add(1);
    shared.counters.bytes_received.add(bytes as u64);
    // Nobody is to make this node hash what it has no use for.
    if !shared.wants_any() {
        shared.counters.unasked.add(1);
        return;
    }
    let found = match bytes {
        0..HASH_INLINE => Some(identify(block)),
        HASH_INLINE..=MAX_BLOCK => {
            let Ok(_turn) = shared.hashing.acquire().await else {
                return;
            };
            let hashed = tokio::task::spawn_blocking(move || identify(block));
            hashed.await.ok()
        }
        _ => Some(None),
    };
    let input = match found {
        Some(Some((cid, data))) => Input::Block(peer.id, cid, data),
        Some(None) => Input::Nonsense(peer.id),
        // The runtime is stopping.
        None => return,
    };
    shared.tell(input).await;
}

/// The CID of a block, and its bytes without the rest of the message they came in.
fn identify(block: Payload) -> Option<(cid::Cid, Bytes)> {
    let cid = block.prefix.cid(&block.data)?;
    Some((cid, Bytes::copy_from_slice(&block.data)))
}
