//! How a stream is used badly.

use std::time::Duration;

use futures::{AsyncWrite, AsyncWriteExt};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::frames::{Protocol, varint};

/// Bytes written at a time.
const PIECE: usize = 4096;

/// Between two writes: there are hundreds of streams.
const REST: Duration = Duration::from_millis(1);

/// Between two bytes of what never ends: nothing that waits for silence sees one.
const TRICKLE: Duration = Duration::from_millis(200);

/// The ways in which it is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Bytes that mean nothing, as many as are taken.
    Garbage,
    /// A frame longer than any may be, and as much of it as is taken.
    Oversize,
    /// Half of the longest frame there may be, and then a byte now and then.
    Endless,
    /// Frames of the right length in which messages were damaged.
    Nonsense,
    /// Requests that are right, as many as are taken; the answers are not read.
    Valid,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Way; 5] = [
        Way::Garbage,
        Way::Oversize,
        Way::Endless,
        Way::Nonsense,
        Way::Valid,
    ];
}

/// Does so until the node ends the stream; counts the bytes that were taken.
pub(super) async fn misbehave<S: AsyncWrite + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    way: Way,
    chance: &mut ChaCha8Rng,
    bytes: &mut u64,
) -> std::io::Result<()> {
    match way {
        Way::Garbage => {}
        Way::Oversize => {
            let most = protocol.max_frame();
            let length = match chance.next_u32() % 2 {
                0 => u32::MAX,
                _ => most + 1,
            };
            say(stream, &varint(u64::from(length)), bytes).await?;
        }
        Way::Endless => {
            let (begin, length) = protocol.begin_of_longest(chance);
            say(stream, &begin, bytes).await?;
            for _ in 0..length / 2 / PIECE {
                say(stream, &garbage(chance), bytes).await?;
            }
            loop {
                say(stream, &[0], bytes).await?;
                tokio::time::sleep(TRICKLE).await;
            }
        }
        Way::Nonsense => loop {
            say(stream, &protocol.damaged(chance), bytes).await?;
            tokio::time::sleep(REST).await;
        },
        Way::Valid => loop {
            say(stream, &protocol.request(chance), bytes).await?;
            tokio::time::sleep(REST).await;
        },
    }
    loop {
        say(stream, &garbage(chance), bytes).await?;
        tokio::time::sleep(REST).await;
    }
}

async fn say<S: AsyncWrite + Unpin>(
    stream: &mut S,
    what: &[u8],
    bytes: &mut u64,
) -> std::io::Result<()> {
    stream.write_all(what).await?;
    stream.flush().await?;
    *bytes += what.len() as u64;
    Ok(())
}

fn garbage(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let mut piece = vec![0; PIECE];
    chance.fill_bytes(&mut piece);
    piece
}
