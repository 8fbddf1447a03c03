//! What is said on a stream (R2 to R9).

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use guid::Span;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::collection::{Entry, ItemId};
use crate::config::MAX_HEADER;
use crate::digest::Digest;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// The item, please.
    Get { id: ItemId },
    /// Keep the item that follows, and say so when it is durable.
    Put {
        id: ItemId,
        /// Brought by repair: nobody puts it now (R26).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        moved: bool,
    },
    /// Which version of it is kept?
    Has { id: ItemId },
    /// How many items are on each arc, and what do they add up to?
    Digest { spans: Vec<Span> },
    /// Which items are on the arc, going on behind `after`?
    List {
        span: Span,
        after: Option<ItemId>,
        limit: u32,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestHeader {
    /// Chosen by the asker, repeated in the answer.
    #[serde(rename = "n")]
    pub(crate) seq: u64,
    /// Item bytes that follow.
    #[serde(rename = "b")]
    pub(crate) body: u32,
    #[serde(rename = "q")]
    pub(crate) request: Request,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Response {
    /// The item follows.
    Item,
    /// The item follows, as it was given to a node that has been among those who keep it for a
    /// short time only: they may know a newer one (R23).
    Unsettled,
    /// It is not kept here.
    Missing,
    /// Nor here, but so many of those who kept what belongs here are gone that it may be
    /// with them (R21).
    PerhapsLost,
    /// It is durable here, in this version.
    Stored {
        version: u64,
    },
    /// What is kept of it.
    Held {
        version: Option<u64>,
    },
    Digests {
        digests: Vec<Digest>,
    },
    Entries {
        entries: Vec<Entry>,
        more: bool,
    },
    /// No, and why.
    Refused {
        why: Refusal,
        text: String,
    },
}

/// Why a peer refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The request or the item was not valid.
    Invalid,
    /// It has no room.
    Full,
    /// Its store failed, or its copy is corrupted.
    Failed,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResponseHeader {
    #[serde(rename = "n")]
    pub(crate) seq: u64,
    #[serde(rename = "b")]
    pub(crate) body: u32,
    #[serde(rename = "a")]
    pub(crate) response: Response,
}

/// What ended a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the peer closed the stream")]
    Closed,
    #[error("the header could not be read: {0}")]
    Frame(String),
    #[error("an item of {0} bytes is too large")]
    Oversized(u32),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads a header; its item bytes are still to come (R2).
pub(crate) async fn read_header<T, R>(from: &mut R) -> Result<T, StreamError>
where
    T: DeserializeOwned,
    R: AsyncRead + Unpin,
{
    let frame = match wire::read_frame(from, MAX_HEADER).await {
        Ok(frame) => frame,
        Err(wire::FrameError::Closed) => return Err(StreamError::Closed),
        Err(error) => return Err(StreamError::Frame(error.to_string())),
    };
    wire::decode(&frame).map_err(|error| StreamError::Frame(error.to_string()))
}

/// Reads the item bytes behind a header into one buffer of their own.
pub(crate) async fn read_body<R>(
    from: &mut R,
    length: u32,
    maximum: usize,
) -> Result<Bytes, StreamError>
where
    R: AsyncRead + Unpin,
{
    if length as usize > maximum {
        return Err(StreamError::Oversized(length));
    }
    if length == 0 {
        return Ok(Bytes::new());
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await?;
    Ok(Bytes::from(body))
}

/// Writes a header and the item bytes behind it, without flushing.
pub(crate) async fn write_message<T, W>(to: &mut W, header: &T, body: &[u8]) -> std::io::Result<()>
where
    T: Serialize,
    W: AsyncWrite + Unpin,
{
    let header = wire::encode(header);
    to.write_all(&wire::frame_header(header.len())).await?;
    to.write_all(&header).await?;
    if !body.is_empty() {
        to.write_all(body).await?;
    }
    Ok(())
}
