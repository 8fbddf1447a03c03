//! What is new reaches those who follow it: signed statements, announced by gossipsub.
//!
//! A [`Channel`] says what a statement is, whether it is genuine, which of two is the newer,
//! and how to ask for the newest one. Subjects are spread over a fixed number of topics, the
//! [shards](SHARDS); a node subscribes to those of the subjects it follows. Only genuine
//! statements that are not behind what is known are forwarded. What was missed is asked for.
//!
//! [`Behaviour`] is gossipsub, which it owns, and what it adds; messages of other topics are
//! its events as they are gossipsub's. Each protocol opens a channel of its own on a [`Gossip`]
//! and gets a [`Handle`].
//!
//! Rules E1 to E12 of `docs/specs/notify.md` are cited where the code obeys them.

mod behaviour;
mod bucket;
mod channel;
mod command;
mod due;
mod error;
mod following;
mod handle;
mod score;
mod seen;
mod stats;
mod topic;
mod worker;

pub use behaviour::{Behaviour, BuildError, Gossip};
pub use channel::{BoxError, Channel, Contact, Statement};
pub use error::FollowError;
pub use following::Following;
pub use handle::{Handle, MAX_FOLLOWED, MAX_SUBJECTS, MAX_WATCHERS};
pub use score::{GRAYLIST, INVALID_WEIGHT};
pub use stats::Stats;
pub use topic::{SHARDS, is_reserved, message_id, shard_of, topic};
