//! `testground`: runs plans on the lab.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use testground::sync::{Limits, Server};

/// Runs plans in Testground's layout on an emulated network.
#[derive(Debug, Parser)]
#[command(name = "testground", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The sync service alone, until it is ended
    SyncService {
        /// Where it listens
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5050")]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::SyncService { listen } => sync_service(listen),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn sync_service(listen: SocketAddr) -> anyhow::Result<ExitCode> {
    let server = Server::bind(listen, Limits::default()).await?;
    println!("listening {}", server.address()?);
    server.serve().await;
    Ok(ExitCode::SUCCESS)
}
