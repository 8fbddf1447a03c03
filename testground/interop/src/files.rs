//! Files that are given and fetched.

use std::{fs, path::Path};

use anyhow::{Context, bail};

const MIB: usize = 1024 * 1024;

/// Sizes around what makes a difference: nothing, less than a chunk, a chunk, several of them.
const SIZES: [usize; 7] = [1, 1000, MIB - 1, MIB, MIB + 1, 5 * MIB + 3, 0];

/// Makes files and a directory with files in it; their names, one after the other. `seed`
/// makes their content another one.
pub(crate) fn make(folder: &Path, seed: u64) -> anyhow::Result<Vec<String>> {
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("below/deeper"))?;
    fs::create_dir_all(folder.with_file_name("to"))?;
    let mut names = Vec::new();
    for (at, size) in SIZES.into_iter().enumerate() {
        let name = format!("{size}.bin");
        fs::write(folder.join(&name), bytes(seed * 100 + at as u64, size))?;
        names.push(name);
    }
    fs::write(tree.join("a file"), bytes(seed * 100 + 50, 3 * MIB / 2))?;
    fs::write(tree.join("below/small.txt"), format!("of {seed}\n"))?;
    fs::write(tree.join("below/deeper/\u{fc}.txt"), b"")?;
    names.push("tree".to_owned());
    Ok(names)
}

/// Bytes that look like chance and are the same each time: a multiplicative generator.
fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Writes a file of so many bytes, others for each `seed`.
pub(crate) fn write(path: &Path, seed: u64, size: usize) -> anyhow::Result<()> {
    fs::write(path, bytes(seed * 100, size)).with_context(|| path.display().to_string())
}

/// Whether two files or directories are the same.
pub(crate) fn compare(one: &Path, other: &Path) -> anyhow::Result<()> {
    if one.is_dir() {
        let names = names(one)?;
        if names != self::names(other)? {
            bail!("{} has other names", other.display());
        }
        return names
            .iter()
            .try_for_each(|name| compare(&one.join(name), &other.join(name)));
    }
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    match read(one)? == read(other)? {
        true => Ok(()),
        false => bail!("{} has other bytes", other.display()),
    }
}

fn names(folder: &Path) -> anyhow::Result<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().context("a path that is not UTF-8")?;
    Ok(text.to_owned())
}
