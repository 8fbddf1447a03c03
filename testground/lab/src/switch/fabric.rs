//! What becomes of a frame: to which ports, when, and whether at all (N1 to N8). No socket,
//! no clock, no thread.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use super::orders::{Port, SwitchStats};
use super::packets::{self, PREFIX};
use super::path::{HEADER, Path};
use super::pipe::Pipe;
use super::rules::{Rule, shape_of};
use super::shape::{Shape, Uplink};

/// Nanoseconds since the switch began.
pub(super) type Nanos = u64;

/// Addresses learned on a LAN (N2): far more than nodes, so that only nonsense meets it.
const MAX_ADDRESSES: usize = 4096;

/// Bytes of frames that wait in the switch (N8): 250 nodes at 20 Mbit/s for 0.8 s.
const MAX_WAITING: usize = 512 * 1024 * 1024;

/// Later than this after its time a frame counts as late (N9), nanoseconds.
const LATE: Nanos = 1_000_000;

/// An address, 6 bytes.
type Mac = [u8; 6];

/// The switch, without its devices.
#[derive(Debug)]
pub(super) struct Fabric {
    seed: u64,
    ports: BTreeMap<Port, State>,
    addresses: HashMap<(usize, Mac), usize>,
    learned: HashMap<usize, usize>,
    rules: Vec<Rule>,
    /// The rules' shapes, found when they are first needed.
    shapes: HashMap<(Port, Port), Option<Arc<Shape>>>,
    /// Uplinks, which a port keeps when it is unplugged and plugged in again.
    uplinks: HashMap<Port, Uplink>,
    paths: HashMap<(Port, Port), Path>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    waiting_bytes: usize,
    sequence: u64,
    epoch: u64,
    pub(super) stats: SwitchStats,
}

#[derive(Debug, Default)]
struct State {
    island: Option<usize>,
    /// Which of all plugs and cuts was this port's last: what was sent before does not
    /// arrive after.
    epoch: u64,
    uplink: Uplink,
    up: Pipe,
    down: Pipe,
}

/// A frame on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Nanos,
    sequence: u64,
    step: Step,
    from: Port,
    to: Port,
    /// Of both ports, when it was sent.
    epochs: (u64, u64),
    frame: Vec<u8>,
}

/// What a frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// To have left the sender's uplink.
    Path,
    /// To arrive at the receiver's downlink.
    Downlink,
    /// To be written.
    Write,
}

impl Fabric {
    pub(super) fn new(seed: u64) -> Fabric {
        Fabric {
            seed,
            ports: BTreeMap::new(),
            addresses: HashMap::new(),
            learned: HashMap::new(),
            rules: Vec::new(),
            shapes: HashMap::new(),
            uplinks: HashMap::new(),
            epoch: 0,
            paths: HashMap::new(),
            waiting: BinaryHeap::new(),
            waiting_bytes: 0,
            sequence: 0,
            stats: SwitchStats::default(),
        }
    }

    /// A new port, on its LAN's first island.
    pub(super) fn add(&mut self, port: Port) {
        self.epoch += 1;
        let state = State {
            island: Some(0),
            epoch: self.epoch,
            uplink: self.uplinks.get(&port).copied().unwrap_or_default(),
            ..State::default()
        };
        self.ports.insert(port, state);
    }

    pub(super) fn remove(&mut self, port: Port) {
        self.ports.remove(&port);
        self.forget_addresses(port);
    }

    /// Joins a port to an island or cuts it off; `false` if there is no such port.
    pub(super) fn connect(&mut self, port: Port, island: Option<usize>) -> bool {
        let Some(state) = self.ports.get_mut(&port) else {
            return false;
        };
        if state.island != island {
            self.epoch += 1;
            state.epoch = self.epoch;
        }
        state.island = island;
        self.forget_addresses(port);
        true
    }

    pub(super) fn set_uplink(&mut self, port: Port, uplink: Uplink) -> bool {
        let Some(state) = self.ports.get_mut(&port) else {
            return false;
        };
        state.uplink = uplink;
        self.uplinks.insert(port, uplink);
        true
    }

    /// New rules. Frames on their way keep the times they have; only what is blocked now does
    /// not arrive (N3).
    pub(super) fn set_rules(&mut self, rules: Vec<Rule>) {
        let before = std::mem::replace(&mut self.rules, rules);
        self.shapes.clear();
        for ((from, to), path) in &mut self.paths {
            if shape_of(&before, *from, *to) != shape_of(&self.rules, *from, *to) {
                path.begin_anew();
            }
        }
    }

    /// The switch has done what there was to do, which took so long.
    pub(super) fn note_turn(&mut self, took: Nanos) {
        self.stats.turns += 1;
        self.stats.slow_turns += u64::from(took > LATE);
    }

    /// A frame was read from a port, with its prefix. What may be written at once is handed
    /// to `write`.
    pub(super) fn handle_frame(
        &mut self,
        now: Nanos,
        from: Port,
        frame: &[u8],
        write: &mut impl FnMut(Port, &[u8]),
    ) {
        if frame.len() < PREFIX + HEADER {
            self.stats.received += 1;
            self.stats.invalid += 1;
            return;
        }
        let Some(state) = self.ports.get(&from) else {
            return;
        };
        let Some(island) = state.island else {
            self.stats.received += packets::count(frame) as u64;
            self.stats.blocked += packets::count(frame) as u64;
            return;
        };
        let has_rate = state.uplink.up.is_some();
        self.learn(from, mac(frame, 6));
        let to = self.receivers(from, island, mac(frame, 0));
        let by_packet = has_rate || to.iter().any(|to| self.is_by_packet(from, *to));
        let whole = packets::is_plain(frame) || !by_packet;
        if whole {
            self.stats.received += packets::count(frame) as u64;
            self.enter(now, from, &to, frame, write);
            return;
        }
        let Some(cut) = packets::cut(frame) else {
            self.stats.received += 1;
            self.stats.invalid += 1;
            return;
        };
        for packet in cut {
            self.stats.received += 1;
            self.enter(now, from, &to, &packet, write);
        }
    }

    /// Ports that a frame to this address goes to (N2).
    fn receivers(&self, from: Port, island: usize, address: Mac) -> Vec<Port> {
        if let Some(node) = self.addresses.get(&(from.lan, address)).copied() {
            let to = Port {
                lan: from.lan,
                node,
            };
            let is_there = to != from && self.island(to) == Some(island);
            return is_there.then_some(to).into_iter().collect();
        }
        let lan = Port {
            lan: from.lan,
            node: 0,
        }..=Port {
            lan: from.lan,
            node: usize::MAX,
        };
        self.ports
            .range(lan)
            .filter(|(port, state)| **port != from && state.island == Some(island))
            .map(|(port, _)| *port)
            .collect()
    }

    /// Whether each packet to this port fares by itself.
    fn is_by_packet(&mut self, from: Port, to: Port) -> bool {
        self.shape(from, to).is_some_and(|s| s.is_by_packet())
            || self
                .ports
                .get(&to)
                .is_some_and(|state| state.uplink.down.is_some())
    }

    /// A frame sets out from its sender's uplink.
    fn enter(
        &mut self,
        now: Nanos,
        from: Port,
        to: &[Port],
        frame: &[u8],
        write: &mut impl FnMut(Port, &[u8]),
    ) {
        let Some(state) = self.ports.get_mut(&from) else {
            return;
        };
        let Uplink { up, queue, .. } = state.uplink;
        let Some(leaves) = state.up.pass(now, frame.len() - PREFIX, up, queue) else {
            self.stats.queue_full += 1;
            return;
        };
        for to in to {
            if leaves > now {
                self.wait(leaves, Step::Path, from, *to, frame.to_vec());
            } else {
                self.take_path(now, false, from, *to, frame, write);
            }
        }
    }

    /// Hands what is due to `write`.
    pub(super) fn handle_timeout(&mut self, now: Nanos, write: &mut impl FnMut(Port, &[u8])) {
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.due > now {
                return;
            }
            let Some(Reverse(waiting)) = self.waiting.pop() else {
                return;
            };
            self.waiting_bytes -= waiting.frame.len() + size_of::<Waiting>();
            let Waiting {
                due,
                step,
                from,
                to,
                epochs,
                frame,
                ..
            } = waiting;
            // What went apart while the frame was on its way is not reached by it.
            let is_blocked = self.shape(from, to).is_some_and(|shape| shape.blocked);
            if is_blocked || self.epochs(from, to) != epochs {
                self.stats.blocked += 1;
                continue;
            }
            // As of the time it was due, however late it is: another that is due before this
            // one's next step has to come before it.
            match step {
                Step::Path => self.take_path(due, true, from, to, &frame, write),
                Step::Downlink => self.take_downlink(due, true, from, to, &frame, write),
                Step::Write => {
                    self.stats.delayed += packets::count(&frame) as u64;
                    let late = now - due;
                    if late > LATE {
                        self.stats.late += packets::count(&frame) as u64;
                    }
                    self.stats.latest_micros = self.stats.latest_micros.max(late / 1000);
                    self.deliver(to, &frame, write);
                }
            }
        }
    }

    /// When something is due next.
    pub(super) fn poll_timeout(&self) -> Option<Nanos> {
        self.waiting.peek().map(|Reverse(first)| first.due)
    }

    fn take_path(
        &mut self,
        now: Nanos,
        has_waited: bool,
        from: Port,
        to: Port,
        frame: &[u8],
        write: &mut impl FnMut(Port, &[u8]),
    ) {
        let Some(shape) = self.shape(from, to) else {
            self.take_downlink(now, has_waited, from, to, frame, write);
            return;
        };
        let seed = self.seed;
        let path = self
            .paths
            .entry((from, to))
            .or_insert_with(|| Path::new(seed, from, to));
        let Some(passage) = path.pass(now, frame.len() - PREFIX, &shape, &mut self.stats) else {
            return;
        };
        for _ in 0..passage.copies {
            let mut copy = frame.to_vec();
            if let Some(bit) = passage.flip {
                copy[PREFIX + HEADER + bit / 8] ^= 1 << (bit % 8);
            }
            if passage.due > now {
                self.wait(passage.due, Step::Downlink, from, to, copy);
            } else {
                self.take_downlink(now, has_waited, from, to, &copy, write);
            }
        }
    }

    fn take_downlink(
        &mut self,
        now: Nanos,
        has_waited: bool,
        from: Port,
        to: Port,
        frame: &[u8],
        write: &mut impl FnMut(Port, &[u8]),
    ) {
        let Some(state) = self.ports.get_mut(&to) else {
            self.stats.invalid += 1;
            return;
        };
        let Uplink { down, queue, .. } = state.uplink;
        let Some(arrives) = state.down.pass(now, frame.len() - PREFIX, down, queue) else {
            self.stats.queue_full += 1;
            return;
        };
        // One that waited before is written when its turn comes, and how late it is is seen.
        if arrives > now || has_waited {
            self.wait(arrives, Step::Write, from, to, frame.to_vec());
        } else {
            self.deliver(to, frame, write);
        }
    }

    fn deliver(&mut self, to: Port, frame: &[u8], write: &mut impl FnMut(Port, &[u8])) {
        self.stats.delivered += packets::count(frame) as u64;
        self.stats.delivered_bytes += (frame.len() - PREFIX) as u64;
        write(to, frame);
    }

    fn wait(&mut self, due: Nanos, step: Step, from: Port, to: Port, frame: Vec<u8>) {
        let bytes = frame.len() + size_of::<Waiting>();
        if self.waiting_bytes + bytes > MAX_WAITING {
            self.stats.overflow += 1;
            return;
        }
        self.waiting_bytes += bytes;
        self.sequence += 1;
        let epochs = self.epochs(from, to);
        self.waiting.push(Reverse(Waiting {
            due,
            sequence: self.sequence,
            step,
            from,
            to,
            epochs,
            frame,
        }));
    }

    /// What the rules say of a path.
    fn shape(&mut self, from: Port, to: Port) -> Option<Arc<Shape>> {
        let rules = &self.rules;
        self.shapes
            .entry((from, to))
            .or_insert_with(|| shape_of(rules, from, to).cloned().map(Arc::new))
            .clone()
    }

    fn epochs(&self, from: Port, to: Port) -> (u64, u64) {
        let of = |port| self.ports.get(&port).map_or(0, |state| state.epoch);
        (of(from), of(to))
    }

    fn island(&self, port: Port) -> Option<usize> {
        self.ports.get(&port)?.island
    }

    fn learn(&mut self, port: Port, address: Mac) {
        // The lowest bit marks a group, which nobody sends from.
        if address[0] & 1 == 1 || self.addresses.get(&(port.lan, address)) == Some(&port.node) {
            return;
        }
        let learned = self.learned.entry(port.lan).or_default();
        match self.addresses.entry((port.lan, address)) {
            Entry::Occupied(mut known) => {
                known.insert(port.node);
            }
            Entry::Vacant(unknown) if *learned < MAX_ADDRESSES => {
                *learned += 1;
                unknown.insert(port.node);
            }
            Entry::Vacant(_) => {}
        }
    }

    fn forget_addresses(&mut self, port: Port) {
        let before = self.addresses.len();
        self.addresses
            .retain(|(lan, _), node| *lan != port.lan || *node != port.node);
        let gone = before - self.addresses.len();
        if let Some(learned) = self.learned.get_mut(&port.lan) {
            *learned -= gone;
        }
    }
}

/// The address at this place of a frame, whose length was checked.
fn mac(frame: &[u8], at: usize) -> Mac {
    let mut address = [0; 6];
    address.copy_from_slice(&frame[PREFIX + at..PREFIX + at + 6]);
    address
}

#[cfg(test)]
#[path = "fabric_tests.rs"]
mod tests;
