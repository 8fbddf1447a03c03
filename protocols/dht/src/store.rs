//! Keeping records: the trait, and the store in memory.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use guid::{Guid, Span};
use parking_lot::Mutex;
use replicas::StoreError;

use crate::ledger::{Ledger, Limits, NoRoom, Usage, Verdict};
use crate::{Clock, Item, Record, RecordError};

/// Items that one step of a sweep handles: what it holds the store's lock for.
pub(crate) const SWEEP_STEP: usize = 256;

/// What a store did with a record that was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The version in force now: higher than the offered one when that is out of date.
    pub version: u64,
    /// Whether the offered record is the one in force and was not there before.
    pub new: bool,
}

/// Why a store did not take a record.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// It is expired, or would live too long.
    #[error(transparent)]
    Invalid(#[from] RecordError),
    /// There is no room for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One record of each item, the one in force.
#[async_trait::async_trait]
pub trait RecordStore: Send + Sync + 'static {
    /// The time by this store's clock, in Unix seconds.
    fn now(&self) -> u64;

    /// The item's record, also when it is a tombstone; none when it has expired (D7).
    async fn get(&self, item: Item) -> Result<Option<Record>, StoreError>;

    /// Keeps a record unless a newer one of its item was seen. Durable when it returns.
    async fn put(&self, record: Record) -> Result<Outcome, Refused>;

    /// The version of the item's record, see [`Record::version`].
    async fn version(&self, item: Item) -> Result<Option<u64>, StoreError>;

    /// At most `limit` items of the arc with their versions, in the order of the ring,
    /// from behind `after` on.
    async fn list(
        &self,
        span: Span,
        after: Option<Item>,
        limit: usize,
    ) -> Result<Vec<(Item, u64)>, StoreError>;

    /// Forgets an item whose record could not be read back, so that a replica's copy is
    /// accepted again.
    async fn discard(&self, item: Item) -> Result<(), StoreError>;

    /// Drops what has expired; how many records and memories of records that were.
    async fn sweep(&self) -> Result<usize, StoreError>;

    /// How much is kept.
    fn usage(&self) -> Usage;
}

/// A store in memory: gone with the process.
pub struct MemoryRecords {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    ledger: Ledger,
    records: HashMap<Item, Record>,
}

impl MemoryRecords {
    /// An empty store of the node whose GUID is `own`; see [`Limits`].
    pub fn new(own: Guid, limits: Limits, clock: Arc<dyn Clock>) -> MemoryRecords {
        let state = State {
            ledger: Ledger::new(own, limits),
            records: HashMap::new(),
        };
        MemoryRecords {
            clock,
            state: Mutex::new(state),
        }
    }
}

impl State {
    fn put(&mut self, now: u64, record: Record) -> Result<Outcome, Refused> {
        let item = record.item();
        let (meta, version) = match self.ledger.judge(now, &record) {
            Verdict::Older { version } => {
                return Ok(Outcome {
                    version,
                    new: false,
                });
            }
            Verdict::Tie(meta) => {
                let kept = &self.records[&item];
                if kept.cmp_force(&record) != Ordering::Less {
                    return Ok(Outcome {
                        version: meta.version,
                        new: false,
                    });
                }
                (meta, meta.version)
            }
            Verdict::Keep(meta) => (meta, meta.version),
        };
        if self.ledger.check_room(item, meta).is_err() {
            self.sweep(now);
            self.ledger.check_room(item, meta)?;
        }
        self.ledger.set(item, meta);
        self.records.insert(item, record);
        Ok(Outcome { version, new: true })
    }

    fn sweep(&mut self, now: u64) -> usize {
        let mut swept = 0;
        loop {
            let expired = self.ledger.expired(now, SWEEP_STEP);
            if expired.is_empty() {
                return swept;
            }
            swept += expired.len();
            for (item, rest) in expired {
                self.records.remove(&item);
                match rest {
                    Some(meta) => self.ledger.set(item, meta),
                    None => self.ledger.remove(item),
                }
            }
        }
    }
}

#[async_trait::async_trait]
impl RecordStore for MemoryRecords {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    async fn get(&self, item: Item) -> Result<Option<Record>, StoreError> {
        let state = self.state.lock();
        let live = state.ledger.live(item, self.clock.now());
        Ok(live.and_then(|_| state.records.get(&item).cloned()))
    }

    async fn put(&self, record: Record) -> Result<Outcome, Refused> {
        let now = self.clock.now();
        record.check_time(now)?;
        self.state.lock().put(now, record)
    }

    async fn version(&self, item: Item) -> Result<Option<u64>, StoreError> {
        let live = self.state.lock().ledger.live(item, self.clock.now());
        Ok(live.map(|meta| meta.version))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Item>,
        limit: usize,
    ) -> Result<Vec<(Item, u64)>, StoreError> {
        Ok(self
            .state
            .lock()
            .ledger
            .list(self.clock.now(), span, after, limit))
    }

    async fn discard(&self, item: Item) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.ledger.remove(item);
        state.records.remove(&item);
        Ok(())
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        Ok(self.state.lock().sweep(self.clock.now()))
    }

    fn usage(&self) -> Usage {
        self.state.lock().ledger.usage()
    }
}
