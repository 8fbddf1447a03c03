//! `hedgerow gossip`.

use data_encoding::BASE64;
use http::Method;
use node::api::types::TopicMessage;

use super::{read_stdin, segment};
use crate::{
    args::Gossip,
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

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
        Gossip::Listen { topic } => listen(&topic, client, output).await,
    }
}

/// Prints the messages until the node or the person has enough.
async fn listen(topic: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let mut messages = client.lines(&path(topic)).await?;
    output.say("listening; end with Ctrl-C");
    loop {
        let next = tokio::select! {
            next = messages.next::<TopicMessage>() => next?,
            // The node unsubscribes when the connection closes.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(message) = next else {
            return Err(Failure::new(
                Code::TryAgain,
                "this program did not keep up, or the node is stopping",
            ));
        };
        let bytes = BASE64.decode(message.message.as_bytes()).map_err(|error| {
            Failure::other(format!("the node's answer is not understood: {error}"))
        })?;
        output.say(format_args!("from {}:", message.from));
        output.event(&message, |out| {
            out.write_all(&bytes)?;
            // A message is a line, whether its sender ended it or not.
            if bytes.ends_with(b"\n") {
                return Ok(());
            }
            writeln!(out)
        })?;
    }
}

fn path(topic: &str) -> String {
    format!("/api/v1/gossip/{}", segment(topic))
}
