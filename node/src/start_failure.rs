//! What keeps a node from starting: the exit code it deserves, and what to do about it.

use std::io::{self, ErrorKind};

use replicas::StoreError;

use crate::{config::ConfigError, home::HomeError, ports::PortInUse, stores::DamagedStore};

/// Exit codes, those of `hedgerow`.
const ERROR: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 6;

/// The exit code for `error`, from [`crate::run`]: 2 for settings that make no sense, 6 for
/// a home or port that is taken, for what the system does not allow and for a full disk,
/// else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() {
        USAGE
    } else if error.is::<PortInUse>()
        || matches!(error.downcast_ref(), Some(HomeError::Locked { .. }))
        || matches!(error.downcast_ref(), Some(StoreError::Full(_)))
        || error.chain().any(is_refusal)
    {
        REFUSED
    } else {
        ERROR
    }
}

/// Whether the system said that something is not allowed, or that there is no room.
pub fn is_refusal(cause: &(dyn std::error::Error + 'static)) -> bool {
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(
            ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
        )
    )
}

/// What a person can do about `error`, where that is known and the text does not say so.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(HomeError::Locked { home, .. }) = error.downcast_ref() {
        return Some(format!(
            "stop it with: hedgerow --home {} node stop, or choose another --home",
            home.display()
        ));
    }
    if let Some(DamagedStore { path, .. }) = error.downcast_ref() {
        let path = path.display();
        return Some(format!(
            "move it away and start again: mv {path} {path}.damaged; \
             what other nodes have copies of comes back by itself"
        ));
    }
    None
}
