//! `hedgerow gossip`.

use http::Method;
use node::api::types::TopicMessage;

use super::{
    messages::{self, Parts},
    read_stdin, segment,
};
use crate::{args::Gossip, client::Client, exit::Failure, output::Output};

/// Largest message.
const MAX_MESSAGE: u64 = 64 * 1024;

pub(crate) async fn run(command: Gossip, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Gossip::Publish { topic, message } => {
            let message = match message.as_str() {
                "-" => read_stdin(MAX_MESSAGE).await?,
                _ => message.into_bytes(),
            };
            client
                .call(Method::POST, &path(&topic), message.into(), None)
                .await?;
            Ok(())
        }
        Gossip::Listen { topic } => {
            let ended = "this program did not keep up, or the node is stopping";
            messages::print(&path(&topic), ended, parts, client, output).await
        }
    }
}

/// What is printed of a message.
fn parts(message: &TopicMessage) -> Parts<'_> {
    Parts {
        heading: format!("from {}", message.from),
        message: &message.message,
    }
}

fn path(topic: &str) -> String {
    format!("/api/v1/gossip/{}", segment(topic))
}
