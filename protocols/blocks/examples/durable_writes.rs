//! Compares the disk store with sequential durable writes to the same disk:
//! `cargo run --release -p blocks --example durable_writes -- DIRECTORY [MIB]`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use blocks::{Block, FjallOptions, FjallStore, RAW, Store};
use bytes::Bytes;
use futures::StreamExt;

/// Bytes of a block, and of one sequential write.
const BLOCK: usize = 1 << 20;

/// Blocks under way: as many as a peer may send ahead of their acknowledgement.
const AT_A_TIME: usize = 32;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("which directory?")?;
    let dir = tempfile::tempdir_in(dir)?;
    let mib: usize = args.next().map_or(Ok(1024), |mib| mib.parse())?;
    // Hashed before the clock runs: this measures the disk.
    let blocks: Vec<Block> = (0..mib).map(block).collect::<Result<_, _>>()?;

    for round in 0..2 {
        let sequential = sequential(&dir.path().join(format!("file-{round}")), &blocks)?;
        let path = dir.path().join(format!("store-{round}"));
        let store = FjallStore::open(&path, FjallOptions::default()).await?;
        let start = Instant::now();
        let outcomes: Vec<_> = futures::stream::iter(blocks.iter().cloned())
            .map(|block| store.put(block))
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        let stored = mib as f64 / start.elapsed().as_secs_f64();
        for outcome in outcomes {
            outcome?;
        }
        println!(
            "sequential {sequential:.0} MiB/s, store {stored:.0} MiB/s, ratio {:.2}",
            stored / sequential
        );
    }
    Ok(())
}

fn block(number: usize) -> Result<Block, blocks::BlockError> {
    let mut state = number as u64 | 1 << 40;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let bytes: Vec<u8> = words.take(BLOCK / 8).flatten().collect();
    Block::of(RAW, Bytes::from(bytes))
}

/// Sequential writes are synced every so many blocks, which gives the disk work early: one
/// sync at the end of 1 GiB took three times as long where this was written.
const SYNC_EVERY: usize = 16;

/// MiB a second of writing one file from front to back, durably.
fn sequential(path: &Path, blocks: &[Block]) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let mut file = File::create(path)?;
    for batch in blocks.chunks(SYNC_EVERY) {
        for block in batch {
            file.write_all(block.bytes())?;
        }
        file.sync_all()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(blocks.len() as f64 / seconds)
}
