//! Bytes a second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Lets bytes pass at a rate, those of all who share it together.
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let limiter = wire::Limiter::new(1000, Duration::from_secs(1));
/// let begin = tokio::time::Instant::now();
/// for _ in 0..5 {
///     limiter.take(1000).await;
/// }
/// assert_eq!(begin.elapsed(), Duration::from_secs(3));
/// # }
/// ```
#[derive(Debug)]
pub struct Limiter {
    bytes_per_second: u64,
    burst: Duration,
    /// When the bytes let through so far will have taken their time.
    paid_until: Mutex<Instant>,
}

impl Limiter {
    /// A rate of 0 is one of 1. What takes up to `burst` at the rate passes at once.
    #[must_use]
    pub fn new(bytes_per_second: u64, burst: Duration) -> Limiter {
        Limiter {
            bytes_per_second: bytes_per_second.max(1),
            burst,
            paid_until: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `bytes` more may pass.
    pub async fn take(&self, bytes: usize) {
        let start = {
            let paid_until = self.paid_until.lock();
            let mut paid_until = paid_until.unwrap_or_else(PoisonError::into_inner);
            let start = (*paid_until).max(Instant::now());
            let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_second;
            *paid_until = start + Duration::from_micros(micros);
            start
        };
        sleep_until(start.checked_sub(self.burst).unwrap_or(start)).await;
    }
}
