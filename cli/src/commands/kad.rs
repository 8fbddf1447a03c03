//! `hedgerow kad`.

use bytes::Bytes;
use http::Method;
use libp2p::PeerId;
use node::api::types::{KadPeer, KadProvided, KadProviders};

use super::segment;
use crate::{args::Kad, client::Client, exit::Failure, output::Output};

pub(crate) async fn run(command: Kad, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Kad::FindPeer { peer } => {
            let peer: PeerId = peer
                .parse()
                .map_err(|error| Failure::usage(format!("{peer:?} is not a PeerId: {error}")))?;
            let found: KadPeer = client.get(&format!("/api/v1/kad/peers/{peer}")).await?;
            output.result(&found, |out| {
                for address in &found.addresses {
                    writeln!(out, "{address}")?;
                }
                Ok(())
            })
        }
        Kad::Provide { key } => {
            let provided: KadProvided = client
                .send_bytes(Method::PUT, &path(&key), Bytes::new())
                .await?;
            output.result(&provided, |out| writeln!(out, "{}", provided.key))
        }
        Kad::Unprovide { key } => {
            let path = path(&key);
            client
                .call(Method::DELETE, &path, Bytes::new(), None)
                .await?;
            Ok(())
        }
        Kad::Providers { key } => {
            let found: KadProviders = client.get(&path(&key)).await?;
            output.result(&found, |out| {
                for provider in &found.providers {
                    writeln!(out, "{provider}")?;
                }
                Ok(())
            })
        }
    }
}

fn path(key: &str) -> String {
    format!("/api/v1/kad/providers/{}", segment(key))
}
