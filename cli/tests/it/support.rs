//! Running `hedgerow` and reading what it said.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The program under test.
pub(crate) const HEDGEROW: &str = env!("CARGO_BIN_EXE_hedgerow");

/// Runs `hedgerow` on this machine, without a node, in `home`.
pub(crate) fn alone(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(HEDGEROW);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEDGEROW_")) {
        command.env_remove(name);
    }
    command.arg("--home").arg(home).args(args).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
