//! `hedgerow dolr`.

use bytes::Bytes;
use http::Method;
use node::api::types::{Located, ObjectMessage, PublishedObject, Sent};

use super::{
    messages::{self, Parts},
    read_stdin, segment,
};
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
        Dolr::Publish { key, listen: true } => {
            let path = format!("/api/v1/dolr/{}/messages", segment(&key));
            let ended = "the node has unpublished it or is stopping";
            messages::print(&path, ended, parts, client, output).await
        }
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

/// What is printed of a message.
fn parts(message: &ObjectMessage) -> Parts<'_> {
    Parts {
        heading: format!("from {}, {} hops away", message.from.peer_id, message.hops),
        message: &message.message,
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
