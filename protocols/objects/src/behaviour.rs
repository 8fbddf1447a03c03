//! The protocol in the Swarm.

use std::sync::Arc;

use replicas::Placement;

use crate::{HeadStore, Newest};

/// Serves heads to peers and carries the requests of a [`crate::Handle`], which takes this
/// behaviour's own handle when it is made.
pub type Behaviour = replicas::Behaviour<Newest>;

/// The protocol over `store`.
///
/// # Panics
/// When `config` is not valid for items of [`crate::MAX_HEADS_BYTES`] bytes (see
/// [`replicas::Config::validate`]).
pub fn new(
    config: replicas::Config,
    store: Arc<dyn HeadStore>,
    placement: impl Placement,
) -> Behaviour {
    Behaviour::new(config, Arc::new(Newest::new(store)), placement)
}
