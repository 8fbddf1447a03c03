//! What nodes say to each other about objects (L17).

use bytes::Bytes;
use guid::Guid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{AppId, Contact, MessageId};

/// Most roots of an object.
pub const MAX_ROOTS: u8 = 8;

/// Most backups, neighbours or copies that a publisher may ask a hop to name.
pub const MAX_SPREAD: u8 = 8;

/// Most holders that a search may ask for.
pub const MAX_WANTED: usize = 16;

/// Most holders that a search remembers as passed: those it wanted and as many silent.
pub(crate) const MAX_PASSED: usize = 32;

/// Most nodes beside the root that a search visits.
pub(crate) const MAX_ASIDES: usize = 8;

/// Most hops that a publisher has found silent on one way.
pub(crate) const MAX_EXCEPT: usize = 16;

/// Most pointers named in one message about ways that changed.
pub(crate) const MAX_MOVED: usize = 64;

/// Longest a pointer is kept without being renewed: a day.
pub const MAX_LIFETIME_SECS: u32 = 24 * 60 * 60;

/// A search for an object, on its way to one of the object's roots (L8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// What is searched for.
    pub object: Guid,
    /// To which of its roots.
    pub salt: u8,
    /// How many holders are still wanted.
    pub want: u8,
    /// The origin's number for all its tries, by which a holder knows a second one.
    pub errand: u64,
    /// What the holder is to do.
    pub task: Task,
    /// Holders that took the task.
    pub reached: Vec<Guid>,
    /// Holders that did not answer.
    pub silent: Vec<Guid>,
    /// Behind the root: the nodes next to it that are still to be asked (L11).
    pub asides: Option<Vec<Guid>>,
}

/// What a search wants of a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Tell the origin that you have it.
    Find,
    /// Hand this to an application and tell the origin what it says.
    Deliver {
        /// Which one.
        app: AppId,
        /// The message.
        payload: Bytes,
    },
}

/// How many nodes besides the hops are to be given a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// Other candidates for the next hop.
    pub backups: u8,
    /// Nodes near the hop.
    pub neighbours: u8,
    /// Nodes next to the root, if the hop is the root.
    pub copies: u8,
}

/// What became of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stored {
    /// It is kept.
    Kept,
    /// It is not.
    Full(Full),
    /// The node has not joined.
    NotJoined,
}

/// Which bound left no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Full {
    /// This node publishes as many objects as it may.
    #[error("this node publishes as many objects as it may")]
    Publications,
    /// The nodes asked keep as many pointers as they may.
    #[error("the nodes on the way keep as many pointers as they may")]
    Pointers,
    /// The nodes asked keep as many pointers to this publisher as they may.
    #[error("the nodes on the way keep as many pointers to this node as they may")]
    Publisher,
    /// The nodes asked know as many holders of the object as they may.
    #[error("the nodes on the way know as many holders of this object as they may")]
    Object,
}

/// Where a publisher's way goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub enum Way<P> {
    /// Nowhere: the answering node is the root.
    Root,
    /// To this node.
    Next(Contact<P>),
    /// The answering node cannot tell, or was not asked.
    Unknown,
}

/// What a holder asks of a node on one of its ways (L3, L4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub struct Publish<P> {
    /// Comes back in the answer.
    pub nonce: u64,
    /// The sender.
    pub holder: Contact<P>,
    /// What it holds.
    pub object: Guid,
    /// On the way to which root, where the way on is wanted.
    pub salt: Option<u8>,
    /// For how long, in seconds.
    pub lifetime: u32,
    /// Next hops that were silent.
    pub except: Vec<Guid>,
    /// Who else is to have a pointer.
    pub spread: Spread,
}

/// What a search that turned off asks of a holder (L9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub struct Errand<P> {
    /// Comes back in the answer.
    pub nonce: u64,
    /// The search's name.
    pub id: MessageId,
    /// Who searches, and is answered.
    pub origin: Contact<P>,
    /// Hops until here.
    pub hops: u8,
    /// What is searched for.
    pub object: Guid,
    /// The origin's number for all its tries.
    pub errand: u64,
    /// What the holder is to do.
    pub task: Task,
}

/// A message about an object between two nodes that speak directly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub enum Location<P> {
    /// I hold the object: keep a pointer to me.
    Publish(Publish<P>),
    /// The answer to it.
    Published {
        /// The question's.
        nonce: u64,
        /// Whether the pointer is kept.
        stored: Stored,
        /// Where the way goes on.
        way: Way<P>,
        /// Who else is to have a pointer.
        also: Vec<Contact<P>>,
    },
    /// I hold the object no more: drop the pointer to me.
    Unpublish {
        /// Comes back in the answer.
        nonce: u64,
        /// What it held.
        object: Guid,
    },
    /// The pointer is gone.
    Unpublished {
        /// The question's.
        nonce: u64,
    },
    /// The ways of these pointers of yours lead elsewhere from here on: publish again.
    Moved {
        /// Objects, and to which of their roots.
        ways: Vec<(Guid, u8)>,
    },
    /// A search has turned off to you.
    Errand(Errand<P>),
    /// The answer to it.
    ErrandTaken {
        /// The errand's.
        nonce: u64,
        /// Whether the sender holds the object.
        holds: bool,
    },
}
