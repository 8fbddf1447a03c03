//! What a peer can make grow, and how far. The reasons stand in the table of the
//! specification.

/// Bytes of a message at most, both ways (Z2).
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Bytes of a block at most (Z5).
pub const MAX_BLOCK: usize = 2 * 1024 * 1024;

/// Entries, blocks and presences of a message at most, each (Z4).
pub const MAX_ITEMS: usize = 16_384;

/// Wants of one peer that are remembered (Z7).
pub const MAX_WANTS_PER_PEER: usize = 1024;

/// Wants of all peers that are remembered (Z7).
pub const MAX_WANTS: usize = 131_072;

/// A message takes no further block once it has so many bytes of them (Z10).
pub const BATCH: usize = 256 * 1024;

/// Bytes on their way to all peers together (Z10).
pub const OUTBOUND_BYTES: usize = 64 * 1024 * 1024;

/// Peers of a session (Z11).
pub const MAX_SESSION_PEERS: usize = 64;

/// Sessions at a time (Z11).
pub const MAX_SESSIONS: usize = 256;

/// Gets under way in all sessions (Z11).
pub const MAX_GETS: usize = 1024;

/// Blocks that one peer may owe this node (Z12).
pub const PIPELINE: usize = 64;

/// Peers that are asked at a time whether they have a block (Z12).
pub const FANOUT: usize = 8;

/// Streams of one peer that are read at a time (Z17).
pub const MAX_INBOUND_STREAMS: usize = 32;

/// Frames of one peer, and of all, that are being read (Z18).
pub(crate) const READING_PER_PEER: usize = 4;
pub(crate) const READING: usize = 32;

/// What a message with blocks holds at most: blocks below [`BATCH`] and one more.
pub(crate) const BATCH_BYTES: usize = BATCH + MAX_BLOCK;

/// Entries that are written in one message; further ones go into the next.
pub(crate) const ENTRIES_PER_MESSAGE: usize = 1024;
