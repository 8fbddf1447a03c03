//! Hashing that does not starve what moves bytes.
//!
//! Every item is hashed where it arrives. Left to as many threads as there are items in
//! flight, hashing takes most of a small machine's time from the tasks that drive the
//! connections; over QUIC packets are then lost in the socket's buffer, which is 208 KiB
//! on most Linux systems. One thread hashes faster than a network brings.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::sync::Semaphore;

/// Half of the cores in each runtime, all of its collections together. A program has one
/// runtime; with turns shared between several, one whose clock is paused would see time
/// run on while another one hashes.
static TURNS: LazyLock<Mutex<HashMap<Id, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

fn turns() -> Arc<Semaphore> {
    let runtime = Handle::current().id();
    let mut turns = TURNS.lock();
    if !turns.contains_key(&runtime) {
        // What nobody waits for may be of a runtime that has ended.
        turns.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
    }
    let new = || {
        let cores = available_parallelism().map_or(1, usize::from);
        Arc::new(Semaphore::new((cores / 2).max(1)))
    };
    Arc::clone(turns.entry(runtime).or_insert_with(new))
}

/// Runs `work`, which keeps a core busy for a millisecond or so, on a thread where it
/// holds up no task, when it is its turn. `None` when it panicked or the runtime stops.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = turns().acquire_owned().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}
