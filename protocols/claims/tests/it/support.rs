//! A clock to turn, blocks and secrets by number, stores of both kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blocks::{Block, RAW};
use cid::Cid;
use claims::{Claim, Clock, FjallClaims, Item, Limits, MemoryClaims, Secret, Store};
use tempfile::TempDir;

/// When the tests take place: some day in 2033, at noon.
pub(crate) const NOW: u64 = 2_000_030_400;

pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;

#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> TestClock {
        TestClock(Arc::new(AtomicU64::new(NOW)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The same block for the same number, in every run.
pub(crate) fn block(number: u16) -> Cid {
    let bytes = number.to_be_bytes().to_vec();
    *Block::of(RAW, bytes.into()).unwrap().cid()
}

pub(crate) fn secret(number: u16) -> Secret {
    let mut bytes = [7; Secret::LEN];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    Secret::from_bytes(bytes)
}

pub(crate) fn name(of: u16, by: u16) -> Claim {
    Claim::of(block(of), &secret(by))
}

pub(crate) fn claim(of: u16, by: u16) -> Item {
    Item::claim(name(of, by))
}

pub(crate) fn release(of: u16, by: u16, time: u64) -> Item {
    Item::release(block(of), &secret(by), time)
}

/// A store, with its clock and what keeps it on disk.
pub(crate) struct Bench {
    pub(crate) clock: TestClock,
    pub(crate) store: Arc<dyn Store>,
    _directory: Option<TempDir>,
}

/// Both kinds of store.
pub(crate) fn benches(limits: Limits) -> Vec<Bench> {
    let clock = TestClock::new();
    let memory = MemoryClaims::new(limits, Arc::new(clock.clone()));
    let memory = Bench {
        clock,
        store: Arc::new(memory),
        _directory: None,
    };
    let clock = TestClock::new();
    let directory = TempDir::new().unwrap();
    let disk = FjallClaims::open(directory.path(), limits, Arc::new(clock.clone()));
    let disk = Bench {
        clock,
        store: Arc::new(disk.unwrap()),
        _directory: Some(directory),
    };
    vec![memory, disk]
}

/// All free blocks of a store, page by page.
pub(crate) async fn all_free(store: &dyn Store, limit: usize) -> Vec<(Cid, u64)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.free(after, limit).await.unwrap();
        all.extend(page.blocks);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}
