//! Who asks for what, and when.

use guid::Guid;

/// An object of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its `objectId`.
    pub object: Guid,
    /// Bytes of its body.
    pub size: u32,
}

/// One request of a cacheable object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Microseconds since the trace began.
    pub at: u64,
    /// The client's number.
    pub client: u32,
    /// The item's number.
    pub item: u32,
}

/// A trace of requests.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// How many clients there are.
    pub clients: u32,
    /// How long it is, in microseconds.
    pub length: u64,
    /// What can be cached.
    pub items: Vec<Item>,
    /// The requests for these, in order of time.
    pub requests: Vec<Request>,
    /// Requests of what cannot be cached.
    pub uncacheable: u64,
    /// Their bytes.
    pub uncacheable_bytes: u64,
}

impl Trace {
    /// Requests of whatever kind.
    pub fn all_requests(&self) -> u64 {
        self.requests.len() as u64 + self.uncacheable
    }

    /// Its length in minutes, at least one.
    pub fn minutes(&self) -> f64 {
        (self.length as f64 / 60e6).max(1.0)
    }
}
