//! The engine: nodes, messages on their way, and the next thing to happen (S1 to S4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guid::Guid;
use overlay_core::{
    Addrs, AppId, Config, Contact, Input, Message, Outcome, Output, Overlay, RequestId,
    RouteFailure, State, Time,
};

use crate::adversary::{Adversary, Sent};
use crate::dice::{Dice, Purpose};
use crate::network::{Links, Network, NetworkError};
use crate::queue::{Due, Flight, Flights, Wakeups};
use crate::{Digest, Kind, Node, Ring, Settings, Traffic};

/// The application whose messages lookups are.
const LOOKUPS: AppId = AppId(1);

/// One node.
struct Slot {
    contact: Contact<Node>,
    /// `None` while it is dead. Boxed, so that the dead take no room.
    overlay: Option<Box<Overlay<Node>>>,
    /// Whether it ever lived.
    lived: bool,
    /// When its entry among the wake-ups comes up that counts; `None` if there is none.
    wakes: Option<Time>,
}

/// A lookup that ended at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where.
    pub at: Node,
    /// What for.
    pub key: Guid,
    /// The number the lookup was given.
    pub tag: u32,
    /// Hops it took.
    pub hops: u8,
    /// The active node closest to the key at this moment.
    pub root: Option<Node>,
}

/// A message to an object that reached one of its holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The holder.
    pub at: Node,
    /// The object.
    pub object: Guid,
    /// The number the message was given.
    pub tag: u32,
    /// Hops it took.
    pub hops: u8,
}

/// What an observer is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A node takes its place.
    Active(Node),
    /// A node died or left.
    Gone(Node),
    /// A lookup ended at a node.
    Delivered(Delivery),
    /// A message to an object reached a holder.
    Reached(Arrival),
    /// A node's leaf set changed.
    LeafSet(Node),
    /// A request ended.
    Ended {
        /// Whose.
        node: Node,
        /// Which.
        request: RequestId,
        /// How.
        outcome: Result<Outcome<Node>, RouteFailure>,
    },
}

/// Watches a run. It is told of each happening at the moment of it, after the node's
/// input is dealt with and before anything else happens.
pub trait Observer {
    /// Something happened.
    fn saw(&mut self, sim: &Sim, what: &Happening);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn saw(&mut self, _: &Sim, _: &Happening) {}
}

/// Changes messages on their way: `None` loses one. For tests that put a mistake into a
/// node from outside (S12).
pub type Tamper = Box<dyn FnMut(Node, Node, Message<Node>) -> Option<Message<Node>> + Send>;

/// A network of nodes in virtual time.
pub struct Sim {
    seed: u64,
    now: Time,
    config: Arc<Config>,
    network: Network,
    links: Links,
    slots: Vec<Slot>,
    live: usize,
    ring: Ring,
    flights: Flights,
    wakeups: Wakeups,
    sequence: u64,
    identities: Dice,
    places: Dice,
    chance: Dice,
    traffic: Traffic,
    digest: Digest,
    happened: Vec<Happening>,
    events: u64,
    next_request: u64,
    tamper: Option<Tamper>,
    adversary: Option<Box<Adversary>>,
}

impl Sim {
    /// An empty network.
    ///
    /// # Errors
    /// When the network's shape is impossible.
    ///
    /// # Panics
    /// When [`Config::validate`] refuses the overlay's settings.
    pub fn new(settings: &Settings) -> Result<Sim, NetworkError> {
        let Settings {
            seed,
            overlay,
            shape,
            per_host,
        } = settings;
        overlay
            .validate()
            .expect("settings are validated where they are read");
        Ok(Sim {
            seed: *seed,
            now: Time::ZERO,
            config: Arc::new(overlay.clone()),
            network: Network::new(shape, *per_host, *seed)?,
            links: Links::default(),
            slots: Vec::new(),
            live: 0,
            ring: Ring::default(),
            flights: Flights::default(),
            wakeups: Wakeups::default(),
            sequence: 0,
            identities: Dice::new(*seed, Purpose::Identities),
            places: Dice::new(*seed, Purpose::Places),
            chance: Dice::new(*seed, Purpose::Links),
            traffic: Traffic::default(),
            digest: Digest::default(),
            happened: Vec::new(),
            events: 0,
            next_request: 0,
            tamper: None,
            adversary: None,
        })
    }

    /// Starts a new node at a random place; it knows nobody yet.
    pub fn add(&mut self) -> Node {
        let node = self.imagine();
        self.restart(node);
        node
    }

    /// A node that has an identifier and a place and never lived: others may name it.
    pub fn imagine(&mut self) -> Node {
        let node = self.slots.len() as Node;
        let contact = Contact {
            guid: self.identities.guid(),
            peer: node,
            addrs: Addrs::default(),
        };
        self.network.attach(&mut self.places);
        self.slots.push(Slot {
            contact,
            overlay: None,
            lived: false,
            wakes: None,
        });
        node
    }

    /// Starts a dead node again, under its identifier and at its place. It has forgotten
    /// everything.
    pub fn restart(&mut self, node: Node) {
        let seed = self.identities.bits();
        let slot = &mut self.slots[node as usize];
        if slot.overlay.is_some() {
            return;
        }
        let overlay = Overlay::new(
            Arc::clone(&self.config),
            slot.contact.clone(),
            seed,
            self.now,
        );
        slot.overlay = Some(Box::new(overlay));
        slot.lived = true;
        self.live += 1;
        self.plan_wakeup(node);
    }

    /// A node dies without a word.
    pub fn crash(&mut self, node: Node) {
        let slot = &mut self.slots[node as usize];
        if slot.overlay.take().is_none() {
            return;
        }
        self.live -= 1;
        if self.ring.remove(slot.contact.guid) {
            self.network.exit(node);
        }
        self.happened.push(Happening::Gone(node));
    }

    /// A node leaves and says so.
    pub fn leave(&mut self, node: Node) {
        self.input(node, Input::Leave);
        self.crash(node);
    }

    /// A node learns of another, as by discovery or from its disk.
    pub fn tell(&mut self, node: Node, other: Node) {
        let contact = self.slots[other as usize].contact.clone();
        self.input(node, Input::PeerFound(contact));
    }

    /// A node sends a lookup; its number comes back in [`Delivery::tag`].
    pub fn lookup(&mut self, node: Node, key: Guid, tag: u32) {
        self.lookup_any(node, key, 1, tag);
    }

    /// The same to any of the `k` nodes closest to the key.
    pub fn lookup_any(&mut self, node: Node, key: Guid, k: usize, tag: u32) {
        let request = self.next_request();
        let payload = Bytes::copy_from_slice(&tag.to_be_bytes());
        let route = Input::Route {
            request,
            key,
            k,
            app: LOOKUPS,
            payload,
            wants_reply: false,
        };
        self.input(node, route);
    }

    /// A node asks for the `k` nodes closest to a key, or for the way to it.
    pub fn locate(&mut self, node: Node, key: Guid, k: usize, trace: bool) -> RequestId {
        let request = self.next_request();
        let locate = Input::Locate {
            request,
            key,
            k,
            trace,
        };
        self.input(node, locate);
        request
    }

    /// A node publishes an object.
    pub fn publish(&mut self, node: Node, object: Guid) -> RequestId {
        let request = self.next_request();
        self.input(node, Input::Publish { request, object });
        request
    }

    /// A node takes an object back.
    pub fn unpublish(&mut self, node: Node, object: Guid) -> RequestId {
        let request = self.next_request();
        self.input(node, Input::Unpublish { request, object });
        request
    }

    /// A node sends a message to the nearest holder of an object, who answers at once; its
    /// number comes back in [`Arrival::tag`].
    pub fn send_to_object(&mut self, node: Node, object: Guid, tag: u32) -> RequestId {
        let request = self.next_request();
        let payload = Bytes::copy_from_slice(&tag.to_be_bytes());
        let send = Input::SendToObject {
            request,
            object,
            count: 1,
            app: LOOKUPS,
            payload,
        };
        self.input(node, send);
        request
    }

    /// Lets everything happen that is due until `end`.
    pub fn run_until(&mut self, end: Time, observer: &mut impl Observer) {
        while self.step(end, observer) {}
        self.now = self.now.max(end);
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration, observer: &mut impl Observer) {
        self.run_until(self.now + span, observer);
    }

    /// Lets time pass until no message is on its way, at most for `longest`. Says whether
    /// it came to that.
    pub fn run_until_quiet(&mut self, longest: Duration, observer: &mut impl Observer) -> bool {
        let end = self.now + longest;
        while self.flights.len() > 0 && self.step(end, observer) {}
        self.report(observer);
        self.flights.len() == 0
    }

    /// The next thing that happens, if it does until `end`; `false` when nothing does.
    pub fn step(&mut self, end: Time, observer: &mut impl Observer) -> bool {
        self.report(observer);
        let (message, wakeup) = (self.flights.next(), self.wakeups.next());
        let message_first = match (message, wakeup) {
            (None, None) => return false,
            (Some(message), Some(wakeup)) => message < wakeup,
            (message, _) => message.is_some(),
        };
        let due = if message_first { message } else { wakeup };
        let due = due.expect("one of the two is there and was chosen");
        if due.at > end {
            return false;
        }
        self.now = self.now.max(due.at);
        if message_first {
            let flight = self.flights.pop().expect("it was peeked at");
            self.arrive(flight);
        } else {
            let (at, node) = self.wakeups.pop().expect("it was peeked at");
            self.wake(node, at);
        }
        self.report(observer);
        true
    }

    fn report(&mut self, observer: &mut impl Observer) {
        if self.happened.is_empty() {
            return;
        }
        let mut happened = std::mem::take(&mut self.happened);
        for what in &happened {
            observer.saw(self, what);
        }
        happened.clear();
        self.happened = happened;
    }

    fn arrive(&mut self, flight: Flight) {
        let Flight { from, to, message } = flight;
        if self.slots[to as usize].overlay.is_none() {
            return;
        }
        self.events += 1;
        self.digest.note(self.now.as_micros());
        let kind = Kind::of(&message) as u64;
        self.digest
            .note(u64::from(from) << 40 ^ u64::from(to) << 8 ^ kind);
        let Some(message) = self.deceive(to, from, message) else {
            return;
        };
        self.input(to, Input::Received { from, message });
    }

    /// What a node's core sees of a message: if the node is bad, perhaps nothing.
    fn deceive(&mut self, at: Node, from: Node, message: Message<Node>) -> Option<Message<Node>> {
        let Some(adversary) = self.adversary.as_mut().filter(|all| all.is_bad(at)) else {
            return Some(message);
        };
        let mut sends = Vec::new();
        let seen = adversary.receives(at, from, message, &mut sends);
        for sent in sends {
            self.forge(sent);
        }
        seen
    }

    fn wake(&mut self, node: Node, at: Time) {
        let slot = &mut self.slots[node as usize];
        if slot.wakes != Some(at) {
            return;
        }
        slot.wakes = None;
        let Some(overlay) = &slot.overlay else {
            return;
        };
        match overlay.poll_timeout() {
            // What it was for may have been put off or cancelled since.
            Some((due, _)) if due <= self.now => {
                self.events += 1;
                self.input(node, Input::Timeout);
            }
            _ => self.plan_wakeup(node),
        }
    }

    fn input(&mut self, node: Node, input: Input<Node>) {
        let Some(overlay) = &mut self.slots[node as usize].overlay else {
            return;
        };
        overlay.handle_input(self.now, input);
        while let Some(output) = self.slots[node as usize]
            .overlay
            .as_mut()
            .and_then(|overlay| overlay.poll_output())
        {
            self.obey(node, output);
        }
        self.plan_wakeup(node);
    }

    fn plan_wakeup(&mut self, node: Node) {
        let slot = &mut self.slots[node as usize];
        let Some((at, _)) = slot.overlay.as_ref().and_then(|one| one.poll_timeout()) else {
            return;
        };
        let at = at.max(self.now);
        // A later wish is found out when the earlier entry comes up.
        if slot.wakes.is_none_or(|planned| at < planned) {
            slot.wakes = Some(at);
            let sequence = next(&mut self.sequence);
            self.wakeups.push(Due { at, sequence }, node);
        }
    }

    fn obey(&mut self, node: Node, output: Output<Node>) {
        match output {
            Output::Send { to, message } => self.send(node, to.peer, message),
            Output::Deliver {
                key, payload, hops, ..
            } => {
                let delivery = Delivery {
                    at: node,
                    key,
                    tag: tag_of(&payload),
                    hops,
                    root: self.ring.root(key),
                };
                self.happened.push(Happening::Delivered(delivery));
            }
            Output::Done { request, outcome } => {
                let ended = Happening::Ended {
                    node,
                    request,
                    outcome,
                };
                self.happened.push(ended);
            }
            Output::StateChanged(State::Active) => {
                self.ring
                    .insert(self.slots[node as usize].contact.guid, node);
                self.network.enter(node);
                self.happened.push(Happening::Active(node));
            }
            Output::DeliverObject {
                id,
                object,
                payload,
                origin,
                hops,
                ..
            } => {
                let arrival = Arrival {
                    at: node,
                    object,
                    tag: tag_of(&payload),
                    hops,
                };
                self.happened.push(Happening::Reached(arrival));
                let answer = Ok(Bytes::new());
                let reply = Input::Reply {
                    id,
                    origin,
                    hops,
                    answer,
                };
                self.input(node, reply);
            }
            // Nobody intercepts in the simulator. A node that leaves is taken out at once.
            Output::StateChanged(_) | Output::Forward { .. } => {}
            Output::LeafSetChanged { .. } => self.happened.push(Happening::LeafSet(node)),
        }
    }

    fn send(&mut self, from: Node, to: Node, message: Message<Node>) {
        let message = match &mut self.adversary {
            Some(adversary) if adversary.is_bad(from) => adversary.sends(from, message),
            _ => message,
        };
        self.forge(Sent { from, to, message });
    }

    /// Sends a message that no core has sent.
    pub fn forge(&mut self, sent: Sent) {
        let Sent { from, to, message } = sent;
        self.traffic.note(Kind::of(&message));
        let message = match &mut self.tamper {
            None => message,
            Some(tamper) => match tamper(from, to, message) {
                Some(message) => message,
                None => return,
            },
        };
        let latency = self.network.latency(from, to);
        let arrives = self
            .links
            .carry(self.now, from, to, latency, &mut self.chance);
        if let Some(at) = arrives {
            let sequence = next(&mut self.sequence);
            self.flights
                .push(Due { at, sequence }, Flight { from, to, message });
        }
    }

    fn next_request(&mut self) -> RequestId {
        RequestId(next(&mut self.next_request))
    }

    /// What decides all chance.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The moment.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Every node's settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where nodes stand.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What goes wrong between them.
    pub fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }

    /// Who is active: the truth.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Who is alive, active or not.
    pub fn live(&self) -> impl Iterator<Item = Node> + '_ {
        let alive = |(node, slot): (usize, &Slot)| slot.overlay.is_some().then_some(node as Node);
        self.slots.iter().enumerate().filter_map(alive)
    }

    /// How many are alive.
    pub fn live_count(&self) -> usize {
        self.live
    }

    /// A node, unless it is dead.
    pub fn overlay(&self, node: Node) -> Option<&Overlay<Node>> {
        self.slots.get(node as usize)?.overlay.as_deref()
    }

    /// A node's identifier, dead or alive.
    ///
    /// # Panics
    /// When there was never such a node.
    pub fn guid(&self, node: Node) -> Guid {
        self.slots[node as usize].contact.guid
    }

    /// How many nodes there ever were.
    pub fn started(&self) -> usize {
        self.slots.len()
    }

    /// Messages sent so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Messages that arrived and timers that fired.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Stands for everything that has happened.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Has every message pass through this first.
    pub fn set_tamper(&mut self, tamper: Option<Tamper>) {
        self.tamper = tamper;
    }

    /// Some nodes do not keep to the rules any more; `None`: all do.
    pub fn set_adversary(&mut self, adversary: Option<Adversary>) {
        self.adversary = adversary.map(Box::new);
    }

    /// What bad nodes do, if there are any.
    pub fn behaviour(&self) -> Option<crate::adversary::Behaviour> {
        self.adversary
            .as_ref()
            .map(|adversary| adversary.behaviour())
    }

    /// Whether a node does not keep to the rules.
    pub fn is_bad(&self, node: Node) -> bool {
        let adversary = self.adversary.as_ref();
        adversary.is_some_and(|adversary| adversary.is_bad(node))
    }

    /// The bad nodes send what they send of their own accord, `each` of them as much, by a
    /// good node of its routing table.
    pub fn flood(&mut self, each: u32) {
        let Some(adversary) = self.adversary.take() else {
            return;
        };
        let victims: BTreeMap<Node, Node> = adversary
            .bad()
            .filter_map(|node| {
                let mut known = self
                    .overlay(node)?
                    .table()
                    .map(|(_, _, contact)| contact.peer);
                Some((node, known.find(|other| !adversary.is_bad(*other))?))
            })
            .collect();
        self.adversary = Some(adversary);
        self.flood_through(each, &victims);
    }

    /// The same, each by the victim that is named for it.
    pub fn flood_through(&mut self, each: u32, victims: &BTreeMap<Node, Node>) {
        let Some(adversary) = &mut self.adversary else {
            return;
        };
        for sent in adversary.flood(each, victims) {
            self.forge(sent);
        }
    }

    /// A node's contact, dead or alive.
    ///
    /// # Panics
    /// When there was never such a node.
    pub fn contact(&self, node: Node) -> &Contact<Node> {
        &self.slots[node as usize].contact
    }

    /// Whether a node ever lived.
    pub fn has_lived(&self, node: Node) -> bool {
        self.slots.get(node as usize).is_some_and(|slot| slot.lived)
    }

    pub(crate) fn nearest_active(&self, node: Node) -> Option<Node> {
        let active = self.ring.iter().map(|(_, node)| node);
        self.network.nearest(node, active)
    }
}

/// The number that a lookup or a message to an object carries.
fn tag_of(payload: &Bytes) -> u32 {
    let tag = payload.first_chunk::<4>();
    tag.map_or(u32::MAX, |tag| u32::from_be_bytes(*tag))
}

fn next(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter
}
