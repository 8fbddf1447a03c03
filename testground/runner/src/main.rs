//! `testground`: runs plans on the lab.

mod args;
mod list;
mod start;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use testground::sync::{Limits, Server};

use args::{Cli, Command};

/// Nothing was run: the command was not understood, or cannot be done here.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => start::run(&run),
        Command::List { plans } => list::list(&plans),
        Command::SyncService { listen } => sync_service(listen),
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
async fn sync_service(listen: SocketAddr) -> anyhow::Result<ExitCode> {
    let server = Server::bind(listen, Limits::default()).await?;
    println!("listening {}", server.address()?);
    server.serve().await;
    Ok(ExitCode::SUCCESS)
}
