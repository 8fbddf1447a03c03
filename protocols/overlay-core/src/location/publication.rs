//! What a publisher knows of its own objects (L3, L5, L7).

use std::collections::BTreeMap;

use guid::Guid;

use crate::location::message::{Full, MAX_EXCEPT};
use crate::{Contact, Peer, RequestId, Time};

/// Most nodes noted as keeping a pointer to one object: several rounds of ways, or one
/// with pointers beside each hop.
pub(crate) const MAX_PLACED: usize = 128;

/// Most commands that wait for one object's pointers.
pub(crate) const MAX_WAITING: usize = 16;

/// An object this node holds and has told others of.
#[derive(Clone, Debug)]
pub(crate) struct Publication<P> {
    /// Publish commands that wait for this round's end, and until when.
    pub(crate) waiting: Vec<(RequestId, Time)>,
    /// One for each root, by salt.
    pub(crate) roots: Vec<Root<P>>,
    /// Nodes that keep a pointer, and until when.
    pub(crate) placed: BTreeMap<P, (Contact<P>, Time)>,
    /// The bound that left no room somewhere on this round's ways.
    pub(crate) full: Option<Full>,
    /// Rounds in a row that missed a root.
    pub(crate) failures: u32,
}

/// One of an object's roots, and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Root<P> {
    pub(crate) reach: Reach,
    /// Whether this node itself was the root.
    pub(crate) here: bool,
    /// The way's first hop.
    pub(crate) first: Option<P>,
    /// Where the next walk begins, if not here.
    pub(crate) resume: Option<Contact<P>>,
    /// When the last walk began.
    pub(crate) begun: Option<Time>,
}

/// How far the pointers on one way are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A walk is due.
    Queued,
    /// A walk is under way.
    Walking,
    /// The root keeps a pointer.
    Reached,
    /// There was no walk yet, or the last was given up.
    Missed,
}

/// A publisher's walk towards a root, leaving a pointer at each hop.
#[derive(Clone, Debug)]
pub(crate) struct Walk<P> {
    /// The hops that were asked; the last is who says, or said, where to go on.
    pub(crate) passed: Vec<Contact<P>>,
    /// Hops that were silent.
    pub(crate) except: Vec<Contact<P>>,
    /// Times the walk did not come on.
    pub(crate) stuck: u32,
}

impl<P: Peer> Publication<P> {
    pub(crate) fn new(roots: u8) -> Self {
        let root = Root {
            reach: Reach::Missed,
            here: false,
            first: None,
            resume: None,
            begun: None,
        };
        Publication {
            waiting: Vec::new(),
            roots: vec![root; roots.into()],
            placed: BTreeMap::new(),
            full: None,
            failures: 0,
        }
    }

    /// Whether no walk is due or under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        let busy = |root: &Root<P>| matches!(root.reach, Reach::Queued | Reach::Walking);
        !self.roots.iter().any(busy)
    }

    /// Whether something is to happen at a time: the next round, or the end of a command.
    pub(crate) fn is_timed(&self) -> bool {
        self.is_at_rest() || !self.waiting.is_empty()
    }

    pub(crate) fn reached(&self) -> usize {
        let reached = |root: &&Root<P>| root.reach == Reach::Reached;
        self.roots.iter().filter(reached).count()
    }

    /// Whether a search can find this node: by a pointer, or because it is itself a root.
    pub(crate) fn is_known(&self) -> bool {
        !self.placed.is_empty() || self.roots.iter().any(|root| root.here)
    }

    /// Notes that a node keeps a pointer.
    pub(crate) fn note_placed(&mut self, now: Time, contact: &Contact<P>, until: Time) {
        self.placed.retain(|_, (_, expires)| *expires > now);
        if self.placed.len() >= MAX_PLACED && !self.placed.contains_key(&contact.peer) {
            let soonest = self.placed.iter().min_by_key(|(_, (_, expires))| *expires);
            if let Some(peer) = soonest.map(|(peer, _)| *peer) {
                self.placed.remove(&peer);
            }
        }
        self.placed.insert(contact.peer, (contact.clone(), until));
    }
}

impl<P: Peer> Walk<P> {
    /// A walk that begins at this node, or at the hop that said its way had changed.
    pub(crate) fn new(from: Option<Contact<P>>) -> Self {
        Walk {
            passed: from.into_iter().collect(),
            except: Vec::new(),
            stuck: 0,
        }
    }

    /// The hop asked last was silent: it is gone round.
    pub(crate) fn turn_back(&mut self) {
        self.stuck += 1;
        if let Some(silent) = self.passed.pop()
            && self.except.len() < MAX_EXCEPT
        {
            self.except.push(silent);
        }
    }

    pub(crate) fn is_new(&self, guid: Guid) -> bool {
        let known = self.passed.iter().chain(&self.except);
        known.into_iter().all(|contact| contact.guid != guid)
    }
}
