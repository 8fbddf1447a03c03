//! Times as the records have them and as S3 says them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::Timestamp;

/// The last millisecond of the year 9999: later ones have no form in S3.
const LAST: u64 = 253_402_300_799_999;

/// Now, Unix milliseconds.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64
}

/// A time of a record, whatever its author's clock said.
pub(super) fn timestamp(millis: u64) -> Timestamp {
    (UNIX_EPOCH + Duration::from_millis(millis.min(LAST))).into()
}

/// The same in whole seconds, as HTTP's dates tell it.
pub(super) fn in_seconds(millis: u64) -> Timestamp {
    timestamp(millis / 1000 * 1000)
}
