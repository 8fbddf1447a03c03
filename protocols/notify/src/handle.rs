//! What the protocol that opened a channel holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use guid::Guid;
use tokio::sync::{mpsc, oneshot};

use crate::error::FollowError;
use crate::following::{Following, Slot};
use crate::stats::{Counters, Stats};

/// Subjects that a node follows on a channel at most: each is asked for from time to time.
pub const MAX_FOLLOWED: usize = 4_096;

/// Followers of a channel at a time.
pub const MAX_WATCHERS: usize = 64;

/// Subjects of one follower.
pub const MAX_SUBJECTS: usize = 64;

/// What a task of a channel is asked.
pub(crate) enum Ask {
    Follow {
        id: u64,
        /// Each with the version that is known to the follower already.
        subjects: Vec<(Guid, Option<u64>)>,
        slot: Arc<Slot>,
        reply: oneshot::Sender<Result<(), FollowError>>,
    },
    /// A statement of this node's own.
    Announce(Bytes),
}

/// Follows subjects of a channel, and announces what is new. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    counters: Arc<Counters>,
    next: Arc<AtomicU64>,
}

impl Handle {
    pub(crate) fn new(asks: mpsc::Sender<Ask>, counters: Arc<Counters>) -> Handle {
        Handle {
            asks,
            counters,
            next: Arc::default(),
        }
    }

    /// Follows subjects, each from behind the version that is given: what is newest then is
    /// told at once, where it is known or as soon as it was asked for.
    ///
    /// # Errors
    /// Where a bound would be passed, and when the node stops.
    pub async fn follow(
        &self,
        subjects: Vec<(Guid, Option<u64>)>,
    ) -> Result<Following, FollowError> {
        if subjects.is_empty() || subjects.len() > MAX_SUBJECTS {
            return Err(FollowError::Subjects);
        }
        let slot = Arc::<Slot>::default();
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Follow {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            subjects,
            slot: Arc::clone(&slot),
            reply,
        };
        let sent = self.asks.send(ask).await;
        sent.map_err(|_| FollowError::Stopped)?;
        answer.await.unwrap_or(Err(FollowError::Stopped))?;
        Ok(Following::new(slot))
    }

    /// Announces a statement of this node's own. Nobody confirms that it was heard: who was
    /// not there asks.
    pub async fn announce(&self, data: Bytes) {
        // A node that is stopping announces nothing more.
        let _ = self.asks.send(Ask::Announce(data)).await;
    }

    /// What happened since the start.
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }
}
