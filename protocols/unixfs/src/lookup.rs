//! One name of a directory, without reading all of it (rules U14 and U15).

use cid::Cid;

use crate::blocks::BlockSource;
use crate::dagpb::Node;
use crate::data::{DataType, Kind};
use crate::error::{ExportError, Malformed};
use crate::fetch::{Fetched, fetch_node};
use crate::hamt::branch;
use crate::list::{fanout_bits, not_a_directory};
use crate::murmur3::murmur3_x64_64;

/// What a path below `cid` leads to. A name that is not there gives
/// [`ExportError::NotThere`]; symbolic links are not followed.
pub async fn resolve<S: BlockSource + ?Sized>(
    cid: &Cid,
    path: &[&str],
    source: &S,
) -> Result<Cid, ExportError> {
    let mut at = *cid;
    for name in path {
        at = lookup(&at, name, source).await?;
    }
    Ok(at)
}

async fn lookup<S: BlockSource + ?Sized>(
    directory: &Cid,
    name: &str,
    source: &S,
) -> Result<Cid, ExportError> {
    let Fetched::Node(node) = fetch_node(source, directory).await? else {
        return Err(not_a_directory(directory, Kind::File));
    };
    let found = match node.data.data_type() {
        Some(DataType::Directory) => node
            .links
            .iter()
            .find(|link| link.name == name)
            .map(|link| link.cid),
        Some(DataType::HamtShard) => lookup_in_hamt(directory, node, name, source).await?,
        Some(DataType::File | DataType::Raw) => return Err(not_a_directory(directory, Kind::File)),
        Some(DataType::Symlink) => return Err(not_a_directory(directory, Kind::Symlink)),
        Some(DataType::Metadata) | None => {
            return Err(ExportError::malformed(directory, Malformed::NotUnixFs));
        }
    };
    found.ok_or_else(|| ExportError::NotThere {
        cid: *directory,
        name: name.to_owned(),
    })
}

/// Follows the branches of the name's hash, one block a level.
async fn lookup_in_hamt<S: BlockSource + ?Sized>(
    root: &Cid,
    mut node: Node,
    name: &str,
    source: &S,
) -> Result<Option<Cid>, ExportError> {
    let malformed = |reason| ExportError::malformed(root, reason);
    let bits = fanout_bits(&node).map_err(malformed)?;
    let width = format!("{:X}", (1u64 << bits) - 1).len();
    let hash = murmur3_x64_64(name.as_bytes());
    for level in 0.. {
        let Some(place) = branch(hash, level, bits) else {
            break;
        };
        let prefix = format!("{place:0width$X}");
        let found = node.links.iter().find(|link| {
            let rest = link.name.strip_prefix(&prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest == name)
        });
        let Some(link) = found else {
            return Ok(None);
        };
        if link.name.len() > width {
            return Ok(Some(link.cid));
        }
        let below = link.cid;
        node = match fetch_node(source, &below).await? {
            Fetched::Node(node) if node.data.data_type() == Some(DataType::HamtShard) => node,
            _ => return Err(ExportError::malformed(&below, Malformed::Hamt)),
        };
        if fanout_bits(&node).map_err(malformed)? != bits {
            return Err(ExportError::malformed(&below, Malformed::Hamt));
        }
    }
    Err(malformed(Malformed::TooDeep))
}
