//! What the tasks of one peer have in common.

use std::collections::HashMap;
use std::sync::Arc;

use cid::Cid;
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::bounds::READING_PER_PEER;
use crate::message::Entry;

/// Addresses kept for a dial.
const MAX_ADDRS: usize = 16;

pub(crate) struct Peer {
    pub(crate) id: PeerId,
    /// Frames that may be read at a time (Z18).
    pub(crate) reading: Semaphore,
    /// One clone for each stream that is read, beside the one here.
    pub(crate) inbound: Arc<()>,
    /// Tells the sender that there is something.
    pub(crate) wake: Notify,
    heard: Mutex<Option<Instant>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connected: bool,
    /// Whether a sender runs.
    running: bool,
    /// Whether the peer owes something, so that its connection is to be kept.
    owes: bool,
    addrs: Vec<Multiaddr>,
    /// The newest line for each block that was not sent yet, with its turn.
    requests: HashMap<Cid, (u64, Entry)>,
    next: u64,
}

impl Peer {
    pub(crate) fn new(id: PeerId) -> Peer {
        Peer {
            id,
            reading: Semaphore::new(READING_PER_PEER),
            inbound: Arc::new(()),
            wake: Notify::new(),
            heard: Mutex::new(None),
            state: Mutex::default(),
        }
    }

    /// Something came from the peer.
    pub(crate) fn heard_now(&self) {
        *self.heard.lock() = Some(Instant::now());
    }

    pub(crate) fn heard(&self) -> Option<Instant> {
        *self.heard.lock()
    }

    pub(crate) fn request(&self, entry: Entry) {
        let mut state = self.state.lock();
        let turn = state.next;
        state.next += 1;
        state.requests.insert(entry.cid, (turn, entry));
    }

    /// Takes up to `most` lines, in their order.
    pub(crate) fn take_requests(&self, most: usize) -> Vec<Entry> {
        let mut state = self.state.lock();
        let mut lines: Vec<(u64, Entry)> = state.requests.drain().map(|(_, line)| line).collect();
        lines.sort_by_key(|(turn, _)| *turn);
        for (turn, entry) in lines.split_off(lines.len().min(most)) {
            state.requests.insert(entry.cid, (turn, entry));
        }
        // Who is gone has forgotten its list: there is nothing to cancel.
        let connected = state.connected;
        let lines = lines.into_iter().map(|(_, entry)| entry);
        lines.filter(|entry| connected || !entry.cancel).collect()
    }

    pub(crate) fn set_owes(&self, owes: bool) {
        self.state.lock().owes = owes;
    }

    /// Notes whether there is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.state.lock().connected
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.state.lock().connected = connected;
    }

    pub(crate) fn add_addrs(&self, addrs: Vec<Multiaddr>) {
        let mut state = self.state.lock();
        for addr in addrs {
            if !state.addrs.contains(&addr) {
                state.addrs.insert(0, addr);
            }
        }
        state.addrs.truncate(MAX_ADDRS);
    }

    pub(crate) fn addrs(&self) -> Vec<Multiaddr> {
        self.state.lock().addrs.clone()
    }

    /// Whether a sender has to be started; it counts as running from now on.
    pub(crate) fn start(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().running, true)
    }

    /// Ends the sender, unless there is something to send. `due` says whether the peer's
    /// wants are to be looked at.
    pub(crate) fn stop_if_idle(&self, due: impl FnOnce() -> bool) -> bool {
        let mut state = self.state.lock();
        let idle = state.requests.is_empty() && !state.owes && !due();
        state.running = !idle;
        idle
    }

    /// Ends the sender; what was to be sent is given up.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.running = false;
        state.requests.clear();
    }

    /// Whether nothing is worth remembering of it.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        !state.connected && !state.running && !state.owes && state.requests.is_empty()
    }
}
