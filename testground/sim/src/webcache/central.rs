//! The yardstick: one cache for everybody.

use super::{Store, Trace};

/// Requests that went to the origin and the bytes that came from there, what cannot be cached
/// included, with one cache of this room.
pub fn central(trace: &Trace, room: u64) -> (u64, u64) {
    let mut store = Store::new(room);
    let (mut trips, mut bytes) = (trace.uncacheable, trace.uncacheable_bytes);
    for request in &trace.requests {
        if !store.has(request.item) {
            let size = trace.items[request.item as usize].size;
            store.keep(request.item, size);
            trips += 1;
            bytes += u64::from(size);
        }
    }
    (trips, bytes)
}
