//! What is kept: a set of verifiable items, each with a place on the ring.

use bytes::Bytes;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use serde::{Deserialize, Serialize};

/// Names one item of a collection: a CID's bytes, or a record's name. At most
/// [`MAX_ID`] bytes.
pub type ItemId = Bytes;

/// Bytes of an item's name at most: a CID with a 32-byte digest has 36, and a page of
/// [`crate::MAX_LIST`] names has to fit one header.
pub const MAX_ID: usize = 128;

/// One item as the digests and lists see it: where it is, what it is called, how new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place on the ring.
    #[serde(rename = "g")]
    pub guid: Guid,
    /// Its name.
    #[serde(rename = "i")]
    pub id: ItemId,
    /// Its version: of two items with the same name the higher one replaces the other.
    /// What never changes keeps 0.
    #[serde(rename = "v")]
    pub version: u64,
}

/// What a successful [`Collection::put`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The version now kept: higher than the offered one when a newer one was here.
    pub version: u64,
    /// Whether this call changed what is kept.
    pub new: bool,
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No room: the quota or the disk is used up. What is kept stays readable.
    #[error("the store is full: {0}")]
    Full(String),
    /// What is kept under this name is not what was put there.
    #[error("what is stored is corrupted: {0}")]
    Corrupt(String),
    /// The store was written by another release.
    #[error("the store has format {found}, this program reads format {known}")]
    Format {
        /// The format on disk.
        found: String,
        /// The format this program writes.
        known: u32,
    },
    /// The store is in use by another process.
    #[error("the store is in use by another process")]
    Locked,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The disk, or the engine on it, failed.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Why an offered item is not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PutRefused {
    /// The bytes are not what the name promises, or are malformed, too large, expired.
    #[error("the item is not valid: {0}")]
    Invalid(String),
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a copy beyond this node's duty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cached {
    /// Whether it is kept, until others take its place.
    pub kept: bool,
    /// Copies that had to make room and are kept no more.
    pub dropped: Vec<ItemId>,
}

/// A set of items that this node keeps, for itself and as a replica.
#[async_trait::async_trait]
pub trait Collection: Send + Sync + 'static {
    /// The protocol its replicas speak.
    const PROTOCOL: StreamProtocol;
    /// Bytes of an item at most.
    const MAX_ITEM: usize;

    /// Where an item belongs; `None` when `id` is no name of this collection.
    fn key_of(&self, id: &ItemId) -> Option<Guid>;

    /// Whether `bytes` are what `id` promises, and which version of it. Called off the
    /// tasks that read from the network; may take as long as hashing the item takes.
    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused>;

    /// The item as it is kept. Content is not checked again for a peer, which checks it
    /// itself, unless the store does so anyway.
    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError>;

    /// Keeps an item after verifying it; it is durable when this returns. Where a newer
    /// version is kept, that one stays.
    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused>;

    /// The same for an item that this node made or has verified already.
    async fn put_trusted(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        self.put(id, bytes).await
    }

    /// Keeps an item that a repair or a read has brought, and nobody put now (R26); `verified`
    /// where that is done.
    async fn put_moved(
        &self,
        id: &ItemId,
        bytes: Bytes,
        verified: bool,
    ) -> Result<Stored, PutRefused> {
        match verified {
            true => self.put_trusted(id, bytes).await,
            false => self.put(id, bytes).await,
        }
    }

    /// Whether repair moves an item, here and from here (R26): what nobody needs any more is not
    /// brought back to those who have let it go.
    async fn is_wanted(&self, _id: &ItemId) -> bool {
        true
    }

    /// The version kept, if any.
    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError>;

    /// At most `limit` entries of `span`, going up from its start, or from just behind
    /// the item `after`. Entries at one place are in the order of their names.
    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// What becomes of two items with one name that a read has come by, each verified and
    /// with its version: the higher one, unless the collection can join them.
    fn join(&self, _id: &ItemId, one: (u64, Bytes), other: (u64, Bytes)) -> (u64, Bytes) {
        match other.0 > one.0 {
            true => other,
            false => one,
        }
    }

    /// Whether a copy kept here is what was put, whatever the clock says by now.
    fn is_intact(&self, id: &ItemId, item: &Bytes) -> bool {
        self.verify(id, item).is_ok()
    }

    /// The name of an item as people read it, for messages.
    fn describe(&self, id: &ItemId) -> String {
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Keeps a copy of an item that was got and verified, and that this node has no duty to
    /// keep: `get` finds it, `version` and `list` do not (R17). Collections whose items
    /// change keep none.
    async fn cache(&self, _id: &ItemId, _item: Bytes) -> Cached {
        Cached::default()
    }

    /// Copies kept by [`Collection::cache`] before the last start, at most `limit`, those
    /// used last first.
    async fn cached(&self, _limit: usize) -> Vec<ItemId> {
        Vec::new()
    }

    /// Told when the kept copy of `id` could not be read back as it was put; a good copy
    /// is put again when a replica has one.
    async fn discard_corrupt(&self, _id: &ItemId) {}
}
