//! Keeping items by their places: the trait, and the store in memory (H24, H25).

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;
use guid::{Guid, Span};
use parking_lot::Mutex;
use replicas::{ItemId, StoreError, Stored};

/// An item that is to be kept.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it belongs.
    pub place: Guid,
    /// What it is called.
    pub id: ItemId,
    /// Which version of it.
    pub version: u64,
    /// Whose it is, where that is known: each may take a share of the room.
    pub owner: Option<Guid>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How much may be kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all items.
    pub bytes: u64,
    /// Bytes of the items of one owner, other than `own`.
    pub of_one: u64,
    /// Bytes of the items of all owners together, other than `own`: what is left is for `own`.
    pub of_others: u64,
    /// Whose items are bounded by the whole only.
    pub own: Guid,
    /// Bytes of the disk that stay free.
    pub keep_free: u64,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Items at places of the ring. Acknowledged means on disk, where there is one.
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    /// The item's version and bytes.
    async fn get(&self, place: Guid, id: &ItemId) -> Result<Option<(u64, Bytes)>, StoreError>;

    /// Keeps a verified item, unless a higher version is kept. Durable when it returns.
    async fn put(&self, item: Item) -> Result<Stored, StoreError>;

    /// The version kept.
    async fn version(&self, place: Guid, id: &ItemId) -> Result<Option<u64>, StoreError>;

    /// At most `limit` items of an arc with place and version, going up from its start, or from
    /// just behind an item.
    async fn list(
        &self,
        span: Span,
        after: Option<(Guid, ItemId)>,
        limit: usize,
    ) -> Result<Vec<(Guid, ItemId, u64)>, StoreError>;

    /// Forgets an item.
    async fn remove(&self, place: Guid, id: &ItemId) -> Result<(), StoreError>;

    /// How much is kept.
    fn usage(&self) -> Usage;
}

/// The key of an item: its place, so that an arc is a range, then its name.
pub(crate) fn key_of(place: Guid, id: &[u8]) -> Vec<u8> {
    let mut key = place.to_bytes().to_vec();
    key.extend_from_slice(id);
    key
}

/// Place and name in a key.
pub(crate) fn read_key(key: &[u8]) -> Option<(Guid, ItemId)> {
    let (place, id) = key.split_first_chunk::<16>()?;
    Some((Guid::from_bytes(*place), Bytes::copy_from_slice(id)))
}

/// A range of keys: where it begins, and the last place in it.
pub(crate) type Range = (Bound<Vec<u8>>, [u8; 16]);

/// The ranges of an arc behind `after`, in order: two where it passes zero.
pub(crate) fn ranges(span: Span, after: Option<&(Guid, ItemId)>) -> Vec<Range> {
    let begin = match after {
        Some((place, id)) => Bound::Excluded(key_of(*place, id)),
        None => Bound::Included(span.from.to_bytes().to_vec()),
    };
    let wraps = span.to < span.from;
    let past_zero = after.is_some_and(|(place, _)| wraps && *place < span.from);
    if !wraps || past_zero {
        return vec![(begin, span.to.to_bytes())];
    }
    let zero = Bound::Included(vec![0; 16]);
    vec![(begin, [0xff; 16]), (zero, span.to.to_bytes())]
}

/// What there is of an item beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) version: u64,
    pub(crate) size: u32,
    pub(crate) owner: Option<Guid>,
}

impl Row {
    pub(crate) fn of(item: &Item) -> Row {
        Row {
            version: item.version,
            size: item.bytes.len() as u32,
            owner: item.owner,
        }
    }
}

/// Counts what is kept, and says whether more fits.
pub(crate) struct Room {
    limits: Limits,
    usage: Usage,
    of: HashMap<Guid, u64>,
    /// Bytes of all owners but `limits.own`.
    others: u64,
}

impl Room {
    pub(crate) fn new(limits: Limits) -> Room {
        Room {
            limits,
            usage: Usage::default(),
            of: HashMap::new(),
            others: 0,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn keep_free(&self) -> u64 {
        self.limits.keep_free
    }

    /// Whether `new` fits in the place of `old`.
    pub(crate) fn check(&self, old: Option<Row>, new: Row) -> Result<(), StoreError> {
        let freed = old.map_or(0, |row| u64::from(row.size));
        let bytes = self.usage.bytes - freed + u64::from(new.size);
        if bytes > self.limits.bytes {
            let most = self.limits.bytes;
            return Err(StoreError::Full(format!("at most {most} bytes are kept")));
        }
        let Some(owner) = new.owner.filter(|owner| *owner != self.limits.own) else {
            return Ok(());
        };
        let theirs = self.of.get(&owner).copied().unwrap_or_default();
        let before = match old.and_then(|row| row.owner) == Some(owner) {
            true => freed,
            false => 0,
        };
        if theirs - before + u64::from(new.size) > self.limits.of_one {
            let most = self.limits.of_one;
            return Err(StoreError::Full(format!(
                "at most {most} bytes of one owner are kept"
            )));
        }
        let before = match old.is_some_and(|row| self.is_foreign(row)) {
            true => freed,
            false => 0,
        };
        if self.others - before + u64::from(new.size) > self.limits.of_others {
            let most = self.limits.of_others;
            return Err(StoreError::Full(format!(
                "at most {most} bytes of others are kept"
            )));
        }
        Ok(())
    }

    /// Whether it has an owner, and that is another one than this node.
    fn is_foreign(&self, row: Row) -> bool {
        row.owner.is_some_and(|owner| owner != self.limits.own)
    }

    pub(crate) fn add(&mut self, row: Row) {
        if self.is_foreign(row) {
            self.others += u64::from(row.size);
        }
        self.usage.items += 1;
        self.usage.bytes += u64::from(row.size);
        if let Some(owner) = row.owner {
            *self.of.entry(owner).or_default() += u64::from(row.size);
        }
    }

    pub(crate) fn take(&mut self, row: Row) {
        if self.is_foreign(row) {
            self.others -= u64::from(row.size);
        }
        self.usage.items -= 1;
        self.usage.bytes -= u64::from(row.size);
        if let Some(owner) = row.owner
            && let Some(bytes) = self.of.get_mut(&owner)
        {
            *bytes -= u64::from(row.size);
            if *bytes == 0 {
                self.of.remove(&owner);
            }
        }
    }
}

/// A store in memory: gone with the process.
pub struct MemoryStore(Mutex<State>);

struct State {
    room: Room,
    items: BTreeMap<Vec<u8>, (Row, Bytes)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: Limits) -> MemoryStore {
        MemoryStore(Mutex::new(State {
            room: Room::new(limits),
            items: BTreeMap::new(),
        }))
    }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn get(&self, place: Guid, id: &ItemId) -> Result<Option<(u64, Bytes)>, StoreError> {
        let state = self.0.lock();
        let kept = state.items.get(&key_of(place, id));
        Ok(kept.map(|(row, bytes)| (row.version, bytes.clone())))
    }

    async fn put(&self, item: Item) -> Result<Stored, StoreError> {
        let state = &mut *self.0.lock();
        let (key, row) = (key_of(item.place, &item.id), Row::of(&item));
        let old = state.items.get(&key).map(|(row, _)| *row);
        if let Some(old) = old.filter(|old| old.version >= row.version) {
            let version = old.version;
            return Ok(Stored {
                version,
                new: false,
            });
        }
        state.room.check(old, row)?;
        old.into_iter().for_each(|old| state.room.take(old));
        state.room.add(row);
        state.items.insert(key, (row, item.bytes));
        Ok(Stored {
            version: row.version,
            new: true,
        })
    }

    async fn version(&self, place: Guid, id: &ItemId) -> Result<Option<u64>, StoreError> {
        let state = self.0.lock();
        let kept = state.items.get(&key_of(place, id));
        Ok(kept.map(|(row, _)| row.version))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<(Guid, ItemId)>,
        limit: usize,
    ) -> Result<Vec<(Guid, ItemId, u64)>, StoreError> {
        let state = self.0.lock();
        let mut found = Vec::new();
        for (from, last) in ranges(span, after.as_ref()) {
            let items = state.items.range((from, Bound::Unbounded));
            let items = items.take_while(|(key, _)| key[..16] <= last[..]);
            let listed = items.filter_map(|(key, (row, _))| {
                let (place, id) = read_key(key)?;
                Some((place, id, row.version))
            });
            found.extend(listed.take(limit - found.len()));
        }
        Ok(found)
    }

    async fn remove(&self, place: Guid, id: &ItemId) -> Result<(), StoreError> {
        let state = &mut *self.0.lock();
        if let Some((row, _)) = state.items.remove(&key_of(place, id)) {
            state.room.take(row);
        }
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.0.lock().room.usage()
    }
}
