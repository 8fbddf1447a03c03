//! A root that is kept with all its blocks.

use cid::Cid;
use serde::{Deserialize, Serialize};

/// Pins that a node has at most.
pub const MAX_PINS: usize = 4096;

/// A root that is kept with all its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The root.
    pub root: Cid,
    /// What it was called when it was pinned.
    pub label: String,
    /// Unix seconds when that was.
    pub added: u64,
    /// How far it is.
    pub state: PinState,
    /// Blocks that are here.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes there will be as far as the root tells, once that is here.
    pub expected: Option<u64>,
}

/// How far a pin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinState {
    /// All its blocks are here.
    Whole,
    /// They are being got, or wait for their turn.
    Getting,
    /// One could not be got; it is tried again.
    Failed(String),
}

/// A pin as it is on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) label: String,
    pub(crate) added: u64,
    pub(crate) whole: bool,
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
    pub(crate) expected: Option<u64>,
}
