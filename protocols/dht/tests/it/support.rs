//! A clock to turn, keys to sign with, stores of both kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dht::{Clock, FjallRecords, Limits, MemoryRecords, Record, RecordStore};
use guid::Guid;
use libp2p_identity::Keypair;
use tempfile::TempDir;

/// When the tests take place: some day in 2033.
pub(crate) const NOW: u64 = 2_000_000_000;

pub(crate) const KEY: Guid = Guid::new(0x42);

#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> TestClock {
        TestClock(Arc::new(AtomicU64::new(NOW)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The same key for the same number, in every run.
pub(crate) fn keypair(number: u8) -> Keypair {
    Keypair::ed25519_from_bytes([number; 32]).unwrap()
}

pub(crate) fn own() -> Guid {
    Guid::of_key(&keypair(200).public().encode_protobuf())
}

/// Publisher 1's record under [`KEY`]; a tombstone without a value.
pub(crate) fn record(seq: u64, lifetime: u64, value: Option<&str>) -> Record {
    signed(1, KEY, seq, NOW + lifetime, value)
}

pub(crate) fn signed(
    publisher: u8,
    key: Guid,
    seq: u64,
    expires: u64,
    value: Option<&str>,
) -> Record {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    Record::sign(&keypair(publisher), key, seq, expires, value).unwrap()
}

/// Both kinds of store, with a clock each and what keeps them on disk.
pub(crate) struct Bench {
    pub(crate) clock: TestClock,
    pub(crate) store: Arc<dyn RecordStore>,
    _directory: Option<TempDir>,
}

pub(crate) fn benches(limits: Limits) -> Vec<Bench> {
    let clock = TestClock::new();
    let memory = MemoryRecords::new(own(), limits, Arc::new(clock.clone()));
    let memory = Bench {
        clock,
        store: Arc::new(memory),
        _directory: None,
    };
    let clock = TestClock::new();
    let directory = TempDir::new().unwrap();
    let disk = FjallRecords::open(directory.path(), own(), limits, Arc::new(clock.clone()));
    let disk = Bench {
        clock,
        store: Arc::new(disk.unwrap()),
        _directory: Some(directory),
    };
    vec![memory, disk]
}
