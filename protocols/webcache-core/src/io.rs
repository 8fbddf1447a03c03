//! What goes into the core and what comes out.

use guid::{Guid, Span};

use crate::{Message, Meta, Offered};

/// The driver's name for a client's request, never used twice at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// For whom the origin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// For this node's own clients: anything that they may reach.
    Own,
    /// For other nodes: nothing that is in this node's own network only.
    Group,
}

/// What came of asking the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A body, which is in the store, or arriving there.
    Got(Meta),
    /// The copy that was there is still right, and fresh for longer.
    Same(Meta),
    /// An answer for the client alone (Q6).
    Private,
    /// This node does not ask that origin for others.
    Refused,
    /// No answer.
    Failed,
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input<P> {
    /// A client wants an object.
    Request {
        /// The answer's name.
        ticket: Ticket,
        /// Which object.
        object: Guid,
        /// The copy in this node's store.
        have: Option<Meta>,
    },
    /// A message arrived. The body of an `Object` is in the store, or arriving there. An `Offer`
    /// is none that counts: see [`Input::Offered`].
    Received {
        /// From this peer, as its connection proves.
        from: P,
        /// The message.
        message: Message<P>,
        /// The copy of the message's object in this node's store, as it was before.
        have: Option<Meta>,
    },
    /// Objects that another node hands over (Q12): of what it offered, those whose homes it is so
    /// close to that they can have been its own, as the driver sees the ring.
    Offered {
        /// By this peer, as its connection proves.
        from: P,
        /// At most [`crate::MAX_OFFERED`].
        objects: Vec<Offered<P>>,
    },
    /// The origin was asked.
    Fetched {
        /// For which object.
        object: Guid,
        /// For whom.
        purpose: Purpose,
        /// With this result.
        outcome: Outcome,
    },
    /// A question could not be put: the home, or the delegate, cannot be reached.
    Unreachable {
        /// Which object.
        object: Guid,
        /// The question.
        ask: u64,
    },
    /// The store has no copy of an object any more, or never had it whole.
    Evicted(Guid),
    /// Another node is the home of an arc's objects from now on, or will be since this one
    /// leaves.
    Moved {
        /// The arc.
        span: Span,
        /// Whose it is.
        to: P,
    },
    /// The moment that [`crate::Webcache::poll_timeout`] named has come.
    Timeout,
}

/// Where a client's answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<P> {
    /// This node had it, fresh.
    Local,
    /// This node had it, and another says that it is current.
    Validated(P),
    /// Another node sent it.
    Peer {
        /// Which.
        from: P,
        /// Whether it had it before, or asked the origin for it now.
        hit: bool,
    },
    /// This node asked the origin for it.
    Origin,
    /// The origin gave no answer.
    Failed,
    /// No answer that this client can have: it is asked for by itself.
    Direct,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P> {
    /// Send a message to the object's home, which may be this node.
    ToHome {
        /// Which object.
        object: Guid,
        /// What.
        message: Message<P>,
    },
    /// Send a message to a node, which may be this one; an `Object` with its body.
    Send {
        /// To whom.
        to: P,
        /// What.
        message: Message<P>,
    },
    /// Ask the origin, and say what came of it.
    Origin {
        /// For which object.
        object: Guid,
        /// For whom.
        purpose: Purpose,
        /// Whether there is a stale copy in the store to ask with.
        validate: bool,
    },
    /// A copy in the store is fresh for longer.
    Refresh {
        /// Which object.
        object: Guid,
        /// As it is now.
        meta: Meta,
    },
    /// Answer a client.
    Answer {
        /// Which.
        ticket: Ticket,
        /// Which object.
        object: Guid,
        /// Out of the store, unless it is [`Source::Failed`] or [`Source::Direct`].
        source: Source<P>,
    },
}

/// Why the core wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// An answer may be overdue.
    Ask,
    /// An asker that was sent to the origin may have forgotten to tell.
    Group,
    /// A body that was offered may be overdue.
    Pull,
    /// More is to be handed over.
    Offer,
}
