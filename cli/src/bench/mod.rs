//! `hedgerow bench transfer`: what the block exchange costs.
//!
//! Two nodes in this process, each with a Swarm and task of its own, over the loopback
//! interface. In every run the same bytes cross three times: as a raw libp2p stream, as
//! verified blocks from memory to memory, and, with `--disk`, as verified blocks made
//! durable at the far end, against plain durable writes to the same disk. Ratios compare
//! medians of one invocation; absolute numbers depend on the machine.

mod clock;
mod disk;
mod pair;
mod raw;
mod report;

use std::{sync::Arc, time::Duration};

use blocks::{Block, FjallOptions, FjallStore, MemoryStore, Store};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use self::{
    clock::{Clock, Took},
    pair::Pair,
    report::{Report, Row},
};
use crate::{
    args::{Transfer, TransportName},
    exit::Failure,
    output::Output,
};

/// Bytes of a block, those of a file's chunk.
const BLOCK: usize = 1024 * 1024;

/// How often, and how long apart, a scratch directory is tried to be removed.
const REMOVALS: u32 = 100;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(50);

/// Runs the measurement and prints it.
pub(crate) async fn transfer(options: Transfer, output: &Output) -> Result<(), Failure> {
    output.say(format_args!(
        "making {} of blocks",
        crate::output::size(options.size)
    ));
    let size = options.size;
    let content = tokio::task::spawn_blocking(move || make_blocks(size))
        .await
        .map_err(Failure::other)?;
    let mut report = Report::new(&options);
    for transport in [TransportName::Tcp, TransportName::Quic] {
        if options.transport.is_some_and(|only| only != transport) {
            continue;
        }
        for run in 1..=options.runs {
            output.say(format_args!("{transport:?} run {run} of {}", options.runs));
            one_run(transport, &content, &options, &mut report).await?;
        }
    }
    output.result(&report.summary(), |out| report.write(out))
}

async fn one_run(
    transport: TransportName,
    content: &[Block],
    options: &Transfer,
    report: &mut Report,
) -> Result<(), Failure> {
    let in_flight = options.in_flight as usize;

    let pair = Pair::start(transport, Arc::new(MemoryStore::new())).await?;
    let took = raw::transfer(&pair, options.size).await?;
    report.add(transport, Row::Raw, took);

    for block in content {
        pair.far
            .blocks
            .put_local(block.clone())
            .await
            .map_err(Failure::other)?;
    }
    let took = fetch(&pair, content, in_flight).await?;
    report.add(transport, Row::Memory, took);
    drop(pair);

    let Some(directory) = &options.disk else {
        return Ok(());
    };
    let scratch = tempfile::Builder::new()
        .prefix("hedgerow-bench-")
        .tempdir_in(directory)
        .map_err(|error| Failure::other(format!("{}: {error}", directory.display())))?;
    let baseline = disk::write(scratch.path(), options.size).await?;
    report.add(transport, Row::DiskStream, baseline.one_sync);
    report.add(transport, Row::DiskEach, baseline.sync_each);

    let path = scratch.path().join("store");
    std::fs::create_dir(&path).map_err(Failure::other)?;
    let store = FjallStore::open(&path, FjallOptions::default())
        .await
        .map_err(Failure::other)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let in_use = Arc::downgrade(&store);
    let pair = Pair::start(transport, store).await?;
    let took = store_far(&pair, content, in_flight).await;
    pair.stop(in_use).await;
    remove(scratch).await;
    report.add(transport, Row::Disk, took?);
    Ok(())
}

/// Removes the scratch directory. The engine's threads end a moment after the store, and
/// may write until then.
async fn remove(scratch: tempfile::TempDir) {
    let path = scratch.keep();
    for _ in 0..REMOVALS {
        match std::fs::remove_dir_all(&path) {
            Ok(()) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(_) => tokio::time::sleep(BETWEEN_REMOVALS).await,
        }
    }
    tracing::warn!(path = %path.display(), "could not be removed");
}

/// The near node fetches every block from the far one and verifies it.
async fn fetch(pair: &Pair, content: &[Block], in_flight: usize) -> Result<Took, Failure> {
    let clock = Clock::start();
    stream::iter(content)
        .map(|block| {
            let blocks = pair.near.blocks.clone();
            async move {
                let bytes = blocks.get(block.cid()).await.map_err(Failure::other)?;
                if bytes.len() == block.bytes().len() {
                    Ok(())
                } else {
                    Err(Failure::other("a block came with another length"))
                }
            }
        })
        .buffer_unordered(in_flight)
        .try_collect::<()>()
        .await?;
    Ok(clock.took())
}

/// The near node stores every block on the far one, which verifies it and answers when
/// it is durable.
async fn store_far(pair: &Pair, content: &[Block], in_flight: usize) -> Result<Took, Failure> {
    let clock = Clock::start();
    stream::iter(content.iter().cloned())
        .map(|block| {
            let blocks = pair.near.blocks.clone();
            async move { blocks.put(block).await.map(drop).map_err(Failure::other) }
        })
        .buffer_unordered(in_flight)
        .try_collect::<()>()
        .await?;
    Ok(clock.took())
}

/// Different, incompressible blocks, `size` bytes in all.
fn make_blocks(size: u64) -> Vec<Block> {
    // xorshift64*: fast, and good enough that no two blocks and no compressor agree.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = size;
    let mut content = Vec::new();
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        left -= length as u64;
        let mut bytes = vec![0; length];
        for chunk in bytes.chunks_mut(8) {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let random = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        let block = Block::of(blocks::RAW, Bytes::from(bytes));
        content.push(block.expect("raw blocks of at most a MiB are within bounds"));
    }
    content
}
