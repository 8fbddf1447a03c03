//! Framing with limits and the one connection handler of all Hedgerow protocols.
//!
//! Everything our protocols say to each other is deterministic DAG-CBOR ([`encode`],
//! [`decode`]) inside frames with a length prefix and a maximum ([`read_frame`],
//! [`write_frame`], [`FrameDecoder`]). [`Handler`] is the only `ConnectionHandler` they
//! have: it carries small messages over one long-lived stream per direction, with a
//! bounded queue, and opens and accepts raw streams for bulk. [`Limiter`] keeps that to a rate.
//!
//! ```
//! let frame = wire::encode(&("hello", 3));
//! let mut sent = wire::frame_header(frame.len()).to_vec();
//! sent.extend_from_slice(&frame);
//!
//! let mut decoder = wire::FrameDecoder::new(1024);
//! decoder.feed(&sent);
//! let received = decoder.next_frame()?.expect("the frame is complete");
//! let (word, number): (String, u32) = wire::decode(&received).expect("we encoded it");
//! assert_eq!((word.as_str(), number), ("hello", 3));
//! # Ok::<(), wire::FrameError>(())
//! ```
//!
//! Rules W1 to W12 of `docs/specs/wire.md` are cited where the code obeys them.

mod cbor;
mod config;
mod connections;
mod event;
mod frame;
mod handler;
mod inbox;
mod limiter;
mod outbox;
mod upgrade;

pub use cbor::{DecodeError, decode, encode};
pub use config::{HandlerConfig, MessageConfig, StreamConfig};
pub use connections::{Connections, Outdone};
pub use event::{Command, Event, StreamError};
pub use frame::{FrameDecoder, FrameError, frame_header, read_frame, write_frame};
pub use handler::{Handler, MAX_PENDING_OPENS, Purpose};
pub use inbox::MAX_INBOUND_MESSAGE_STREAMS;
pub use limiter::Limiter;
pub use outbox::MAX_REOPENS;
pub use upgrade::Upgrade;
