//! What nodes say to each other.

use guid::Guid;
use serde::{Deserialize, Serialize};

/// Most delegates of an entry (the paper's K).
pub const MAX_DELEGATES: usize = 4;

/// Most objects in an offer (Q12).
pub const MAX_OFFERED: usize = 64;

/// A copy as others are told of it (Q2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// Follows from the validators: equal means the same representation.
    pub version: u64,
    /// Bytes of the body.
    pub size: u64,
    /// Microseconds for which it is still fresh.
    pub fresh_us: u64,
}

/// What an asker owes the home after it has been to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Nothing.
    None,
    /// To say what the origin said: `told` (Q9).
    Tell,
}

/// What an asker says of its way to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It has this now.
    Got(Copied),
    /// The answer was for it alone.
    Private,
    /// There was none.
    Failed,
}

/// One object that somebody else is now the home of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered<P> {
    /// Which.
    pub object: Guid,
    /// Its copy here, or at the delegates.
    pub copy: Copied,
    /// Who has it, in the directory scheme.
    pub delegates: Vec<P>,
}

/// A message from one node's part of the cache to another's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Message<P> {
    /// Asks the home for an object.
    Get {
        /// The asker's number for the question.
        ask: u64,
        /// Which object.
        object: Guid,
        /// The version of the asker's copy.
        version: Option<u64>,
        /// A delegate that has not got it.
        without: Option<P>,
    },
    /// The home needs time.
    Wait {
        /// The question.
        ask: u64,
        /// Which object.
        object: Guid,
    },
    /// The asker's own copy is what it wants.
    Current {
        /// The question.
        ask: u64,
        /// Which object.
        object: Guid,
        /// As it is known now.
        copy: Copied,
    },
    /// Here it is; the body goes with it.
    Object {
        /// The question.
        ask: u64,
        /// Which object.
        object: Guid,
        /// The copy.
        copy: Copied,
        /// Whether it was there before it was asked for.
        hit: bool,
    },
    /// Somebody else has it.
    Redirect {
        /// The question.
        ask: u64,
        /// Which object.
        object: Guid,
        /// Who.
        delegate: P,
    },
    /// The asker is to ask the origin.
    Origin {
        /// The question.
        ask: u64,
        /// Which object.
        object: Guid,
        /// What it owes the home then.
        duty: Duty,
    },
    /// What the origin said to an asker.
    Told {
        /// Which object.
        object: Guid,
        /// What it said.
        outcome: Told,
    },
    /// Asks for a body where it is known to be.
    Fetch {
        /// The asker's number for the question.
        ask: u64,
        /// Which object.
        object: Guid,
        /// The version of the asker's copy.
        version: Option<u64>,
    },
    /// It is not here any more.
    Gone {
        /// The question.
        ask: u64,
        /// Which object.
        object: Guid,
    },
    /// What the receiver is the home of now.
    Offer {
        /// At most [`MAX_OFFERED`] objects.
        objects: Vec<Offered<P>>,
    },
}

impl<P> Offered<P> {
    /// Whether its list is as short as it must be.
    pub(crate) fn is_within_bounds(&self) -> bool {
        self.delegates.len() <= MAX_DELEGATES
    }
}
