//! Runs a trace on one [`Webcache`] for each client.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use guid::Guid;
use overlay_core::Time;
use webcache_core::{
    Config, Input, Message, Meta, Outcome, Output, Purpose, Scheme, Ticket, Webcache,
};

use super::{Store, Trace};
use crate::{Node, Ring};

/// One hop in a local network.
const HOP: Duration = Duration::from_millis(1);

/// The way of a routed message; how many hops that are does not matter to who waits for whom.
const ROUTE: Duration = Duration::from_millis(4);

/// An answer of an origin.
const ORIGIN: Duration = Duration::from_millis(200);

/// Longer than any trace: nothing becomes stale (Q14).
const FOR_EVER: Time = Time::from_micros(u64::MAX);

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Requests that had an answer out of the client's own cache.
    pub local: u64,
    /// Bodies got from origins; what cannot be cached is included.
    pub trips: u64,
    /// Their bytes.
    pub external: u64,
    /// Messages that were routed to a home.
    pub routed: u64,
    /// Direct messages that somebody waited for: answers, redirects, and what they lead to.
    pub direct: u64,
    /// Bodies sent to other nodes.
    pub served: u64,
    /// The most that one node sent in a second and in a minute.
    pub most_served: [u64; 2],
    /// The share of cached bytes that is lost with a node: the mean of all, and the most.
    pub lost: [f64; 2],
    /// Bytes in the stores at the end: the mean of all nodes.
    pub kept: f64,
    /// Requests that had no answer.
    pub unanswered: u64,
}

enum Event {
    Message {
        from: Node,
        to: Node,
        message: Message<Node>,
    },
    Origin {
        node: Node,
        object: Guid,
        purpose: Purpose,
    },
    Wake(Node),
}

struct Peer {
    cache: Webcache<Node>,
    store: Store,
    wakes: Option<Time>,
    /// The second and the minute it served last in, and how often.
    served: [(u64, u64); 2],
}

struct Driver<'a> {
    trace: &'a Trace,
    numbers: BTreeMap<Guid, u32>,
    homes: Vec<Node>,
    peers: Vec<Peer>,
    now: Time,
    due: BinaryHeap<Reverse<(Time, u64)>>,
    events: BTreeMap<u64, Event>,
    next: u64,
    open: u64,
    run: Run,
}

/// Runs a trace with this scheme and this room at each node. `ring` names at least as many nodes
/// as the trace has clients: client and node have one number.
///
/// # Panics
/// When the ring has other nodes than the trace has clients: the caller's mistake.
pub fn run(trace: &Trace, scheme: Scheme, room: u64, ring: &Ring, seed: u64) -> Run {
    assert_eq!(ring.len(), trace.clients as usize, "each client is a node");
    let config = Config {
        scheme,
        // As many as there are: what is forgotten is the store's affair here.
        max_entries: usize::MAX,
        ..Config::default()
    };
    let peer = |node: Node| Peer {
        cache: Webcache::new(config.clone(), node, seed ^ u64::from(node)),
        store: Store::new(room),
        wakes: None,
        served: [(0, 0); 2],
    };
    let home = |object| ring.root(object).expect("somebody is active");
    let items = trace.items.iter();
    let mut driver = Driver {
        trace,
        numbers: items
            .clone()
            .zip(0..)
            .map(|(item, number)| (item.object, number))
            .collect(),
        homes: items.map(|item| home(item.object)).collect(),
        peers: (0..trace.clients).map(peer).collect(),
        now: Time::ZERO,
        due: BinaryHeap::new(),
        events: BTreeMap::new(),
        next: 0,
        open: 0,
        run: Run {
            trips: trace.uncacheable,
            external: trace.uncacheable_bytes,
            ..Run::default()
        },
    };
    for (request, ticket) in trace.requests.iter().zip(1..) {
        driver.until(Time::from_micros(request.at));
        driver.now = Time::from_micros(request.at);
        let item = trace.items[request.item as usize];
        let have = driver.have(request.client, request.item);
        driver.open += 1;
        driver.input(
            request.client,
            Input::Request {
                ticket: Ticket(ticket),
                object: item.object,
                have,
            },
        );
    }
    driver.until(FOR_EVER);
    driver.finish(scheme)
}

impl Driver<'_> {
    fn meta(&self, number: u32) -> Meta {
        Meta {
            version: u64::from(number),
            size: u64::from(self.trace.items[number as usize].size),
            fresh_until: FOR_EVER,
        }
    }

    fn have(&mut self, node: Node, number: u32) -> Option<Meta> {
        let store = &mut self.peers[node as usize].store;
        store.has(number).then(|| self.meta(number))
    }

    fn plan(&mut self, at: Time, event: Event) {
        self.due.push(Reverse((at, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    /// All events up to a moment.
    fn until(&mut self, end: Time) {
        while let Some(Reverse((at, sequence))) = self.due.peek().copied()
            && at <= end
        {
            self.due.pop();
            self.now = at;
            match self.events.remove(&sequence) {
                Some(Event::Message { from, to, message }) => self.arrive(from, to, message),
                Some(Event::Origin {
                    node,
                    object,
                    purpose,
                }) => self.answer(node, object, purpose),
                Some(Event::Wake(node)) => {
                    let peer = &mut self.peers[node as usize];
                    if peer.wakes == Some(at) {
                        peer.wakes = None;
                        self.input(node, Input::Timeout);
                    }
                }
                None => {}
            }
        }
    }

    fn keep(&mut self, node: Node, number: u32) {
        let size = self.trace.items[number as usize].size;
        for gone in self.peers[node as usize].store.keep(number, size) {
            let object = self.trace.items[gone as usize].object;
            self.input(node, Input::Evicted(object));
        }
    }

    fn arrive(&mut self, from: Node, to: Node, message: Message<Node>) {
        let object = match &message {
            Message::Get { object, .. } | Message::Fetch { object, .. } => Some((*object, false)),
            Message::Object { object, .. } => Some((*object, true)),
            Message::Wait { .. }
            | Message::Current { .. }
            | Message::Redirect { .. }
            | Message::Origin { .. }
            | Message::Told { .. }
            | Message::Gone { .. }
            | Message::Offer { .. } => None,
        };
        let number = object.map(|(object, _)| self.numbers[&object]);
        let have = number.and_then(|number| self.have(to, number));
        self.input(
            to,
            Input::Received {
                from,
                message,
                have,
            },
        );
        if let (Some((_, true)), Some(number)) = (object, number) {
            self.keep(to, number);
        }
    }

    fn answer(&mut self, node: Node, object: Guid, purpose: Purpose) {
        let number = self.numbers[&object];
        let meta = self.meta(number);
        self.run.trips += 1;
        self.run.external += meta.size;
        let outcome = Outcome::Got(meta);
        self.input(
            node,
            Input::Fetched {
                object,
                purpose,
                outcome,
            },
        );
        self.keep(node, number);
    }

    fn input(&mut self, node: Node, input: Input<Node>) {
        let now = self.now;
        self.peers[node as usize].cache.handle_input(now, input);
        while let Some(output) = self.peers[node as usize].cache.poll_output() {
            self.output(node, output);
        }
        let peer = &mut self.peers[node as usize];
        if let Some((at, _)) = peer.cache.poll_timeout()
            && peer.wakes.is_none_or(|wakes| at < wakes)
        {
            peer.wakes = Some(at);
            self.plan(at, Event::Wake(node));
        }
    }

    fn output(&mut self, node: Node, output: Output<Node>) {
        match output {
            Output::ToHome { object, message } => {
                let to = self.homes[self.numbers[&object] as usize];
                self.run.routed += 1;
                let from = node;
                self.plan(self.now + ROUTE, Event::Message { from, to, message });
            }
            Output::Send { to, message } => {
                // Nobody waits for these two, and nothing goes to oneself.
                let waited = !matches!(message, Message::Wait { .. } | Message::Told { .. });
                if to != node {
                    self.run.direct += u64::from(waited);
                    if matches!(message, Message::Object { .. }) {
                        self.serve(node);
                    }
                }
                let from = node;
                self.plan(self.now + HOP, Event::Message { from, to, message });
            }
            Output::Origin {
                object, purpose, ..
            } => {
                let event = Event::Origin {
                    node,
                    object,
                    purpose,
                };
                self.plan(self.now + ORIGIN, event);
            }
            Output::Refresh { .. } => {}
            Output::Answer { source, .. } => {
                self.open -= 1;
                self.run.local += u64::from(source == webcache_core::Source::Local);
            }
        }
    }

    fn serve(&mut self, node: Node) {
        self.run.served += 1;
        let now = self.now.as_micros();
        let peer = &mut self.peers[node as usize];
        for ((served, most), span) in peer
            .served
            .iter_mut()
            .zip(&mut self.run.most_served)
            .zip([1_000_000, 60_000_000])
        {
            if served.0 != now / span {
                *served = (now / span, 0);
            }
            served.1 += 1;
            *most = (*most).max(served.1);
        }
    }

    fn finish(mut self, scheme: Scheme) -> Run {
        let mut lost = vec![0u64; self.peers.len()];
        let mut all = 0;
        for (node, peer) in self.peers.iter().enumerate() {
            for (object, meta, delegates) in peer.cache.entries() {
                let number = self.numbers[&object];
                match scheme {
                    Scheme::HomeStore if peer.store.holds(number) => {
                        all += meta.size;
                        lost[node] += meta.size;
                    }
                    Scheme::HomeStore => {}
                    Scheme::Directory => {
                        let has = |other: &&Node| self.peers[**other as usize].store.holds(number);
                        let holders: Vec<&Node> = delegates.iter().filter(has).collect();
                        let Some(first) = holders.first() else {
                            continue;
                        };
                        all += meta.size;
                        // With the home goes the knowledge, with the only delegate the body.
                        lost[node] += meta.size;
                        if holders.len() == 1 && **first as usize != node {
                            lost[**first as usize] += meta.size;
                        }
                    }
                }
            }
        }
        let share = |bytes: u64| bytes as f64 / (all as f64).max(1.0);
        let count = self.peers.len() as f64;
        self.run.lost = [
            share(lost.iter().sum()) / count,
            share(lost.iter().copied().max().unwrap_or_default()),
        ];
        self.run.kept = self
            .peers
            .iter()
            .map(|peer| peer.store.bytes())
            .sum::<u64>() as f64
            / count;
        self.run.unanswered = self.open;
        self.run
    }
}
