//! `hedgerow node`.

use bytes::Bytes;
use http::Method;
use node::{api::types, config::ConfigError, home::HomeError, ports::PortInUse};

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
            .map_err(start_failure),
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
                writeln!(
                    out,
                    "blocks    {} ({})",
                    status.blocks,
                    size(status.block_bytes)
                )?;
                if let Some(resident) = status.resident_bytes {
                    writeln!(out, "memory    {}", size(resident))?;
                }
                let uptime = std::time::Duration::from_secs(status.uptime_seconds);
                writeln!(out, "up        {}", humantime::format_duration(uptime))?;
                writeln!(out, "api       {}", status.api)?;
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
fn start_failure(error: anyhow::Error) -> Failure {
    let code = if error.is::<ConfigError>() {
        Code::Usage
    } else if error.is::<PortInUse>()
        || matches!(error.downcast_ref(), Some(HomeError::Locked { .. }))
    {
        Code::Refused
    } else {
        Code::Error
    };
    let failure = Failure::new(code, format!("{error:#}"));
    match error.downcast_ref() {
        Some(HomeError::Locked { home, .. }) => failure.with_hint(format!(
            "stop it with: hedgerow --home {} node stop, or choose another --home",
            home.display()
        )),
        _ => failure,
    }
}
