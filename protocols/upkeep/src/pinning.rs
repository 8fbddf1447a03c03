//! Gets the blocks of a pin (I4).

use std::sync::Arc;
use std::time::Duration;

use blocks::{Block, DAG_CBOR, DAG_PB, RAW};
use bytes::Bytes;
use cid::Cid;
use futures::stream::{self, StreamExt, TryStreamExt};
use ipld_dagpb::PbNode;
use objects::Record;
use replicas::{StoreError, hashing};
use tokio::time::Instant;

use crate::PinError;
use crate::handle::Shared;
use crate::ledger::Member;
use crate::pin::Row;
use crate::walk::{Kind, MAX_BLOCKS, Visitor, Wanted, walk};

/// Blocks that are got at a time for one pin.
const AT_A_TIME: usize = 8;

/// Blocks that are noted at a time.
const PAGE: usize = 256;

/// How long a pin waits after it failed first; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// How far a pin is that does not have all its blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Working {
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
    pub(crate) expected: Option<u64>,
    /// Why it stopped, and when it goes on.
    pub(crate) failed: Option<Arc<PinError>>,
    pub(crate) again: Option<Instant>,
    /// How often it failed one after the other.
    pub(crate) failures: u32,
}

/// Gets all blocks of a pin; when this returns it is written down whether they are all here.
pub(crate) async fn get_all(shared: &Shared, root: Cid, row: Row) {
    let number = row.number;
    let outcome = tokio::select! {
        outcome = try_get_all(shared, root, row) => outcome,
        () = until_removed(shared, root, number) => Err(PinError::Removed),
    };
    let error = match outcome {
        Ok(()) => {
            shared.working.send_modify(|working| {
                working.remove(&root);
            });
            return;
        }
        // Whoever has removed it has said so; it may be pinned anew.
        Err(PinError::Removed) => return,
        Err(error) => error,
    };
    tracing::warn!(%root, %error, "not all of what is pinned is here");
    shared.working.send_modify(|working| {
        let work = working.entry(root).or_default();
        let pause = FIRST_PAUSE.saturating_mul(1 << work.failures.min(16));
        let pause = pause.min(shared.config.again_after);
        work.again = (!error.is_final()).then(|| Instant::now() + pause);
        work.failures += 1;
        work.failed = Some(Arc::new(error));
    });
}

/// Returns when the pin with this number is not wanted any more.
async fn until_removed(shared: &Shared, root: Cid, number: u64) {
    let mut unpinned = shared.unpinned.subscribe();
    loop {
        let there = shared.on_ledger(move |ledger| ledger.pin(&root)).await;
        if let Ok(there) = there
            && there.is_none_or(|row| row.number != number)
        {
            return;
        }
        if unpinned.changed().await.is_err() {
            return;
        }
    }
}

async fn try_get_all(shared: &Shared, root: Cid, row: Row) -> Result<(), PinError> {
    let number = row.number;
    let (blocks, bytes) = shared.on_ledger(move |ledger| ledger.noted(number)).await?;
    let mut pinning = Pinning {
        shared,
        root,
        row: Row {
            blocks,
            bytes,
            ..row
        },
    };
    pinning.tell();
    walk(root, &mut pinning).await?;
    let mut row = pinning.row;
    row.whole = true;
    let written = shared.on_ledger(move |ledger| ledger.update(&root, &row));
    match written.await? {
        true => Ok(()),
        false => Err(PinError::Removed),
    }
}

struct Pinning<'a> {
    shared: &'a Shared,
    root: Cid,
    row: Row,
}

impl Pinning<'_> {
    fn tell(&self) {
        let work = Working {
            blocks: self.row.blocks,
            bytes: self.row.bytes,
            expected: self.row.expected,
            failed: None,
            again: None,
            failures: 0,
        };
        self.shared.working.send_modify(|working| {
            let before = working.get(&self.root);
            let failures = before.map_or(0, |before| before.failures);
            working.insert(self.root, Working { failures, ..work });
        });
    }

    /// Notes that blocks are the pin's, with their bytes where they are here.
    async fn note(&mut self, members: Vec<(Cid, Member)>) -> Result<(), PinError> {
        let (root, number) = (self.root, self.row.number);
        let noted = self.shared.on_ledger(move |ledger| {
            let before = ledger.note(&root, number, &members)?;
            Ok::<_, PinError>(before.into_iter().zip(members))
        });
        for (before, (_, now)) in noted.await? {
            if before.is_none() {
                self.row.blocks += 1;
            }
            let known = before.map_or(0, |member| member.bytes);
            self.row.bytes += u64::from(now.bytes.saturating_sub(known));
        }
        match self.row.blocks > MAX_BLOCKS {
            true => Err(PinError::TooMany),
            false => Ok(()),
        }
    }

    /// Those of these blocks that are not known to be here, and whether they were noted.
    async fn not_complete(&self, page: &[Wanted]) -> Result<Vec<(Wanted, bool)>, StoreError> {
        let (number, page) = (self.row.number, page.to_vec());
        let new = self.shared.on_ledger(move |ledger| {
            let mut new = Vec::new();
            for wanted in page {
                match ledger.member(number, &wanted.cid)? {
                    Some(member) if member.complete => {}
                    member => new.push((wanted, member.is_some())),
                }
            }
            Ok(new)
        });
        new.await
    }

    fn expect(&mut self, bytes: &Bytes) {
        self.row.expected = match self.root.codec() {
            DAG_PB => PbNode::from_bytes(bytes.clone()).ok().map(|node| {
                let below = node.links.iter().filter_map(|link| link.size);
                below.fold(bytes.len() as u64, u64::saturating_add)
            }),
            DAG_CBOR => {
                let record = Record::decode(bytes).ok();
                record.map(|record| record.fields().size.saturating_add(bytes.len() as u64))
            }
            RAW => Some(bytes.len() as u64),
            _ => None,
        };
    }
}

impl Visitor for Pinning<'_> {
    type Error = PinError;

    async fn skips(&mut self, wanted: &Wanted) -> Result<bool, PinError> {
        let (number, cid) = (self.row.number, wanted.cid);
        let member = self
            .shared
            .on_ledger(move |ledger| ledger.member(number, &cid))
            .await?;
        Ok(member.is_some_and(|member| member.complete))
    }

    async fn node(&mut self, wanted: Wanted) -> Result<Option<Bytes>, PinError> {
        let cid = wanted.cid;
        let bytes = {
            let _turn = self.shared.taking_up.read().await;
            let member = self.shared.on_ledger({
                let number = self.row.number;
                move |ledger| ledger.member(number, &cid)
            });
            if member.await?.is_none() {
                self.note(vec![(cid, NOTHING)]).await?;
            }
            self.shared.kept(&cid).await?
        };
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => self.shared.fetch(&cid).await?,
        };
        if cid == self.root {
            self.expect(&bytes);
        }
        Ok(Some(bytes))
    }

    async fn leaves(&mut self, wanted: Vec<Wanted>) -> Result<(), PinError> {
        for page in wanted.chunks(PAGE) {
            let new = self.not_complete(page).await?;
            if new.is_empty() {
                continue;
            }
            let mut missing = Vec::new();
            let mut here = Vec::new();
            {
                let _turn = self.shared.taking_up.read().await;
                let unknown = new.iter().filter(|(_, known)| !known);
                self.note(unknown.map(|(wanted, _)| (wanted.cid, NOTHING)).collect())
                    .await?;
                for (wanted, _) in new {
                    let size = self.shared.blocks.store().size(&wanted.cid).await?;
                    match size {
                        Some(size) => here.push((wanted.cid, leaf(&wanted, size))),
                        None => missing.push(wanted),
                    }
                }
            }
            if !here.is_empty() {
                self.note(here).await?;
                self.tell();
            }
            let shared = self.shared;
            let mut got = stream::iter(missing)
                .map(|wanted| async move {
                    let got = shared.fetch(&wanted.cid).await;
                    match got {
                        Ok(bytes) => Ok(Some((wanted.cid, leaf(&wanted, bytes.len() as u64)))),
                        Err(PinError::Block { cid, source }) if wanted.kind == Kind::Optional => {
                            tracing::debug!(%cid, %source, "pinned without what its properties name");
                            Ok(None)
                        }
                        Err(error) => Err(error),
                    }
                })
                .buffer_unordered(AT_A_TIME);
            while let Some(got) = got.try_next().await? {
                if let Some(member) = got {
                    self.note(vec![member]).await?;
                    self.tell();
                }
            }
        }
        Ok(())
    }

    async fn complete(&mut self, cid: Cid, bytes: usize) -> Result<(), PinError> {
        self.note(vec![(cid, whole(bytes as u64))]).await?;
        self.tell();
        Ok(())
    }
}

/// A block of which only the name is known.
const NOTHING: Member = Member {
    complete: false,
    bytes: 0,
};

/// A block that nothing is looked for below of. What properties name may be a part of the content
/// as well, and is then looked at again.
fn leaf(wanted: &Wanted, bytes: u64) -> Member {
    Member {
        complete: wanted.kind != Kind::Optional,
        ..whole(bytes)
    }
}

fn whole(bytes: u64) -> Member {
    Member {
        complete: true,
        bytes: bytes.min(u32::MAX.into()) as u32,
    }
}

impl Shared {
    /// The block as it is kept here; one that is damaged is dropped.
    async fn kept(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        match self.blocks.get_local(cid).await {
            Err(StoreError::Corrupt(_)) => {
                self.damaged(cid).await?;
                Ok(None)
            }
            kept => kept,
        }
    }

    /// Gets a block that is not here, and keeps it.
    async fn fetch(&self, cid: &Cid) -> Result<Bytes, PinError> {
        let not_got = |source| PinError::Block { cid: *cid, source };
        let bytes = self.source.get(cid).await.map_err(not_got)?;
        let (name, content) = (*cid, bytes.clone());
        let block = hashing::run(move || Block::new(name, content)).await;
        let block = block.ok_or(PinError::Stopped)?;
        let block = block.map_err(|error| not_got(error.into()))?;
        self.blocks.put_local(block).await?;
        Ok(bytes)
    }
}
