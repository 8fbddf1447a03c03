//! A node's part: what it remembers, and which handler an input belongs to.

use std::collections::{BTreeMap, VecDeque};

use guid::Guid;
use overlay_core::{Peer, Time};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::bounded::Bounded;
use crate::places::Places;
use crate::timers::{Timer, Timers};
use crate::{
    Config, Duty, Input, Message, Meta, Offered, Outcome, Output, Purpose, Source, Stats, Ticket,
    TimerKind,
};

/// What an asker waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage<P> {
    /// The home; `Some` once it has said that it needs time.
    Home(Option<P>),
    /// A delegate.
    Delegate(P),
    /// The origin, and what the home is owed then.
    Origin(Option<(P, Duty)>),
}

/// An object that this node's clients want.
#[derive(Clone, Debug)]
pub(crate) struct Ask<P> {
    pub(crate) id: u64,
    pub(crate) tickets: Vec<Ticket>,
    /// Of the stale copy in the store.
    pub(crate) version: Option<u64>,
    pub(crate) stage: Stage<P>,
    pub(crate) redirects: u8,
}

/// Who gets an object from the origin for all that wait at its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetcher<P> {
    /// The home.
    Me,
    /// An asker, in the directory scheme.
    Asker(P),
    /// Nobody: the former home sends it.
    Pull,
}

/// An asker that waits at the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting<P> {
    pub(crate) peer: P,
    pub(crate) ask: u64,
    pub(crate) version: Option<u64>,
}

/// An object that somebody is getting for everybody.
#[derive(Clone, Debug)]
pub(crate) struct Group<P> {
    pub(crate) fetcher: Fetcher<P>,
    pub(crate) waiting: Vec<Waiting<P>>,
}

/// What a home knows of an object.
#[derive(Clone, Debug)]
pub(crate) struct Entry<P> {
    pub(crate) meta: Meta,
    /// Oldest first; none in home-store.
    pub(crate) delegates: Vec<P>,
}

/// A body that is on its way from the former home.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pull<P> {
    pub(crate) from: P,
    pub(crate) ask: u64,
}

/// One node's part in the shared cache.
#[derive(Clone, Debug)]
pub struct Webcache<P> {
    pub(crate) config: Config,
    pub(crate) me: P,
    rng: ChaCha8Rng,
    /// Apart from the other, so that no answer tells anything of the numbers to come.
    numbers: ChaCha8Rng,
    pub(crate) asks: BTreeMap<Guid, Ask<P>>,
    pub(crate) groups: BTreeMap<Guid, Group<P>>,
    pub(crate) places: Places<P>,
    pub(crate) entries: Bounded<Entry<P>>,
    /// Until when.
    pub(crate) private: Bounded<Time>,
    pub(crate) pulls: BTreeMap<Guid, Pull<P>>,
    pub(crate) to_pull: VecDeque<(P, Offered<P>)>,
    pub(crate) to_offer: VecDeque<(P, Guid)>,
    pub(crate) timers: Timers,
    outputs: VecDeque<Output<P>>,
    pub(crate) stats: Stats,
}

impl<P: Peer> Webcache<P> {
    /// The part of the node `me`. The seed decides which delegates are chosen, and which numbers
    /// questions have: where peers are strangers, it is to be a secret that nobody can guess.
    ///
    /// # Panics
    /// When [`Config::validate`] refuses the settings.
    pub fn new(config: Config, me: P, seed: u64) -> Webcache<P> {
        config
            .validate()
            .expect("settings are validated where they are read");
        let mut numbers = ChaCha8Rng::seed_from_u64(seed);
        numbers.set_stream(1);
        Webcache {
            entries: Bounded::new(config.max_entries),
            private: Bounded::new(config.max_private),
            places: Places::new(me, config.max_places),
            config,
            me,
            rng: ChaCha8Rng::seed_from_u64(seed),
            numbers,
            asks: BTreeMap::new(),
            groups: BTreeMap::new(),
            pulls: BTreeMap::new(),
            to_pull: VecDeque::new(),
            to_offer: VecDeque::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Something happened. Drain [`Webcache::poll_output`] before the next input.
    pub fn handle_input(&mut self, now: Time, input: Input<P>) {
        match input {
            Input::Request {
                ticket,
                object,
                have,
            } => self.handle_request(now, ticket, object, have),
            Input::Received {
                from,
                message,
                have,
            } => self.handle_message(now, from, message, have),
            Input::Offered { from, objects } => self.handle_offer(now, from, objects),
            Input::Fetched {
                object,
                purpose: Purpose::Own,
                outcome,
            } => self.handle_own_fetch(now, object, outcome),
            Input::Fetched {
                object,
                purpose: Purpose::Group,
                outcome,
            } => self.handle_group_fetch(now, object, outcome),
            Input::Unreachable { object, ask } => self.handle_unreachable(now, object, ask),
            Input::Evicted(object) => self.handle_evicted(object),
            Input::Moved { span, to } => self.handle_moved(now, span, to),
            Input::Timeout => {
                while let Some(timer) = self.timers.expire(now) {
                    match timer {
                        Timer::Ask(object) => self.handle_silence(now, object),
                        Timer::Group(object) => self.next_fetcher(now, object),
                        Timer::Pull(object) => self.end_pull(now, object, None),
                        Timer::Offer => self.offer_next(now),
                    }
                }
            }
        }
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn handle_message(&mut self, now: Time, from: P, message: Message<P>, have: Option<Meta>) {
        match message {
            Message::Get {
                ask,
                object,
                version,
                without,
            } => {
                let asker = Waiting {
                    peer: from,
                    ask,
                    version,
                };
                self.handle_get(now, asker, object, without, have);
            }
            Message::Wait { ask, object } => self.handle_wait(now, from, ask, object),
            Message::Current { ask, object, copy } => {
                self.handle_current(now, from, ask, object, copy);
            }
            Message::Object {
                ask,
                object,
                copy,
                hit,
            } => self.handle_object(now, from, ask, object, copy.meta(now), hit),
            Message::Redirect {
                ask,
                object,
                delegate,
            } => self.handle_redirect(now, from, ask, object, delegate),
            Message::Origin { ask, object, duty } => {
                self.handle_sent_to_origin(from, ask, object, duty);
            }
            Message::Told { object, outcome } => self.handle_told(now, from, object, outcome),
            Message::Fetch {
                ask,
                object,
                version,
            } => {
                let asker = Waiting {
                    peer: from,
                    ask,
                    version,
                };
                self.handle_fetch(now, asker, object, have);
            }
            Message::Gone { ask, object } => self.handle_gone(now, from, ask, object),
            // Q12: what may be taken comes as `Input::Offered`.
            Message::Offer { .. } => self.stats.unexpected += 1,
        }
    }

    /// What is to be done; `None` until the next input.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        self.timers.next()
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What this node knows as a home: each object with its copy and, in the directory
    /// scheme, its delegates.
    pub fn entries(&self) -> impl Iterator<Item = (Guid, Meta, &[P])> + '_ {
        self.entries
            .iter()
            .map(|(object, entry)| (object, entry.meta, entry.delegates.as_slice()))
    }

    pub(crate) fn output(&mut self, output: Output<P>) {
        self.outputs.push_back(output);
    }

    pub(crate) fn send(&mut self, to: P, message: Message<P>) {
        self.output(Output::Send { to, message });
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, object: Guid, source: Source<P>) {
        let counter = match source {
            Source::Local => &mut self.stats.local,
            Source::Validated(_) => &mut self.stats.validated,
            Source::Peer { hit: true, .. } => &mut self.stats.peer_hits,
            Source::Peer { hit: false, .. } => &mut self.stats.peer_misses,
            Source::Origin => &mut self.stats.origin,
            Source::Failed | Source::Direct => &mut self.stats.failed,
        };
        *counter += 1;
        self.output(Output::Answer {
            ticket,
            object,
            source,
        });
    }

    pub(crate) fn ask_number(&mut self) -> u64 {
        self.numbers.next_u64()
    }

    /// A number below `count`, which is not 0; the bias is below count / 2^64.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.rng.next_u64()) * count as u128) >> 64) as usize
    }

    /// Whether the object is remembered to be nobody's but its client's.
    pub(crate) fn is_private(&self, now: Time, object: Guid) -> bool {
        self.private.get(object).is_some_and(|until| now < *until)
    }

    pub(crate) fn remember_private(&mut self, now: Time, object: Guid) {
        self.private.insert(object, now + self.config.private_for);
        self.entries.remove(object);
    }

    pub(crate) fn remember(&mut self, object: Guid, entry: Entry<P>) {
        if self.entries.insert(object, entry) {
            self.stats.forgotten += 1;
        }
    }
}

impl Outcome {
    /// The copy that may be shared, if there is one.
    pub(crate) fn meta(self) -> Option<Meta> {
        match self {
            Outcome::Got(meta) | Outcome::Same(meta) => Some(meta),
            Outcome::Private | Outcome::Refused | Outcome::Failed => None,
        }
    }
}
