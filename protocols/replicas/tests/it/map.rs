//! A collection in memory whose items carry their name and version, and whose faults a
//! test can switch on.

use std::collections::{BTreeMap, HashSet};

use bytes::{BufMut, Bytes, BytesMut};
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use parking_lot::Mutex;
use replicas::{Cached, Collection, Entry, ItemId, PutRefused, StoreError, Stored};

/// An item: its version, the length of its name, its name, its content.
pub(crate) fn item(id: &ItemId, version: u64, content: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u64(version);
    bytes.put_u8(id.len() as u8);
    bytes.put_slice(id);
    bytes.put_slice(content);
    bytes.freeze()
}

/// The `n`-th name.
pub(crate) fn name(n: usize) -> ItemId {
    Bytes::from(format!("item-{n}"))
}

pub(crate) fn key(id: &ItemId) -> Guid {
    Guid::hash(id)
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Honest,
    /// Sends other bytes than were asked for.
    Lies,
    /// Never answers.
    Hangs,
    /// Has no room.
    Full,
    /// Takes long to store something.
    Slow,
    /// Takes long to read something, though not too long.
    SlowToRead,
}

/// How long one that is slow takes to store something: longer than a put waits for a member
/// that it can do without.
pub(crate) const SLOW: std::time::Duration = std::time::Duration::from_secs(3);

/// Copies that a map keeps beyond its duty.
pub(crate) const CACHED: usize = 4;

#[derive(Default)]
pub(crate) struct Map {
    items: Mutex<BTreeMap<(Guid, ItemId), Bytes>>,
    /// Copies, the oldest first, at most [`CACHED`].
    copies: Mutex<Vec<(ItemId, Bytes)>>,
    corrupted: Mutex<HashSet<ItemId>>,
    unwanted: Mutex<HashSet<ItemId>>,
    /// Items that were moved here, not put.
    moved: Mutex<HashSet<ItemId>>,
    mood: Mutex<Mood>,
}

impl Map {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub(crate) fn keep(&self, id: &ItemId, bytes: Bytes) {
        self.items.lock().insert((key(id), id.clone()), bytes);
    }

    pub(crate) fn kept(&self, id: &ItemId) -> Option<Bytes> {
        self.items.lock().get(&(key(id), id.clone())).cloned()
    }

    /// The copy kept beyond duty.
    pub(crate) fn copy(&self, id: &ItemId) -> Option<Bytes> {
        let copies = self.copies.lock();
        let found = copies.iter().find(|(name, _)| name == id);
        found.map(|(_, bytes)| bytes.clone())
    }

    /// The copy is gone, and nobody was told.
    pub(crate) fn lose_copy(&self, id: &ItemId) {
        self.copies.lock().retain(|(name, _)| name != id);
    }

    pub(crate) fn corrupt(&self, id: &ItemId) {
        self.corrupted.lock().insert(id.clone());
    }

    /// Nobody needs it any more.
    pub(crate) fn unwant(&self, id: &ItemId) {
        self.unwanted.lock().insert(id.clone());
    }

    pub(crate) fn forget(&self, id: &ItemId) {
        self.items.lock().remove(&(key(id), id.clone()));
    }

    pub(crate) fn was_moved(&self, id: &ItemId) -> bool {
        self.moved.lock().contains(id)
    }

    pub(crate) fn all(&self) -> BTreeMap<(Guid, ItemId), Bytes> {
        self.items.lock().clone()
    }
}

fn version(id: &ItemId, bytes: &[u8]) -> Option<u64> {
    let (version, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first()?;
    let named = rest.get(..usize::from(*length))? == &id[..];
    named.then_some(u64::from_be_bytes(*version))
}

#[async_trait::async_trait]
impl Collection for Map {
    const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/test/1.0.0");
    const MAX_ITEM: usize = 1 << 20;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        id.starts_with(b"item-").then(|| key(id))
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        version(id, bytes).ok_or_else(|| PutRefused::Invalid("another item".into()))
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        let mood = *self.mood.lock();
        match mood {
            Mood::Lies => return Ok(Some(Bytes::from_static(b"something else entirely"))),
            Mood::Hangs => std::future::pending().await,
            Mood::SlowToRead => tokio::time::sleep(SLOW / 3).await,
            Mood::Honest | Mood::Full | Mood::Slow => {}
        }
        if self.corrupted.lock().contains(id) {
            return Err(StoreError::Corrupt("a bit flipped".into()));
        }
        Ok(self.kept(id).or_else(|| self.copy(id)))
    }

    async fn is_wanted(&self, id: &ItemId) -> bool {
        !self.unwanted.lock().contains(id)
    }

    async fn put_moved(
        &self,
        id: &ItemId,
        bytes: Bytes,
        _verified: bool,
    ) -> Result<Stored, PutRefused> {
        self.moved.lock().insert(id.clone());
        self.put(id, bytes).await
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let offered = self.verify(id, &bytes)?;
        let mood = *self.mood.lock();
        match mood {
            Mood::Hangs => std::future::pending().await,
            Mood::Full => return Err(StoreError::Full("no room".into()).into()),
            Mood::Slow => tokio::time::sleep(SLOW).await,
            Mood::Honest | Mood::Lies | Mood::SlowToRead => {}
        }
        let kept = self.kept(id).and_then(|kept| version(id, &kept));
        let new = kept.is_none_or(|kept| kept < offered);
        if new {
            self.keep(id, bytes);
        }
        Ok(Stored {
            version: kept.unwrap_or(0).max(offered),
            new,
        })
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        Ok(self.kept(id).and_then(|kept| version(id, &kept)))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let place = |guid: Guid, id: &ItemId| (span.from.clockwise_to(guid), id.clone());
        let after = after.map(|id| place(key(&id), &id));
        let mut entries: Vec<Entry> = self
            .items
            .lock()
            .iter()
            .filter(|((guid, id), _)| {
                span.contains(*guid) && after.as_ref().is_none_or(|after| place(*guid, id) > *after)
            })
            .map(|((guid, id), bytes)| Entry {
                guid: *guid,
                id: id.clone(),
                version: version(id, bytes).unwrap(),
            })
            .collect();
        entries.sort_by_key(|entry| place(entry.guid, &entry.id));
        entries.truncate(limit);
        Ok(entries)
    }

    async fn cache(&self, id: &ItemId, item: Bytes) -> Cached {
        let mut copies = self.copies.lock();
        copies.retain(|(name, _)| name != id);
        copies.push((id.clone(), item));
        let dropped = match copies.len() > CACHED {
            true => vec![copies.remove(0).0],
            false => Vec::new(),
        };
        Cached {
            kept: true,
            dropped,
        }
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        self.corrupted.lock().remove(id);
        self.items.lock().remove(&(key(id), id.clone()));
    }
}
