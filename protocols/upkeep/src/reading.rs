//! Reads all that belongs to a root.

use bytes::Bytes;
use cid::Cid;
use futures::FutureExt;
use futures::stream::{self, StreamExt};

use crate::PinError;
use crate::handle::Shared;
use crate::walk::{Kind, Visitor, Wanted, walk};

/// Blocks that are read at a time.
const AT_A_TIME: usize = 8;

/// Reads all blocks of a root, from wherever they are.
pub(crate) async fn read_all(shared: &Shared, root: Cid) -> Result<(), PinError> {
    walk(root, &mut Reading(shared)).await
}

struct Reading<'a>(&'a Shared);

impl Reading<'_> {
    async fn read(&self, cid: Cid) -> Result<Bytes, PinError> {
        let got = self.0.source.get(&cid).await;
        got.map_err(|source| PinError::Block { cid, source })
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
