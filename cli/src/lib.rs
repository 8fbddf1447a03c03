//! The program `hedgerow`: everything a person does.
//!
//! Results go to stdout, all else to stderr; exit codes are in [`exit`]. Commands talk
//! to the node over the socket in its home. Files are cut into blocks and put together
//! here, in this program: the node gets and gives single verified blocks, many in
//! flight, so a download that was broken off goes on where it stopped.

mod args;
mod bench;
mod blocks_api;
pub mod client;
mod commands;
pub mod exit;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{args::Cli, exit::Failure, output::Output};

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    // clap itself ends the process with code 2 on a usage error.
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    node::init_logging(cli.global.verbose);
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)
        .and_then(|runtime| {
            let result = runtime.block_on(commands::run(cli, &output));
            // A read of stdin that still waits for a key must not keep us.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code as u8)
        }
    }
}

/// The command line's description, for completions and tests.
pub fn command() -> clap::Command {
    Cli::command()
}
