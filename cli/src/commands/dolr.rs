//! `hedgerow dolr`.

use bytes::Bytes;
use data_encoding::BASE64;
use http::Method;
use node::api::types::{Located, ObjectMessage, PublishedObject, Sent};

use super::{read_stdin, segment};
use crate::{
    args::Dolr,
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

/// Largest message to an object.
const MAX_MESSAGE: u64 = 64 * 1024;

pub(crate) async fn run(command: Dolr, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Dolr::Publish { key, listen: true } => listen(&key, client, output).await,
        Dolr::Publish { key, listen: false } => {
            let path = format!("/api/v1/dolr/{}", segment(&key));
            let published: PublishedObject =
                client.send_bytes(Method::PUT, &path, Bytes::new()).await?;
            output.result(&published, |out| writeln!(out, "{}", published.key))?;
            output.say(format_args!(
                "found by {} roots; {} nodes point here",
                published.roots, published.pointers
            ));
            Ok(())
        }
        Dolr::Unpublish { key } => {
            let path = format!("/api/v1/dolr/{}", segment(&key));
            client
                .call(Method::DELETE, &path, Bytes::new(), None)
                .await?;
            Ok(())
        }
        Dolr::Locate { key, count } => {
            let path = format!("/api/v1/dolr/{}?count={count}", segment(&key));
            let located: Located = client.get(&path).await?;
            output.result(&located, |out| {
                for holder in &located.holders {
                    let (contact, hops) = (&holder.contact, holder.hops);
                    writeln!(out, "{}  {hops:2} hops  {}", contact.guid, contact.peer_id)?;
                }
                Ok(())
            })?;
            output.say(format_args!("key: {}", located.key));
            Ok(())
        }
        Dolr::Send {
            key,
            message,
            count,
        } => {
            let message = if message == "-" {
                read_stdin(MAX_MESSAGE).await?
            } else {
                message.into_bytes()
            };
            if message.len() as u64 > MAX_MESSAGE {
                return Err(Failure::new(
                    Code::Refused,
                    format!("a message has {MAX_MESSAGE} bytes at most"),
                )
                .with_hint("store it with `hedgerow object put` and send the CID"));
            }
            let path = format!("/api/v1/dolr/{}/messages?count={count}", segment(&key));
            let sent: Sent = client
                .send_bytes(Method::POST, &path, message.into())
                .await?;
            report(&sent, output)
        }
    }
}

/// Prints the messages until the node or the person has enough.
async fn listen(key: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let path = format!("/api/v1/dolr/{}/messages", segment(key));
    let mut messages = client.lines(&path).await?;
    output.say("listening; end with Ctrl-C");
    loop {
        let next = tokio::select! {
            next = messages.next::<ObjectMessage>() => next?,
            // The node takes the object back when the connection closes.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(message) = next else {
            return Err(Failure::new(
                Code::TryAgain,
                "the node has unpublished it or is stopping",
            ));
        };
        let bytes = BASE64.decode(message.message.as_bytes()).map_err(|error| {
            Failure::other(format!("the node's answer is not understood: {error}"))
        })?;
        output.say(format_args!(
            "from {}, {} hops away:",
            message.from.peer_id, message.hops
        ));
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

fn report(sent: &Sent, output: &Output) -> Result<(), Failure> {
    output.result(sent, |out| {
        for answer in sent.answers.iter().filter(|answer| answer.delivered) {
            writeln!(out, "{}", answer.contact.peer_id)?;
        }
        Ok(())
    })?;
    let mut reasons = Vec::new();
    for answer in &sent.answers {
        if let Some(reason) = &answer.reason {
            output.say(format_args!(
                "not delivered at {}: {reason}",
                answer.contact.peer_id
            ));
            reasons.push(answer.contact.peer_id.clone());
        }
    }
    if sent.answers.iter().any(|answer| answer.delivered) {
        return Ok(());
    }
    let mut failure = Failure::new(Code::TryAgain, "nobody has the message")
        .with_hint("listen there with `hedgerow dolr publish KEY --listen`");
    failure.word = "unavailable".to_owned();
    failure.asked = reasons;
    Err(failure)
}
