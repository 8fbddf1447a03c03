//! Nodes that do not keep to the rules (S18; Castro et al., *Secure routing*, section 2).
//!
//! A bad node runs the honest core, so that it joins, answers probes and is believed to
//! live; what reaches the core, and what leaves it, is changed on the way. All bad nodes of
//! a run know each other and work together.

mod colluders;
mod drops;
mod floods;
mod lies;
mod misroutes;

use std::collections::BTreeMap;

use overlay_core::{Contact, Message};
use serde::{Deserialize, Serialize};

use crate::Node;
use crate::dice::{Dice, Purpose};

use colluders::Colluders;

/// What bad nodes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// They acknowledge what is routed through them and throw it away.
    Drops,
    /// They answer lookups in the root's place and name bad nodes, and send everything else
    /// astray.
    Misroutes,
    /// They name bad nodes and nodes that do not exist in their rows, leaf sets and
    /// answers, hide the others and call them dead.
    Lies,
    /// They send through good nodes what those cannot get rid of.
    Floods,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Behaviour; 4] = [
        Behaviour::Drops,
        Behaviour::Misroutes,
        Behaviour::Lies,
        Behaviour::Floods,
    ];

    /// Its name in scenarios and tables.
    pub fn text(self) -> &'static str {
        match self {
            Behaviour::Drops => "drops",
            Behaviour::Misroutes => "misroutes",
            Behaviour::Lies => "lies",
            Behaviour::Floods => "floods",
        }
    }
}

/// A message that somebody sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// By whom.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// What.
    pub message: Message<Node>,
}

/// The bad nodes of a run.
#[derive(Debug)]
pub struct Adversary {
    behaviour: Behaviour,
    colluders: Colluders,
    dice: Dice,
    /// Messages made so far, for their names.
    made: u64,
}

impl Adversary {
    /// These nodes do this from now on. `phantoms` are contacts of nodes that never lived,
    /// for lies.
    pub fn new(
        behaviour: Behaviour,
        bad: Vec<Contact<Node>>,
        phantoms: Vec<Contact<Node>>,
        seed: u64,
    ) -> Adversary {
        Adversary {
            behaviour,
            colluders: Colluders::new(bad, phantoms),
            dice: Dice::new(seed, Purpose::Adversary),
            made: 0,
        }
    }

    /// What they do.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Whether a node is one of them.
    pub fn is_bad(&self, node: Node) -> bool {
        self.colluders.has(node)
    }

    /// A message arrives at a bad node: what its core sees of it. What the node sends at
    /// once beside its core is added to `sends`.
    pub(crate) fn receives(
        &mut self,
        at: Node,
        from: Node,
        message: Message<Node>,
        sends: &mut Vec<Sent>,
    ) -> Option<Message<Node>> {
        match self.behaviour {
            Behaviour::Drops => drops::receives(at, from, message, sends),
            Behaviour::Misroutes => {
                misroutes::receives(&self.colluders, &mut self.dice, at, from, message, sends)
            }
            Behaviour::Lies => Some(message),
            Behaviour::Floods => floods::receives(&self.colluders, message),
        }
    }

    /// A bad node's core sends a message: what goes out.
    pub(crate) fn sends(&mut self, from: Node, message: Message<Node>) -> Message<Node> {
        match self.behaviour {
            Behaviour::Lies => lies::sends(&self.colluders, &mut self.dice, from, message),
            Behaviour::Drops | Behaviour::Misroutes | Behaviour::Floods => message,
        }
    }

    /// All of them, by number.
    pub fn bad(&self) -> impl Iterator<Item = Node> + '_ {
        self.colluders.all().iter().map(|contact| contact.peer)
    }

    /// What bad nodes send of their own accord, `each` of them as many: nothing unless they
    /// flood. `victims` says through whom each does.
    pub(crate) fn flood(&mut self, each: u32, victims: &BTreeMap<Node, Node>) -> Vec<Sent> {
        if self.behaviour != Behaviour::Floods {
            return Vec::new();
        }
        floods::strike(
            &self.colluders,
            &mut self.dice,
            &mut self.made,
            each,
            victims,
        )
    }
}
