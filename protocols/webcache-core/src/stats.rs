//! Counters.

/// What a node's part has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests of clients.
    pub requests: u64,
    /// Answered from the own store, which was fresh.
    pub local: u64,
    /// Answered from the own store, after another node said that it is current.
    pub validated: u64,
    /// Answered with a body that another node had.
    pub peer_hits: u64,
    /// Answered with a body that the home got from the origin for it.
    pub peer_misses: u64,
    /// Answered by asking the origin from here.
    pub origin: u64,
    /// Not answered, or sent to the origin by themselves.
    pub failed: u64,
    /// Homes and delegates that were silent or out of reach.
    pub silent: u64,
    /// Bodies sent to others.
    pub served: u64,
    /// Objects that others were offered.
    pub offered: u64,
    /// Objects that were taken over from others.
    pub taken_over: u64,
    /// Messages that answered nothing that was asked, or were out of bounds.
    pub unexpected: u64,
    /// Questions of peers that were sent to the origin for want of room.
    pub turned_away: u64,
    /// Entries forgotten for want of room.
    pub forgotten: u64,
}
