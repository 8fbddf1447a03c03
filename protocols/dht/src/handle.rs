//! What applications hold: put, get, remove.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use guid::Guid;
use libp2p_identity::{Keypair, PublicKey};
use replicas::{PutReceipt, StoreError};
use tokio::sync::Mutex;

use crate::collection::id_of;
use crate::record::{MAX_LIFETIME, MAX_SEQ, latest_expiry};
use crate::{GetError, Item, PutError, Record, RecordStore, Records, RemoveError};

/// Publishers' records under one key that a get brings at most (D10): 16 MiB of values.
/// As many as a replica lists at a time.
pub const MAX_FOUND: usize = replicas::MAX_LIST;

/// Records of one get on their way at a time.
const FETCHES: usize = 8;

/// How often a put signs anew when a newer record of this node turned up meanwhile:
/// only a second node with the same key can make one.
const ATTEMPTS: usize = 3;

/// Locks over the keys: writers of one key take turns, those of others seldom wait.
const LOCKS: usize = 64;

/// Puts, gets and removes records in the name of this node. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    replicas: replicas::Handle<Records>,
    keypair: Keypair,
    writing: Vec<Mutex<()>>,
}

/// What a put or remove did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record as it was signed.
    pub record: Record,
    /// Where it is durable.
    pub replicas: PutReceipt,
}

/// What stands under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest record of each publisher that has a value there: this node's first,
    /// the others in the order of their GUIDs. Never empty.
    pub records: Vec<Record>,
    /// Records that are known to stand there and could not be got.
    pub missed: usize,
}

impl Handle {
    /// Acts with `keypair` through the records' replicas.
    pub fn new(replicas: replicas::Handle<Records>, keypair: Keypair) -> Handle {
        let writing = (0..LOCKS).map(|_| Mutex::default()).collect();
        Handle {
            inner: Arc::new(Inner {
                replicas,
                keypair,
                writing,
            }),
        }
    }

    /// Puts `value`, of at most [`crate::MAX_VALUE`] bytes, under `key` for `lifetime`, in
    /// place of what this node has there. Answers when a majority of the replicas have it
    /// durably.
    pub async fn put(
        &self,
        key: Guid,
        value: Bytes,
        lifetime: Duration,
    ) -> Result<Receipt, PutError> {
        let seconds = lifetime.as_secs();
        if seconds == 0 || seconds > MAX_LIFETIME {
            return Err(PutError::Lifetime(lifetime));
        }
        let _turn = self.lock(key).await;
        let newest = match self.own(key).await {
            Ok(newest) => newest,
            Err(GetError::Replicas(replicas::GetError::Local(error))) => return Err(error.into()),
            // Who does not answer now may do so for the put; D9 makes the number safe.
            Err(_) => None,
        };
        let expires = self.now().saturating_add(seconds);
        self.write(
            key,
            newest.map_or(0, |newest| newest.seq()),
            expires,
            Some(value),
        )
        .await
    }

    /// What all publishers have under `key` (D10).
    pub async fn get(&self, key: Guid) -> Result<Found, GetError> {
        let mut items: Vec<Item> = self
            .inner
            .replicas
            .find(key)
            .await?
            .iter()
            .filter_map(|entry| Item::from_bytes(&entry.id))
            .collect();
        let own = self.item(key);
        if let Some(at) = items.iter().position(|item| *item == own) {
            // Ours comes first, also where a flood of others fills the list.
            items[..=at].rotate_right(1);
        } else if items.is_empty() {
            // Asking for it searches further than the list does, and names who was asked.
            items.push(own);
        }
        let left_out = items.len().saturating_sub(MAX_FOUND);
        items.truncate(MAX_FOUND);

        let got: Vec<_> = stream::iter(items)
            .map(|item| self.newest(item))
            .buffered(FETCHES)
            .collect()
            .await;
        let mut found = Found {
            records: Vec::new(),
            missed: left_out,
        };
        let (mut absent, mut failed) = (None, None);
        for outcome in got {
            match outcome {
                Ok(record) => found.records.push(record),
                Err(error) if error.is_not_found() => absent = absent.or(Some(error)),
                Err(error) => {
                    found.missed += 1;
                    failed = failed.or(Some(error));
                }
            }
        }
        match failed.or(absent) {
            Some(error) if found.records.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// What one publisher has under `key`.
    pub async fn get_from(&self, key: Guid, publisher: &PublicKey) -> Result<Record, GetError> {
        self.newest(Item::of(key, publisher)).await
    }

    /// Removes what this node has under `key`, with a tombstone that outlives it (D9).
    pub async fn remove(&self, key: Guid) -> Result<Receipt, RemoveError> {
        let _turn = self.lock(key).await;
        let newest = self.newest(self.item(key)).await?;
        let now = self.now();
        // As long as any record of this item that somebody may still hold.
        let expires = now.saturating_add(MAX_LIFETIME).max(newest.expires());
        let expires = expires.min(latest_expiry(now));
        Ok(self.write(key, newest.seq(), expires, None).await?)
    }

    /// The store of this node's copies.
    pub fn store(&self) -> &Arc<dyn RecordStore> {
        self.inner.replicas.collection().store()
    }

    /// What the exchange with the replicas did since the start.
    pub fn stats(&self) -> replicas::Stats {
        self.inner.replicas.stats()
    }

    async fn lock(&self, key: Guid) -> tokio::sync::MutexGuard<'_, ()> {
        let at = (key.as_u128() % LOCKS as u128) as usize;
        self.inner.writing[at].lock().await
    }

    fn now(&self) -> u64 {
        self.store().now()
    }

    fn item(&self, key: Guid) -> Item {
        Item::of(key, &self.inner.keypair.public())
    }

    /// Signs the successor of `seq` and has it stored.
    async fn write(
        &self,
        key: Guid,
        mut seq: u64,
        expires: u64,
        value: Option<Bytes>,
    ) -> Result<Receipt, PutError> {
        for _ in 0..ATTEMPTS {
            // D9: the clock bridges what no replica remembers.
            let next = (seq + 1).max(self.now().min(MAX_SEQ));
            let record = Record::sign(&self.inner.keypair, key, next, expires, value.clone())?;
            let id = id_of(record.item());
            let put = self
                .inner
                .replicas
                .put(id, record.encoded().clone())
                .await?;
            let kept = self.store().version(record.item()).await?;
            match kept.filter(|kept| *kept > record.version()) {
                None => {
                    return Ok(Receipt {
                        record,
                        replicas: put,
                    });
                }
                Some(newer) => seq = Record::seq_of_version(newer),
            }
        }
        Err(PutError::Contended)
    }

    /// This node's newest record under `key`, also a tombstone or one just expired.
    async fn own(&self, key: Guid) -> Result<Option<Record>, GetError> {
        match self.read(self.item(key)).await {
            Ok(record) => Ok(Some(record)),
            Err(GetError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An item's newest record where that has a value and time left.
    async fn newest(&self, item: Item) -> Result<Record, GetError> {
        let record = self.read(item).await?;
        if record.is_tombstone() || record.check_time(self.now()).is_err() {
            return Err(GetError::Over);
        }
        Ok(record)
    }

    async fn read(&self, item: Item) -> Result<Record, GetError> {
        let bytes = self.inner.replicas.get_newest(&id_of(item)).await?;
        // Verified on its way here; a copy of this node's own was verified by the store.
        Record::decode(&bytes).map_err(|error| {
            replicas::GetError::Local(StoreError::Corrupt(error.to_string())).into()
        })
    }
}
