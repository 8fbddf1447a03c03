//! What keeps a node from starting: the exit code it deserves, and what to do about it.

use crate::{config::ConfigError, home::HomeError, ports::PortInUse, stores::DamagedStore};

/// Exit codes, those of `hedgerow`.
const ERROR: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 6;

/// The exit code for `error`, from [`crate::run`]: 2 for settings that make no sense, 6 for
/// a home or port that is taken, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() {
        USAGE
    } else if error.is::<PortInUse>()
        || matches!(error.downcast_ref(), Some(HomeError::Locked { .. }))
    {
        REFUSED
    } else {
        ERROR
    }
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
