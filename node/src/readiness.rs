//! Telling whoever started the node how far it is.
//!
//! The lines are those of systemd's `sd_notify(3)`: `READY=1`, `STATUS=...`,
//! `STOPPING=1`. They go to stdout, for scripts and tests, and to the socket that
//! `NOTIFY_SOCKET` names, for a service manager.

use std::{
    io::Write,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// Prints `lines` and sends them to the service manager, if there is one.
pub fn notify(lines: &[&str]) {
    let text = lines.join("\n");
    {
        let mut out = std::io::stdout().lock();
        // Whoever closed our stdout does not want the lines; the node runs on.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
    if let Err(error) = send_to_manager(&text) {
        tracing::debug!(%error, "service manager not notified");
    }
}

fn send_to_manager(text: &str) -> std::io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}
