//! Messages that come as lines of JSON with base64 in them, for as long as somebody listens.

use data_encoding::BASE64;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

/// What is printed of one message.
pub(super) struct Parts<'a> {
    /// For people, before the message.
    pub(super) heading: String,
    /// The message, base64.
    pub(super) message: &'a str,
}

/// Prints what comes from `path` until the node or the person has enough; `ended` says why
/// the node had.
pub(super) async fn print<T: DeserializeOwned + Serialize>(
    path: &str,
    ended: &str,
    parts: fn(&T) -> Parts<'_>,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let mut messages = client.lines(path).await?;
    output.say("listening; end with Ctrl-C");
    loop {
        let next = tokio::select! {
            next = messages.next::<T>() => next?,
            // The node listens no more when the connection closes.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(message) = next else {
            return Err(Failure::new(Code::TryAgain, ended));
        };
        let Parts {
            heading,
            message: text,
        } = parts(&message);
        let bytes = BASE64.decode(text.as_bytes()).map_err(|error| {
            Failure::other(format!("the node's answer is not understood: {error}"))
        })?;
        output.say(format_args!("{heading}:"));
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
