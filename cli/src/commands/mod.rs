//! The commands, a file for each noun.

mod archive;
mod cache;
mod config;
mod dht;
mod dolr;
mod follow;
mod gossip;
mod kad;
mod key;
mod key_s3;
mod messages;
mod named;
mod node;
mod object;
mod overlay;
mod peers;
mod pin;
mod prune;
mod upkeep;
mod watch;

use ::node::home::Home;
use clap::CommandFactory;

use crate::{
    args::{Bench, Cli, Command},
    bench,
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

/// Runs the command within its time.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let timeout = cli.global.timeout;
    let object = match &cli.command {
        Command::Object(object) => Some(object.clone()),
        _ => None,
    };
    let work = dispatch(cli, output);
    match timeout {
        None => work.await,
        Some(timeout) => tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| {
                let after = humantime::format_duration(timeout);
                let kept = object.as_ref().map(object::left_behind).unwrap_or_default();
                Err(Failure::new(
                    Code::TryAgain,
                    format!("not done within {after}{kept}"),
                ))
            }),
    }
}

async fn dispatch(cli: Cli, output: &Output) -> Result<(), Failure> {
    let home = Home::resolve(cli.global.home.as_deref()).map_err(Failure::other)?;
    let client = Client::new(home);
    match cli.command {
        Command::Node(command) => node::run(command, &client, output).await,
        Command::Peers(command) => peers::run(command, &client, output).await,
        Command::Gossip(command) => gossip::run(command, &client, output).await,
        Command::Kad(command) => kad::run(command, &client, output).await,
        Command::Overlay(command) => overlay::run(command, &client, output).await,
        Command::Dht(command) => dht::run(command, &client, output).await,
        Command::Dolr(command) => dolr::run(command, &client, output).await,
        Command::Archive(command) => archive::run(command, &client, output).await,
        Command::Pin(command) => pin::run(command, &client, output).await,
        Command::Gc { dry_run } => upkeep::gc(dry_run, &client, output).await,
        Command::Fsck { references, here } => upkeep::fsck(references, here, &client, output).await,
        Command::Cache(command) => cache::run(command, &client, output).await,
        Command::Key(command) => key::run(command, &client, output).await,
        Command::Object(command) => object::run(command, &client, output).await,
        Command::Bench(Bench::Transfer(options)) => bench::transfer(options, output).await,
        Command::Config(command) => config::run(command, &client, output).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hedgerow", &mut script);
            output.bytes(&script)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            output.result(&serde_json::json!({ "version": version }), |out| {
                writeln!(out, "hedgerow {version}")
            })
        }
    }
}

/// `text` as one segment of a path in a URL.
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// All of stdin, or a little more than `most` bytes of it.
async fn read_stdin(most: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;

    let read = move || {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(most + 1)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(Failure::other)?
        .map_err(|error| Failure::other(format!("stdin: {error}")))
}

/// Milliseconds for people.
fn millis(rtt: Option<f64>) -> String {
    rtt.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.2} ms"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_stay_one_segment() {
        assert_eq!(super::segment("a/b ?%ü"), "a%2Fb%20%3F%25%C3%BC");
    }
}
