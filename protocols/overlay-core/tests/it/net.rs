//! Nodes and a network in virtual time: one seed decides everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use guid::Guid;
use overlay_core::{
    Addrs, AppId, Config, Contact, Found, Input, Message, Outcome, Output, Overlay, Published,
    RequestId, RouteFailure, State, Time,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) type Node = u32;

/// A message delivered to an application, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: Node,
    pub(crate) key: Guid,
    /// The active node closest to the key at that moment.
    pub(crate) root: Node,
}

/// A message delivered to a holder of the object it was sent to.
#[derive(Clone, Debug)]
pub(crate) struct ObjectDelivery {
    pub(crate) at: Node,
    pub(crate) object: Guid,
}

/// The network.
pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<Node, Overlay<Node>>,
    pub(crate) contacts: BTreeMap<Node, Contact<Node>>,
    /// Messages per thousand that are lost.
    pub(crate) loss: u32,
    /// Routed messages and their acknowledgements per thousand that are lost besides.
    pub(crate) route_loss: u32,
    /// Nodes that receive but never answer.
    pub(crate) silent: BTreeSet<Node>,
    /// Nodes that acknowledge what is routed through them and throw it away.
    pub(crate) swallowing: BTreeSet<Node>,
    /// Nodes that answer probes and neither acknowledge nor read what is routed.
    pub(crate) mute: BTreeSet<Node>,
    /// Nodes that read what they are sent so much later, as one with too much to do.
    pub(crate) slow: BTreeMap<Node, Duration>,
    /// Pairs that do not hear each other, smaller first.
    pub(crate) cut: BTreeSet<(Node, Node)>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) object_deliveries: Vec<ObjectDelivery>,
    /// How often an application was asked about a message that passes.
    pub(crate) asked: usize,
    /// Whether applications stop what passes.
    pub(crate) stops: bool,
    pub(crate) done: BTreeMap<RequestId, Result<Outcome<Node>, RouteFailure>>,
    pub(crate) log: String,
    /// Bytes sent since it was set, as they go on the wire, without framing.
    pub(crate) bytes: Option<usize>,
    queue: BTreeMap<(Time, u64), (Node, Input<Node>)>,
    sequence: u64,
    next_request: u64,
    places: BTreeMap<Node, (f64, f64)>,
    pub(crate) rng: ChaCha8Rng,
    config: Config,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Net {
        Net::with(seed, Config::default())
    }

    pub(crate) fn with(seed: u64, config: Config) -> Net {
        Net {
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            contacts: BTreeMap::new(),
            loss: 0,
            route_loss: 0,
            silent: BTreeSet::new(),
            swallowing: BTreeSet::new(),
            mute: BTreeSet::new(),
            slow: BTreeMap::new(),
            cut: BTreeSet::new(),
            deliveries: Vec::new(),
            object_deliveries: Vec::new(),
            asked: 0,
            stops: false,
            done: BTreeMap::new(),
            log: String::new(),
            bytes: None,
            queue: BTreeMap::new(),
            sequence: 0,
            next_request: 0,
            places: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            config,
        }
    }

    /// A new node at a random place, which knows nobody.
    pub(crate) fn add(&mut self) -> Node {
        let node = self.contacts.len() as Node;
        let guid =
            Guid::new(u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()));
        let contact = Contact {
            guid,
            peer: node,
            // As much as a node with a few addresses has.
            addrs: Addrs::new(bytes::Bytes::from_static(&[7; 120])),
        };
        let place = |rng: &mut ChaCha8Rng| (rng.next_u64() % 1000) as f64;
        let place = (place(&mut self.rng), place(&mut self.rng));
        self.places.insert(node, place);
        self.contacts.insert(node, contact.clone());
        let overlay = Overlay::new(self.config.clone(), contact, self.rng.next_u64(), self.now);
        self.nodes.insert(node, overlay);
        node
    }

    /// `count` nodes that join one after the other by a random node.
    pub(crate) fn grow(seed: u64, count: usize) -> Net {
        Net::grow_with(seed, Config::default(), count)
    }

    pub(crate) fn grow_with(seed: u64, config: Config, count: usize) -> Net {
        let mut net = Net::with(seed, config);
        for number in 0..count {
            let node = net.add();
            if number > 0 {
                let seed = (net.rng.next_u64() % number as u64) as Node;
                net.tell(node, seed);
            }
            net.run_until_active(node);
        }
        net.run(Duration::from_secs(1));
        net
    }

    /// `count` nodes that start at once and find each other within 100 ms.
    pub(crate) fn burst(seed: u64, count: usize) -> Net {
        let mut net = Net::new(seed);
        let nodes: Vec<Node> = (0..count).map(|_| net.add()).collect();
        for one in &nodes {
            for other in nodes.iter().filter(|other| *other != one) {
                let found = Duration::from_micros(net.rng.next_u64() % 100_000);
                let contact = net.contacts[other].clone();
                net.later(found, *one, Input::PeerFound(contact));
            }
        }
        net
    }

    /// Discovery tells `node` of `other`.
    pub(crate) fn tell(&mut self, node: Node, other: Node) {
        let contact = self.contacts[&other].clone();
        self.input(node, Input::PeerFound(contact));
    }

    pub(crate) fn kill(&mut self, node: Node) {
        self.nodes.remove(&node);
    }

    /// A node forgets all it knew and joins anew by `seed`.
    pub(crate) fn restart(&mut self, node: Node, seed: Node) {
        self.forget(node);
        self.tell(node, seed);
        self.run_until_active(node);
    }

    /// A node forgets all it knew, and has nobody to join by.
    pub(crate) fn forget(&mut self, node: Node) {
        let contact = self.contacts[&node].clone();
        let random = self.rng.next_u64();
        let overlay = Overlay::new(self.config.clone(), contact, random, self.now);
        self.nodes.insert(node, overlay);
    }

    pub(crate) fn run_until_active(&mut self, node: Node) {
        let begin = self.now;
        while self.nodes[&node].state() != State::Active {
            assert!(
                self.now.since(begin) < Duration::from_secs(60),
                "node {node} never joined"
            );
            assert!(self.step(None), "node {node} waits for nothing");
        }
    }

    /// Lets virtual time pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(Some(end)) {}
        self.now = end;
    }

    /// Sends an application's message; its outcome will be in [`Net::done`].
    pub(crate) fn route(&mut self, from: Node, key: Guid) -> RequestId {
        self.route_to_any(from, key, 1)
    }

    /// Sends an application's message to any of the `k` nodes closest to a key.
    pub(crate) fn route_to_any(&mut self, from: Node, key: Guid, k: usize) -> RequestId {
        let request = self.request();
        let app = overlay_core::AppId(1);
        let payload = bytes::Bytes::from_static(b"hello");
        self.input(
            from,
            Input::Route {
                request,
                key,
                k,
                app,
                payload,
                wants_reply: true,
            },
        );
        request
    }

    pub(crate) fn locate(&mut self, from: Node, key: Guid, k: usize, trace: bool) -> RequestId {
        let request = self.request();
        self.input(
            from,
            Input::Locate {
                request,
                key,
                k,
                trace,
            },
        );
        request
    }

    pub(crate) fn publish(&mut self, at: Node, object: Guid) -> RequestId {
        let request = self.request();
        self.input(at, Input::Publish { request, object });
        request
    }

    pub(crate) fn unpublish(&mut self, at: Node, object: Guid) -> RequestId {
        let request = self.request();
        self.input(at, Input::Unpublish { request, object });
        request
    }

    pub(crate) fn locate_object(&mut self, from: Node, object: Guid, count: usize) -> RequestId {
        let request = self.request();
        self.input(
            from,
            Input::LocateObject {
                request,
                object,
                count,
            },
        );
        request
    }

    pub(crate) fn send_to_object(&mut self, from: Node, object: Guid, count: usize) -> RequestId {
        let request = self.request();
        let (app, payload) = (AppId(1), bytes::Bytes::from_static(b"hello"));
        self.input(
            from,
            Input::SendToObject {
                request,
                object,
                count,
                app,
                payload,
            },
        );
        request
    }

    /// Publishes, and waits until that is done.
    pub(crate) fn published(&mut self, at: Node, object: Guid) -> Published {
        let request = self.publish(at, object);
        self.run_until_done(request);
        match &self.done[&request] {
            Ok(Outcome::Published(published)) => *published,
            other => panic!("node {at} cannot publish: {other:?}"),
        }
    }

    /// Searches, and waits for what comes of it.
    pub(crate) fn located(
        &mut self,
        from: Node,
        object: Guid,
        count: usize,
    ) -> Result<Vec<Found<Node>>, RouteFailure> {
        let request = self.locate_object(from, object, count);
        self.run_until_done(request);
        match self.done[&request].clone() {
            Ok(Outcome::Found(found)) => Ok(found),
            Ok(other) => panic!("a search brought {other:?}"),
            Err(failure) => Err(failure),
        }
    }

    pub(crate) fn run_until_done(&mut self, request: RequestId) {
        let begin = self.now;
        while !self.done.contains_key(&request) {
            let waited = self.now.since(begin);
            assert!(waited < Duration::from_secs(60), "{request:?} never ends");
            assert!(self.step(None), "{request:?} waits for nothing");
        }
    }

    /// Nodes that keep a pointer to a holder of an object.
    pub(crate) fn pointing(&self, object: Guid, holder: Node) -> Vec<Node> {
        let keeps = |overlay: &Overlay<Node>| overlay.pointers().any(|one| one == (object, holder));
        let nodes = self.nodes.iter().filter(|(_, overlay)| keeps(overlay));
        nodes.map(|(node, _)| *node).collect()
    }

    pub(crate) fn random_node(&mut self) -> Node {
        let live: Vec<Node> = self.nodes.keys().copied().collect();
        live[(self.rng.next_u64() % live.len() as u64) as usize]
    }

    pub(crate) fn random_key(&mut self) -> Guid {
        Guid::new(u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()))
    }

    /// The live nodes by closeness to a key.
    pub(crate) fn closest(&self, key: Guid) -> Vec<Node> {
        let mut live: Vec<Node> = self.nodes.keys().copied().collect();
        live.sort_by(|a, b| key.cmp_distance(self.contacts[a].guid, self.contacts[b].guid));
        live
    }

    /// Every live node is active, and its leaf set is what the ring says.
    pub(crate) fn assert_leaf_sets(&self) {
        let half = self.config.leaf_set / 2;
        for (node, overlay) in &self.nodes {
            assert_eq!(
                overlay.state(),
                State::Active,
                "node {node} at {}",
                self.now
            );
            let me = self.contacts[node].guid;
            for (clockwise, side) in [
                (true, overlay.larger_leafs()),
                (false, overlay.smaller_leafs()),
            ] {
                let steps = |other: &Node| {
                    let guid = self.contacts[other].guid;
                    if clockwise {
                        me.clockwise_to(guid)
                    } else {
                        guid.clockwise_to(me)
                    }
                };
                let mut others: Vec<Node> = self
                    .nodes
                    .keys()
                    .copied()
                    .filter(|other| other != node)
                    .collect();
                others.sort_by_key(steps);
                others.truncate(half);
                let side: Vec<Node> = side.iter().map(|contact| contact.peer).collect();
                assert_eq!(
                    side, others,
                    "node {node}, clockwise {clockwise}, at {}",
                    self.now
                );
            }
        }
    }

    pub(crate) fn input(&mut self, node: Node, input: Input<Node>) {
        if let Some(overlay) = self.nodes.get_mut(&node) {
            overlay.handle_input(self.now, input);
            self.drain(node);
        }
    }

    fn later(&mut self, wait: Duration, node: Node, input: Input<Node>) {
        self.sequence += 1;
        self.queue
            .insert((self.now + wait, self.sequence), (node, input));
    }

    fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// One event; `false` when there is none before `end`.
    fn step(&mut self, end: Option<Time>) -> bool {
        let message = self.queue.first_key_value().map(|((at, _), _)| *at);
        let timer = self
            .nodes
            .iter()
            .filter_map(|(node, overlay)| overlay.poll_timeout().map(|(at, _)| (at, *node)))
            .min();
        let timer_first = match (message, timer) {
            (None, None) => return false,
            (Some(message), Some((timer, _))) => timer < message,
            (message, _) => message.is_none(),
        };
        let at = if timer_first {
            timer.expect("a timer").0
        } else {
            message.expect("a message")
        };
        let at = at.max(self.now);
        if end.is_some_and(|end| at > end) {
            return false;
        }
        self.now = at;
        if timer_first {
            self.input(timer.expect("a timer").1, Input::Timeout);
        } else {
            let (_, (node, input)) = self.queue.pop_first().expect("a message");
            self.input(node, input);
        }
        true
    }

    fn drain(&mut self, node: Node) {
        while let Some(output) = self.nodes.get_mut(&node).and_then(Overlay::poll_output) {
            match output {
                Output::Send { to, message } => self.send(node, to.peer, message),
                Output::Deliver {
                    id,
                    key,
                    payload,
                    origin,
                    hops,
                    wants_reply,
                    ..
                } => {
                    let active = |node: &Node| self.nodes[node].state() == State::Active;
                    let root = self.closest(key).into_iter().find(active);
                    let root = root.expect("who delivers is active");
                    self.deliveries.push(Delivery {
                        at: node,
                        key,
                        root,
                    });
                    if wants_reply {
                        let answer = Ok(payload);
                        self.input(
                            node,
                            Input::Reply {
                                id,
                                origin,
                                hops,
                                answer,
                            },
                        );
                    }
                }
                Output::DeliverObject {
                    id,
                    object,
                    payload,
                    origin,
                    hops,
                    ..
                } => {
                    self.object_deliveries
                        .push(ObjectDelivery { at: node, object });
                    let answer = Ok(payload);
                    self.input(
                        node,
                        Input::Reply {
                            id,
                            origin,
                            hops,
                            answer,
                        },
                    );
                }
                Output::Done { request, outcome } => {
                    assert!(
                        self.done.insert(request, outcome).is_none(),
                        "two ends of {request:?}"
                    );
                }
                Output::Forward {
                    ticket, payload, ..
                } => {
                    self.asked += 1;
                    let payload = (!self.stops).then_some(payload);
                    self.input(node, Input::Resume { ticket, payload });
                }
                Output::StateChanged(_) | Output::LeafSetChanged { .. } => {}
            }
        }
    }

    fn send(&mut self, from: Node, to: Node, message: Message<Node>) {
        writeln!(self.log, "{} {from}->{to} {}", self.now, message.kind()).expect("memory");
        message
            .validate(&self.config)
            .expect("a node sends what others take");
        if let Some(bytes) = &mut self.bytes {
            *bytes += serde_ipld_dagcbor::to_vec(&message)
                .expect("it encodes")
                .len();
        }
        let pair = (from.min(to), from.max(to));
        let loss = match message {
            Message::Route(_) | Message::Ack { .. } => self.loss + self.route_loss,
            _ => self.loss,
        };
        let lost = (self.rng.next_u64() % 1000) < u64::from(loss);
        let nobody = !self.places.contains_key(&to);
        if lost || nobody || self.cut.contains(&pair) || self.silent.contains(&from) {
            return;
        }
        if self.mute.contains(&to) && matches!(message, Message::Route(_)) {
            return;
        }
        let wait = self.latency(from, to) + self.slow.get(&to).copied().unwrap_or_default();
        if let Message::Route(routed) = &message
            && self.swallowing.contains(&to)
        {
            let message = Message::Ack { id: routed.id };
            self.later(wait * 2, from, Input::Received { from: to, message });
            return;
        }
        self.later(wait, to, Input::Received { from, message });
    }

    /// One way: the distance on the plane, 0.1 to about 3 ms.
    pub(crate) fn latency(&self, one: Node, other: Node) -> Duration {
        let ((a, b), (c, d)) = (self.places[&one], self.places[&other]);
        Duration::from_micros(100 + ((a - c).hypot(b - d) * 2.0) as u64)
    }
}
