//! What is pinned and how far things are, on disk (I13).

use std::ops::Bound;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cid::Cid;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch as WriteBatch, PersistMode,
};
use replicas::StoreError;
use replicas::engine_error::{check_room, on_open, on_read, on_write};
use serde::{Deserialize, Serialize};

use crate::PinError;
use crate::needs::Needs;
use crate::pin::{MAX_PINS, Row};

/// The format this program writes. A ledger with another one is refused, not guessed at.
pub const LEDGER_FORMAT: u32 = 1;

/// Memory for what was read from disk: a pin is looked up for each block of a pass.
const CACHE_BYTES: u64 = 4 << 20;

/// Memory for writes of one keyspace that are in the journal only.
const MEMTABLE_BYTES: u64 = 4 << 20;

/// The journal at most, in bytes: the least that fjall allows.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Rows that are removed at a time.
const PAGE: usize = 1024;

const FORMAT_KEY: &str = "format";
const NEXT_KEY: &str = "next";

/// What is remembered of how far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The pass that a person has asked for.
    Pass,
    /// The scrub.
    Scrub,
    /// When what is needed no more was released last.
    Release,
}

impl Place {
    fn key(self) -> &'static str {
        match self {
            Place::Pass => "pass",
            Place::Scrub => "scrub",
            Place::Release => "release",
        }
    }
}

/// A block of a pin that was noted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Whether all that is below it is here.
    pub(crate) complete: bool,
    pub(crate) bytes: u32,
}

impl Member {
    fn encode(self) -> [u8; 5] {
        let mut row = [0; 5];
        row[0] = self.complete.into();
        row[1..].copy_from_slice(&self.bytes.to_be_bytes());
        row
    }

    fn decode(row: &[u8]) -> Member {
        let bytes = row.get(1..5).and_then(|bytes| bytes.try_into().ok());
        Member {
            complete: row.first() == Some(&1),
            bytes: bytes.map_or(0, u32::from_be_bytes),
        }
    }
}

/// The pins of a node and their blocks. Calls block on the disk.
pub struct Ledger {
    path: std::path::PathBuf,
    database: Database,
    meta: Keyspace,
    pins: Keyspace,
    /// Numbers of pins that were removed and have rows left.
    going: Keyspace,
    blocks: Keyspace,
    members: Keyspace,
    needs: Needs,
    /// Held while pins are added and removed.
    changing: parking_lot::Mutex<()>,
}

impl Ledger {
    /// Opens or makes the ledger in a directory.
    ///
    /// # Errors
    /// Where it is of another format, damaged, or in use.
    pub fn open(path: &Path) -> Result<Ledger, StoreError> {
        let not_opened = |error| on_open(path, error);
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()
            .map_err(not_opened)?;
        let fresh = database.keyspace_count() == 0;
        let keyspace = |name: &str| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            database.keyspace(name, options).map_err(not_opened)
        };
        let meta = keyspace("meta")?;
        check_format(&database, &meta, fresh)?;
        Ok(Ledger {
            path: path.to_owned(),
            needs: Needs::open(path, &database, meta.clone(), keyspace)?,
            pins: keyspace("pins")?,
            going: keyspace("going")?,
            blocks: keyspace("blocks")?,
            members: keyspace("members")?,
            meta,
            database,
            changing: parking_lot::Mutex::new(()),
        })
    }

    /// What this node needs of the network's blocks.
    pub(crate) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The pin of a root, made where there is none.
    pub(crate) fn add(&self, root: &Cid, label: &str) -> Result<Row, PinError> {
        let _turn = self.changing.lock();
        if let Some(row) = self.pin(root)? {
            return Ok(row);
        }
        if self.pins.len().map_err(on_read)? >= MAX_PINS {
            return Err(PinError::Full);
        }
        check_room(&self.path)?;
        let next = self.meta.get(NEXT_KEY).map_err(on_read)?;
        let number = next.map_or(0, |bytes| number_of(&bytes));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let row = Row {
            number,
            label: label.to_owned(),
            added: now.map_or(0, |since| since.as_secs()),
            whole: false,
            blocks: 0,
            bytes: 0,
            expected: None,
        };
        let mut batch = self.batch();
        batch.insert(&self.meta, NEXT_KEY, (number + 1).to_be_bytes());
        batch.insert(&self.pins, root.to_bytes(), wire::encode(&row));
        batch.commit().map_err(on_write)?;
        Ok(row)
    }

    /// The pin of a root.
    pub(crate) fn pin(&self, root: &Cid) -> Result<Option<Row>, StoreError> {
        let row = self.pins.get(root.to_bytes()).map_err(on_read)?;
        row.map(|row| decode(&row)).transpose()
    }

    /// All pins, those added first first.
    pub(crate) fn all(&self) -> Result<Vec<(Cid, Row)>, StoreError> {
        let mut all = Vec::new();
        for entry in self.pins.iter() {
            let (key, row) = entry.into_inner().map_err(on_read)?;
            // One that cannot be read does not hide the others.
            match (Cid::try_from(&key[..]), decode::<Row>(&row)) {
                (Ok(root), Ok(row)) => all.push((root, row)),
                _ => tracing::warn!("the row of a pin cannot be read"),
            }
        }
        all.sort_unstable_by_key(|(_, row)| row.number);
        Ok(all)
    }

    /// Writes how far a pin is; nothing where it was removed meanwhile.
    pub(crate) fn update(&self, root: &Cid, row: &Row) -> Result<bool, StoreError> {
        let _turn = self.changing.lock();
        let there = self.pin(root)?;
        if there.is_none_or(|there| there.number != row.number) {
            return Ok(false);
        }
        check_room(&self.path)?;
        let mut batch = self.batch();
        batch.insert(&self.pins, root.to_bytes(), wire::encode(row));
        batch.commit().map_err(on_write)?;
        Ok(true)
    }

    /// Lets a root go; whether it was pinned. Its rows are removed by [`Ledger::forget`].
    pub(crate) fn remove(&self, root: &Cid) -> Result<bool, StoreError> {
        let _turn = self.changing.lock();
        let Some(row) = self.pin(root)? else {
            return Ok(false);
        };
        check_room(&self.path)?;
        let mut batch = self.batch();
        batch.remove(&self.pins, root.to_bytes());
        batch.insert(&self.going, row.number.to_be_bytes(), []);
        batch.commit().map_err(on_write)?;
        Ok(true)
    }

    /// A pin that was removed and has rows left.
    pub(crate) fn going(&self) -> Result<Option<u64>, StoreError> {
        let first = self.going.iter().next();
        let key = first
            .map(|entry| entry.key().map_err(on_read))
            .transpose()?;
        Ok(key.map(|key| number_of(&key)))
    }

    /// Removes rows of a pin that was removed, at most so many at a time; whether there are more.
    pub(crate) fn forget(&self, number: u64) -> Result<bool, StoreError> {
        check_room(&self.path)?;
        let mut batch = self.batch();
        let prefix = number.to_be_bytes();
        let mut count = 0;
        for entry in self.members.prefix(prefix).take(PAGE) {
            let key = entry.key().map_err(on_read)?;
            let cid = &key[prefix.len()..];
            batch.remove(&self.blocks, [cid, &prefix].concat());
            batch.remove(&self.members, key);
            count += 1;
        }
        let more = count == PAGE;
        if !more {
            batch.remove(&self.going, prefix);
        }
        batch.commit().map_err(on_write)?;
        Ok(more)
    }

    /// Notes that blocks are a pin's; what was noted of each before.
    ///
    /// # Errors
    /// Where the root is not pinned any more, or anew.
    pub(crate) fn note(
        &self,
        root: &Cid,
        number: u64,
        members: &[(Cid, Member)],
    ) -> Result<Vec<Option<Member>>, PinError> {
        // Held until it is written: a pin that is removed afterwards has these rows removed, too.
        let _turn = self.changing.lock();
        if self.pin(root)?.is_none_or(|row| row.number != number) {
            return Err(PinError::Removed);
        }
        let before = members.iter().map(|(cid, _)| self.member(number, cid));
        let before = before.collect::<Result<Vec<_>, _>>()?;
        check_room(&self.path)?;
        // Not synced: what a loss of power takes is noted again, as the pin is not whole yet.
        let mut batch = self.unsynced();
        for (cid, member) in members {
            let (cid, number) = (cid.to_bytes(), number.to_be_bytes());
            batch.insert(&self.blocks, [&cid[..], &number].concat(), []);
            let key = [&number[..], &cid].concat();
            batch.insert(&self.members, key, member.encode());
        }
        batch.commit().map_err(on_write)?;
        Ok(before)
    }

    /// What was noted of a block of a pin.
    pub(crate) fn member(&self, number: u64, cid: &Cid) -> Result<Option<Member>, StoreError> {
        let key = [&number.to_be_bytes()[..], &cid.to_bytes()].concat();
        let row = self.members.get(key).map_err(on_read)?;
        Ok(row.map(|row| Member::decode(&row)))
    }

    /// Blocks that were noted of a pin, and their bytes.
    pub(crate) fn noted(&self, number: u64) -> Result<(u64, u64), StoreError> {
        let (mut blocks, mut bytes) = (0, 0);
        for entry in self.members.prefix(number.to_be_bytes()) {
            let row = entry.value().map_err(on_read)?;
            blocks += 1;
            bytes += u64::from(Member::decode(&row).bytes);
        }
        Ok((blocks, bytes))
    }

    /// At most `limit` blocks of a pin, going on behind `after`.
    pub(crate) fn members(
        &self,
        number: u64,
        after: Option<&Cid>,
        limit: usize,
    ) -> Result<Vec<Cid>, StoreError> {
        let prefix = number.to_be_bytes();
        let from = match after {
            Some(cid) => Bound::Excluded([&prefix[..], &cid.to_bytes()].concat()),
            None => Bound::Included(prefix.to_vec()),
        };
        let mut found = Vec::new();
        for entry in self.members.range((from, Bound::Unbounded)).take(limit) {
            let key = entry.key().map_err(on_read)?;
            match key.strip_prefix(&prefix[..]) {
                Some(cid) => found.extend(Cid::try_from(cid).ok()),
                None => break,
            }
        }
        Ok(found)
    }

    /// The pins that have the block.
    fn pins_of(&self, cid: &Cid) -> Result<Vec<u64>, StoreError> {
        let prefix = cid.to_bytes();
        let mut numbers = Vec::new();
        for entry in self.blocks.prefix(&prefix) {
            let key = entry.key().map_err(on_read)?;
            let number = number_of(&key[prefix.len()..]);
            if !self
                .going
                .contains_key(number.to_be_bytes())
                .map_err(on_read)?
            {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// Whether a pin has the block.
    pub(crate) fn is_pinned(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(!self.pins_of(cid)?.is_empty())
    }

    /// A block is not here any more: the pins that have it are not whole, and are gone through
    /// again. Whether there are any.
    pub(crate) fn lost(&self, cid: &Cid) -> Result<bool, StoreError> {
        let numbers = self.pins_of(cid)?;
        for number in &numbers {
            check_room(&self.path)?;
            let mut batch = self.batch();
            for entry in self.members.prefix(number.to_be_bytes()) {
                let (key, row) = entry.into_inner().map_err(on_read)?;
                let member = Cid::try_from(&key[size_of::<u64>()..]).ok();
                let above = member.is_none_or(|member| member.codec() != blocks::RAW);
                let row = Member::decode(&row);
                if row.complete && (above || member == Some(*cid)) {
                    let row = Member {
                        complete: false,
                        ..row
                    };
                    batch.insert(&self.members, key, row.encode());
                }
            }
            let _turn = self.changing.lock();
            for (root, row) in self.all()? {
                if row.number == *number {
                    let row = Row {
                        whole: false,
                        ..row
                    };
                    batch.insert(&self.pins, root.to_bytes(), wire::encode(&row));
                }
            }
            batch.commit().map_err(on_write)?;
        }
        Ok(!numbers.is_empty())
    }

    /// What was remembered.
    pub(crate) fn place<T>(&self, of: Place) -> Result<Option<T>, StoreError>
    where
        T: for<'a> Deserialize<'a>,
    {
        let row = self.meta.get(of.key()).map_err(on_read)?;
        row.map(|row| decode(&row)).transpose()
    }

    /// Remembers it; `None` forgets it.
    pub(crate) fn set_place<T: Serialize>(
        &self,
        of: Place,
        place: Option<&T>,
    ) -> Result<(), StoreError> {
        check_room(&self.path)?;
        let mut batch = self.unsynced();
        match place {
            Some(place) => batch.insert(&self.meta, of.key(), wire::encode(place)),
            None => batch.remove(&self.meta, of.key()),
        }
        batch.commit().map_err(on_write)
    }

    /// Survives the end of the process, and not a loss of power.
    fn unsynced(&self) -> WriteBatch {
        self.database.batch().durability(Some(PersistMode::Buffer))
    }

    fn batch(&self) -> WriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncAll))
    }
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

fn decode<T: for<'a> Deserialize<'a>>(row: &[u8]) -> Result<T, StoreError> {
    wire::decode(row).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn check_format(database: &Database, meta: &Keyspace, fresh: bool) -> Result<(), StoreError> {
    let format = |found: String| StoreError::Format {
        found,
        known: LEDGER_FORMAT,
    };
    match meta.get(FORMAT_KEY).map_err(on_read)? {
        Some(found) if *found == LEDGER_FORMAT.to_be_bytes() => Ok(()),
        Some(found) => Err(match <[u8; 4]>::try_from(&*found) {
            Ok(number) => format(u32::from_be_bytes(number).to_string()),
            Err(_) => format("unreadable".into()),
        }),
        // Killed after the first keyspace was made: nothing else can be there yet.
        None if fresh || !database.keyspace_exists("pins") => {
            meta.insert(FORMAT_KEY, LEDGER_FORMAT.to_be_bytes())
                .map_err(on_write)?;
            database.persist(PersistMode::SyncAll).map_err(on_write)
        }
        None => Err(format("none".into())),
    }
}
