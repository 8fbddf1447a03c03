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

/// Says in a line why a test cannot run here; where all must run that is a failure.
pub(crate) fn skip(test: &str, reason: &str) {
    assert!(
        std::env::var_os("LAB_REQUIRED").is_none(),
        "{test}: {reason} (LAB_REQUIRED is set)"
    );
    eprintln!("skipped: {test}: {reason}");
}

/// Whether these programs are here. If not, says so, or panics where `LAB_REQUIRED` is set.
pub(crate) fn have_or_skip(test: &str, programs: &[&str]) -> bool {
    let works = |program: &&&str| {
        let (program, args) = match **program {
            "pip" => ("python3", ["-m", "pip", "--version"].as_slice()),
            "go" => ("go", ["version"].as_slice()),
            program => (program, ["--version"].as_slice()),
        };
        let said = Command::new(program).args(args).output();
        said.is_ok_and(|said| said.status.success())
    };
    let missing: Vec<_> = programs.iter().filter(|program| !works(program)).collect();
    if missing.is_empty() {
        return true;
    }
    skip(test, &format!("no {missing:?} here"));
    false
}
