//! `testground`: runs plans on the lab.

mod args;
mod list;
mod start;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, ExitCode};

use anyhow::{Context, bail};
use clap::Parser;
use testground::sync::{Limits, Server};

use args::{Cli, Command};

/// Nothing was run: the command was not understood, or cannot be done here.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => start::run(&run),
        Command::List { plans } => list::list(&plans),
        Command::SyncService { listen, socket } => sync_service(listen, socket),
        Command::Instance { hostname, command } => instance(&hostname, &command),
        Command::Switch { seed } => lab::switch(seed)
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::new),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(EXIT_USAGE)
    })
}

#[tokio::main(flavor = "current_thread")]
async fn sync_service(listen: SocketAddr, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let mut server = Server::bind(listen, Limits::default()).await?;
    if let Some(path) = socket {
        server = server.with_socket(&path)?;
    }
    println!("listening {}", server.address()?);
    server.serve().await;
    Ok(ExitCode::SUCCESS)
}

/// Gives the host, which is in a namespace of its own, its name, and becomes the program.
fn instance(hostname: &str, command: &[OsString]) -> anyhow::Result<ExitCode> {
    nix::unistd::sethostname(hostname).context("cannot name the host")?;
    let [program, args @ ..] = command else {
        bail!("no program");
    };
    let error = process::Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}
