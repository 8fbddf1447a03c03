//! Keeping heads: the trait, and the store in memory.

use std::collections::HashMap;

use cid::Cid;
use guid::{Guid, Span};
use parking_lot::Mutex;
use replicas::StoreError;

use crate::Heads;
use crate::index::{Index, Limits, Meta, NoRoom, Usage};

/// What a store did with heads that were good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The version kept now: that of the join.
    pub version: u64,
    /// Whether what is kept has changed.
    pub new: bool,
}

/// Why a store did not take heads.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// There is no room for them.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The heads of each object.
#[async_trait::async_trait]
pub trait HeadStore: Send + Sync + 'static {
    /// The object's heads.
    async fn get(&self, aguid: Guid) -> Result<Option<Heads>, StoreError>;

    /// Joins heads with what is kept of their object (J12). Durable when it returns.
    async fn put(&self, heads: Heads) -> Result<Outcome, Refused>;

    /// The version of the object's heads.
    async fn version(&self, aguid: Guid) -> Result<Option<u64>, StoreError>;

    /// At most `limit` objects of the arc with their versions, in the order of the ring,
    /// from behind `after` on.
    async fn list(
        &self,
        span: Span,
        after: Option<Guid>,
        limit: usize,
    ) -> Result<Vec<(Guid, u64)>, StoreError>;

    /// The version of an object that was noted last as written here: its number and VGUID.
    async fn written(&self, aguid: Guid) -> Result<Option<(u64, Cid)>, StoreError>;

    /// Notes a version that is written here. It is durable with the heads that are put next.
    async fn note_written(&self, aguid: Guid, seq: u64, vguid: Cid) -> Result<(), StoreError>;

    /// Forgets an object whose heads could not be read back, so that a replica's copy is
    /// accepted again.
    async fn discard(&self, aguid: Guid) -> Result<(), StoreError>;

    /// How much is kept.
    fn usage(&self) -> Usage;
}

/// What an index says of heads.
pub(crate) fn meta_of(heads: &Heads, encoded: &[u8]) -> Meta {
    Meta {
        version: heads.version(),
        author: heads.owner(),
        size: encoded.len() as u32,
    }
}

/// A store in memory: gone with the process.
pub struct MemoryHeads(Mutex<State>);

struct State {
    index: Index,
    heads: HashMap<Guid, Heads>,
    written: HashMap<Guid, (u64, Cid)>,
}

impl MemoryHeads {
    /// An empty store of the node whose GUID is `own`; see [`Limits`].
    pub fn new(own: Guid, limits: Limits) -> MemoryHeads {
        MemoryHeads(Mutex::new(State {
            index: Index::new(own, limits),
            heads: HashMap::new(),
            written: HashMap::new(),
        }))
    }
}

#[async_trait::async_trait]
impl HeadStore for MemoryHeads {
    async fn get(&self, aguid: Guid) -> Result<Option<Heads>, StoreError> {
        Ok(self.0.lock().heads.get(&aguid).cloned())
    }

    async fn put(&self, heads: Heads) -> Result<Outcome, Refused> {
        let mut state = self.0.lock();
        let aguid = heads.aguid();
        let kept = state.heads.get(&aguid).cloned();
        let joined = match kept.clone() {
            Some(kept) => kept.join(heads),
            None => heads,
        };
        let version = joined.version();
        if kept.as_ref() == Some(&joined) {
            return Ok(Outcome {
                version,
                new: false,
            });
        }
        let meta = meta_of(&joined, &joined.encode());
        state.index.check_room(aguid, meta)?;
        state.index.set(aguid, meta);
        state.heads.insert(aguid, joined);
        Ok(Outcome { version, new: true })
    }

    async fn version(&self, aguid: Guid) -> Result<Option<u64>, StoreError> {
        Ok(self.0.lock().index.get(aguid).map(|meta| meta.version))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Guid>,
        limit: usize,
    ) -> Result<Vec<(Guid, u64)>, StoreError> {
        Ok(self.0.lock().index.list(span, after, limit))
    }

    async fn written(&self, aguid: Guid) -> Result<Option<(u64, Cid)>, StoreError> {
        Ok(self.0.lock().written.get(&aguid).copied())
    }

    async fn note_written(&self, aguid: Guid, seq: u64, vguid: Cid) -> Result<(), StoreError> {
        self.0.lock().written.insert(aguid, (seq, vguid));
        Ok(())
    }

    async fn discard(&self, aguid: Guid) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        state.index.remove(aguid);
        state.heads.remove(&aguid);
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.0.lock().index.usage()
    }
}
