//! Reading directories, and describing what a CID names (rules U14 and U15).

use std::collections::HashSet;

use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::blocks::BlockSource;
use crate::dagpb::{Link, Node};
use crate::data::{DataType, Kind};
use crate::error::{ExportError, Malformed};
use crate::fetch::{Fetched, RAW, fetch, fetch_node, parse};
use crate::hamt::{LEVELS, MURMUR3, branch};
use crate::murmur3::murmur3_x64_64;
use crate::names;
use crate::profile::{MAX_DIRECTORY_ENTRIES, MAX_SYMLINK};

/// What a CID names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Bytes: of a file's content, of a symlink's target, of all blocks below a directory.
    pub size: u64,
    /// Bytes of all blocks, as their links declare; equal blocks counted each time.
    pub cumulative_size: u64,
    /// Links in the root block; for a directory in one block, its entries.
    pub links: usize,
    /// Bytes of the root block.
    pub block_size: usize,
    /// Where a symlink leads.
    pub target: Option<String>,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: a single one, safe to make a file of.
    pub name: String,
    /// What it stands for.
    pub cid: Cid,
    /// Bytes, as in [`Stat::size`].
    pub size: u64,
    /// What it is.
    pub kind: Kind,
}

/// A name in a directory, as its link has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name: a single one, safe to make a file of.
    pub name: String,
    /// What it stands for.
    pub cid: Cid,
    /// Bytes of all of its blocks, as the link declares.
    pub cumulative_size: u64,
}

/// Describes what a CID names, from its root block alone.
pub async fn stat<S: BlockSource + ?Sized>(cid: &Cid, source: &S) -> Result<Stat, ExportError> {
    let malformed = |reason| ExportError::malformed(cid, reason);
    let bytes = fetch(source, cid).await?;
    let block_size = bytes.len();
    let node = match parse(cid, bytes)? {
        Fetched::Raw(bytes) => {
            return Ok(Stat {
                kind: Kind::File,
                size: bytes.len() as u64,
                cumulative_size: bytes.len() as u64,
                links: 0,
                block_size,
                target: None,
            });
        }
        Fetched::Node(node) => node,
    };
    let below = node
        .links
        .iter()
        .fold(0u64, |sum, link| sum.saturating_add(link.tsize));
    let cumulative_size = below.saturating_add(block_size as u64);
    let data = &node.data;
    let (kind, size, target) = match data.data_type() {
        Some(DataType::File | DataType::Raw) => {
            let size = data.filesize.unwrap_or_else(|| {
                data.blocksizes
                    .iter()
                    .fold(data.inline_len(), |sum, size| sum.saturating_add(*size))
            });
            (Kind::File, size, None)
        }
        Some(DataType::Directory | DataType::HamtShard) => (Kind::Directory, cumulative_size, None),
        Some(DataType::Symlink) => {
            let target = symlink_target(&node).map_err(malformed)?;
            (Kind::Symlink, target.len() as u64, Some(target))
        }
        Some(DataType::Metadata) | None => return Err(malformed(Malformed::NotUnixFs)),
    };
    Ok(Stat {
        kind,
        size,
        cumulative_size,
        links: node.links.len(),
        block_size,
        target,
    })
}

/// What a directory links to, by name. Gets the blocks of the directory alone, at most
/// `concurrency` of them at a time.
pub async fn children<S: BlockSource + ?Sized>(
    cid: &Cid,
    source: &S,
    concurrency: usize,
) -> Result<Vec<Child>, ExportError> {
    let links = links(cid, source, concurrency).await?.into_iter();
    let children = links.map(|Link { cid, name, tsize }| Child {
        name,
        cid,
        cumulative_size: tsize,
    });
    let mut children: Vec<Child> = children.collect();
    children.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(children)
}

async fn links<S: BlockSource + ?Sized>(
    cid: &Cid,
    source: &S,
    concurrency: usize,
) -> Result<Vec<Link>, ExportError> {
    match fetch_node(source, cid).await? {
        Fetched::Raw(_) => Err(not_a_directory(cid, Kind::File)),
        Fetched::Node(node) => entries(cid, node, source, concurrency).await,
    }
}

/// The entries of a directory, by name. Gets the root block of each entry that is not a raw block,
/// at most `concurrency` of them at a time.
pub async fn ls<S: BlockSource + ?Sized>(
    cid: &Cid,
    source: &S,
    concurrency: usize,
) -> Result<Vec<Entry>, ExportError> {
    let mut links = links(cid, source, concurrency).await?.into_iter();
    let mut entries = Vec::with_capacity(links.len());
    let mut describing = FuturesUnordered::new();
    loop {
        while describing.len() < concurrency.max(1)
            && let Some(link) = links.next()
        {
            describing.push(describe(link, source));
        }
        let Some(entry) = describing.next().await else {
            break;
        };
        entries.push(entry?);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

async fn describe<S: BlockSource + ?Sized>(link: Link, source: &S) -> Result<Entry, ExportError> {
    let Link { cid, name, tsize } = link;
    if cid.codec() == RAW {
        return Ok(Entry {
            name,
            cid,
            size: tsize,
            kind: Kind::File,
        });
    }
    let Stat { kind, size, .. } = stat(&cid, source).await?;
    Ok(Entry {
        name,
        cid,
        size,
        kind,
    })
}

/// The target of a symbolic link.
pub(crate) fn symlink_target(node: &Node) -> Result<String, Malformed> {
    let target = node.data.data.as_deref().unwrap_or_default();
    if target.is_empty() || target.len() > MAX_SYMLINK || target.contains(&0) {
        return Err(Malformed::Symlink);
    }
    String::from_utf8(target.to_vec()).map_err(|_| Malformed::Symlink)
}

/// The links of a directory by their real names, every name checked and there once.
pub(crate) async fn entries<S: BlockSource + ?Sized>(
    cid: &Cid,
    node: Node,
    source: &S,
    concurrency: usize,
) -> Result<Vec<Link>, ExportError> {
    let links = match node.data.data_type() {
        Some(DataType::Directory) => node.links,
        Some(DataType::HamtShard) => hamt_entries(cid, node, source, concurrency).await?,
        Some(DataType::File | DataType::Raw) => return Err(not_a_directory(cid, Kind::File)),
        Some(DataType::Symlink) => return Err(not_a_directory(cid, Kind::Symlink)),
        Some(DataType::Metadata) | None => {
            return Err(ExportError::malformed(cid, Malformed::NotUnixFs));
        }
    };
    let mut seen = HashSet::with_capacity(links.len());
    for link in &links {
        names::check(&link.name).map_err(|reason| ExportError::malformed(cid, reason))?;
        if !seen.insert(link.name.as_str()) {
            return Err(ExportError::malformed(cid, Malformed::DuplicateName));
        }
    }
    drop(seen);
    Ok(links)
}

pub(crate) fn not_a_directory(cid: &Cid, found: Kind) -> ExportError {
    ExportError::WrongKind {
        cid: *cid,
        found,
        wanted: Kind::Directory,
    }
}

/// A node of a HAMT that is still to be read, and the branches that lead to it.
struct Shard {
    cid: Cid,
    branches: Vec<u64>,
}

async fn hamt_entries<S: BlockSource + ?Sized>(
    root: &Cid,
    node: Node,
    source: &S,
    concurrency: usize,
) -> Result<Vec<Link>, ExportError> {
    let bits = fanout_bits(&node).map_err(|reason| ExportError::malformed(root, reason))?;
    let mut waiting = Vec::new();
    let mut links = Vec::new();
    let root_shard = Shard {
        cid: *root,
        branches: Vec::new(),
    };
    read_shard(&root_shard, node, bits, &mut links, &mut waiting)
        .map_err(|reason| ExportError::malformed(root, reason))?;

    let mut reading = FuturesUnordered::new();
    loop {
        while reading.len() < concurrency.max(1)
            && let Some(shard) = waiting.pop()
        {
            reading.push(async move { (fetch_node(source, &shard.cid).await, shard) });
        }
        let Some((fetched, shard)) = reading.next().await else {
            return Ok(links);
        };
        let malformed = |reason| ExportError::malformed(&shard.cid, reason);
        let Fetched::Node(node) = fetched? else {
            return Err(malformed(Malformed::Hamt));
        };
        read_shard(&shard, node, bits, &mut links, &mut waiting).map_err(malformed)?;
        // U15: a shard below the root holds an entry or leads to one, so the two together are
        // bounded by the entries of an honest directory.
        if links.len() + waiting.len() + reading.len() > MAX_DIRECTORY_ENTRIES {
            return Err(ExportError::malformed(root, Malformed::TooManyLinks));
        }
    }
}

/// How many bits of the hash a level takes.
pub(crate) fn fanout_bits(node: &Node) -> Result<u32, Malformed> {
    let fanout = node.data.fanout.unwrap_or(0);
    let known = node.data.hash_type == Some(MURMUR3)
        && fanout.is_power_of_two()
        && (8..=1024).contains(&fanout);
    if known {
        Ok(fanout.trailing_zeros())
    } else {
        Err(Malformed::Hamt)
    }
}

/// Sorts the links of one shard into entries and further shards. Every entry must lie where a
/// lookup of its name would look: that also makes it impossible to have a name twice or to go in
/// circles.
fn read_shard(
    shard: &Shard,
    node: Node,
    bits: u32,
    links: &mut Vec<Link>,
    waiting: &mut Vec<Shard>,
) -> Result<(), Malformed> {
    let is_shard = node.data.data_type() == Some(DataType::HamtShard);
    if !is_shard || fanout_bits(&node)? != bits {
        return Err(Malformed::Hamt);
    }
    // A shard of no links below the root would be work for nothing.
    if node.links.is_empty() && !shard.branches.is_empty() {
        return Err(Malformed::Hamt);
    }
    let bitmap = node.data.data.as_deref().unwrap_or_default();
    let set: u64 = bitmap.iter().map(|byte| u64::from(byte.count_ones())).sum();
    if set != node.links.len() as u64 {
        return Err(Malformed::Hamt);
    }
    let digits = format!("{:X}", (1u64 << bits) - 1).len();
    let mut before = None;
    for link in node.links {
        let prefix = link.name.get(..digits).ok_or(Malformed::Hamt)?;
        let place = u64::from_str_radix(prefix, 16).map_err(|_| Malformed::Hamt)?;
        if place >> bits != 0 || before.is_some_and(|before| before >= place) {
            return Err(Malformed::Hamt);
        }
        before = Some(place);
        if link.name.len() == digits {
            let mut branches = shard.branches.clone();
            branches.push(place);
            if branches.len() * bits as usize >= LEVELS * 8 {
                return Err(Malformed::TooDeep);
            }
            waiting.push(Shard {
                cid: link.cid,
                branches,
            });
            continue;
        }
        let name = link.name[digits..].to_owned();
        let hash = murmur3_x64_64(name.as_bytes());
        let path = shard.branches.iter().copied().chain([place]);
        if !path
            .enumerate()
            .all(|(level, place)| branch(hash, level, bits) == Some(place))
        {
            return Err(Malformed::Hamt);
        }
        links.push(Link { name, ..link });
    }
    Ok(())
}
