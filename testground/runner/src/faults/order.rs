//! What runner and instances say to each other about faults of nodes (F8).

use serde::{Deserialize, Serialize};

use super::file::Kind;

/// Which end of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It begins.
    Begin,
    /// It ends.
    End,
}

/// An order to an instance, on its topic ([`order_topic`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The fault's number in the run, from 0.
    pub fault: usize,
    /// What to do to the node.
    pub kind: Kind,
    /// Whether to do or to undo it.
    pub phase: Phase,
}

/// What is done, for everybody to know, on the topic [`EVENTS`](super::EVENTS): as it begins, and
/// as it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// [`Order::fault`].
    pub fault: usize,
    /// [`Order::kind`].
    pub kind: Kind,
    /// [`Order::phase`].
    pub phase: Phase,
    /// To whom, sorted.
    pub victims: Vec<usize>,
}

/// What became of an order, on the topic [`DONE`](super::DONE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// [`Order::fault`].
    pub fault: usize,
    /// Who did it.
    pub instance: usize,
    /// [`Order::phase`].
    pub phase: Phase,
    /// Why it could not be done; empty if it was.
    pub error: String,
}

/// The topic of the orders to an instance: its place among all by address, from 0.
pub fn order_topic(instance: usize) -> String {
    format!("faults:{instance}")
}
