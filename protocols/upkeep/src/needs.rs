//! What this node needs of the network's blocks, on disk (I19).

use std::ops::Bound;
use std::path::{Path, PathBuf};

use cid::Cid;
use claims::Secret;
use fjall::{Database, Keyspace, OwnedWriteBatch as WriteBatch, PersistMode};
use guid::Guid;
use parking_lot::Mutex;
use replicas::StoreError;
use replicas::engine_error::{check_room, on_read, on_write};

/// Marks within which each claim is made again once.
const SHARES: u32 = 16;

const EPOCH_KEY: &str = "epoch";

/// A block that is needed.
#[derive(Clone, Debug)]
struct Need {
    secret: Secret,
    /// The last mark that came by; 0 where none has, and it is not claimed.
    seen: u32,
    /// The last mark that came by all below it; 0 where none has.
    complete: u32,
}

impl Need {
    const BYTES: usize = 32 + 4 + 4;

    /// One that no mark has come by.
    fn known() -> Need {
        Need {
            secret: Secret::random(),
            seen: 0,
            complete: 0,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = self.secret.to_bytes().to_vec();
        row.extend(self.seen.to_be_bytes());
        row.extend(self.complete.to_be_bytes());
        row
    }

    fn decode(row: &[u8]) -> Result<Need, StoreError> {
        let corrupt = || StoreError::Corrupt("the row of a need cannot be read".into());
        let row: &[u8; Need::BYTES] = row.try_into().map_err(|_| corrupt())?;
        let (secret, rest) = row.split_first_chunk::<32>().ok_or_else(corrupt)?;
        let (seen, complete) = rest.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let complete = complete.try_into().map_err(|_| corrupt())?;
        Ok(Need {
            secret: Secret::from_bytes(*secret),
            seen: u32::from_be_bytes(*seen),
            complete: u32::from_be_bytes(complete),
        })
    }
}

/// A page of the needs that a mark has not come by.
pub(crate) struct Stale {
    pub(crate) cids: Vec<Cid>,
    /// Of the others, those whose claim is to be made again.
    pub(crate) again: Vec<Cid>,
    /// Where the next page begins; `None` at the end.
    pub(crate) next: Option<Cid>,
}

/// What is needed, what is to be claimed and released, and from which version on objects are
/// kept. Calls block on the disk.
pub(crate) struct Needs {
    path: PathBuf,
    database: Database,
    meta: Keyspace,
    needs: Keyspace,
    /// Needs that were not claimed yet.
    unclaimed: Keyspace,
    /// Claims that are to be released: the CID and the secret.
    releasing: Keyspace,
    /// The first version of an object whose content is kept.
    floors: Keyspace,
    /// Roots that were put without a name.
    kept: Keyspace,
    /// The mark and the version of an object of which all is marked.
    marked: Keyspace,
    /// The mark that has come by a record and by all versions before it. That it has come by all
    /// below a record says nothing of those before: a pin has one version.
    histories: Keyspace,
    /// Held while rows are read and written anew.
    changing: Mutex<()>,
}

impl Needs {
    pub(crate) fn open(
        path: &Path,
        database: &Database,
        meta: Keyspace,
        keyspace: impl Fn(&str) -> Result<Keyspace, StoreError>,
    ) -> Result<Needs, StoreError> {
        Ok(Needs {
            path: path.to_owned(),
            database: database.clone(),
            meta,
            needs: keyspace("needs")?,
            unclaimed: keyspace("unclaimed")?,
            releasing: keyspace("releasing")?,
            floors: keyspace("floors")?,
            kept: keyspace("kept")?,
            marked: keyspace("marked")?,
            histories: keyspace("histories")?,
            changing: Mutex::new(()),
        })
    }

    /// The number of the mark that is in force: the first is 1.
    pub(crate) fn epoch(&self) -> Result<u32, StoreError> {
        let row = self.meta.get(EPOCH_KEY).map_err(on_read)?;
        let number = row.and_then(|row| row[..].try_into().ok());
        Ok(number.map_or(1, u32::from_be_bytes))
    }

    /// Begins a mark: nothing has been come by yet.
    pub(crate) fn begin_epoch(&self) -> Result<u32, StoreError> {
        let next = self.epoch()?.wrapping_add(1).max(1);
        let mut batch = self.batch()?;
        batch.insert(&self.meta, EPOCH_KEY, next.to_be_bytes());
        batch.commit().map_err(on_write)?;
        Ok(next)
    }

    fn need_of(&self, cid: &Cid) -> Result<Option<Need>, StoreError> {
        let row = self.needs.get(cid.to_bytes()).map_err(on_read)?;
        row.map(|row| Need::decode(&row)).transpose()
    }

    /// Whether a block is needed, as far as a mark has come.
    pub(crate) fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.needs.contains_key(cid.to_bytes()).map_err(on_read)
    }

    /// Whether a mark has come by a block and all below it.
    pub(crate) fn is_complete(&self, cid: &Cid, epoch: u32) -> Result<bool, StoreError> {
        Ok(self
            .need_of(cid)?
            .is_some_and(|need| need.complete == epoch))
    }

    /// Whether a mark has come by a record and all versions before it.
    pub(crate) fn is_history(&self, vguid: &Cid, epoch: u32) -> Result<bool, StoreError> {
        let row = self.histories.get(vguid.to_bytes()).map_err(on_read)?;
        Ok(row.is_some_and(|row| row[..] == epoch.to_be_bytes()))
    }

    /// It has.
    pub(crate) fn set_history(&self, vguid: &Cid, epoch: u32) -> Result<(), StoreError> {
        let mut batch = self.unsynced()?;
        batch.insert(&self.histories, vguid.to_bytes(), epoch.to_be_bytes());
        batch.commit().map_err(on_write)
    }

    /// A mark comes by blocks; `true` where it has come by all below. How many are new.
    pub(crate) fn mark(&self, blocks: &[(Cid, bool)], epoch: u32) -> Result<u64, StoreError> {
        let _turn = self.changing.lock();
        // What a power loss takes is marked again: the object is not noted as marked before.
        let mut batch = self.unsynced()?;
        let mut new = 0;
        for (cid, complete) in blocks {
            let key = cid.to_bytes();
            let mut need = match self.need_of(cid)? {
                Some(need) => need,
                None => Need::known(),
            };
            if need.seen == 0 {
                new += 1;
                batch.insert(&self.unclaimed, key.clone(), []);
            }
            need.seen = epoch;
            if *complete {
                need.complete = epoch;
            }
            batch.insert(&self.needs, key, need.encode());
        }
        batch.commit().map_err(on_write)?;
        Ok(new)
    }

    /// Blocks that were written here and are needed no more already: they are to be released, as
    /// others would never hear that they can go. Those that are known stay as they are.
    pub(crate) fn know(&self, blocks: &[Cid]) -> Result<(), StoreError> {
        let _turn = self.changing.lock();
        let mut batch = self.unsynced()?;
        for cid in blocks {
            if self.need_of(cid)?.is_none() {
                batch.insert(&self.needs, cid.to_bytes(), Need::known().encode());
            }
        }
        batch.commit().map_err(on_write)
    }

    /// Blocks that are to be claimed; their secrets are durable when this returns, so that a
    /// claim can be released after a loss of power.
    pub(crate) fn unclaimed(
        &self,
        after: Option<&(Cid, Secret)>,
        limit: usize,
    ) -> Result<Vec<(Cid, Secret)>, StoreError> {
        let from = match after {
            Some((cid, _)) => Bound::Excluded(cid.to_bytes()),
            None => Bound::Unbounded,
        };
        let mut found = Vec::new();
        for entry in self.unclaimed.range((from, Bound::Unbounded)) {
            let key = entry.key().map_err(on_read)?;
            if let Ok(cid) = Cid::try_from(&key[..])
                && let Some(need) = self.need_of(&cid)?
            {
                found.push((cid, need.secret));
            }
            if found.len() == limit {
                break;
            }
        }
        if !found.is_empty() {
            self.database
                .persist(PersistMode::SyncAll)
                .map_err(on_write)?;
        }
        Ok(found)
    }

    /// How many there are to be claimed; goes through all of them.
    pub(crate) fn unclaimed_count(&self) -> Result<u64, StoreError> {
        Ok(self.unclaimed.len().map_err(on_read)? as u64)
    }

    /// These were claimed.
    pub(crate) fn claimed(&self, claims: &[(Cid, Secret)]) -> Result<(), StoreError> {
        let _turn = self.changing.lock();
        let mut batch = self.unsynced()?;
        for (cid, secret) in claims {
            // Needed anew with another secret, or not needed any more: then it is released.
            if self
                .need_of(cid)?
                .is_some_and(|need| need.secret == *secret)
            {
                batch.remove(&self.unclaimed, cid.to_bytes());
            }
        }
        batch.commit().map_err(on_write)
    }

    /// Needs that the mark has not come by, going on behind `after`; looks at `limit` needs. Of
    /// the others, one in [`SHARES`] is to be claimed again: all who kept its claim may have been
    /// lost together, and the block not.
    pub(crate) fn stale(
        &self,
        epoch: u32,
        after: Option<&Cid>,
        limit: usize,
    ) -> Result<Stale, StoreError> {
        let from = match after {
            Some(cid) => Bound::Excluded(cid.to_bytes()),
            None => Bound::Unbounded,
        };
        let (mut cids, mut again) = (Vec::new(), Vec::new());
        let (mut looked, mut last) = (0, None);
        for entry in self.needs.range((from, Bound::Unbounded)).take(limit) {
            let (key, row) = entry.into_inner().map_err(on_read)?;
            looked += 1;
            let Ok(cid) = Cid::try_from(&key[..]) else {
                continue;
            };
            last = Some(cid);
            let need = Need::decode(&row)?;
            if need.seen != epoch {
                cids.push(cid);
            } else if u32::from(need.secret.to_bytes()[0]) % SHARES == epoch % SHARES {
                again.push(cid);
            }
        }
        Ok(Stale {
            cids,
            again,
            next: last.filter(|_| looked == limit),
        })
    }

    /// These are to be claimed again.
    pub(crate) fn claim_again(&self, cids: &[Cid]) -> Result<(), StoreError> {
        let _turn = self.changing.lock();
        let mut batch = self.unsynced()?;
        for cid in cids {
            if self.has(cid)? {
                batch.insert(&self.unclaimed, cid.to_bytes(), []);
            }
        }
        batch.commit().map_err(on_write)
    }

    /// Those of these that the mark has still not come by are needed no more: they are to be
    /// released. How many that are.
    pub(crate) fn release(&self, cids: &[Cid], epoch: u32) -> Result<u64, StoreError> {
        let _turn = self.changing.lock();
        // A need that came back after a loss of power would count as claimed, and others know
        // that claim as released.
        let mut batch = self.batch()?;
        let mut count = 0;
        for cid in cids {
            let Some(need) = self.need_of(cid)?.filter(|need| need.seen != epoch) else {
                continue;
            };
            let key = cid.to_bytes();
            batch.remove(&self.needs, key.clone());
            batch.remove(&self.unclaimed, key.clone());
            batch.insert(&self.releasing, releasing_key(cid, &need.secret), []);
            count += 1;
        }
        batch.commit().map_err(on_write)?;
        Ok(count)
    }

    /// Claims that are to be released.
    pub(crate) fn releasing(
        &self,
        after: Option<&(Cid, Secret)>,
        limit: usize,
    ) -> Result<Vec<(Cid, Secret)>, StoreError> {
        let from = match after {
            Some((cid, secret)) => Bound::Excluded(releasing_key(cid, secret)),
            None => Bound::Unbounded,
        };
        let mut found = Vec::new();
        for entry in self.releasing.range((from, Bound::Unbounded)).take(limit) {
            let key = entry.key().map_err(on_read)?;
            if let Some((cid, secret)) = key.split_last_chunk::<32>()
                && let Ok(cid) = Cid::try_from(cid)
            {
                found.push((cid, Secret::from_bytes(*secret)));
            }
        }
        Ok(found)
    }

    /// These were released.
    pub(crate) fn released(&self, claims: &[(Cid, Secret)]) -> Result<(), StoreError> {
        let mut batch = self.unsynced()?;
        for (cid, secret) in claims {
            batch.remove(&self.releasing, releasing_key(cid, secret));
        }
        batch.commit().map_err(on_write)
    }

    /// The first version of an object whose content is kept; 0 where all are.
    pub(crate) fn floor(&self, aguid: Guid) -> Result<u64, StoreError> {
        let row = self.floors.get(aguid.to_bytes()).map_err(on_read)?;
        let number = row.and_then(|row| row[..].try_into().ok());
        Ok(number.map_or(0, u64::from_be_bytes))
    }

    /// The content of versions before `seq` is not kept any more. Durable when it returns.
    pub(crate) fn raise_floor(&self, aguid: Guid, seq: u64) -> Result<(), StoreError> {
        let _turn = self.changing.lock();
        if seq <= self.floor(aguid)? {
            return Ok(());
        }
        let mut batch = self.batch()?;
        batch.insert(&self.floors, aguid.to_bytes(), seq.to_be_bytes());
        batch.commit().map_err(on_write)
    }

    /// Keeps what has no name. Durable when it returns.
    pub(crate) fn keep(&self, root: &Cid) -> Result<(), StoreError> {
        let key = root.to_bytes();
        if self.kept.contains_key(&key).map_err(on_read)? {
            return Ok(());
        }
        let mut batch = self.batch()?;
        batch.insert(&self.kept, key, []);
        batch.commit().map_err(on_write)
    }

    /// Keeps it no more; whether it was kept.
    pub(crate) fn unkeep(&self, root: &Cid) -> Result<bool, StoreError> {
        let key = root.to_bytes();
        if !self.kept.contains_key(&key).map_err(on_read)? {
            return Ok(false);
        }
        let mut batch = self.batch()?;
        batch.remove(&self.kept, key);
        batch.commit().map_err(on_write)?;
        Ok(true)
    }

    /// Roots without a name, going on behind `after`.
    pub(crate) fn kept(&self, after: Option<&Cid>, limit: usize) -> Result<Vec<Cid>, StoreError> {
        let from = match after {
            Some(cid) => Bound::Excluded(cid.to_bytes()),
            None => Bound::Unbounded,
        };
        let mut found = Vec::new();
        for entry in self.kept.range((from, Bound::Unbounded)).take(limit) {
            let key = entry.key().map_err(on_read)?;
            found.extend(Cid::try_from(&key[..]).ok());
        }
        Ok(found)
    }

    /// The heads of an object when a mark last came by all of it; 0 where none has.
    pub(crate) fn marked_version(&self, aguid: Guid) -> Result<u64, StoreError> {
        let row = self.marked.get(aguid.to_bytes()).map_err(on_read)?;
        let version = row.and_then(|row| row.first_chunk::<8>().copied());
        Ok(version.map_or(0, u64::from_be_bytes))
    }

    /// Whether the mark has come by all of this version of an object.
    pub(crate) fn is_marked(
        &self,
        aguid: Guid,
        version: u64,
        epoch: u32,
    ) -> Result<bool, StoreError> {
        let row = self.marked.get(aguid.to_bytes()).map_err(on_read)?;
        Ok(row.is_some_and(|row| row[..] == marked(version, epoch)))
    }

    /// It has; what it came by is durable with it.
    pub(crate) fn set_marked(
        &self,
        aguid: Guid,
        version: u64,
        epoch: u32,
    ) -> Result<(), StoreError> {
        let mut batch = self.unsynced()?;
        batch.insert(&self.marked, aguid.to_bytes(), marked(version, epoch));
        batch.commit().map_err(on_write)
    }

    /// Objects that an earlier mark has come by, and this one not.
    pub(crate) fn unmarked(&self, epoch: u32) -> Result<Vec<Guid>, StoreError> {
        let mut found = Vec::new();
        for entry in self.marked.iter() {
            let (key, row) = entry.into_inner().map_err(on_read)?;
            if row.get(8..) != Some(&epoch.to_be_bytes()[..])
                && let Ok(aguid) = key[..].try_into()
            {
                found.push(Guid::from_bytes(aguid));
            }
        }
        Ok(found)
    }

    /// Survives the end of the process, and not a loss of power.
    fn unsynced(&self) -> Result<WriteBatch, StoreError> {
        check_room(&self.path)?;
        Ok(self.database.batch().durability(Some(PersistMode::Buffer)))
    }

    fn batch(&self) -> Result<WriteBatch, StoreError> {
        check_room(&self.path)?;
        Ok(self.database.batch().durability(Some(PersistMode::SyncAll)))
    }
}

fn releasing_key(cid: &Cid, secret: &Secret) -> Vec<u8> {
    [&cid.to_bytes()[..], &secret.to_bytes()].concat()
}

fn marked(version: u64, epoch: u32) -> [u8; 12] {
    let mut row = [0; 12];
    row[..8].copy_from_slice(&version.to_be_bytes());
    row[8..].copy_from_slice(&epoch.to_be_bytes());
    row
}
