//! The program `node`: runs a Hedgerow node, and nothing else.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use node::{StartOptions, home::Home, start_failure};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// See [`node::MALLOC_CONF`].
#[allow(
    unsafe_code,
    reason = "jemalloc finds its settings by the name of this symbol"
)]
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; node::MALLOC_CONF.len()] = node::MALLOC_CONF;

/// Runs a Hedgerow node. Everything else is done by the program `hedgerow`.
#[derive(Parser)]
#[command(name = "node", version)]
struct Cli {
    /// The node's home [env: HEDGEROW_HOME] [default: $XDG_DATA_HOME/hedgerow]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Say more on stderr (twice: even more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node in the foreground
    Start(Box<StartOptions>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    node::init_logging(cli.verbose);
    let Command::Start(options) = cli.command;
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            runtime
                .block_on(async { node::run(Home::resolve(cli.home.as_deref())?, &options).await })
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node: {error:#}");
            if let Some(hint) = start_failure::hint(&error) {
                eprintln!("  {hint}");
            }
            ExitCode::from(start_failure::exit_code(&error))
        }
    }
}
