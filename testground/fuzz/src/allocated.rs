//! What a piece of work takes from the allocator: a length that is claimed but not sent
//! must not cost its memory.

use tikv_jemalloc_ctl::thread;

/// Does the work, and says how many bytes this thread has taken from the allocator
/// meanwhile, whether they were given back or not.
pub(crate) fn allocated_by<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = taken();
    let done = work();
    (done, taken() - before)
}

fn taken() -> u64 {
    let counter = thread::allocatedp::read().expect("this crate makes jemalloc the allocator");
    counter.get()
}
