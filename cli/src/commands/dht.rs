//! `hedgerow dht`.

use bytes::Bytes;
use data_encoding::BASE64;
use http::Method;
use node::api::types::{Found, Stored};

use super::{read_stdin, segment};
use crate::{
    args::Dht,
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

/// Largest value of a record.
const MAX_VALUE: u64 = 64 * 1024;

pub(crate) async fn run(command: Dht, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Dht::Put { key, value, ttl } => {
            let value = if value == "-" {
                read_stdin(MAX_VALUE).await?
            } else {
                value.into_bytes()
            };
            if value.len() as u64 > MAX_VALUE {
                return Err(Failure::new(
                    Code::Refused,
                    format!("a value has {MAX_VALUE} bytes at most"),
                )
                .with_hint("store it with `hedgerow object put` and the CID here"));
            }
            let path = format!("/api/v1/dht/{}?ttl={}", segment(&key), ttl.as_secs());
            let stored: Stored = client.send_bytes(Method::PUT, &path, value.into()).await?;
            report(&stored, output)
        }
        Dht::Get { key } => {
            let found: Found = client
                .get(&format!("/api/v1/dht/{}", segment(&key)))
                .await?;
            let damaged =
                |why: String| Failure::other(format!("the node's answer is damaged: {why}"));
            let first = found
                .records
                .first()
                .ok_or_else(|| damaged("no record".to_owned()))?;
            let value = BASE64
                .decode(first.value.as_bytes())
                .map_err(|error| damaged(error.to_string()))?;
            output.result(&found, |out| out.write_all(&value))?;
            if found.records.len() > 1 {
                output.say(format_args!(
                    "{} nodes have a value there; this is the one of {} (--json has all)",
                    found.records.len(),
                    first.publisher
                ));
            }
            Ok(())
        }
        Dht::Remove { key } => {
            let path = format!("/api/v1/dht/{}", segment(&key));
            let body = client
                .call(Method::DELETE, &path, Bytes::new(), None)
                .await?;
            let stored: Stored = serde_json::from_slice(&body).map_err(Failure::other)?;
            report(&stored, output)
        }
    }
}

fn report(stored: &Stored, output: &Output) -> Result<(), Failure> {
    output.result(stored, |out| {
        for peer in &stored.stored_on {
            writeln!(out, "{peer}")?;
        }
        Ok(())
    })?;
    for failed in &stored.failed {
        output.say(format_args!(
            "not stored on {}: {}",
            failed.peer_id, failed.reason
        ));
    }
    Ok(())
}
