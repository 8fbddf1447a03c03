//! The baselines of the disk: sequential writes that are durable.

use std::{fs::File, io::Write, path::Path};

use super::{
    BLOCK,
    clock::{Clock, Took},
};
use crate::exit::Failure;

/// How long `size` bytes took.
pub(super) struct Baseline {
    /// All written, then synced once: the most the disk can do.
    pub(super) one_sync: Took,
    /// Each MiB synced before the next: what single-minded durability costs.
    pub(super) sync_each: Took,
}

pub(super) async fn write(directory: &Path, size: u64) -> Result<Baseline, Failure> {
    let directory = directory.to_owned();
    let work = move || {
        Ok::<_, std::io::Error>(Baseline {
            one_sync: write_file(&directory.join("one"), size, false)?,
            sync_each: write_file(&directory.join("each"), size, true)?,
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Failure::other)?
        .map_err(|error| Failure::other(format!("disk baseline: {error}")))
}

fn write_file(path: &Path, size: u64, sync_each: bool) -> std::io::Result<Took> {
    // Not zeros: some disks and file systems do not write those.
    let chunk: Vec<u8> = (0..BLOCK)
        .map(|index| (index * 31 + index / 251) as u8)
        .collect();
    let clock = Clock::start();
    let mut file = File::create(path)?;
    let mut left = size;
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        file.write_all(&chunk[..length])?;
        left -= length as u64;
        if sync_each {
            file.sync_data()?;
        }
    }
    file.sync_all()?;
    let took = clock.took();
    std::fs::remove_file(path)?;
    Ok(took)
}
