//! The applications of this node (O8).

use std::{collections::BTreeMap, sync::Mutex};

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{AppConfig, AppId, Upcall, Upcalls};

/// What became of an upcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    Queued,
    /// The application's queue is full.
    Full,
    /// There is no such application.
    Nobody,
}

struct App {
    config: AppConfig,
    upcalls: mpsc::Sender<Upcall>,
}

#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<AppId, App>>);

impl Registry {
    fn apps(&self) -> std::sync::MutexGuard<'_, BTreeMap<AppId, App>> {
        // No code that can panic runs while the lock is held.
        self.0.lock().expect("the lock is never poisoned")
    }

    pub(crate) fn register(&self, app: AppId, config: AppConfig) -> Upcalls {
        let (upcalls, receiver) = mpsc::channel(config.queue.max(1));
        self.apps().insert(app, App { config, upcalls });
        Upcalls(receiver)
    }

    /// The applications that intercept.
    pub(crate) fn intercepting(&self) -> Vec<AppId> {
        let apps = self.apps();
        let intercepting = apps.iter().filter(|(_, app)| app.config.intercept);
        intercepting.map(|(id, _)| *id).collect()
    }

    /// Queues an upcall; gives it back if it could not be.
    pub(crate) fn call(&self, app: AppId, upcall: Upcall) -> (Called, Option<Upcall>) {
        let mut apps = self.apps();
        let Some(registered) = apps.get(&app) else {
            return (Called::Nobody, Some(upcall));
        };
        match registered.upcalls.try_send(upcall) {
            Ok(()) => (Called::Queued, None),
            Err(TrySendError::Full(upcall)) => (Called::Full, Some(upcall)),
            Err(TrySendError::Closed(upcall)) => {
                apps.remove(&app);
                (Called::Nobody, Some(upcall))
            }
        }
    }

    /// Calls every application; the number of those whose queue was full.
    pub(crate) fn call_all(&self, upcall: impl Fn() -> Upcall) -> u64 {
        let mut full = 0;
        self.apps()
            .retain(|_, app| match app.upcalls.try_send(upcall()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    full += 1;
                    true
                }
                Err(TrySendError::Closed(_)) => false,
            });
        full
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.apps().keys()).finish()
    }
}
