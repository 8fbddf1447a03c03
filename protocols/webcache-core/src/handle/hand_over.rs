//! Keys that move to another home (Q12).

use std::collections::BTreeSet;

use guid::{Guid, Span};
use overlay_core::{Peer, Time};

use crate::cache::{Entry, Fetcher, Pull};
use crate::timers::Timer;
use crate::{MAX_OFFERED, Message, Meta, Offered, Outcome, Output, Purpose, Scheme, Webcache};

/// So many neighbours may each have their share of what waits to be taken over.
const OFFERERS: usize = 16;

impl<P: Peer> Webcache<P> {
    pub(crate) fn handle_moved(&mut self, now: Time, span: Span, to: P) {
        if to == self.me {
            return;
        }
        let room = self.config.max_entries - self.to_offer.len();
        let moved = self.entries.iter();
        let moved =
            moved.filter(|(object, entry)| span.contains(*object) && entry.meta.is_fresh(now));
        let moved: Vec<_> = moved.map(|(object, _)| (to, object)).take(room).collect();
        self.to_offer.extend(moved);
        if !self.timers.is_set(Timer::Offer) {
            self.offer_next(now);
        }
    }

    /// One message, and a timer for the next.
    pub(crate) fn offer_next(&mut self, now: Time) {
        let Some((to, _)) = self.to_offer.front().copied() else {
            return;
        };
        let mut objects = Vec::new();
        while objects.len() < MAX_OFFERED
            && let Some((_, object)) = self.to_offer.pop_front_if(|(next, _)| *next == to)
        {
            // It may have become stale, or been evicted, since.
            if let Some(entry) = self.entries.remove(object)
                && entry.meta.is_fresh(now)
            {
                objects.push(Offered {
                    object,
                    copy: entry.meta.told(now),
                    delegates: entry.delegates,
                });
            }
        }
        if !objects.is_empty() {
            self.stats.offered += objects.len() as u64;
            self.send(to, Message::Offer { objects });
        }
        if !self.to_offer.is_empty() {
            self.timers
                .set(Timer::Offer, now + self.config.offer_interval);
        }
    }

    pub(crate) fn handle_offer(&mut self, now: Time, from: P, objects: Vec<Offered<P>>) {
        if objects.len() > MAX_OFFERED || !objects.iter().all(Offered::is_within_bounds) {
            self.stats.unexpected += 1;
            return;
        }
        let waiting: BTreeSet<Guid> = self.to_pull.iter().map(|(_, one)| one.object).collect();
        let of_peer = self.to_pull.iter().filter(|(peer, _)| *peer == from);
        let mut room = (self.config.max_entries / OFFERERS)
            .max(MAX_OFFERED)
            .saturating_sub(of_peer.count());
        for offered in objects {
            let object = offered.object;
            let known = self.entries.get(object);
            let known = known.is_some_and(|entry| entry.meta.is_fresh(now));
            if known || offered.copy.fresh_us == 0 || self.is_private(now, object) {
                continue;
            }
            match self.config.scheme {
                Scheme::Directory => {
                    let mut delegates = offered.delegates;
                    delegates.truncate(self.config.delegates);
                    let meta = offered.copy.meta(now);
                    self.remember(object, Entry { meta, delegates });
                    self.stats.taken_over += 1;
                }
                Scheme::HomeStore => {
                    let is_new = !waiting.contains(&object);
                    if is_new && room > 0 && self.to_pull.len() < self.config.max_entries {
                        room -= 1;
                        self.to_pull.push_back((from, offered));
                    }
                }
            }
        }
        self.pull_next(now);
    }

    fn pull_next(&mut self, now: Time) {
        while self.pulls.len() < self.config.max_pulls
            && let Some((from, offered)) = self.to_pull.pop_front()
        {
            let object = offered.object;
            if self.pulls.contains_key(&object) || self.entries.get(object).is_some() {
                continue;
            }
            let ask = self.ask_number();
            self.pulls.insert(object, Pull { from, ask });
            self.timers
                .set(Timer::Pull(object), now + self.config.wait_timeout);
            let version = None;
            self.send(
                from,
                Message::Fetch {
                    ask,
                    object,
                    version,
                },
            );
        }
    }

    pub(crate) fn is_pulled(&self, from: P, ask: u64, object: Guid) -> bool {
        let pull = self.pulls.get(&object);
        pull.is_some_and(|pull| pull.from == from && pull.ask == ask)
    }

    /// The body came, or will not.
    pub(crate) fn end_pull(&mut self, now: Time, object: Guid, got: Option<Meta>) {
        self.timers.cancel(Timer::Pull(object));
        self.pulls.remove(&object);
        if let Some(meta) = got {
            self.stats.taken_over += 1;
            let delegates = Vec::new();
            self.remember(object, Entry { meta, delegates });
        }
        if let Some(group) = self.groups.get_mut(&object)
            && group.fetcher == Fetcher::Pull
        {
            match got {
                Some(meta) => self.end_group(now, object, Outcome::Got(meta)),
                None => {
                    group.fetcher = Fetcher::Me;
                    self.output(Output::Origin {
                        object,
                        purpose: Purpose::Group,
                        validate: false,
                    });
                }
            }
        }
        self.pull_next(now);
    }

    /// Objects that wait to be handed over or taken over.
    pub(crate) fn waiting_to_move(&self) -> [usize; 2] {
        [self.to_offer.len(), self.to_pull.len()]
    }

    /// Whether this node is getting a body that was offered.
    pub fn is_taking_over(&self, object: Guid) -> bool {
        self.pulls.contains_key(&object)
    }
}
