//! `hedgerow pin`.

use node::api::types::{PinEvent, PinStatus};

use super::{
    archive::{check, seconds},
    follow::{follow, misunderstood},
    object::interruptible,
    segment,
};
use crate::{
    args::Pin,
    client::Client,
    exit::Failure,
    output::{Output, size},
};

pub(crate) async fn run(command: Pin, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Pin::Add { reference, no_wait } => {
            check(&reference)?;
            let wait = !no_wait;
            let path = format!("/api/v1/pins/{}?wait={wait}", segment(&reference));
            interruptible(add(&path, client, output), || {
                Failure::other(
                    "interrupted: the node goes on; `hedgerow pin ls` says how far it is",
                )
            })
            .await
        }
        Pin::Ls => {
            let pins: Vec<PinStatus> = client.get("/api/v1/pins").await?;
            output.result(&pins, |out| {
                for pin in &pins {
                    writeln!(out, "{}", line(pin))?;
                }
                Ok(())
            })
        }
        Pin::Rm { reference } => {
            check(&reference)?;
            let path = format!("/api/v1/pins/{}", segment(&reference));
            let removed: Vec<PinStatus> = client
                .send_bytes(http::Method::DELETE, &path, bytes::Bytes::new())
                .await?;
            output.result(&removed, |out| {
                for pin in &removed {
                    writeln!(out, "{}", what(pin))?;
                }
                Ok(())
            })
        }
    }
}

async fn add(path: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let lines = client.post_lines(path).await?;
    let pin = match follow(lines, "pinning", output).await? {
        PinEvent::Pinned(pin) => pin,
        _ => return Err(misunderstood()),
    };
    output.result(&pin, |out| writeln!(out, "{}", line(&pin)))
}

/// A pin in one line.
fn line(pin: &PinStatus) -> String {
    let bytes = match pin.expected_bytes.filter(|_| pin.state != "whole") {
        Some(expected) => format!("{} of {}", size(pin.bytes), size(expected)),
        None => size(pin.bytes).to_string(),
    };
    let mut line = format!(
        "{}  {}  {} blocks, {bytes}  {}",
        what(pin),
        pin.state,
        pin.blocks,
        seconds(pin.added)
    );
    if pin.name.is_some() {
        line.push_str("  ");
        line.push_str(&pin.cid);
    }
    if let Some(reason) = &pin.reason {
        line.push_str(": ");
        line.push_str(reason);
    }
    line
}

fn what(pin: &PinStatus) -> &str {
    pin.name.as_deref().unwrap_or(&pin.cid)
}
