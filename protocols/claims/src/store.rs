//! Keeping claims.

use cid::Cid;
use guid::Span;
use replicas::StoreError;

use crate::{Claim, FreePage, Item, ItemError, State, Usage};

/// Items that one step of a sweep drops.
pub(crate) const SWEEP_STEP: usize = 256;

/// What a store did with an item that was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The version that is known now: higher than the offered one where a later release was here.
    pub version: u64,
    /// Whether this put changed what is kept.
    pub new: bool,
}

/// Why a store did not take an item.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// Its time is no good (CL3, CL4).
    #[error(transparent)]
    Invalid(#[from] ItemError),
    /// There is no room for it, or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Claims and releases, one of each name. Releases that have ended are as if they were not there
/// (CL4), whether or not they have been dropped yet.
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    /// The time by this store's clock, in Unix seconds.
    fn now(&self) -> u64;

    /// Keeps an item unless it, or what replaces it, is known. Durable when it returns. When it
    /// came first is what counts (CL6).
    async fn put(&self, item: Item) -> Result<Outcome, Refused>;

    /// The claim, or its release.
    async fn get(&self, name: Claim) -> Result<Option<Item>, StoreError>;

    /// The version of what [`Store::get`] gives; none also for what cannot be read.
    async fn version(&self, name: Claim) -> Result<Option<u64>, StoreError>;

    /// At most `limit` names of the arc with their versions, in the order of the ring, from
    /// behind `after` on.
    async fn list(
        &self,
        span: Span,
        after: Option<Claim>,
        limit: usize,
    ) -> Result<Vec<(Claim, u64)>, StoreError>;

    /// Whether a block is needed, as far as is known here (CL6).
    async fn state(&self, block: &Cid) -> Result<State, StoreError>;

    /// Somebody puts the block, and may claim it only then: where it is free, it is not any more
    /// (CL6). Durable when it returns; writes nothing where the
    /// block has no release, or has a claim.
    async fn put_again(&self, block: &Cid) -> Result<(), StoreError>;

    /// About `limit` free blocks at most, in the order of the ring, from behind `after` on.
    /// Bounded in what it reads, too: see [`FreePage::next`].
    async fn free(&self, after: Option<Cid>, limit: usize) -> Result<FreePage, StoreError>;

    /// Forgets what could not be read back, so that a replica's copy is accepted again.
    async fn discard(&self, name: Claim) -> Result<(), StoreError>;

    /// Drops what has ended (CL4); how many releases that were.
    async fn sweep(&self) -> Result<usize, StoreError>;

    /// How much is kept.
    fn usage(&self) -> Usage;

    /// Whether the store may not know of a claim for want of room, now or within the last
    /// [`crate::FULL_FOR`] seconds (CL5).
    fn is_full(&self) -> bool;
}

/// There is no room.
pub(crate) fn full(limit: u64) -> StoreError {
    StoreError::Full(format!("it keeps {limit} claims, as many as it may"))
}
