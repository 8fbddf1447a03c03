//! Brings back all that belongs to a root.

use blocks::Block;
use bytes::Bytes;
use cid::Cid;
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use replicas::hashing;

use crate::PinError;
use crate::handle::Shared;
use crate::walk::{Kind, Visitor, Wanted, walk};

/// Blocks that are read at a time.
const AT_A_TIME: usize = 8;

/// Reads all blocks of a root, from wherever they are, and puts them again: those who have to keep
/// them may have let them go, and what is read may be a copy that makes room at any time.
pub(crate) async fn bring_back(shared: &Shared, root: Cid) -> Result<(), PinError> {
    walk(root, &mut Reading(shared)).await
}

struct Reading<'a>(&'a Shared);

impl Reading<'_> {
    async fn read(&self, cid: Cid) -> Result<Bytes, PinError> {
        let failed = |source| PinError::Block { cid, source };
        let bytes = self.0.source.get(&cid).await.map_err(failed)?;
        let content = bytes.clone();
        let block = hashing::run(move || Block::new(cid, content)).await;
        let block = block.ok_or(PinError::Stopped)?;
        let block = block.map_err(|error| failed(error.into()))?;
        let put = self.0.blocks.put(block).await;
        put.map_err(|error| failed(error.into()))?;
        Ok(bytes)
    }
}

impl Visitor for Reading<'_> {
    type Error = PinError;

    async fn skips(&mut self, _wanted: &Wanted) -> Result<bool, PinError> {
        Ok(false)
    }

    async fn node(&mut self, wanted: Wanted) -> Result<Option<Bytes>, PinError> {
        self.read(wanted.cid).await.map(Some)
    }

    async fn leaves(&mut self, wanted: Vec<Wanted>) -> Result<(), PinError> {
        let this = &*self;
        // What properties name need not be there.
        let wanted = wanted.into_iter().filter(|one| one.kind != Kind::Optional);
        let mut read = stream::iter(wanted)
            .map(|one| this.read(one.cid).boxed())
            .buffer_unordered(AT_A_TIME);
        while let Some(read) = read.next().await {
            read?;
        }
        Ok(())
    }

    async fn complete(&mut self, _cid: Cid, _bytes: usize) -> Result<(), PinError> {
        Ok(())
    }
}
