//! Looks at all that is kept here, and at all that roots lead to (I12).

use std::collections::HashSet;
use std::pin::pin;

use bytes::Bytes;
use cid::Cid;
use futures::Stream;
use futures::stream::{self, StreamExt, TryStreamExt};
use guid::{Guid, Span};
use replicas::{GetError, StoreError};

use crate::handle::{Progress, Scope, Shared};
use crate::walk::{Kind, MAX_BLOCKS, Visitor, Wanted, walk};
use crate::{CheckError, PinError};

/// Blocks listed at a time.
const PAGE: usize = 256;

/// Blocks asked about at a time.
const AT_A_TIME: usize = 16;

/// Blocks that nobody has which are named at most.
pub const MAX_LOST: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blocks kept here that were read.
    pub here: u64,
    /// Their bytes.
    pub here_bytes: u64,
    /// How many of them were damaged, and are got again from others, or could not be read.
    pub damaged: u64,
    /// Blocks of pins that are not here; they are got again.
    pub unpinned: u64,
    /// Roots that were gone through.
    pub roots: u64,
    /// Blocks of these, each once.
    pub blocks: u64,
    /// How many of them are missing at nodes that have to keep them; they are being repaired.
    pub thin: u64,
    /// How many of them nobody has.
    pub lost: u64,
    /// Those, and roots that could not be gone through, as far as they are named.
    pub named: Vec<Lost>,
    /// The root at which it stopped, as there were too many blocks.
    pub stopped_at: Option<String>,
}

/// Something that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What it belongs to.
    pub of: String,
    /// The block; `None` where that is not known.
    pub block: Option<Cid>,
    /// Why it is not there.
    pub reason: String,
}

/// Makes a check.
pub(crate) async fn check(
    shared: &Shared,
    scope: Scope,
    roots: impl Stream<Item = (String, Result<Cid, String>)> + Send,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Checked, CheckError> {
    let _turn = shared.checking.try_lock().map_err(|_| CheckError::Busy)?;
    let mut looking = Looking {
        shared,
        tell,
        total: shared.blocks.store().usage().bytes,
        checked: Checked::default(),
        seen: HashSet::new(),
        full: false,
        of: String::new(),
        failed: None,
    };
    looking.here().await?;
    if scope == Scope::Everywhere {
        let mut roots = pin!(roots);
        looking.pins().await?;
        while let Some((of, root)) = roots.next().await {
            looking.root(of.clone(), root).await?;
            if looking.full {
                looking.checked.stopped_at = Some(of);
                break;
            }
        }
    }
    Ok(looking.checked)
}

struct Looking<'a> {
    shared: &'a Shared,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
    total: u64,
    checked: Checked,
    /// The places of blocks that were looked at, which are shorter than their names, and whether
    /// what is below them was, too.
    seen: HashSet<(Guid, bool)>,
    /// There were more than are looked at.
    full: bool,
    /// The root that is gone through.
    of: String,
    /// What ends the check, and not only the way below one root.
    failed: Option<CheckError>,
}

/// How a block is kept.
enum Kept {
    /// By all who have to.
    Well,
    /// By too few.
    Thinly,
    /// By nobody who was asked.
    Nowhere(String),
}

impl Looking<'_> {
    /// Reads all that is kept here.
    async fn here(&mut self) -> Result<(), CheckError> {
        let store = self.shared.blocks.store();
        let mut after = None;
        loop {
            let page = store.list(Span::full(), after, PAGE).await?;
            let mut read = stream::iter(page.clone())
                .map(|cid| async move { (cid, store.get(&cid).await) })
                .buffer_unordered(4);
            let mut damaged = Vec::new();
            while let Some((cid, read)) = read.next().await {
                match read {
                    Ok(Some(bytes)) => self.checked.here_bytes += bytes.len() as u64,
                    Ok(None) => continue,
                    Err(StoreError::Closed) => return Err(StoreError::Closed.into()),
                    Err(error) => {
                        tracing::warn!(%cid, %error, "a block is damaged");
                        self.checked.damaged += 1;
                        if matches!(error, StoreError::Corrupt(_)) {
                            damaged.push(cid);
                        }
                    }
                }
                self.checked.here += 1;
            }
            // Not while others are read: those that are not polled may have the turn to hash.
            for cid in damaged {
                self.shared.damaged(&cid).await?;
            }
            (self.tell)(Progress {
                done: self.checked.here_bytes,
                total: self.total.max(self.checked.here_bytes),
            });
            after = page.last().copied();
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Sees whether the blocks of pins are here.
    async fn pins(&mut self) -> Result<(), CheckError> {
        let pins = self.shared.on_ledger(|ledger| ledger.all()).await?;
        for (_, row) in pins.into_iter().filter(|(_, row)| row.whole) {
            let mut after = None;
            loop {
                let number = row.number;
                let page = self
                    .shared
                    .on_ledger(move |ledger| ledger.members(number, after.as_ref(), PAGE))
                    .await?;
                let before = self.checked.unpinned;
                for cid in &page {
                    // Of what properties name some may never have been there.
                    let noted = self.shared.on_ledger({
                        let cid = *cid;
                        move |ledger| ledger.member(number, &cid)
                    });
                    let was_here = noted.await?.is_some_and(|member| member.complete);
                    if was_here && !self.shared.blocks.has(cid).await? {
                        self.checked.unpinned += 1;
                        self.shared.missing(cid).await?;
                    }
                }
                after = page.last().copied();
                // What is missing is found by going through the pin again.
                if page.len() < PAGE || self.checked.unpinned > before {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Notes that a block is looked at, and whether what is below it is, too; whether it was
    /// before.
    fn was_seen(&mut self, wanted: &Wanted) -> bool {
        let guid = blocks::guid_of(&wanted.cid);
        let follow = wanted.kind != Kind::Optional;
        if self.seen.contains(&(guid, true)) || !follow && self.seen.contains(&(guid, false)) {
            return true;
        }
        if self.seen.len() as u64 >= MAX_BLOCKS {
            self.full = true;
            return true;
        }
        self.seen.insert((guid, follow));
        false
    }

    /// Goes through the blocks of a root.
    async fn root(&mut self, of: String, root: Result<Cid, String>) -> Result<(), CheckError> {
        self.checked.roots += 1;
        self.of = of;
        let walked = match root {
            Ok(root) => walk(root, self).await.map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if let Err(reason) = walked {
            self.name(None, reason);
        }
        Ok(())
    }

    fn name(&mut self, block: Option<Cid>, reason: String) {
        if self.checked.named.len() < MAX_LOST {
            let of = self.of.clone();
            self.checked.named.push(Lost { of, block, reason });
        }
    }

    fn note(&mut self, wanted: Wanted, kept: Kept) {
        self.checked.blocks += 1;
        match kept {
            Kept::Well => {}
            // What properties name need not be there.
            Kept::Thinly | Kept::Nowhere(_) if wanted.kind == Kind::Optional => {}
            Kept::Thinly => {
                self.checked.thin += 1;
                self.shared.blocks.repair(&wanted.cid);
            }
            Kept::Nowhere(reason) => {
                self.checked.lost += 1;
                self.name(Some(wanted.cid), reason);
            }
        }
    }

    /// Remembers what ends the check, and ends the way below the root.
    fn fail(&mut self, error: CheckError) -> PinError {
        self.failed = Some(error);
        PinError::Stopped
    }
}

impl Visitor for Looking<'_> {
    type Error = PinError;

    async fn skips(&mut self, wanted: &Wanted) -> Result<bool, PinError> {
        Ok(self.was_seen(wanted))
    }

    async fn node(&mut self, wanted: Wanted) -> Result<Option<Bytes>, PinError> {
        let kept = kept(self.shared, &wanted.cid).await;
        let kept = kept.map_err(|error| self.fail(error))?;
        let bytes = self.shared.source.get(&wanted.cid).await;
        match (kept, bytes) {
            (Kept::Well, Ok(bytes)) => {
                self.note(wanted, Kept::Well);
                Ok(Some(bytes))
            }
            (_, Ok(bytes)) => {
                self.note(wanted, Kept::Thinly);
                Ok(Some(bytes))
            }
            (_, Err(error)) => {
                self.note(wanted, Kept::Nowhere(error.to_string()));
                Ok(None)
            }
        }
    }

    async fn leaves(&mut self, wanted: Vec<Wanted>) -> Result<(), PinError> {
        let new: Vec<_> = wanted
            .into_iter()
            .filter(|wanted| !self.was_seen(wanted))
            .collect();
        let shared = self.shared;
        let mut looked = stream::iter(new)
            .map(|wanted| async move {
                let kept = match kept(shared, &wanted.cid).await? {
                    // A copy that nobody has to keep is one, too.
                    Kept::Nowhere(_) => match shared.source.get(&wanted.cid).await {
                        Ok(_) => Kept::Thinly,
                        Err(error) => Kept::Nowhere(error.to_string()),
                    },
                    kept => kept,
                };
                Ok::<_, CheckError>((wanted, kept))
            })
            .buffer_unordered(AT_A_TIME);
        loop {
            match looked.try_next().await {
                Ok(Some((wanted, kept))) => self.note(wanted, kept),
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    async fn complete(&mut self, _: Cid, _: usize) -> Result<(), PinError> {
        Ok(())
    }
}

/// Who of those who have to keep a block do.
async fn kept(shared: &Shared, cid: &Cid) -> Result<Kept, CheckError> {
    let keepers = match shared.blocks.keepers(cid).await {
        Ok(keepers) => keepers,
        Err(GetError::Local(error)) => return Err(error.into()),
        Err(error) => return Ok(Kept::Nowhere(error.to_string())),
    };
    let have = keepers
        .iter()
        .filter(|keeper| matches!(keeper.has, Ok(true)));
    Ok(match have.count() {
        0 => Kept::Nowhere("none of those who have to keep it has it".into()),
        count if count == keepers.len() => Kept::Well,
        _ => Kept::Thinly,
    })
}
