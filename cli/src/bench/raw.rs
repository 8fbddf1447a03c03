//! The baseline of the network: one libp2p stream, no framing, no hashing.

use futures::{AsyncReadExt, AsyncWriteExt};

use super::{
    clock::{Clock, Took},
    pair::Pair,
};
use crate::exit::Failure;

/// Bytes of a write and of a read; larger ones are no faster.
const CHUNK: usize = 256 * 1024;

/// The far node sends `size` bytes to the near one.
pub(super) async fn transfer(pair: &Pair, size: u64) -> Result<Took, Failure> {
    let broken = |error: std::io::Error| Failure::other(format!("raw stream: {error}"));
    let mut near = pair
        .near
        .raw
        .open(pair.far.peer)
        .await
        .map_err(Failure::other)?;
    // The request: one byte, which also completes the stream's negotiation.
    near.write_all(&[1]).await.map_err(broken)?;
    near.flush().await.map_err(broken)?;
    let accepted = pair.far.inbound.lock().await.recv().await;
    let (_, mut far) = accepted.ok_or_else(|| Failure::other("raw stream: not accepted"))?;

    let clock = Clock::start();
    let sender = tokio::spawn(async move {
        far.read_exact(&mut [0]).await?;
        let chunk = vec![0x5a; CHUNK];
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            far.write_all(&chunk[..length]).await?;
            left -= length as u64;
        }
        far.close().await
    });
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    loop {
        let read = near.read(&mut buffer).await.map_err(broken)?;
        if read == 0 {
            break;
        }
        received += read as u64;
    }
    let took = clock.took();
    sender.await.map_err(Failure::other)?.map_err(broken)?;
    if received != size {
        return Err(Failure::other(format!(
            "raw stream: {received} of {size} bytes came"
        )));
    }
    Ok(took)
}
