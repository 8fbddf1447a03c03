//! The core with its clock, and who waits for what it says.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use guid::Guid;
use libp2p_identity::PeerId;
use overlay::Contact;
use overlay_core::Time;
use parking_lot::Mutex;
use serde_bytes::ByteBuf;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use webcache_core::{Input, Message, Meta, Purpose, Ticket, Webcache};
use wire::Limiter;

use super::{
    PeersConfig, Trust,
    behaviour::Open,
    fetches::Fetches,
    homes::Homes,
    owed::{Outcome, Seen},
    state::{Asked, Client, Reply, State, Turn},
};
use crate::{
    Config,
    forward::Origins,
    keeper::{Copy, Keeper},
    store::{self, Stored},
    wanted::Wanted,
};

/// How long what is given to peers at once takes at the rate that is set.
const BURST: Duration = Duration::from_millis(250);

/// Answers to one question that may wait to be written: `wait` and the last one.
const REPLIES: usize = 4;

/// One node's part.
pub(crate) struct Node {
    pub(super) me: PeerId,
    pub(super) config: Config,
    pub(super) settings: PeersConfig,
    pub(super) keeper: Arc<Keeper>,
    pub(super) overlay: overlay::Handle,
    /// The way to origins on behalf of peers.
    pub(super) origins: Origins,
    pub(super) opens: mpsc::Sender<Open>,
    /// What all bodies that peers get may take together.
    pub(super) serving: Option<Limiter>,
    pub(super) homes: Homes,
    /// Bodies on their way on behalf of peers.
    pub(super) fetches: Fetches,
    /// How long a home may be silent, and how long it may be after it has said `wait`.
    pub(super) patience: [Duration; 2],
    started: Instant,
    pub(super) state: Mutex<State>,
    wake: Notify,
}

/// A question under way. Dropped, it is forgotten.
pub(super) struct Question {
    node: Arc<Node>,
    key: (PeerId, u64),
    pub(super) replies: mpsc::Receiver<Reply>,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.node.state.lock().questions.remove(&self.key);
    }
}

impl Node {
    pub(super) fn new(
        config: Config,
        settings: PeersConfig,
        keeper: Arc<Keeper>,
        overlay: overlay::Handle,
        opens: mpsc::Sender<Open>,
        seed: u64,
    ) -> Node {
        let me = overlay.me().peer;
        let core = webcache_core::Config {
            scheme: settings.scheme,
            ..webcache_core::Config::default()
        };
        let rate = settings.serve_bytes_per_second;
        Node {
            me,
            serving: rate.map(|rate| Limiter::new(rate, BURST)),
            origins: Origins::public(&config, Arc::clone(&keeper.networks)),
            config,
            settings,
            keeper,
            overlay,
            opens,
            homes: Homes::default(),
            fetches: Fetches::default(),
            patience: [core.home_timeout, core.wait_timeout],
            started: Instant::now(),
            state: Mutex::new(State::new(Webcache::new(core, me, seed))),
            wake: Notify::new(),
        }
    }

    pub(super) fn now(&self) -> Time {
        let since = self.started.elapsed().as_micros();
        Time::from_micros(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Wakes the core when it wants to be.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.state.lock().core.poll_timeout();
            let due = async {
                match next {
                    Some((at, _)) => {
                        let at = Duration::from_micros(at.as_micros());
                        sleep_until(self.started + at).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => Node::input(&self, Input::Timeout),
                () = self.wake.notified() => {}
            }
        }
    }

    /// Whether there is anybody else in the network.
    pub(super) fn has_company(&self) -> bool {
        let snapshot = self.overlay.snapshot();
        snapshot.state == overlay::State::Active && snapshot.leaf_set.contacts().next().is_some()
    }

    /// A client's request, and what it is to do.
    pub(super) async fn request(
        this: &Arc<Self>,
        wanted: Arc<Wanted>,
        stale: Option<Arc<Stored>>,
    ) -> Result<Turn, oneshot::error::RecvError> {
        let object = wanted.plain_object();
        let copy = this.keeper.find(object, &wanted, false);
        let believed = this.settings.trust == Trust::All;
        let copy = copy.filter(|copy| copy.meta().is_believed(&wanted, believed));
        let known = copy.as_ref().map(Copy::meta);
        let known = known.or(stale.as_ref().map(|stored| &stored.meta));
        // Where what is stale has no digest, a peer that says it is current is not believed.
        let may_be_current = |meta: &&store::Meta| {
            let fresh = !meta.policy.is_stale(SystemTime::now());
            believed || meta.is_checked(&wanted) || fresh
        };
        let have = known.filter(may_be_current);
        let have = have.map(|meta| this.meta(Seen::of(meta)));
        let (sender, turn) = oneshot::channel();
        {
            let mut state = this.state.lock();
            let ticket = Ticket(state.next_ticket);
            state.next_ticket += 1;
            let client = Client {
                object,
                wanted,
                turn: Some(sender),
            };
            state.clients.insert(ticket, client);
            this.run(
                &mut state,
                Input::Request {
                    ticket,
                    object,
                    have,
                },
            );
        }
        this.wake.notify_one();
        turn.await
    }

    /// A peer's question. The answers come as [`Question::replies`].
    pub(super) fn question(
        this: &Arc<Self>,
        from: PeerId,
        wanted: Option<Arc<Wanted>>,
        object: Guid,
        message: impl FnOnce(u64) -> Message<PeerId>,
    ) -> Question {
        let have = this.have(object, wanted.as_deref());
        let (sender, replies) = mpsc::channel(REPLIES);
        let mut state = this.state.lock();
        let number = state.next_question;
        state.next_question += 1;
        let asked = Asked {
            object,
            wanted,
            replies: Some(sender),
        };
        state.replace(from, object);
        state.questions.insert((from, number), asked);
        let message = message(number);
        this.run(
            &mut state,
            Input::Received {
                from,
                message,
                have,
            },
        );
        drop(state);
        this.wake.notify_one();
        Question {
            node: Arc::clone(this),
            key: (from, number),
            replies,
        }
    }

    /// This node is the home itself.
    pub(super) fn question_to_self(
        this: &Arc<Self>,
        ask: u64,
        object: Guid,
        wanted: Arc<Wanted>,
        message: Message<PeerId>,
    ) {
        let have = this.have(object, Some(&wanted));
        let mut state = this.state.lock();
        let asked = Asked {
            object,
            wanted: Some(wanted),
            replies: None,
        };
        state.replace(this.me, object);
        state.questions.insert((this.me, ask), asked);
        let from = this.me;
        this.run(
            &mut state,
            Input::Received {
                from,
                message,
                have,
            },
        );
        drop(state);
        this.wake.notify_one();
    }

    /// What peers may have of an object.
    fn have(&self, object: Guid, wanted: Option<&Wanted>) -> Option<Meta> {
        let copy = self.copy(object, wanted)?;
        Some(self.meta(Seen::of(copy.meta())))
    }

    pub(super) fn copy(&self, object: Guid, wanted: Option<&Wanted>) -> Option<Copy> {
        match wanted {
            Some(wanted) => self.keeper.find(object, wanted, true),
            None => self.keeper.find_plain(object),
        }
    }

    fn meta(&self, seen: Seen) -> Meta {
        Meta {
            version: seen.version,
            size: seen.size,
            fresh_until: self.now() + seen.fresh,
        }
    }

    /// What came of asking an origin.
    pub(super) fn fetched(self: &Arc<Self>, object: Guid, purpose: Purpose, outcome: Outcome) {
        use webcache_core::Outcome as Core;
        let outcome = match outcome {
            Outcome::Got(seen) => Core::Got(self.meta(seen)),
            Outcome::Same(seen) => Core::Same(self.meta(seen)),
            Outcome::Private => Core::Private,
            Outcome::Failed => Core::Failed,
        };
        Node::input(
            self,
            Input::Fetched {
                object,
                purpose,
                outcome,
            },
        );
    }

    /// A peer's answer, or what it says without being asked.
    pub(super) fn received(self: &Arc<Self>, from: PeerId, message: Message<PeerId>) {
        let have = None;
        Node::input(
            self,
            Input::Received {
                from,
                message,
                have,
            },
        );
    }

    pub(super) fn input(this: &Arc<Self>, input: Input<PeerId>) {
        let mut state = this.state.lock();
        this.run(&mut state, input);
        drop(state);
        this.wake.notify_one();
    }

    /// What a peer says of where it is.
    pub(super) fn remember_addresses(&self, peer: PeerId, addrs: ByteBuf) {
        if !addrs.is_empty() && peer != self.me {
            self.state.lock().addresses.put(peer, addrs);
        }
    }

    /// A peer with its addresses, as far as they are known here; the overlay may know more.
    pub(super) fn contact(&self, peer: PeerId) -> Contact {
        let mut state = self.state.lock();
        let addrs = state.addresses.get(&peer);
        Contact {
            guid: overlay::guid_of_peer(&peer),
            peer,
            addrs: addrs.map_or_else(Vec::new, |addrs| overlay::decode_addrs(addrs)),
        }
    }

    /// Objects taken over as their new home.
    pub(super) fn taken_over(&self) -> u64 {
        self.state.lock().core.stats().taken_over
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("me", &self.me)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
