//! Bytes a second for repair (H22).

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Lets bytes pass at a rate, with bursts of a second.
pub(crate) struct Limiter {
    bytes_per_second: u64,
    /// When the bytes let through so far will have taken their time.
    paid_until: Mutex<Instant>,
}

const BURST: Duration = Duration::from_secs(1);

impl Limiter {
    pub(crate) fn new(bytes_per_second: u64) -> Limiter {
        Limiter {
            bytes_per_second: bytes_per_second.max(1),
            paid_until: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `bytes` more may pass.
    pub(crate) async fn take(&self, bytes: usize) {
        let start = {
            let mut paid_until = self.paid_until.lock().await;
            let start = (*paid_until).max(Instant::now());
            let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_second;
            *paid_until = start + Duration::from_micros(micros);
            start
        };
        sleep_until(start.checked_sub(BURST).unwrap_or(start)).await;
    }
}
