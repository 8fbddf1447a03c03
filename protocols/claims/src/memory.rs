//! The store in memory: gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use cid::Cid;
use guid::Span;
use parking_lot::Mutex;
use replicas::StoreError;

use crate::item::RELEASE_LIFE;
use crate::key::{BlockKey, Key, block_key, ranges};
use crate::room::Room;
use crate::row::{Row, Verdict, judge};
use crate::state::{Read, Tally, free_page, list_page, tally};
use crate::store::{SWEEP_STEP, full};
use crate::{Claim, Clock, FreePage, Item, Limits, Outcome, Refused, State, Store, Usage};

/// A store in memory.
pub struct MemoryClaims {
    clock: Arc<dyn Clock>,
    room: Room,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    rows: BTreeMap<Key, Row>,
    /// Releases by their time, so that a sweep touches no others.
    ends: BTreeSet<(u64, Key)>,
    puts: BTreeMap<BlockKey, u64>,
}

impl MemoryClaims {
    /// An empty store.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> MemoryClaims {
        MemoryClaims {
            clock,
            room: Room::new(limits, 0),
            kept: Mutex::default(),
        }
    }

    fn keep(&self, kept: &mut Kept, key: Key, row: Row, now: u64) -> Result<(), StoreError> {
        let there = kept.rows.contains_key(&key);
        if !there && !self.room.has_room(0) {
            self.sweep_step(kept, now);
        }
        if !there && !self.room.has_room(0) {
            self.room.refused(now);
            return Err(full(self.room.usage().limit));
        }
        self.remove(kept, &key);
        if let Some(release) = row.release {
            kept.ends.insert((release.time, key));
        }
        kept.rows.insert(key, row);
        self.room.add(1);
        Ok(())
    }

    fn remove(&self, kept: &mut Kept, key: &Key) {
        if let Some(row) = kept.rows.remove(key) {
            if let Some(release) = row.release {
                kept.ends.remove(&(release.time, *key));
            }
            self.room.remove(1);
        }
    }

    fn sweep_step(&self, kept: &mut Kept, now: u64) -> usize {
        let due = kept.ends.iter();
        let due: Vec<Key> = due
            .take_while(|(time, _)| time.saturating_add(RELEASE_LIFE) <= now)
            .take(SWEEP_STEP)
            .map(|(_, key)| *key)
            .collect();
        for key in &due {
            self.remove(kept, key);
            kept.forget_put(&key.block(), now);
        }
        due.len()
    }
}

impl Kept {
    fn tally(&self, block: &BlockKey, now: u64) -> Tally {
        let rows = self.rows.range(Key::first_of(block)..);
        let rows = rows.take_while(|(key, _)| key.block() == *block);
        tally(rows.map(|(_, row)| Ok(Some(*row))), now).unwrap_or_default()
    }

    /// A put is remembered as long as there is a release that it may be later than.
    fn forget_put(&mut self, block: &BlockKey, now: u64) {
        if !self.tally(block, now).has_release() {
            self.puts.remove(block);
        }
    }

    fn range(&self, range: (Bound<Key>, Bound<Key>)) -> impl Iterator<Item = Read> + '_ {
        let rows = self.rows.range(range);
        rows.map(|(key, row)| Ok((*key, Some(*row))))
    }
}

#[async_trait::async_trait]
impl Store for MemoryClaims {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    async fn put(&self, item: Item) -> Result<Outcome, Refused> {
        let now = self.clock.now();
        item.check_time(now)?;
        let key = Key::of(item.name());
        let kept = &mut *self.kept.lock();
        match judge(kept.rows.get(&key), &item, now) {
            Verdict::Known { version } => Ok(Outcome {
                version,
                new: false,
            }),
            Verdict::Keep(row) => {
                self.keep(kept, key, row, now)?;
                let version = row.version();
                Ok(Outcome { version, new: true })
            }
        }
    }

    async fn get(&self, name: Claim) -> Result<Option<Item>, StoreError> {
        let now = self.clock.now();
        let row = self.kept.lock().rows.get(&Key::of(&name)).copied();
        let row = row.filter(|row| row.is_live(now));
        Ok(row.map(|row| match row.release {
            None => Item::claim(name),
            Some(release) => Item::release(name.block, &release.secret, release.time),
        }))
    }

    async fn version(&self, name: Claim) -> Result<Option<u64>, StoreError> {
        let item = self.get(name).await?;
        Ok(item.map(|item| item.version()))
    }

    async fn list(
        &self,
        span: Span,
        after: Option<Claim>,
        limit: usize,
    ) -> Result<Vec<(Claim, u64)>, StoreError> {
        let kept = self.kept.lock();
        let rows = ranges(span, after.as_ref()).into_iter();
        let rows = rows.flat_map(|range| kept.range(range));
        list_page(rows, limit, self.clock.now())
    }

    async fn state(&self, block: &Cid) -> Result<State, StoreError> {
        let (key, kept) = (block_key(block), self.kept.lock());
        let tally = kept.tally(&key, self.clock.now());
        Ok(tally.state(kept.puts.get(&key).copied()))
    }

    async fn put_again(&self, block: &Cid) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (key, kept) = (block_key(block), &mut *self.kept.lock());
        if kept.tally(&key, now).notes_puts() {
            kept.puts.insert(key, now);
        }
        Ok(())
    }

    async fn free(&self, after: Option<Cid>, limit: usize) -> Result<FreePage, StoreError> {
        let kept = self.kept.lock();
        let from = after.map_or(Bound::Unbounded, |after| {
            Bound::Excluded(Key::last_of(&after))
        });
        let put = |block: &Cid| Ok(kept.puts.get(&block_key(block)).copied());
        let rows = kept.range((from, Bound::Unbounded));
        free_page(rows, limit, self.clock.now(), put)
    }

    async fn discard(&self, name: Claim) -> Result<(), StoreError> {
        let (key, kept) = (Key::of(&name), &mut *self.kept.lock());
        self.remove(kept, &key);
        kept.forget_put(&key.block(), self.clock.now());
        Ok(())
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        let mut swept = 0;
        loop {
            let step = self.sweep_step(&mut self.kept.lock(), self.clock.now());
            swept += step;
            if step < SWEEP_STEP {
                return Ok(swept);
            }
        }
    }

    fn usage(&self) -> Usage {
        self.room.usage()
    }

    fn is_full(&self) -> bool {
        self.room.is_full(self.clock.now())
    }
}
