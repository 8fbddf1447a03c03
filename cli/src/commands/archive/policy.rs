//! `hedgerow archive policy`.

use bytes::Bytes;
use http::Method;
use node::api::types::ArchivePolicyStatus;

use crate::{
    args::ArchivePolicy, client::Client, commands::segment, exit::Failure, output::Output,
};

const PATH: &str = "/api/v1/archive-policy";

pub(super) async fn run(
    command: ArchivePolicy,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    match command {
        ArchivePolicy::Add { prefix } => change(Method::PUT, &prefix, client).await,
        ArchivePolicy::Rm { prefix } => change(Method::DELETE, &prefix, client).await,
        ArchivePolicy::Ls => {
            let status: ArchivePolicyStatus = client.get(PATH).await?;
            output.result(&status, |out| {
                for prefix in &status.prefixes {
                    match prefix.as_str() {
                        "" => writeln!(out, "all names")?,
                        prefix => writeln!(out, "{prefix}...")?,
                    }
                }
                Ok(())
            })?;
            output.say(format_args!(
                "{} versions were archived so since the node started, {} wait",
                status.archived, status.waiting
            ));
            for failure in &status.failures {
                output.say(format_args!("{}: {}", failure.name, failure.reason));
            }
            Ok(())
        }
    }
}

async fn change(method: Method, prefix: &str, client: &Client) -> Result<(), Failure> {
    let path = format!("{PATH}?prefix={}", segment(prefix));
    client.call(method, &path, Bytes::new(), None).await?;
    Ok(())
}
