//! The protocol in the Swarm, and what runs beside it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use replicas::Placement;

use crate::{Claims, Handle, Store};

/// Serves claims to peers and carries the [`Handle`]'s requests.
pub type Behaviour = replicas::Behaviour<Claims>;

/// How often releases that have ended are dropped (CL4). Nobody is served one in between; this
/// only frees their room.
pub const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// The protocol over `store`. Starts the task that drops what has ended; it ends with the store.
///
/// # Panics
/// Outside a tokio runtime, and when `config` is not valid for items of [`crate::MAX_ITEM`]
/// bytes (see [`replicas::Config::validate`]).
pub fn new(
    config: replicas::Config,
    store: Arc<dyn Store>,
    placement: impl Placement,
) -> (Behaviour, Handle) {
    tokio::spawn(sweep(Arc::downgrade(&store)));
    let behaviour = Behaviour::new(config, Arc::new(Claims::new(store)), placement);
    let handle = Handle::new(behaviour.handle());
    (behaviour, handle)
}

async fn sweep(store: Weak<dyn Store>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else {
            return;
        };
        match store.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "ended releases dropped"),
            Err(error) => tracing::warn!(%error, "ended releases could not be dropped"),
        }
    }
}
