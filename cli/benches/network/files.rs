//! Files to put.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A path as an argument.
pub(crate) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .ok_or_else(|| anyhow::anyhow!("{} is no text", path.display()))
}

/// Writes bytes that no compression makes smaller; other ones for each seed.
pub(crate) fn write_file(path: &Path, size: u64, seed: u64) -> anyhow::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut file = BufWriter::new(File::create(path)?);
    let mut chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let part = left.min(chunk.len() as u64) as usize;
        random.fill_bytes(&mut chunk[..part]);
        file.write_all(&chunk[..part])?;
        left -= part as u64;
    }
    Ok(file.flush()?)
}
