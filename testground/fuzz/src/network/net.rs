//! The nodes, what is on its way between them, and what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use guid::Guid;
use overlay_core::{
    Addrs, AppId, Config, Contact, Input, Message, Outcome, Output, Overlay, RequestId, State, Time,
};

/// What a node is called.
pub(super) type Node = u32;

/// The one application.
pub(super) const PORT: u8 = 1;

/// Messages on their way; what comes then pushes out the oldest.
const MAX_FLYING: usize = 512;

/// One way, where nothing disturbs it.
const LATENCY: Duration = Duration::from_millis(5);

struct Flying {
    at: Time,
    from: Node,
    to: Node,
    message: Message<Node>,
}

struct Open {
    node: Node,
    since: Time,
}

pub(super) struct Net {
    config: Config,
    now: Time,
    contacts: Vec<Contact<Node>>,
    /// `None` where a node has crashed.
    cores: Vec<Option<Overlay<Node>>>,
    flying: Vec<Flying>,
    cut: BTreeSet<(Node, Node)>,
    open: BTreeMap<RequestId, Open>,
    found: BTreeMap<RequestId, Vec<Node>>,
    delivered: Vec<(Guid, Node)>,
    failed: usize,
    next_request: u64,
    restarts: u64,
}

impl Net {
    pub(super) fn new(config: Config, count: u8) -> Net {
        let contacts: Vec<Contact<Node>> = (0..count)
            .map(|node| Contact {
                guid: Guid::hash(&[node]),
                peer: node.into(),
                addrs: Addrs::default(),
            })
            .collect();
        let mut net = Net {
            config,
            now: Time::ZERO,
            cores: contacts.iter().map(|_| None).collect(),
            contacts,
            flying: Vec::new(),
            cut: BTreeSet::new(),
            open: BTreeMap::new(),
            found: BTreeMap::new(),
            delivered: Vec::new(),
            failed: 0,
            next_request: 0,
            restarts: 0,
        };
        for node in 0..count.into() {
            net.restart(node);
        }
        net
    }

    pub(super) fn any_node(&self, u: &mut Unstructured<'_>) -> Result<Node> {
        Ok(u.choose_index(self.contacts.len())? as Node)
    }

    pub(super) fn place(&self, node: Node) -> Guid {
        self.contacts[node as usize].guid
    }

    pub(super) fn crash(&mut self, node: Node) {
        self.cores[node as usize] = None;
        self.open.retain(|_, open| open.node != node);
        // What it said may still arrive.
        self.flying.retain(|flying| flying.to != node);
    }

    /// A node begins anew, with nothing but its name.
    pub(super) fn restart(&mut self, node: Node) {
        self.crash(node);
        self.restarts += 1;
        let contact = self.contacts[node as usize].clone();
        let core = Overlay::new(self.config.clone(), contact, self.restarts, self.now);
        self.cores[node as usize] = Some(core);
    }

    pub(super) fn find(&mut self, node: Node, other: Node) {
        let contact = self.contacts[other as usize].clone();
        self.input(node, Input::PeerFound(contact));
    }

    pub(super) fn toggle_link(&mut self, node: Node, other: Node) {
        let pair = (node.min(other), node.max(other));
        if !self.cut.remove(&pair) {
            self.cut.insert(pair);
        }
    }

    /// One message arrives, whichever; it may be still on its way after that.
    pub(super) fn bring(&mut self, which: u8, last: bool) {
        if self.flying.is_empty() {
            return;
        }
        let at = usize::from(which) % self.flying.len();
        let Flying {
            from, to, message, ..
        } = if last {
            self.flying.remove(at)
        } else {
            let Flying {
                at,
                from,
                to,
                ref message,
            } = self.flying[at];
            let message = message.clone();
            Flying {
                at,
                from,
                to,
                message,
            }
        };
        self.input(to, Input::Received { from, message });
    }

    pub(super) fn lose(&mut self, which: u8) {
        if !self.flying.is_empty() {
            self.flying.remove(usize::from(which) % self.flying.len());
        }
    }

    /// Timers are due; nothing arrives.
    pub(super) fn stall(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((at, node)) = self.next_timer().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.input(node, Input::Timeout);
        }
        self.now = end;
    }

    /// Everything arrives in time.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let timer = self.next_timer();
            let message = self.flying.iter().map(|flying| flying.at).min();
            let timer_first = match (timer, message) {
                (Some((due, _)), Some(at)) => due < at,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let at = if timer_first {
                timer.map(|(at, _)| at)
            } else {
                message
            };
            let Some(at) = at.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            if timer_first {
                if let Some((_, node)) = timer {
                    self.input(node, Input::Timeout);
                }
            } else if let Some(first) = self.flying.iter().position(|flying| flying.at == at) {
                let Flying {
                    from, to, message, ..
                } = self.flying.remove(first);
                self.input(to, Input::Received { from, message });
            }
        }
        self.now = end;
    }

    fn next_timer(&self) -> Option<(Time, Node)> {
        let timers = (0..).zip(&self.cores).filter_map(|(node, core)| {
            let (at, _) = core.as_ref()?.poll_timeout()?;
            Some((at, node))
        });
        timers.min()
    }

    pub(super) fn route(&mut self, node: Node, key: Guid) {
        let request = self.request(node);
        self.input(
            node,
            Input::Route {
                request,
                key,
                k: 1,
                app: AppId(PORT.into()),
                payload: Bytes::from_static(b"hello"),
                wants_reply: true,
            },
        );
    }

    pub(super) fn publish(&mut self, node: Node, object: Guid) {
        let request = self.request(node);
        self.input(node, Input::Publish { request, object });
    }

    pub(super) fn locate(&mut self, node: Node, object: Guid) -> RequestId {
        let request = self.request(node);
        let count = overlay_core::MAX_WANTED;
        self.input(
            node,
            Input::LocateObject {
                request,
                object,
                count,
            },
        );
        request
    }

    fn request(&mut self, node: Node) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        if self.cores[node as usize].is_some() {
            let since = self.now;
            self.open.insert(request, Open { node, since });
        }
        request
    }

    pub(super) fn input(&mut self, node: Node, input: Input<Node>) {
        let Some(core) = &mut self.cores[node as usize] else {
            return;
        };
        core.handle_input(self.now, input);
        if !cfg!(debug_assertions) {
            // Else it has checked itself.
            core.check_invariants();
        }
        while let Some(output) = self.cores[node as usize]
            .as_mut()
            .and_then(Overlay::poll_output)
        {
            self.put_out(node, output);
        }
    }

    fn put_out(&mut self, node: Node, output: Output<Node>) {
        match output {
            Output::Send { to, message } => self.send(node, to.peer, message),
            Output::Deliver {
                id,
                key,
                payload,
                origin,
                hops,
                ..
            } => {
                self.assert_active(node);
                self.delivered.push((key, node));
                self.reply(node, id, origin, hops, payload);
            }
            Output::DeliverObject {
                id,
                payload,
                origin,
                hops,
                ..
            } => {
                self.assert_active(node);
                self.reply(node, id, origin, hops, payload);
            }
            Output::Done { request, outcome } => {
                let open = self.open.remove(&request);
                let open = open.expect("a request ends once, and was made before");
                assert_eq!(open.node, node, "another node's request");
                let took = self.now.since(open.since);
                assert!(took <= self.config.request_timeout, "{request:?}: {took:?}");
                match outcome {
                    Ok(Outcome::Found(found)) => {
                        let holders = found.iter().map(|one| one.holder.peer);
                        self.found.insert(request, holders.collect());
                    }
                    Ok(_) => {}
                    Err(_) => self.failed += 1,
                }
            }
            Output::Forward { .. } => panic!("nobody asked to see what passes"),
            Output::StateChanged(_) | Output::LeafSetChanged { .. } => {}
        }
    }

    fn assert_active(&self, node: Node) {
        let core = self.cores[node as usize].as_ref();
        let state = core.map(Overlay::state);
        assert_eq!(state, Some(State::Active), "{node} delivers");
    }

    fn reply(
        &mut self,
        node: Node,
        id: overlay_core::MessageId,
        origin: Contact<Node>,
        hops: u8,
        payload: Bytes,
    ) {
        self.input(
            node,
            Input::Reply {
                id,
                origin,
                hops,
                answer: Ok(payload),
            },
        );
    }

    fn send(&mut self, from: Node, to: Node, message: Message<Node>) {
        let valid = message.validate(&self.config);
        assert_eq!(valid, Ok(()), "sent what others refuse");
        assert_ne!(from, to, "sent to itself: {message:?}");
        let lives = self.cores[to as usize].is_some();
        if !lives || self.cut.contains(&(from.min(to), from.max(to))) {
            return;
        }
        if self.flying.len() == MAX_FLYING {
            self.flying.remove(0);
        }
        let at = self.now + LATENCY;
        self.flying.push(Flying {
            at,
            from,
            to,
            message,
        });
    }

    /// Links hold, what is on its way is lost, and who has left is gone.
    pub(super) fn end_noise(&mut self) {
        self.cut.clear();
        self.flying.clear();
        for node in 0..self.contacts.len() as Node {
            let core = self.cores[node as usize].as_ref();
            if core.is_some_and(|core| core.state() == State::Left) {
                self.crash(node);
            }
        }
    }

    fn live(&self) -> Vec<Node> {
        let nodes = (0..).zip(&self.cores);
        let live = nodes.filter(|(_, core)| core.is_some());
        live.map(|(node, _)| node).collect()
    }

    /// Each node is told of one other, so that together they could all know of each other.
    pub(super) fn discover(&mut self) {
        let live = self.live();
        for (node, other) in live.iter().zip(live.iter().cycle().skip(1)) {
            if node != other {
                self.find(*node, *other);
            }
        }
    }

    /// Everyone is active, leaf sets are what the ring says, messages reach their roots and
    /// objects are found, from everywhere.
    pub(super) fn assert_whole(&mut self) {
        let live = self.live();
        self.assert_leaf_sets(&live);
        assert!(self.open.is_empty(), "a request never ended");
        self.failed = 0;
        for node in &live {
            for other in &live {
                let key = self.place(*other).as_u128();
                for key in [key, key.wrapping_add(1 << 126)].map(Guid::new) {
                    self.delivered.clear();
                    self.route(*node, key);
                    self.run(Duration::from_secs(1));
                    let root = live
                        .iter()
                        .copied()
                        .min_by(|a, b| key.cmp_distance(self.place(*a), self.place(*b)));
                    let delivered = root.map(|root| (key, root));
                    assert_eq!(self.delivered, Vec::from_iter(delivered), "from {node}");
                }
            }
        }
        let object = Guid::hash(b"an object that nobody holds yet");
        for holder in live.iter().take(2) {
            self.publish(*holder, object);
        }
        self.run(Duration::from_secs(5));
        for node in &live {
            let request = self.locate(*node, object);
            self.run(self.config.request_timeout);
            let mut found = self.found.remove(&request).unwrap_or_default();
            found.sort_unstable();
            let holders: Vec<Node> = live.iter().copied().take(2).collect();
            assert_eq!(found, holders, "{node} finds");
        }
        assert_eq!(self.failed, 0, "a whole network fails a request");
        assert!(self.open.is_empty(), "a request never ended");
    }

    fn assert_leaf_sets(&self, live: &[Node]) {
        let half = self.config.leaf_set / 2;
        for node in live {
            let Some(core) = &self.cores[*node as usize] else {
                continue;
            };
            assert_eq!(core.state(), State::Active, "{node}");
            let me = self.place(*node);
            let mut others: Vec<Node> = live.iter().copied().filter(|one| one != node).collect();
            others.sort_by_key(|other| me.clockwise_to(self.place(*other)));
            let larger: Vec<Node> = core.larger_leafs().iter().map(|leaf| leaf.peer).collect();
            let expected: Vec<Node> = others.iter().copied().take(half).collect();
            assert_eq!(larger, expected, "{node}, clockwise");
            others.reverse();
            let smaller: Vec<Node> = core.smaller_leafs().iter().map(|leaf| leaf.peer).collect();
            let expected: Vec<Node> = others.iter().copied().take(half).collect();
            assert_eq!(smaller, expected, "{node}, counter-clockwise");
        }
    }
}
