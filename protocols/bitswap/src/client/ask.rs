//! How far the question for one block is at each peer.

use std::collections::HashMap;

use libp2p_identity::PeerId;
use tokio::time::Instant;

use crate::error::Reason;

/// How far the question to one peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// It was asked whether it has the block.
    Have(Instant),
    /// It says it does.
    Has,
    /// It was asked for the block.
    Block {
        /// When.
        at: Instant,
        /// How many others it owed then.
        before: usize,
    },
    /// It does not give it.
    Over(Reason),
}

impl Ask {
    /// Whether an answer is to come.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Ask::Have(_) | Ask::Block { .. })
    }
}

/// All who were asked. Everybody is of a session, and so bounded with them.
#[derive(Default)]
pub(crate) struct Asked(HashMap<PeerId, Ask>);

impl Asked {
    pub(crate) fn state(&self, peer: &PeerId) -> Option<&Ask> {
        self.0.get(peer)
    }

    /// Notes a new state and gives back the one before.
    pub(crate) fn set(&mut self, peer: PeerId, ask: Ask) -> Option<Ask> {
        self.0.insert(peer, ask)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Ask)> {
        self.0.iter()
    }
}
