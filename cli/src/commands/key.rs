//! `hedgerow key`.

use bytes::Bytes;
use http::Method;
use node::api::types::Alias;

use super::segment;
use crate::{
    args::{Key, KeyAlias},
    client::Client,
    exit::Failure,
    output::Output,
};

pub(crate) async fn run(command: Key, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Key::Alias(command) => alias(command, client, output).await,
        Key::S3(command) => super::key_s3::run(command, client, output).await,
    }
}

async fn alias(command: KeyAlias, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        KeyAlias::Add { alias, peer } => {
            let path = format!("/api/v1/aliases/{}/{}", segment(&alias), segment(&peer));
            client.call(Method::PUT, &path, Bytes::new(), None).await?;
            Ok(())
        }
        KeyAlias::Rm { alias } => {
            let path = format!("/api/v1/aliases/{}", segment(&alias));
            client
                .call(Method::DELETE, &path, Bytes::new(), None)
                .await?;
            Ok(())
        }
        KeyAlias::Ls => {
            let aliases: Vec<Alias> = client.get("/api/v1/aliases").await?;
            output.result(&aliases, |out| {
                for alias in &aliases {
                    writeln!(out, "{}  {}", alias.peer_id, alias.alias)?;
                }
                Ok(())
            })
        }
    }
}
