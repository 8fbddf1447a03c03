//! Messages by what they are for, as MSPastry reports them.

use overlay_core::{Answer, Body, Message};
use serde::Serialize;

use crate::Node;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An application's message, on one hop.
    Lookup,
    /// A hop has it, or will not take it.
    Ack,
    /// A join message on one hop, and the root's answer to it.
    Join,
    /// Probes with views: of the leaf set, and of found nodes.
    LeafProbe,
    /// I am here.
    Heartbeat,
    /// Probes without views: of distance, and of table entries.
    Ping,
    /// Rows and neighbourhood sets.
    State,
    /// Questions for replica sets, answers of applications.
    Answer,
    /// I am active, and this far away.
    Announce,
    /// I go.
    Leave,
    /// Pointers to objects, and searches for them.
    Location,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 11] = [
        Kind::Lookup,
        Kind::Ack,
        Kind::Join,
        Kind::LeafProbe,
        Kind::Heartbeat,
        Kind::Ping,
        Kind::State,
        Kind::Answer,
        Kind::Announce,
        Kind::Leave,
        Kind::Location,
    ];

    /// What a message is for.
    pub fn of(message: &Message<Node>) -> Kind {
        match message {
            Message::Route(routed) => match routed.body {
                Body::App { .. } => Kind::Lookup,
                Body::Join { .. } => Kind::Join,
                Body::ReplicaSet { .. } | Body::NeighbourSet { .. } => Kind::Answer,
                Body::Search(_) => Kind::Location,
            },
            Message::Ack { .. } | Message::Refuse { .. } => Kind::Ack,
            Message::Reply { answer, .. } => match answer {
                Answer::Join { .. } => Kind::Join,
                Answer::App(_) | Answer::Refused(_) | Answer::ReplicaSet(_) => Kind::Answer,
                Answer::Holder | Answer::Searched { .. } => Kind::Location,
            },
            Message::Probe { .. } | Message::ProbeReply { .. } => Kind::LeafProbe,
            Message::Ping { .. } | Message::Pong { .. } => Kind::Ping,
            Message::Heartbeat => Kind::Heartbeat,
            Message::StateRequest { .. } | Message::StateReply { .. } => Kind::State,
            Message::Announce { .. } => Kind::Announce,
            Message::Leave => Kind::Leave,
            Message::Location(_) => Kind::Location,
        }
    }

    /// Whether it keeps the overlay: applications ask for the others.
    pub fn is_control(self) -> bool {
        !matches!(self, Kind::Lookup | Kind::Answer | Kind::Location)
    }

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lookup => "lookups",
            Kind::Ack => "acknowledgements",
            Kind::Join => "joins",
            Kind::LeafProbe => "leaf set probes",
            Kind::Heartbeat => "heartbeats",
            Kind::Ping => "distance and table probes",
            Kind::State => "rows and neighbourhoods",
            Kind::Answer => "answers",
            Kind::Announce => "announcements",
            Kind::Leave => "departures",
            Kind::Location => "pointers and searches",
        }
    }
}

/// How many messages of each kind were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    counts: [u64; Kind::ALL.len()],
}

impl Traffic {
    pub(crate) fn note(&mut self, kind: Kind) {
        self.counts[kind as usize] += 1;
    }

    /// Messages of one kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// All messages.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Everything but what applications sent: the cost of keeping the overlay, with the
    /// acknowledgements of lookups, as MSPastry counts it.
    pub fn control(&self) -> u64 {
        let kept = Kind::ALL.iter().filter(|kind| kind.is_control());
        kept.map(|kind| self.of(*kind)).sum()
    }

    /// What was sent since an earlier count.
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        let mut counts = self.counts;
        for (now, then) in counts.iter_mut().zip(earlier.counts) {
            *now -= then;
        }
        Traffic { counts }
    }
}
