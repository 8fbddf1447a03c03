//! What goes into the core and what comes out.

use std::time::Duration;

use bytes::Bytes;
use guid::Guid;
use thiserror::Error;

use crate::message::{Answer, TraceHop};
use crate::{Addrs, AppId, Contact, Full, Message, MessageId};

/// The driver's name for a request, never used twice at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a message that waits for an application's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input<P> {
    /// Discovery or the disk knows of a node, which may or may not live.
    PeerFound(Contact<P>),
    /// The last connection to a peer was lost, or none could be made.
    PeerGone(P),
    /// A message arrived whose contacts match their keys.
    Received {
        /// From this peer, as its connection proves.
        from: P,
        /// The message.
        message: Message<P>,
    },
    /// An application sends a message towards a key.
    Route {
        /// The outcome's name.
        request: RequestId,
        /// Where to.
        key: Guid,
        /// Any of this many nodes closest to the key may take it, from 1 to |L|: it ends at
        /// the first it reaches, which is chosen to be near (P33). 1 is the root alone.
        k: usize,
        /// Whose.
        app: AppId,
        /// What.
        payload: Bytes,
        /// Whether the far application answers.
        wants_reply: bool,
    },
    /// Someone wants to know the nodes closest to a key, or the way to it.
    Locate {
        /// The outcome's name.
        request: RequestId,
        /// The key.
        key: Guid,
        /// How many nodes, from 1 to half the leaf set.
        k: usize,
        /// Whether the hops are wanted too.
        trace: bool,
    },
    /// This node holds an object: others are to find it here until it unpublishes it.
    Publish {
        /// The outcome's name.
        request: RequestId,
        /// The object.
        object: Guid,
    },
    /// This node holds an object no more, or will not be found for it.
    Unpublish {
        /// The outcome's name.
        request: RequestId,
        /// The object.
        object: Guid,
    },
    /// Someone wants to know the nearest nodes that hold an object.
    LocateObject {
        /// The outcome's name.
        request: RequestId,
        /// The object.
        object: Guid,
        /// How many, from 1 to [`crate::MAX_WANTED`].
        count: usize,
    },
    /// An application sends a message to the nearest nodes that hold an object.
    SendToObject {
        /// The outcome's name.
        request: RequestId,
        /// The object.
        object: Guid,
        /// To how many, from 1 to [`crate::MAX_WANTED`].
        count: usize,
        /// Whose.
        app: AppId,
        /// What.
        payload: Bytes,
    },
    /// An application answers what was delivered to it.
    Reply {
        /// The message it answers, as [`Output::Deliver`] or [`Output::DeliverObject`] gave it.
        id: MessageId,
        /// Whom it answers.
        origin: Contact<P>,
        /// Hops the message took.
        hops: u8,
        /// The answer, or why there is none.
        answer: Result<Bytes, String>,
    },
    /// An application lets a message go on, changed or not; `None` stops it.
    Resume {
        /// Which message.
        ticket: Ticket,
        /// What goes on.
        payload: Option<Bytes>,
    },
    /// This application decides about messages that pass through from now on.
    Intercept(AppId),
    /// The node can be dialled elsewhere now.
    AddrsChanged(Addrs),
    /// The node goes, and says so.
    Leave,
    /// The moment that [`crate::Overlay::poll_timeout`] named has come.
    Timeout,
}

/// Whether a node answers for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It looks for company or for its place.
    Joining,
    /// It has its place.
    Active,
    /// It has gone.
    Left,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P> {
    /// Bring a message to a peer.
    Send {
        /// To whom.
        to: Contact<P>,
        /// What.
        message: Message<P>,
    },
    /// Hand a message to an application: this node is the key's root, or one of the k
    /// closest to it where the message may end at any of them.
    Deliver {
        /// The message's name, for the answer.
        id: MessageId,
        /// The key.
        key: Guid,
        /// Which application.
        app: AppId,
        /// The message.
        payload: Bytes,
        /// Who sent it.
        origin: Contact<P>,
        /// Hops it took.
        hops: u8,
        /// Whether an [`Input::Reply`] is expected.
        wants_reply: bool,
    },
    /// Hand a message to an application: this node holds the object it was sent to. An
    /// [`Input::Reply`] is expected.
    DeliverObject {
        /// The message's name, for the answer.
        id: MessageId,
        /// The object.
        object: Guid,
        /// Which application.
        app: AppId,
        /// The message.
        payload: Bytes,
        /// Who sent it.
        origin: Contact<P>,
        /// Hops it took.
        hops: u8,
    },
    /// Ask an intercepting application about a message that passes.
    Forward {
        /// For the decision.
        ticket: Ticket,
        /// The key.
        key: Guid,
        /// Which application.
        app: AppId,
        /// The message.
        payload: Bytes,
        /// Who sent it.
        origin: Contact<P>,
        /// Who is to have it next.
        next: Contact<P>,
    },
    /// A request ended. Every request ends exactly once.
    Done {
        /// Which one.
        request: RequestId,
        /// How.
        outcome: Result<Outcome<P>, RouteFailure>,
    },
    /// The node became active, or has left.
    StateChanged(State),
    /// Nodes entered or left the leaf set.
    LeafSetChanged {
        /// Who entered.
        joined: Vec<Contact<P>>,
        /// Who left.
        left: Vec<Contact<P>>,
    },
}

/// What a request brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<P> {
    /// The next hop, or this node's application, has the message.
    Accepted,
    /// The answer came.
    Replied {
        /// From the node it ended at: the key's root, or one of the k closest (P33).
        from: Contact<P>,
        /// What it said.
        answer: Answer<P>,
        /// Hops the request took.
        hops: u8,
        /// The nodes passed, the origin first, if they were asked for.
        trace: Option<Vec<TraceHop<P>>>,
    },
    /// The object can be found here.
    Published(Published),
    /// The object is found here no more, but by pointers that nobody could be told to drop.
    Unpublished,
    /// These nodes hold the object, in the order in which they answered; or took the
    /// message. Fewer than asked for where there are fewer.
    Found(Vec<Found<P>>),
}

/// How well an object can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Roots that know of it.
    pub roots: usize,
    /// Nodes that keep a pointer, the roots among them.
    pub pointers: usize,
}

/// A node that holds an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<P> {
    /// The node.
    pub holder: Contact<P>,
    /// Hops the search took to it.
    pub hops: u8,
    /// What its application said to a message, or why it said nothing; `None` where
    /// nothing was sent.
    pub reply: Option<Result<Bytes, String>>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteFailure {
    /// No answer came in time.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// More is under way than a node keeps track of.
    #[error("too many requests at a time")]
    Busy,
    /// The far application refused.
    #[error("{0}")]
    Refused(String),
    /// The node has left its network.
    #[error("this node has left the network")]
    Left,
    /// Every root was asked, and nobody publishes the object.
    #[error("no node publishes this object")]
    NotFound,
    /// This node does not publish the object, or no longer.
    #[error("this node does not publish the object")]
    NotPublished,
    /// A bound was met.
    #[error(transparent)]
    Full(#[from] Full),
    /// The request cannot be carried.
    #[error("{0}")]
    Invalid(String),
}

/// Which timer is due first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// No company so far.
    Lonely,
    /// Seeds were compared long enough.
    Seed,
    /// The way in took too long.
    Join,
    /// Time to tell the left neighbour, and to ask whether the right one has.
    Heartbeat,
    /// Table entries and neighbours to be heard of.
    TableProbe,
    /// A row to be compared.
    RowExchange,
    /// A dead node to be asked whether it is back.
    Heal,
    /// A probe without an answer.
    Probe,
    /// A hop without an acknowledgement.
    Hop,
    /// A request without an answer.
    Request,
    /// An application without a decision.
    Ticket,
    /// Pointers to be looked through.
    Pointers,
    /// A direct question without an answer.
    Ask,
    /// An object to be published again, or a way to it to be walked on.
    Publication,
}
