//! Nodes with stores, an origin that counts, and the truth about who is whose home.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use guid::Guid;
use overlay_core::Time;
use webcache_core::{
    Config, Input, Message, Meta, Outcome, Output, Purpose, Scheme, Source, Stats, Ticket, Webcache,
};

/// How long the origin's answers are fresh.
pub(crate) const FRESH: Duration = Duration::from_secs(60);

/// A node's answer to a client.
pub(crate) type Answer = (u32, Ticket, Source<u32>);

pub(crate) struct Node {
    pub(crate) guid: Guid,
    pub(crate) cache: Webcache<u32>,
    pub(crate) store: BTreeMap<Guid, Meta>,
}

/// What the origin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This version, to everybody.
    Public(u64),
    /// Something for the client alone.
    Private,
    /// Nothing.
    Down,
}

pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<u32, Node>,
    pub(crate) origin: BTreeMap<Guid, Origin>,
    /// Who asked it for what.
    pub(crate) trips: Vec<(u32, Guid, Purpose)>,
    /// Nodes that ask no origin for others.
    pub(crate) refusing: BTreeSet<u32>,
    /// Nodes that have died without a word.
    pub(crate) dead: BTreeSet<u32>,
    /// Nodes that others think too far away to hand over anything.
    pub(crate) strangers: BTreeSet<u32>,
    /// The numbers of all questions: who put it, of what, and the number.
    pub(crate) asked: Vec<(u32, Guid, u64)>,
    /// While set, origins' answers wait.
    pub(crate) origin_is_slow: bool,
    slow: Vec<(u32, Guid, Purpose)>,
    /// Messages on their way.
    flying: VecDeque<(u32, u32, Message<u32>)>,
    /// All messages that arrived.
    pub(crate) log: Vec<(u32, u32, Message<u32>)>,
    pub(crate) answers: Vec<Answer>,
    next_ticket: u64,
}

impl Net {
    pub(crate) fn new(scheme: Scheme, count: u32) -> Net {
        let config = Config {
            scheme,
            ..Config::default()
        };
        Net::with(config, count)
    }

    pub(crate) fn with(config: Config, count: u32) -> Net {
        let mut net = Net {
            now: Time::from_micros(1),
            nodes: BTreeMap::new(),
            origin: BTreeMap::new(),
            trips: Vec::new(),
            refusing: BTreeSet::new(),
            dead: BTreeSet::new(),
            strangers: BTreeSet::new(),
            asked: Vec::new(),
            origin_is_slow: false,
            slow: Vec::new(),
            flying: VecDeque::new(),
            log: Vec::new(),
            answers: Vec::new(),
            next_ticket: 0,
        };
        for peer in 0..count {
            net.add(peer, config.clone());
        }
        net
    }

    pub(crate) fn add(&mut self, peer: u32, config: Config) {
        let node = Node {
            guid: Guid::hash(&peer.to_be_bytes()),
            cache: Webcache::new(config, peer, peer.into()),
            store: BTreeMap::new(),
        };
        self.nodes.insert(peer, node);
    }

    /// The live node closest to an object.
    pub(crate) fn home(&self, object: Guid) -> u32 {
        let live = self
            .nodes
            .iter()
            .filter(|(peer, _)| !self.dead.contains(peer));
        let closest = live.min_by(|(_, a), (_, b)| object.cmp_distance(a.guid, b.guid));
        *closest.expect("somebody lives").0
    }

    /// An object whose home is `peer`; different ones for different numbers.
    pub(crate) fn object_at(&self, peer: u32, number: u64) -> Guid {
        let mut objects = (number * 1_000_000..).map(|n| Guid::hash(&n.to_be_bytes()));
        objects
            .find(|object| self.home(*object) == peer)
            .expect("there are many")
    }

    pub(crate) fn input(&mut self, peer: u32, input: Input<u32>) {
        let now = self.now;
        let node = self.nodes.get_mut(&peer).expect("a node");
        node.cache.handle_input(now, input);
        while let Some(output) = self
            .nodes
            .get_mut(&peer)
            .and_then(|node| node.cache.poll_output())
        {
            self.output(peer, output);
        }
    }

    fn output(&mut self, peer: u32, output: Output<u32>) {
        if let Output::ToHome { message, .. } | Output::Send { message, .. } = &output
            && let Message::Get { ask, object, .. } | Message::Fetch { ask, object, .. } = message
        {
            self.asked.push((peer, *object, *ask));
        }
        match output {
            Output::ToHome { object, message } => {
                let home = self.home(object);
                self.flying.push_back((peer, home, message));
            }
            Output::Send { to, message } => self.flying.push_back((peer, to, message)),
            Output::Origin {
                object, purpose, ..
            } => {
                self.trips.push((peer, object, purpose));
                self.slow.push((peer, object, purpose));
            }
            Output::Refresh { object, meta } => {
                let node = self.nodes.get_mut(&peer).expect("a node");
                let copy = node.store.get_mut(&object).expect("a copy to refresh");
                assert_eq!(
                    copy.version, meta.version,
                    "another version is no refreshment"
                );
                copy.fresh_until = copy.fresh_until.max(meta.fresh_until);
            }
            Output::Answer { ticket, source, .. } => self.answers.push((peer, ticket, source)),
        }
    }

    fn answer_from_origin(&mut self, peer: u32, object: Guid, purpose: Purpose) {
        let refused = purpose == Purpose::Group && self.refusing.contains(&peer);
        let node = self.nodes.get_mut(&peer).expect("a node");
        let had = node.store.get(&object).map(|meta| meta.version);
        let outcome = match self.origin.get(&object) {
            _ if refused => Outcome::Refused,
            None | Some(Origin::Down) => Outcome::Failed,
            Some(Origin::Private) => Outcome::Private,
            Some(Origin::Public(version)) => {
                let meta = Meta {
                    version: *version,
                    size: 1000,
                    fresh_until: self.now + FRESH,
                };
                node.store.insert(object, meta);
                match had == Some(*version) {
                    true => Outcome::Same(meta),
                    false => Outcome::Got(meta),
                }
            }
        };
        self.input(
            peer,
            Input::Fetched {
                object,
                purpose,
                outcome,
            },
        );
    }

    /// Delivers what is on its way until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        loop {
            if let Some((from, to, message)) = self.flying.pop_front() {
                self.deliver(from, to, message);
            } else if !self.origin_is_slow && !self.slow.is_empty() {
                let (peer, object, purpose) = self.slow.remove(0);
                if self.dead.contains(&peer) {
                    continue;
                }
                self.answer_from_origin(peer, object, purpose);
            } else {
                return;
            }
        }
    }

    pub(crate) fn deliver(&mut self, from: u32, to: u32, message: Message<u32>) {
        if self.dead.contains(&from) || self.dead.contains(&to) {
            return;
        }
        self.log.push((from, to, message.clone()));
        let now = self.now;
        let node = self.nodes.get_mut(&to).expect("a node");
        let object = object_of(&message);
        let have = object.and_then(|object| node.store.get(&object).copied());
        if let Message::Object { object, copy, .. } = &message {
            node.store.insert(*object, copy.meta(now));
        }
        let input = match message {
            Message::Offer { objects } if !self.strangers.contains(&from) => {
                Input::Offered { from, objects }
            }
            message => Input::Received {
                from,
                message,
                have,
            },
        };
        self.input(to, input);
    }

    /// The number of the last question of a node for an object.
    pub(crate) fn number(&self, peer: u32, object: Guid) -> u64 {
        let mut asked = self.asked.iter().rev();
        let found = asked.find(|(asker, of, _)| (*asker, *of) == (peer, object));
        found.expect("a question").2
    }

    /// Lets time pass, with all timers due meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        loop {
            let due = self
                .nodes
                .iter()
                .filter(|(peer, _)| !self.dead.contains(peer));
            let due = due.filter_map(|(peer, node)| Some((node.cache.poll_timeout()?.0, *peer)));
            let Some((at, peer)) = due.min().filter(|(at, _)| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.input(peer, Input::Timeout);
            self.settle();
        }
        self.now = end;
    }

    /// A client's request, which has not to be answered yet.
    pub(crate) fn request(&mut self, peer: u32, object: Guid) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let have = self.nodes[&peer].store.get(&object).copied();
        self.input(
            peer,
            Input::Request {
                ticket,
                object,
                have,
            },
        );
        ticket
    }

    pub(crate) fn source_of(&self, ticket: Ticket) -> Option<Source<u32>> {
        let mut of = self.answers.iter().filter(|(_, other, _)| *other == ticket);
        let source = of.next().map(|(.., source)| *source);
        assert!(of.next().is_none(), "{ticket:?} was answered twice");
        source
    }

    /// A request and its answer.
    pub(crate) fn get(&mut self, peer: u32, object: Guid) -> Source<u32> {
        let ticket = self.request(peer, object);
        self.settle();
        self.source_of(ticket).expect("an answer")
    }

    pub(crate) fn evict(&mut self, peer: u32, object: Guid) {
        let node = self.nodes.get_mut(&peer).expect("a node");
        node.store.remove(&object);
        self.input(peer, Input::Evicted(object));
    }

    pub(crate) fn stats(&self, peer: u32) -> Stats {
        self.nodes[&peer].cache.stats()
    }

    /// How often a body crossed between two nodes.
    pub(crate) fn bodies(&self) -> usize {
        let bodies = self
            .log
            .iter()
            .filter(|(from, to, message)| from != to && matches!(message, Message::Object { .. }));
        bodies.count()
    }
}

pub(crate) fn object_of(message: &Message<u32>) -> Option<Guid> {
    match message {
        Message::Get { object, .. }
        | Message::Wait { object, .. }
        | Message::Current { object, .. }
        | Message::Object { object, .. }
        | Message::Redirect { object, .. }
        | Message::Origin { object, .. }
        | Message::Told { object, .. }
        | Message::Fetch { object, .. }
        | Message::Gone { object, .. } => Some(*object),
        Message::Offer { .. } => None,
    }
}
