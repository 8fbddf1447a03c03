//! The program `interop-ping`: a Hedgerow node's transports in libp2p's public interop matrix.
//! It is told what to do by its environment (X18 of `docs/specs/interop-peer.md`).

use std::{io::Write, process::ExitCode};

use interop::contract::{self, environment::Task};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Some of libp2p's errors have several lines.
            let why = format!("{error:#}");
            let why: Vec<&str> = why.lines().map(str::trim).collect();
            eprintln!("interop-ping: {}", why.join(" "));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let task = Task::read(|name| std::env::var(name).ok())?;
    let level = if task.debug { "debug" } else { "info" };
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let measured = contract::run(&task).await?;
    let mut stdout = std::io::stdout();
    stdout.write_all(measured.text(task.dialect).as_bytes())?;
    Ok(stdout.flush()?)
}
