//! The protocol in the Swarm, and what runs beside it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use libp2p_identity::Keypair;
use replicas::Placement;

use crate::{Handle, RecordStore, Records};

/// Serves records to peers and carries the [`Handle`]'s requests.
pub type Behaviour = replicas::Behaviour<Records>;

/// How often expired records are dropped (D7). Nobody is served one in between; this
/// only frees their room.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The protocol over `store` for the node with this key. Starts the task that drops
/// expired records; it ends with the store.
///
/// # Panics
/// Outside a tokio runtime, and when `config` is not valid for items of
/// [`crate::MAX_RECORD`] bytes (see [`replicas::Config::validate`]).
pub fn new(
    config: replicas::Config,
    store: Arc<dyn RecordStore>,
    placement: impl Placement,
    keypair: Keypair,
) -> (Behaviour, Handle) {
    tokio::spawn(sweep(Arc::downgrade(&store)));
    let behaviour = Behaviour::new(config, Arc::new(Records::new(store)), placement);
    let handle = Handle::new(behaviour.handle(), keypair);
    (behaviour, handle)
}

async fn sweep(store: Weak<dyn RecordStore>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else {
            return;
        };
        match store.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "expired records dropped"),
            Err(error) => tracing::warn!(%error, "expired records could not be dropped"),
        }
    }
}
