//! A lab with a Redis in it.

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use interop::contract::report::Measured;
use lab::{Lab, Process};
use serde_json::Value;

/// Longer than anything takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes: the Redis, the side that listens, the side that dials.
pub(crate) const REDIS: usize = 0;
pub(crate) const LISTENER: usize = 1;
pub(crate) const DIALER: usize = 2;

const PORT: u16 = 6379;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_interop-ping");

pub(crate) struct Meeting {
    pub(crate) lab: Lab,
}

impl Meeting {
    /// None where there is no lab or no Redis, which is said in a line, or a failure where
    /// nothing may be skipped.
    pub(crate) fn new(test: &str) -> Option<Meeting> {
        if !Lab::available_or_skip(test) {
            return None;
        }
        for tool in ["redis-server", "redis-cli"] {
            let found = Command::new(tool).arg("--version").output();
            if !found.is_ok_and(|output| output.status.success()) {
                let required = std::env::var_os("LAB_REQUIRED").is_some();
                assert!(!required, "{test} needs {tool} (LAB_REQUIRED is set)");
                eprintln!("skipped: {test}: `{tool}` does not work");
                return None;
            }
        }
        let lab = Lab::builder().nodes(3).ipv4_only().build().unwrap();
        let ip = lab.ipv4(REDIS, 0).to_string();
        let port = PORT.to_string();
        let args = [
            "--bind",
            &ip,
            "--port",
            &port,
            "--save",
            "",
            "--protected-mode",
            "no",
        ];
        let redis = lab.spawn(REDIS, "redis", "redis-server", args).unwrap();
        let ready = |line: &str| line.contains("Ready to accept connections");
        redis.wait_line("Redis", PATIENCE, ready).unwrap();
        Some(Meeting { lab })
    }

    pub(crate) fn redis(&self) -> String {
        format!("{}:{PORT}", self.lab.ipv4(REDIS, 0))
    }

    /// A command of Redis; its answer.
    pub(crate) fn say(&self, args: &[&str]) -> String {
        let ip = self.lab.ipv4(REDIS, 0).to_string();
        let args = ["-h", &ip, "--raw"].into_iter().chain(args.iter().copied());
        let output = self.lab.output(REDIS, "redis-cli", args).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn command(&self, node: usize, variables: &[(&str, &str)]) -> Command {
        let mut command = self.lab.command(node, PROGRAM).unwrap();
        command.envs(variables.iter().copied());
        command
    }

    /// A side that runs to its end.
    pub(crate) fn run(&self, node: usize, variables: &[(&str, &str)]) -> Output {
        self.command(node, variables).output().unwrap()
    }

    /// A side that runs on; `label` names its logs.
    pub(crate) fn start(
        &self,
        node: usize,
        label: &str,
        variables: &[(&str, &str)],
    ) -> Arc<Process> {
        let command = self.command(node, variables);
        self.lab.spawn_command(label, command).unwrap()
    }
}

/// What a dialler printed in JSON, or why it printed nothing.
pub(crate) fn measured(output: &Output) -> Measured {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ms = |name: &str| Duration::from_secs_f64(found[name].as_f64().unwrap() / 1000.0);
    Measured {
        handshake_plus_one_rtt: ms("handshakePlusOneRTTMillis"),
        ping: ms("pingRTTMilllis"),
    }
}

/// That a program failed as it should, and said so.
pub(crate) fn assert_fails(output: &Output, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "stdout is for results");
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("interop-ping: ") && last.contains(says),
        "{said}"
    );
}

/// The folder where foreign peers are built.
pub(crate) fn built() -> std::path::PathBuf {
    let debug = Path::new(PROGRAM).parent().unwrap();
    debug.parent().unwrap().join("interop")
}
