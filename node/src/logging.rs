//! Logs on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging: `RUST_LOG` decides, else `verbose`, the number of `-v` flags.
pub fn init(verbose: u8) {
    let level = match verbose {
        // s3s calls every mistake of a client an error.
        0 => "warn,s3s=off",
        1 => "info,libp2p=warn,hickory=warn,s3s=off",
        2 => "debug,s3s=info,libp2p=info,hyper=info,fjall=info,lsm_tree=info,yamux=info,quinn=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // A second call, as by a test, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .try_init();
}
