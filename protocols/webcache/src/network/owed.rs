//! What the home is owed by who asks the origin (Q9).

use std::{sync::Arc, time::Duration, time::SystemTime};

use guid::Guid;

use super::node::Node;
use crate::{keeper::NotKept, store::Meta};

/// What came of asking the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This, which is in the store or on its way there.
    Got(Seen),
    /// What was in the store is right.
    Same(Seen),
    /// Something that peers may not have.
    Private,
    /// Nothing.
    Failed,
}

/// An answer as peers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(super) version: u64,
    pub(super) size: u64,
    pub(super) fresh: Duration,
}

/// As long as anything is said to be fresh: what lasts longer need not be told.
const MAX_FRESH: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Seen {
    pub(super) fn of(meta: &Meta) -> Seen {
        Seen {
            version: meta.version,
            size: meta.size,
            fresh: meta.policy.time_to_live(SystemTime::now()).min(MAX_FRESH),
        }
    }
}

impl Outcome {
    pub(crate) fn of_new(meta: &Meta) -> Outcome {
        Outcome::shared(meta, Outcome::Got)
    }

    pub(crate) fn of_renewed(meta: &Meta) -> Outcome {
        Outcome::shared(meta, Outcome::Same)
    }

    /// What has no room here may be kept by others.
    pub(crate) fn of_not_kept(why: NotKept) -> Outcome {
        match why {
            NotKept::Private => Outcome::Private,
            NotKept::NoRoom => Outcome::Failed,
        }
    }

    /// What is stale as it comes is as good as private: everybody has to ask.
    fn shared(meta: &Meta, outcome: impl FnOnce(Seen) -> Outcome) -> Outcome {
        let seen = Seen::of(meta);
        match meta.shared && !seen.fresh.is_zero() {
            true => outcome(seen),
            false => Outcome::Private,
        }
    }
}

/// The duty to say what came of asking the origin. Dropped unpaid, nothing came of it.
#[derive(Debug)]
pub(crate) struct Owed(Option<(Arc<Node>, Guid)>);

impl Owed {
    pub(super) fn new(node: Arc<Node>, object: Guid) -> Owed {
        Owed(Some((node, object)))
    }

    /// Where nobody is to be told.
    pub(crate) fn nothing() -> Owed {
        Owed(None)
    }

    /// Somebody else tells.
    pub(super) fn forgive(mut self) {
        self.0 = None;
    }

    /// Says what came of it. What was got must be in the store by now, or on its way.
    pub(crate) fn pay(mut self, outcome: Outcome) {
        if let Some((node, object)) = self.0.take() {
            node.fetched(object, webcache_core::Purpose::Own, outcome);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some((node, object)) = self.0.take() {
            node.fetched(object, webcache_core::Purpose::Own, Outcome::Failed);
        }
    }
}
