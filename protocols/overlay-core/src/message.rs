//! What nodes say to each other (P20 to P26).

use bytes::Bytes;
use guid::Guid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contact::MAX_ADDRS;
use crate::location::message::{
    Location, MAX_ASIDES, MAX_EXCEPT, MAX_MOVED, MAX_PASSED, MAX_ROOTS, MAX_SPREAD, MAX_WANTED,
    Search, Spread, Task, Way,
};
use crate::{AnyOf, Config, Contact};

/// Most bytes an application's message may have: control, not content.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Most hops a message may take: far above log16 of any network, so that reaching it
/// means a loop that another node made.
pub(crate) const MAX_HOPS: u8 = 64;

/// Most contacts in any list of a message: the widest leaf set and every row a join
/// collects.
pub(crate) const MAX_CONTACTS: usize = 1024;

/// Most identifiers in a list of failed nodes.
pub(crate) const MAX_FAILED: usize = 64;

/// Which application a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppId(pub u16);

/// A routed message's name: its origin and a number that the origin never reuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// Who sent it first.
    pub origin: Guid,
    /// Counted by the origin, from a random start.
    pub number: u64,
}

/// What a node knows of its surroundings, carried by probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub struct View<P> {
    /// The node itself.
    pub sender: Contact<P>,
    /// Whether it has joined and answers for keys.
    pub active: bool,
    /// Its leaf set.
    pub leafs: Vec<Contact<P>>,
    /// Nodes it lately found dead.
    pub failed: Vec<Guid>,
    /// How far away the sender finds the receiver, in microseconds there and back, once
    /// it has measured: the receiver need not measure again (P30).
    pub rtt_micros: Option<u32>,
    /// How often the sender probes its table, in milliseconds (P16); 0 when it does not
    /// know yet.
    pub probe_period_ms: u32,
}

/// One hop of a traced message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub struct TraceHop<P> {
    /// The node.
    pub contact: Contact<P>,
    /// Round-trip time to it in microseconds, as measured by the hop before; `None` at
    /// the origin and where it was never measured.
    pub rtt_micros: Option<u64>,
}

/// What travels hop by hop towards a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub struct Routed<P> {
    /// The message's name, by which hops recognise a duplicate.
    pub id: MessageId,
    /// Where it is going.
    pub key: Guid,
    /// Who sent it first and is answered.
    pub origin: Contact<P>,
    /// Hops taken so far.
    pub hops: u8,
    /// The nodes passed, when the origin asked for them.
    pub trace: Option<Vec<TraceHop<P>>>,
    /// What is to be done at the key.
    pub body: Body<P>,
}

/// What a routed message asks of the node it ends at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub enum Body<P> {
    /// Hand this to an application.
    App {
        /// Which one.
        app: AppId,
        /// Its bytes.
        payload: Bytes,
        /// Whether the origin waits for an answer.
        wants_reply: bool,
        /// Who may take it besides the root (P33); `None` for the root alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        any_of: Option<AnyOf>,
    },
    /// The origin wants to join at the key, its own identifier.
    Join {
        /// Routing-table rows, added by the nodes passed.
        rows: Vec<Contact<P>>,
        /// The seed's neighbourhood set.
        near: Vec<Contact<P>>,
    },
    /// Name the nodes closest to the key.
    ReplicaSet {
        /// How many.
        k: u8,
    },
    /// Name the nodes closest to the key, whoever has the key within its leaf set: the
    /// answer is as good as the root's, and does not need it (P35).
    NeighbourSet {
        /// How many.
        k: u8,
    },
    /// Turn off to a holder of an object.
    Search(Box<Search>),
}

/// What a routed message brought back, sent straight to its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub enum Answer<P> {
    /// An application's reply.
    App(Bytes),
    /// The application at the key could not or would not answer.
    Refused(String),
    /// The rows collected, the seed's neighbourhood set and the root's leaf set.
    Join {
        /// Candidates for the routing table.
        rows: Vec<Contact<P>>,
        /// Candidates for the neighbourhood set.
        near: Vec<Contact<P>>,
        /// The leaf set of the node closest to the joiner.
        leafs: Vec<Contact<P>>,
    },
    /// The nodes closest to the key, closest first.
    ReplicaSet(Vec<Contact<P>>),
    /// The answering node holds the object searched for.
    Holder,
    /// A search has ended at a root of the object.
    Searched {
        /// Holders that were reached on all of its ways.
        reached: Vec<Guid>,
    },
}

/// A part of a node's state that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// One row of the routing table.
    Row(u8),
    /// The neighbourhood set.
    Near,
}

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "P: Serialize", deserialize = "P: Deserialize<'de>"))]
pub enum Message<P> {
    /// Are you there, and who is around you? Carries the same about the sender.
    Probe {
        /// Comes back in the reply.
        nonce: u64,
        /// The sender's surroundings.
        view: View<P>,
    },
    /// The answer to a probe.
    ProbeReply {
        /// The probe's.
        nonce: u64,
        /// The answerer's surroundings.
        view: View<P>,
    },
    /// Are you there?
    Ping {
        /// Comes back in the pong.
        nonce: u64,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's.
        nonce: u64,
        /// Whether the answerer has joined.
        active: bool,
    },
    /// I am here.
    Heartbeat,
    /// A message on its way to a key.
    Route(Routed<P>),
    /// The next hop has the message now.
    Ack {
        /// Which one.
        id: MessageId,
    },
    /// The next hop has not joined and will not take the message: try another.
    Refuse {
        /// Which one.
        id: MessageId,
    },
    /// What a routed message brought back.
    Reply {
        /// Which one.
        id: MessageId,
        /// Hops it took.
        hops: u8,
        /// The nodes it passed, when they were asked for.
        trace: Option<Vec<TraceHop<P>>>,
        /// Who answers.
        from: Contact<P>,
        /// The answer.
        answer: Answer<P>,
    },
    /// Which nodes are in this part of your state?
    StateRequest {
        /// Comes back in the reply.
        nonce: u64,
        /// Which part.
        part: Part,
    },
    /// The nodes in a part of the sender's state.
    StateReply {
        /// The request's.
        nonce: u64,
        /// Which part.
        part: Part,
        /// Who is in it.
        contacts: Vec<Contact<P>>,
        /// How far away the sender finds each, in microseconds there and back.
        rtts: Vec<u32>,
    },
    /// The sender is active and has measured how far away the receiver is.
    Announce {
        /// The node itself.
        sender: Contact<P>,
        /// Microseconds there and back.
        rtt_micros: u32,
    },
    /// The sender goes.
    Leave,
    /// About an object (L17).
    Location(Location<P>),
}

/// Why a message is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidMessage {
    /// A routed message bears the name of another node's message.
    #[error("a message in the name of another node than its origin")]
    Origin,
    /// A list is longer than any honest node makes it.
    #[error("a list of {length} contacts where {maximum} is the most")]
    TooMany {
        /// Its length.
        length: usize,
        /// The bound.
        maximum: usize,
    },
    /// An application's bytes are more than a message may carry.
    #[error("a payload of {0} bytes where {MAX_PAYLOAD} is the most")]
    Payload(usize),
    /// A contact's addresses are more than it may have.
    #[error("a contact with {0} bytes of addresses where {MAX_ADDRS} is the most")]
    Addrs(usize),
    /// A number out of its range.
    #[error("{what} of {value} is out of range")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: usize,
    },
}

impl<P> Message<P> {
    /// Checks what decoding cannot: that every list and number is within its bound (P26).
    pub fn validate(&self, config: &Config) -> Result<(), InvalidMessage> {
        for list in self.lists() {
            if list.len() > MAX_CONTACTS {
                let length = list.len();
                return Err(InvalidMessage::TooMany {
                    length,
                    maximum: MAX_CONTACTS,
                });
            }
        }
        for contact in self.contacts() {
            if contact.addrs.as_bytes().len() > MAX_ADDRS {
                return Err(InvalidMessage::Addrs(contact.addrs.as_bytes().len()));
            }
        }
        match self {
            Message::Probe { view, .. } | Message::ProbeReply { view, .. }
                if view.failed.len() > MAX_FAILED =>
            {
                let length = view.failed.len();
                Err(InvalidMessage::TooMany {
                    length,
                    maximum: MAX_FAILED,
                })
            }
            Message::Route(routed) => routed.validate(),
            Message::Reply { trace, answer, .. } => {
                validate_trace(trace.as_deref())?;
                match answer {
                    Answer::App(payload) => validate_payload(payload),
                    Answer::Refused(reason) if reason.len() > 1024 => Err(InvalidMessage::Range {
                        what: "a reason",
                        value: reason.len(),
                    }),
                    Answer::Searched { reached } => {
                        validate_length("a list of holders", reached.len(), MAX_PASSED)
                    }
                    _ => Ok(()),
                }
            }
            Message::StateReply { contacts, rtts, .. } if contacts.len() != rtts.len() => {
                Err(InvalidMessage::Range {
                    what: "a number of distances",
                    value: rtts.len(),
                })
            }
            Message::StateRequest { part, .. } | Message::StateReply { part, .. } => match part {
                Part::Row(row) if usize::from(*row) >= config.base().rows() => {
                    Err(InvalidMessage::Range {
                        what: "a row",
                        value: usize::from(*row),
                    })
                }
                _ => Ok(()),
            },
            Message::Location(message) => message.validate(),
            _ => Ok(()),
        }
    }

    /// Every contact the message names: the driver checks each against its key.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact<P>> {
        let single = match self {
            Message::Probe { view, .. } | Message::ProbeReply { view, .. } => Some(&view.sender),
            Message::Announce { sender, .. } => Some(sender),
            Message::Route(routed) => Some(&routed.origin),
            Message::Reply { from, .. } => Some(from),
            Message::Location(message) => message.contact(),
            _ => None,
        };
        let trace = match self {
            Message::Route(Routed { trace, .. }) | Message::Reply { trace, .. } => {
                trace.as_deref().unwrap_or_default()
            }
            _ => &[],
        };
        let listed = self.lists().into_iter().flatten();
        listed
            .chain(single)
            .chain(trace.iter().map(|hop| &hop.contact))
    }

    fn lists(&self) -> [&[Contact<P>]; 3] {
        match self {
            Message::Probe { view, .. } | Message::ProbeReply { view, .. } => {
                [&view.leafs, &[], &[]]
            }
            Message::Route(Routed {
                body: Body::Join { rows, near },
                ..
            }) => [rows, near, &[]],
            Message::Reply {
                answer: Answer::Join { rows, near, leafs },
                ..
            } => [rows, near, leafs],
            Message::Reply {
                answer: Answer::ReplicaSet(contacts),
                ..
            }
            | Message::StateReply { contacts, .. } => [contacts, &[], &[]],
            Message::Location(Location::Published { also, .. }) => [also, &[], &[]],
            _ => [&[], &[], &[]],
        }
    }

    /// Whether it makes the receiver send or keep something that it did not ask for: such
    /// messages are what a flood is made of (P36).
    pub(crate) fn makes_work(&self) -> bool {
        match self {
            Message::Route(_)
            | Message::Probe { .. }
            | Message::Ping { .. }
            | Message::StateRequest { .. }
            | Message::Announce { .. } => true,
            Message::Location(message) => message.is_question(),
            Message::ProbeReply { .. }
            | Message::Pong { .. }
            | Message::Heartbeat
            | Message::Ack { .. }
            | Message::Refuse { .. }
            | Message::Reply { .. }
            | Message::StateReply { .. }
            | Message::Leave => false,
        }
    }

    /// A short name for counters and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Message::Probe { .. } => "probe",
            Message::ProbeReply { .. } => "probe_reply",
            Message::Ping { .. } => "ping",
            Message::Pong { .. } => "pong",
            Message::Heartbeat => "heartbeat",
            Message::Route(_) => "route",
            Message::Ack { .. } => "ack",
            Message::Refuse { .. } => "refuse",
            Message::Reply { .. } => "reply",
            Message::StateRequest { .. } => "state_request",
            Message::StateReply { .. } => "state_reply",
            Message::Announce { .. } => "announce",
            Message::Leave => "leave",
            Message::Location(message) => message.kind(),
        }
    }
}

impl<P> Routed<P> {
    /// The name by which a node knows that it had the message before. A search passes the
    /// same node twice with good reason: on the way up, and beside the root. So does a
    /// message that any of several nodes may take, before it turned to them and after.
    pub(crate) fn seen_as(&self) -> MessageId {
        let again = match &self.body {
            Body::Search(search) => search.asides.is_some(),
            Body::App { any_of, .. } => any_of.as_ref().is_some_and(AnyOf::has_turned),
            _ => false,
        };
        MessageId {
            origin: self.id.origin,
            // Numbers are of the lower half, so the upper is free.
            number: self.id.number ^ (u64::from(again) << 63),
        }
    }

    fn validate(&self) -> Result<(), InvalidMessage> {
        validate_trace(self.trace.as_deref())?;
        if self.id.origin != self.origin.guid {
            return Err(InvalidMessage::Origin);
        }
        if self.hops > MAX_HOPS {
            return Err(InvalidMessage::Range {
                what: "a hop count",
                value: self.hops.into(),
            });
        }
        match &self.body {
            Body::App {
                payload, any_of, ..
            } => {
                if let Some(any_of) = any_of {
                    any_of.validate()?;
                }
                validate_payload(payload)
            }
            Body::Search(search) => search.validate(),
            Body::Join { .. } | Body::ReplicaSet { .. } | Body::NeighbourSet { .. } => Ok(()),
        }
    }
}

impl Search {
    fn validate(&self) -> Result<(), InvalidMessage> {
        let asides = self.asides.as_ref().map_or(0, Vec::len);
        validate_length("a list of holders", self.reached.len(), MAX_PASSED)?;
        validate_length("a list of silent holders", self.silent.len(), MAX_PASSED)?;
        validate_length("a list of nodes beside the root", asides, MAX_ASIDES)?;
        validate_length("a root", self.salt.into(), usize::from(MAX_ROOTS) - 1)?;
        validate_length("a number of holders", self.want.into(), MAX_WANTED)?;
        self.task.validate()
    }
}

impl Task {
    fn validate(&self) -> Result<(), InvalidMessage> {
        match self {
            Task::Find => Ok(()),
            Task::Deliver { payload, .. } => validate_payload(payload),
        }
    }
}

impl<P> Location<P> {
    fn validate(&self) -> Result<(), InvalidMessage> {
        match self {
            Location::Publish(publish) => {
                let root = usize::from(publish.salt.unwrap_or(0));
                validate_length("a root", root, usize::from(MAX_ROOTS) - 1)?;
                validate_length("a list of silent hops", publish.except.len(), MAX_EXCEPT)?;
                publish.spread.validate()
            }
            Location::Published { also, .. } => {
                let most = 3 * usize::from(MAX_SPREAD);
                validate_length("a list of contacts", also.len(), most)
            }
            Location::Moved { ways } => {
                validate_length("a list of ways", ways.len(), MAX_MOVED)?;
                let root = ways.iter().map(|(_, salt)| usize::from(*salt)).max();
                let root = root.unwrap_or(0);
                validate_length("a root", root, usize::from(MAX_ROOTS) - 1)
            }
            Location::Errand(errand) => {
                validate_length("a hop count", errand.hops.into(), usize::from(MAX_HOPS))?;
                errand.task.validate()
            }
            Location::Unpublish { .. }
            | Location::Unpublished { .. }
            | Location::ErrandTaken { .. } => Ok(()),
        }
    }

    /// The one contact it names beside lists.
    fn contact(&self) -> Option<&Contact<P>> {
        match self {
            Location::Publish(publish) => Some(&publish.holder),
            Location::Published {
                way: Way::Next(next),
                ..
            } => Some(next),
            Location::Errand(errand) => Some(&errand.origin),
            _ => None,
        }
    }

    fn is_question(&self) -> bool {
        match self {
            Location::Publish(_)
            | Location::Unpublish { .. }
            | Location::Moved { .. }
            | Location::Errand(_) => true,
            Location::Published { .. }
            | Location::Unpublished { .. }
            | Location::ErrandTaken { .. } => false,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Location::Publish(_) => "publish",
            Location::Published { .. } => "published",
            Location::Unpublish { .. } => "unpublish",
            Location::Unpublished { .. } => "unpublished",
            Location::Moved { .. } => "moved",
            Location::Errand(_) => "errand",
            Location::ErrandTaken { .. } => "errand_taken",
        }
    }
}

impl Spread {
    fn validate(self) -> Result<(), InvalidMessage> {
        let most = self.backups.max(self.neighbours).max(self.copies);
        validate_length("a number of extra pointers", most.into(), MAX_SPREAD.into())
    }
}

fn validate_trace<P>(trace: Option<&[TraceHop<P>]>) -> Result<(), InvalidMessage> {
    let length = trace.map_or(0, <[_]>::len);
    let maximum = usize::from(MAX_HOPS) + 1;
    if length > maximum {
        return Err(InvalidMessage::TooMany { length, maximum });
    }
    Ok(())
}

fn validate_length(what: &'static str, value: usize, maximum: usize) -> Result<(), InvalidMessage> {
    if value > maximum {
        return Err(InvalidMessage::Range { what, value });
    }
    Ok(())
}

fn validate_payload(payload: &Bytes) -> Result<(), InvalidMessage> {
    if payload.len() > MAX_PAYLOAD {
        return Err(InvalidMessage::Payload(payload.len()));
    }
    Ok(())
}
