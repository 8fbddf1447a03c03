//! What can be set, and the bounds that cannot.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes of a request or response header at most (R2): a page of [`MAX_LIST`] entries
/// with the longest names fits.
pub const MAX_HEADER: usize = 64 * 1024;

/// Entries in one answer to `List` at most (R9).
pub const MAX_LIST: usize = 256;

/// Arcs in one `Digest` request at most (R8): two levels of splitting by 16 would not
/// gain over asking in turns.
pub const MAX_SPANS: usize = 64;

/// How long repair at its rate takes for what passes at once (R13).
pub(crate) const BURST: Duration = Duration::from_millis(250);

/// Arcs that an arc with too many differences is cut into (R12).
pub const SPLIT: usize = 16;

/// Requests of a peer in work at a time on one stream (R4). With items of 1 MiB it is
/// what fills a gigabit path of 100 ms.
pub const MAX_REQUESTS_PER_STREAM: usize = 32;

/// Streams a peer may have open to us on one connection (R4).
pub const MAX_INBOUND_STREAMS: usize = 16;

/// Peers whose streams and score are remembered at a time; idle ones are forgotten first.
pub const MAX_PEERS: usize = 1024;

/// Items waiting for a repair at a time. What does not fit is found by the next
/// reconciliation.
pub const MAX_REPAIRS: usize = 8192;

/// Copies beyond duty that a node may publish: half of what a node may publish at all
/// (L16), the rest is for applications.
pub const MAX_PUBLISHED: usize = 2048;

/// Copies that wait to be kept. What does not fit is not kept here: a cache that does not
/// keep up with the network is no reason to slow down a read.
pub const MAX_KEEPING: usize = 8;

/// How many copies, how patient, how much at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Copies kept of an item: k.
    pub replicas: usize,
    /// Nodes asked for an item before it counts as not found: beyond k, because after a
    /// change of the leaf set the copies move a little later than the responsibility.
    pub search_width: usize,
    /// A request without an answer for so long has failed.
    pub request_timeout: Duration,
    /// Opening a stream, with the dial it may need, takes so long at most.
    pub open_timeout: Duration,
    /// When the asked peer has not delivered for so long, another one is asked as well.
    pub hedge_after: Duration,
    /// A replica that a round trip reaches in so long is near enough: nobody looks for a
    /// copy that is nearer.
    pub near: Duration,
    /// A search for a nearer copy delays a read by a quarter of the round trip to the
    /// nearest replica, and so long at most.
    pub search_wait: Duration,
    /// When nobody else has the item, the search goes on for so long at most.
    pub search_timeout: Duration,
    /// Copies beyond this node's duty that it publishes, those used last; 0: none, and it
    /// looks for none of others.
    pub published: usize,
    /// One copy is published this often at most.
    pub publish_every: Duration,
    /// After the quorum has answered, a put waits so long for the others, so that its
    /// receipt is complete where everybody is quick.
    pub put_grace: Duration,
    /// A put waits so long for a member that is behind with what it was sent before: long
    /// enough to go as fast as the slowest member that works, short where one hangs.
    pub put_wait: Duration,
    /// A stream without requests for so long is closed.
    pub stream_idle: Duration,
    /// A peer that failed is asked last for so long.
    pub avoid_for: Duration,
    /// Streams we open to a peer at most.
    pub streams_per_peer: usize,
    /// Item bytes of one peer's requests in work at most.
    pub inbound_bytes_per_peer: usize,
    /// Item bytes of all peers' requests in work at most.
    pub inbound_bytes: usize,
    /// Item bytes on their way to one peer at most.
    pub outbound_bytes_per_peer: usize,
    /// Item bytes on their way to all peers at most.
    pub outbound_bytes: usize,
    /// Item bytes asked for and not yet handed over at most.
    pub fetch_bytes: usize,
    /// Bytes a second that reconciliation may move.
    pub repair_bytes_per_second: u64,
    /// Reconciliation starts when the leaf set has been quiet for so long.
    pub debounce: Duration,
    /// Reconciliation happens this often when nothing changes.
    pub reconcile_every: Duration,
    /// A failed reconciliation or repair is tried again after so long.
    pub retry_after: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            replicas: 3,
            search_width: 8,
            request_timeout: Duration::from_secs(15),
            open_timeout: Duration::from_secs(5),
            hedge_after: Duration::from_millis(500),
            // What a local network takes under load; a wireless one takes 2 to 5 ms.
            near: Duration::from_millis(5),
            search_wait: Duration::from_millis(25),
            search_timeout: Duration::from_secs(5),
            published: 256,
            // About as often as a full budget is renewed anyway: reading costs no more
            // messages than having read.
            publish_every: Duration::from_secs(1),
            put_grace: Duration::from_millis(100),
            put_wait: Duration::from_secs(2),
            stream_idle: Duration::from_secs(30),
            avoid_for: Duration::from_secs(10),
            streams_per_peer: 4,
            // A quarter of the whole: two peers that hang leave room for the others.
            inbound_bytes_per_peer: 12 << 20,
            inbound_bytes: 48 << 20,
            outbound_bytes_per_peer: 12 << 20,
            outbound_bytes: 48 << 20,
            fetch_bytes: 32 << 20,
            repair_bytes_per_second: 64 << 20,
            debounce: Duration::from_millis(500),
            reconcile_every: Duration::from_secs(600),
            retry_after: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Whether the values make sense together, for items of at most `max_item` bytes.
    pub fn validate(&self, max_item: usize) -> Result<(), String> {
        if self.replicas == 0 {
            return Err("replicas must be at least 1".into());
        }
        if self.search_width < self.replicas {
            return Err("search_width must be at least replicas".into());
        }
        if self.published > MAX_PUBLISHED {
            return Err(format!("published must be at most {MAX_PUBLISHED}"));
        }
        if self.streams_per_peer == 0 || self.streams_per_peer > MAX_INBOUND_STREAMS {
            return Err(format!(
                "streams_per_peer must be 1 to {MAX_INBOUND_STREAMS}"
            ));
        }
        for (name, bytes) in [
            ("inbound_bytes_per_peer", self.inbound_bytes_per_peer),
            ("inbound_bytes", self.inbound_bytes),
            ("outbound_bytes_per_peer", self.outbound_bytes_per_peer),
            ("outbound_bytes", self.outbound_bytes),
            ("fetch_bytes", self.fetch_bytes),
        ] {
            if bytes < max_item || bytes > u32::MAX as usize {
                return Err(format!("{name} must be {max_item} to {}", u32::MAX));
            }
        }
        if self.repair_bytes_per_second == 0 {
            return Err("repair_bytes_per_second must be at least 1".into());
        }
        Ok(())
    }
}
