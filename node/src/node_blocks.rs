//! The blocks of this node and its network, as files are cut into and put together from.

use bytes::Bytes;
use cid::Cid;
use unixfs::{BlockSink, BlockSource, BoxError};

use crate::content::Content;

/// Puts blocks on their replicas, and gets them from wherever they are.
#[derive(Clone)]
pub(crate) struct NodeBlocks {
    blocks: blocks::Handle,
    content: Content,
}

impl NodeBlocks {
    pub(crate) fn new(blocks: blocks::Handle, content: Content) -> Self {
        Self { blocks, content }
    }
}

#[async_trait::async_trait]
impl BlockSink for NodeBlocks {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        // Whoever cut the file has just computed this CID from these bytes; hashing them
        // once more here is what the store's type asks for.
        let block = replicas::hashing::run(move || blocks::Block::new(cid, bytes))
            .await
            .ok_or("the node is stopping")??;
        self.blocks.put(block).await?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl BlockSource for NodeBlocks {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        Ok(self.content.get(cid).await?)
    }
}
