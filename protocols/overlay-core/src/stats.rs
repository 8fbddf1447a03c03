//! Counters.

/// What a node has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Routed messages that ended here.
    pub delivered: u64,
    /// Routed messages passed on, those of this node among them.
    pub forwarded: u64,
    /// Hops that were silent, so that the message was sent again or another way.
    pub retried: u64,
    /// Routed messages taken twice and dropped.
    pub duplicates: u64,
    /// Routed messages given up.
    pub dropped: u64,
    /// Messages that were not dealt with because their peer had sent too many.
    pub limited: u64,
    /// Lookups of this node whose first answer was missing or not plausible, so that they
    /// were sent on several ways.
    pub doubted: u64,
    /// Pointers of others that found no room here.
    pub pointers_refused: u64,
    /// Nodes declared dead.
    pub failures: u64,
    /// Probes and pings sent.
    pub probes: u64,
}
