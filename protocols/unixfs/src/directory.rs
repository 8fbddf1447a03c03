//! Writing a directory: in one block, or as a HAMT (rules U6 and U7).

use crate::balanced::Subtree;
use crate::blocks::BlockSink;
use crate::dagpb::{Link, Node, data_len, link_len};
use crate::data::{Data, DataType};
use crate::error::ImportError;
use crate::hamt;
use crate::import::Context;
use crate::profile::HAMT_THRESHOLD;

/// Stores a directory of entries with different names. The result counts the blocks of the
/// directory itself. `None`: see [`hamt::store`].
pub(crate) async fn store<S: BlockSink + ?Sized>(
    context: &Context<'_, S>,
    mut links: Vec<Link>,
) -> Result<Option<(Subtree, u64)>, ImportError> {
    let data = Data::new(DataType::Directory);
    let len = links.iter().map(link_len).sum::<usize>() + data_len(&data);
    if len > HAMT_THRESHOLD {
        return hamt::store(context, links).await;
    }
    links.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let block = Node { links, data }.to_block();
    debug_assert_eq!(block.bytes.len(), len, "the estimate is the length");
    context.put(block.cid, block.bytes).await?;
    Ok(Some((
        Subtree {
            cid: block.cid,
            size: 0,
            tsize: block.tsize,
        },
        1,
    )))
}
