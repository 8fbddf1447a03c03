//! What the node holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cid::Cid;
use futures::Stream;
use guid::Guid;
use replicas::StoreError;
use tokio::sync::{Mutex, Notify, RwLock, watch};
use unixfs::BlockSource;

use crate::check::{self, Checked};
use crate::claiming::{self, Claiming, Released};
use crate::collect::{self, Collected, How};
use crate::marking::MarkError;
use crate::pin::{Pin, PinState, Row};
use crate::pinning::Working;
use crate::retention::{self, Keep, PruneError, Pruned};
use crate::scrub::{self, Scrubbed};
use crate::{CheckError, CollectError, Config, Ledger, PinError, background, bringing, removing};

/// How far a job is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes dealt with.
    pub done: u64,
    /// Bytes in all, as far as that is known; 0 where it is not.
    pub total: u64,
}

/// How far a node is with telling others what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Claims that were made since the start.
    pub made: u64,
    /// Blocks that are known to be needed and were not claimed yet.
    pub open: u64,
}

/// What a [check](Handle::check) looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The blocks kept here.
    Here,
    /// These and, for roots, whether those who have to keep their blocks do.
    Everywhere,
}

/// Pins, lets go and looks. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) blocks: blocks::Handle,
    /// Where blocks are got from.
    pub(crate) source: Arc<dyn BlockSource>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) config: Config,
    /// Read while a pin takes up a block, written while blocks are let go (I8).
    pub(crate) taking_up: RwLock<()>,
    /// Pins that are being got, and those that failed.
    pub(crate) working: watch::Sender<HashMap<Cid, Working>>,
    /// Wakes those who get a pin, so that they see whether it is still wanted.
    pub(crate) unpinned: watch::Sender<u64>,
    /// Wakes who gets what is pinned.
    pub(crate) pins_changed: Notify,
    /// A pass is under way.
    pub(crate) collecting: Mutex<()>,
    pub(crate) checking: Mutex<()>,
    /// What it tells others about what it needs, if it does.
    pub(crate) claiming: Option<Claiming>,
}

impl Handle {
    /// Looks after these blocks, and gets what is pinned from `source`.
    pub fn new(
        blocks: blocks::Handle,
        source: Arc<dyn BlockSource>,
        ledger: Ledger,
        config: Config,
    ) -> Handle {
        Handle::build(blocks, source, ledger, config, None)
    }

    /// The same, and tells those who keep blocks which of them this node needs for its
    /// `objects` and its pins, and lets go of what nobody needs any more (I14 to I18).
    pub fn with_claims(
        blocks: blocks::Handle,
        source: Arc<dyn BlockSource>,
        ledger: Ledger,
        config: Config,
        (objects, claims): (objects::Handle, claims::Handle),
    ) -> Handle {
        let claiming = Claiming::new(objects, claims);
        Handle::build(blocks, source, ledger, config, Some(claiming))
    }

    fn build(
        blocks: blocks::Handle,
        source: Arc<dyn BlockSource>,
        ledger: Ledger,
        config: Config,
        claiming: Option<Claiming>,
    ) -> Handle {
        Handle {
            shared: Arc::new(Shared {
                claiming,
                blocks,
                source,
                ledger: Arc::new(ledger),
                config,
                taking_up: RwLock::new(()),
                working: watch::Sender::new(HashMap::new()),
                unpinned: watch::Sender::new(0),
                pins_changed: Notify::new(),
                collecting: Mutex::new(()),
                checking: Mutex::new(()),
            }),
        }
    }

    /// Does what is done in the background, until it is dropped: gets what is pinned, makes room
    /// where it is short, reads what is kept, and goes on with what was not at its end.
    pub async fn look_after(self) {
        background::run(&self.shared).await;
    }

    /// Pins a root: durable when this returns, and got in the background.
    ///
    /// # Errors
    /// Where it cannot be pinned, or there are too many pins.
    pub async fn pin(&self, root: Cid, label: &str) -> Result<Pin, PinError> {
        blocks::check_kind(&root).map_err(|_| PinError::Unsupported(root))?;
        let label = label.to_owned();
        let row = self
            .shared
            .on_ledger(move |ledger| ledger.add(&root, &label))
            .await?;
        self.shared.working.send_modify(|working| {
            if working.get(&root).is_some_and(|work| work.failed.is_some()) {
                working.remove(&root);
            }
        });
        self.shared.pins_changed.notify_one();
        Ok(self.shared.describe(root, row))
    }

    /// Waits until a pin has all its blocks, and tells meanwhile how far it is.
    ///
    /// # Errors
    /// The first failure; it is tried again in the background.
    pub async fn pinned(
        &self,
        root: Cid,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Pin, Arc<PinError>> {
        let mut working = self.shared.working.subscribe();
        loop {
            let work = working.borrow_and_update().get(&root).cloned();
            if let Some(failed) = work.as_ref().and_then(|work| work.failed.clone()) {
                return Err(failed);
            }
            let row = self.shared.on_ledger(move |ledger| ledger.pin(&root)).await;
            match row.map_err(|error| Arc::new(PinError::Store(error)))? {
                Some(row) if row.whole => return Ok(self.shared.describe(root, row)),
                Some(_) => {}
                None => return Err(Arc::new(PinError::Removed)),
            }
            if let Some(work) = work {
                tell(Progress {
                    done: work.bytes,
                    total: work.expected.unwrap_or(0),
                });
            }
            if working.changed().await.is_err() {
                return Err(Arc::new(PinError::Stopped));
            }
        }
    }

    /// Lets a root go; whether it was pinned. No block is removed.
    pub async fn unpin(&self, root: Cid) -> Result<bool, StoreError> {
        let removed = self.shared.on_ledger(move |ledger| ledger.remove(&root));
        let removed = removed.await?;
        // Who waits for it hears that it is gone.
        self.shared.working.send_modify(|working| {
            working.remove(&root);
        });
        self.shared.unpinned.send_modify(|count| *count += 1);
        self.shared.pins_changed.notify_one();
        Ok(removed)
    }

    /// All pins, those added first first.
    pub async fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let all = self.shared.on_ledger(|ledger| ledger.all()).await?;
        Ok(all
            .into_iter()
            .map(|(root, row)| self.shared.describe(root, row))
            .collect())
    }

    /// Lets go of all copies that nobody has need of here (I7); with `dry` it only counts them.
    ///
    /// # Errors
    /// Where a pass is under way, or it is not known what this node has to keep.
    pub async fn collect(
        &self,
        dry: bool,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Collected, CollectError> {
        let how = match dry {
            true => How::Dry,
            false => How::Asked,
        };
        collect::collect(&self.shared, how, tell).await
    }

    /// Reads every block here and, unless that is all, sees whether the blocks of these roots
    /// are kept by those who have to. A root is what it is called and its CID, or why it is not
    /// known.
    ///
    /// # Errors
    /// Where a check is under way, or the store fails.
    pub async fn check(
        &self,
        scope: Scope,
        roots: impl Stream<Item = (String, Result<Cid, String>)> + Send,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Checked, CheckError> {
        check::check(&self.shared, scope, roots, tell).await
    }

    /// Keeps what was put without a name: those who keep its blocks are told in the background.
    /// Durable when this returns.
    ///
    /// # Errors
    /// Where it is no block that can be kept.
    pub async fn keep(&self, root: Cid) -> Result<(), PinError> {
        blocks::check_kind(&root).map_err(|_| PinError::Unsupported(root))?;
        self.shared
            .on_ledger(move |ledger| ledger.needs().keep(&root))
            .await?;
        if let Some(claiming) = &self.shared.claiming {
            claiming.needs(root);
        }
        Ok(())
    }

    /// Keeps it no longer; whether it was kept. Its blocks stay until [`Handle::release`].
    pub async fn unkeep(&self, root: Cid) -> Result<bool, StoreError> {
        let kept = self
            .shared
            .on_ledger(move |ledger| ledger.needs().unkeep(&root));
        kept.await
    }

    /// Keeps the content of some versions of an object of this node only, or says what that
    /// would do. Their blocks stay until [`Handle::release`].
    ///
    /// # Errors
    /// Where it is another's, forked, or its history cannot be read.
    pub async fn prune(&self, aguid: Guid, keep: Keep, dry: bool) -> Result<Pruned, PruneError> {
        let claiming = self.shared.claiming.as_ref();
        let claiming = claiming.ok_or(PruneError::NoAccount)?;
        retention::prune(&self.shared, claiming, aguid, keep, dry).await
    }

    /// Objects of this node whose names begin so, removed ones as well: what they are called,
    /// in order. The list of names is none of them.
    pub async fn own_objects(&self, prefix: &str) -> Result<Vec<(String, Guid)>, StoreError> {
        match &self.shared.claiming {
            Some(claiming) => retention::own_objects(claiming, prefix).await,
            None => Ok(Vec::new()),
        }
    }

    /// The first version of an object whose content is kept; 0 where all are.
    pub async fn floor(&self, aguid: Guid) -> Result<u64, StoreError> {
        let floor = self
            .shared
            .on_ledger(move |ledger| ledger.needs().floor(aguid));
        floor.await
    }

    /// Goes through all that this node needs, and has those who keep what it does not need any
    /// more told so, in the background (I16).
    ///
    /// # Errors
    /// Where something that is needed cannot be gone through: then nothing is released.
    pub async fn release(
        &self,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Released, MarkError> {
        match &self.shared.claiming {
            Some(claiming) => claiming::release(&self.shared, claiming, tell).await,
            None => Ok(Released::default()),
        }
    }

    /// Has all blocks of a version or of content kept again by those who have to, as those of a
    /// version that was pruned may not be.
    ///
    /// # Errors
    /// The first block that nobody gives, or that cannot be put.
    pub async fn bring_back(&self, root: Cid) -> Result<(), PinError> {
        bringing::bring_back(&self.shared, root).await
    }

    /// How far the node is with claiming what it needs. What was written within the last second
    /// may not be counted yet.
    pub async fn claimed(&self) -> Result<Claimed, StoreError> {
        let made = self.shared.claiming.as_ref();
        let made = made.map_or(0, |claiming| claiming.made.load(Ordering::Relaxed));
        let open = self
            .shared
            .on_ledger(|ledger| ledger.needs().unclaimed_count());
        let open = open.await?;
        Ok(Claimed { made, open })
    }

    /// Lets go of what nobody needs any more, which is done every minute by itself (I18): how
    /// many blocks of how many bytes.
    pub async fn remove_unwanted(&self) -> Result<(u64, u64), StoreError> {
        match &self.shared.claiming {
            Some(claiming) => removing::remove(&self.shared, claiming).await,
            None => Ok((0, 0)),
        }
    }

    /// How far the reading of all blocks is, and how the last one ended.
    pub async fn scrubbed(&self) -> Result<Scrubbed, StoreError> {
        scrub::state(&self.shared).await
    }
}

impl Shared {
    /// What is kept of a block is not the block: it goes, and is got again by those who have to
    /// keep it and by pins.
    pub(crate) async fn damaged(&self, cid: &Cid) -> Result<(), StoreError> {
        self.blocks.damaged(cid).await?;
        self.missing(cid).await
    }

    /// A block is not here: pins that have it get it again.
    pub(crate) async fn missing(&self, cid: &Cid) -> Result<(), StoreError> {
        let cid = *cid;
        if self.on_ledger(move |ledger| ledger.lost(&cid)).await? {
            self.pins_changed.notify_one();
        }
        Ok(())
    }

    /// Those of these blocks that no pin has and that this node does not need itself.
    pub(crate) async fn not_needed(&self, cids: Vec<Cid>) -> Result<Vec<Cid>, StoreError> {
        let free = self.on_ledger(move |ledger| {
            let mut free = Vec::with_capacity(cids.len());
            for cid in cids {
                if !ledger.is_pinned(&cid)? && !ledger.needs().has(&cid)? {
                    free.push(cid);
                }
            }
            Ok::<_, StoreError>(free)
        });
        free.await
    }

    /// Works on the ledger where it may block.
    pub(crate) async fn on_ledger<T, E>(
        &self,
        work: impl FnOnce(&Ledger) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let ledger = Arc::clone(&self.ledger);
        tokio::task::spawn_blocking(move || work(&ledger))
            .await
            .map_err(|_| StoreError::Closed)?
    }

    /// A pin as it is now.
    fn describe(&self, root: Cid, row: Row) -> Pin {
        let work = self.working.borrow().get(&root).cloned();
        let state = match (row.whole, &work) {
            (true, _) => PinState::Whole,
            (false, Some(work)) if work.failed.is_some() => {
                let failed = work.failed.as_ref().map(ToString::to_string);
                PinState::Failed(failed.unwrap_or_default())
            }
            (false, _) => PinState::Getting,
        };
        let work = work.filter(|_| !row.whole);
        Pin {
            root,
            label: row.label,
            added: row.added,
            state,
            blocks: work.as_ref().map_or(row.blocks, |work| work.blocks),
            bytes: work.as_ref().map_or(row.bytes, |work| work.bytes),
            expected: work.and_then(|work| work.expected).or(row.expected),
        }
    }
}
