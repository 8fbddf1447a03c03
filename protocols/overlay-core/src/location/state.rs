//! All that a node keeps for the location of objects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use guid::Guid;

use crate::location::message::{Location, MAX_PASSED, Task};
use crate::location::pointers::Pointers;
use crate::location::publication::{MAX_PLACED, MAX_WAITING, Publication, Reach, Walk};
use crate::seen::Seen;
use crate::{Contact, Found, LocationConfig, MessageId, Peer, RequestId, Routed, Time};

/// Most walks of this node under way, so that a publisher of thousands is no burst.
pub(crate) const MAX_WALKS: usize = 128;

/// Most direct questions without an answer.
pub(crate) const MAX_ASKS: usize = 4096;

/// Most searches of others that wait here for a holder's word.
pub(crate) const MAX_SEARCHES: usize = 512;

/// Most searches and withdrawals of this node under way.
pub(crate) const MAX_SEEKS: usize = 1024;

/// Most departed nodes remembered until the ways through them have been told of.
pub(crate) const MAX_GONE: usize = 256;

/// A question put to a node directly, and repeated while it is silent (L13).
#[derive(Clone, Debug)]
pub(crate) struct Ask<P> {
    pub(crate) to: Contact<P>,
    pub(crate) message: Location<P>,
    pub(crate) purpose: Purpose,
    pub(crate) sent: Time,
    pub(crate) tries: u32,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A hop of a walk.
    Step { object: Guid, salt: u8 },
    /// A pointer beside a way.
    Extra { object: Guid },
    /// A pointer to be dropped.
    Withdraw { request: RequestId },
    /// A search that turned off to a holder.
    Errand { search: MessageId },
}

/// A search that waits here for what the holders say (L9).
#[derive(Clone, Debug)]
pub(crate) struct Searching<P> {
    pub(crate) routed: Routed<P>,
    /// The hop before, unless the search is this node's own.
    pub(crate) before: Option<P>,
    /// Holders that have yet to say.
    pub(crate) open: usize,
}

/// A search of this node's own (L12).
#[derive(Clone, Debug)]
pub(crate) struct Seek<P> {
    pub(crate) object: Guid,
    pub(crate) want: usize,
    pub(crate) task: Task,
    /// Names all tries together.
    pub(crate) errand: u64,
    /// The numbers of the tries, the last is under way.
    pub(crate) tries: Vec<u64>,
    /// The object's roots in the order in which they are searched.
    pub(crate) salts: Vec<u8>,
    /// Whether the try under way has ended at its root.
    pub(crate) ended: bool,
    /// Roots whose searches have ended.
    pub(crate) searched: BTreeSet<u8>,
    /// Holders of whom a search said that they have the object.
    pub(crate) promised: BTreeSet<Guid>,
    pub(crate) found: Vec<Found<P>>,
    pub(crate) deadline: Time,
}

/// Pointers, publications and searches of one node.
#[derive(Clone, Debug)]
pub(crate) struct LocationState<P> {
    pub(crate) pointers: Pointers<P>,
    pub(crate) publications: BTreeMap<Guid, Publication<P>>,
    /// Walks that are due.
    pub(crate) queue: VecDeque<(Guid, u8)>,
    pub(crate) walks: BTreeMap<(Guid, u8), Walk<P>>,
    /// Whether walks are being begun at this moment.
    pub(crate) pumping: bool,
    pub(crate) asks: BTreeMap<u64, Ask<P>>,
    pub(crate) searches: BTreeMap<MessageId, Searching<P>>,
    pub(crate) seeks: BTreeMap<RequestId, Seek<P>>,
    /// Unpublish commands, and how many nodes have yet to confirm.
    pub(crate) withdrawals: BTreeMap<RequestId, usize>,
    /// Messages to objects that were handed to an application here.
    pub(crate) served: Seen,
    /// Nodes that died or left, until the ways through them have been told of.
    pub(crate) gone: BTreeSet<P>,
    /// The object at which the round through the pointers goes on.
    pub(crate) cursor: Guid,
    /// Whether something changed since the round began.
    pub(crate) changed: bool,
}

impl<P: Peer> LocationState<P> {
    pub(crate) fn new() -> Self {
        LocationState {
            pointers: Pointers::new(),
            publications: BTreeMap::new(),
            queue: VecDeque::new(),
            walks: BTreeMap::new(),
            pumping: false,
            asks: BTreeMap::new(),
            searches: BTreeMap::new(),
            seeks: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            served: Seen::default(),
            gone: BTreeSet::new(),
            cursor: Guid::new(0),
            changed: false,
        }
    }

    /// A search of this node's own by the name of one of its tries.
    pub(crate) fn seek_of(&self, me: Guid, id: MessageId) -> Option<RequestId> {
        if id.origin != me {
            return None;
        }
        let mut seeks = self.seeks.iter();
        seeks
            .find(|(_, seek)| seek.tries.contains(&id.number))
            .map(|(request, _)| *request)
    }

    pub(crate) fn check_invariants(&self, config: &LocationConfig) {
        self.pointers.check_invariants(config);
        assert!(
            self.publications.len() <= config.max_publications,
            "too many objects are published"
        );
        assert!(self.walks.len() <= MAX_WALKS, "too many walks");
        assert!(self.asks.len() <= MAX_ASKS, "too many open questions");
        assert!(
            self.searches.len() <= MAX_SEARCHES,
            "too many searches wait"
        );
        assert!(
            self.seeks.len() + self.withdrawals.len() <= MAX_SEEKS,
            "too many searches are under way"
        );
        assert!(
            self.gone.len() <= MAX_GONE,
            "too many departed are remembered"
        );
        for (object, publication) in &self.publications {
            assert!(
                publication.placed.len() <= MAX_PLACED,
                "too many pointers placed"
            );
            assert!(
                publication.waiting.len() <= MAX_WAITING,
                "too many commands wait"
            );
            for (salt, root) in (0u8..).zip(&publication.roots) {
                assert_eq!(
                    root.reach == Reach::Walking,
                    self.walks.contains_key(&(*object, salt)),
                    "a walk and its root disagree"
                );
            }
        }
        for (object, _) in self.walks.keys() {
            assert!(self.publications.contains_key(object), "a walk for nothing");
        }
        for (id, searching) in &self.searches {
            let errand = Purpose::Errand { search: *id };
            let open = self.asks.values().filter(|ask| ask.purpose == errand);
            assert_eq!(open.count(), searching.open, "a search waits for nobody");
            assert!(searching.open > 0, "a search waits for nothing");
        }
        for (request, open) in &self.withdrawals {
            let withdraw = Purpose::Withdraw { request: *request };
            let asked = self.asks.values().filter(|ask| ask.purpose == withdraw);
            assert_eq!(asked.count(), *open, "a withdrawal waits for nobody");
        }
        for seek in self.seeks.values() {
            assert!(seek.found.len() <= seek.want, "more was found than wanted");
            assert!(
                seek.promised.len() <= 2 * MAX_PASSED,
                "too much is promised"
            );
        }
    }
}
