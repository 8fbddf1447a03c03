//! Hashing that does not starve what moves bytes.
//!
//! Every item is hashed where it arrives. Left to as many threads as there are items in
//! flight, hashing takes most of a small machine's time from the tasks that drive the
//! connections; over QUIC packets are then lost in the socket's buffer, which is 208 KiB
//! on most Linux systems. One thread hashes faster than a network brings.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

/// Half of the cores, all collections together.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    Semaphore::new((cores / 2).max(1))
});

/// Runs `work`, which keeps a core busy for a millisecond or so, on a thread where it
/// holds up no task, when it is its turn. `None` when it panicked or the runtime stops.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = TURNS.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}
