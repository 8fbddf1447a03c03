//! Where the time comes from.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds by the machine's clock; 0 before 1970. It decides nothing.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
