//! A message that several nodes may take: those closest to its key (P33; Pastry, section
//! 2.5, "locating the nearest among k nodes").

use guid::Guid;
use serde::{Deserialize, Serialize};

use crate::InvalidMessage;

/// Most distances that a message carries: those of several nodes on the way, each of which
/// adds at most k.
pub(crate) const MAX_SIGHTINGS: usize = 64;

/// Who may take a message besides the root of its key, and what the way has shown of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyOf {
    /// So many of the nodes closest to the key.
    pub(crate) k: u8,
    /// Nodes taken for some of them, with their distances from where the message turned to
    /// them; the next one is always among them. Empty until it turns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<Sighting>,
}

/// How far away a node is from where the message turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    #[serde(rename = "g")]
    pub(crate) guid: Guid,
    /// Microseconds there and back, measured or estimated.
    #[serde(rename = "t")]
    pub(crate) micros: u32,
}

impl AnyOf {
    /// Any of the `k` closest; `None` for the root alone.
    pub fn new(k: usize) -> Option<AnyOf> {
        (k > 1).then(|| AnyOf {
            k: u8::try_from(k).unwrap_or(u8::MAX),
            seen: Vec::new(),
        })
    }

    /// Whether the message has left Pastry's way and only comes numerically closer now.
    pub fn has_turned(&self) -> bool {
        !self.seen.is_empty()
    }

    pub(crate) fn sighting(&self, guid: Guid) -> Option<u32> {
        let mut seen = self.seen.iter();
        seen.find(|one| one.guid == guid).map(|one| one.micros)
    }

    /// How far away a node `own` microseconds from here is from where the message turned:
    /// as was seen there, or as the two legs make it on average over all directions on a
    /// plane, which is the longer one and about a quarter of the shorter.
    pub(crate) fn distance(&self, me: Guid, guid: Guid, own: u32) -> u32 {
        if let Some(micros) = self.sighting(guid) {
            return micros;
        }
        let way = self.sighting(me).unwrap_or(0);
        own.max(way).saturating_add(own.min(way) / 4)
    }

    /// Keeps distances for the nodes to come; what was seen earlier stands.
    pub(crate) fn add(&mut self, guid: Guid, micros: u32) {
        if self.seen.len() < MAX_SIGHTINGS && self.sighting(guid).is_none() {
            self.seen.push(Sighting { guid, micros });
        }
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidMessage> {
        let (what, value) = match (self.k, self.seen.len()) {
            (0, _) => ("a number of nodes", 0),
            (_, length) if length > MAX_SIGHTINGS => ("a list of distances", length),
            _ => return Ok(()),
        };
        Err(InvalidMessage::Range { what, value })
    }
}
