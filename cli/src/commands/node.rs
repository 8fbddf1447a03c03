//! `hedgerow node`.

use bytes::Bytes;
use http::Method;
use node::{api::types, start_failure};

use crate::{
    args::Node,
    client::Client,
    exit::{Code, Failure},
    output::{Output, size},
};

pub(crate) async fn run(command: Node, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Node::Start(options) => node::run(client.home().clone(), &options)
            .await
            .map_err(not_started),
        Node::Stop => {
            client
                .call(Method::POST, "/api/v1/node/stop", Bytes::new(), None)
                .await?;
            client.wait_stopped().await;
            output.say("stopped");
            Ok(())
        }
        Node::Status => {
            let status: types::NodeStatus = client.get("/api/v1/node").await?;
            output.result(&status, |out| {
                writeln!(out, "peer      {}", status.peer_id)?;
                writeln!(out, "guid      {}", status.guid)?;
                writeln!(out, "version   {}", status.version)?;
                writeln!(out, "process   {}", status.pid)?;
                writeln!(out, "home      {}", status.home)?;
                writeln!(out, "overlay   {}", status.overlay)?;
                writeln!(
                    out,
                    "peers     {} ({} in the leaf set)",
                    status.peers, status.leaf_set
                )?;
                writeln!(out, "reachable {}", status.reachability)?;
                for relay in &status.relays {
                    let how = relay.error.as_ref().unwrap_or(&relay.state);
                    writeln!(out, "relay     {} ({how})", relay.relay)?;
                }
                writeln!(
                    out,
                    "relaying  {}",
                    match &status.relaying {
                        types::Relaying { offered: false, .. } => "no".to_owned(),
                        some => format!(
                            "{} circuits, for {} peers that hold a reservation",
                            some.circuits, some.reservations
                        ),
                    }
                )?;
                writeln!(
                    out,
                    "blocks    {} ({})",
                    status.blocks,
                    size(status.block_bytes)
                )?;
                writeln!(
                    out,
                    "cached    {} ({})",
                    status.cached,
                    size(status.cached_bytes)
                )?;
                writeln!(out, "published {}", status.published)?;
                if let Some(resident) = status.resident_bytes {
                    writeln!(out, "memory    {}", size(resident))?;
                }
                let uptime = std::time::Duration::from_secs(status.uptime_seconds);
                writeln!(out, "up        {}", humantime::format_duration(uptime))?;
                writeln!(out, "api       {}", status.api)?;
                writeln!(out, "s3        {}", status.s3)?;
                for address in &status.addresses {
                    writeln!(out, "listens   {address}")?;
                }
                Ok(())
            })
        }
        Node::Id => {
            let id: types::NodeId = client.get("/api/v1/node/id").await?;
            output.result(&id, |out| {
                writeln!(out, "{}", id.peer_id)?;
                writeln!(out, "guid {}", id.guid)?;
                for address in &id.addresses {
                    writeln!(out, "{address}")?;
                }
                Ok(())
            })
        }
    }
}

/// What keeps a node from starting, with the exit code it deserves.
fn not_started(error: anyhow::Error) -> Failure {
    let code = Code::of(start_failure::exit_code(&error));
    Failure {
        hint: start_failure::hint(&error),
        ..Failure::new(code, format!("{error:#}"))
    }
}
