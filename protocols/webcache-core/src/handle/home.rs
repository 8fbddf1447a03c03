//! The home: what it has, or who has it, and who waits (Q4, Q6, Q8 to Q11).

use guid::Guid;
use overlay_core::{Peer, Time};

use crate::cache::{Entry, Fetcher, Group, Waiting};
use crate::timers::Timer;
use crate::{Duty, Message, Meta, Outcome, Output, Purpose, Scheme, Told, Webcache};

impl<P: Peer> Webcache<P> {
    pub(crate) fn handle_get(
        &mut self,
        now: Time,
        asker: Waiting<P>,
        object: Guid,
        without: Option<P>,
        have: Option<Meta>,
    ) {
        if self.is_private(now, object) {
            return self.send_to_origin(asker, object, Duty::None);
        }
        match self.config.scheme {
            Scheme::HomeStore => self.look_up_body(now, asker, object, have),
            Scheme::Directory => self.look_up_delegate(now, asker, object, without),
        }
    }

    /// Q8.
    fn look_up_body(&mut self, now: Time, asker: Waiting<P>, object: Guid, have: Option<Meta>) {
        if let Some(meta) = have.filter(|meta| meta.is_fresh(now)) {
            self.keep(object, meta);
            return self.give(now, asker, object, meta, true);
        }
        if self.is_waited_for(asker, object) {
            return;
        }
        let pulled = self.pulls.contains_key(&object);
        let fetcher = if pulled { Fetcher::Pull } else { Fetcher::Me };
        if self.begin(asker, object, fetcher) && !pulled {
            self.output(Output::Origin {
                object,
                purpose: Purpose::Group,
                validate: have.is_some(),
            });
        }
    }

    /// Q9 to Q11.
    fn look_up_delegate(&mut self, now: Time, asker: Waiting<P>, object: Guid, without: Option<P>) {
        let most = self.config.delegates;
        let mut known = None;
        if let Some(entry) = self.entries.use_now(object) {
            // Who asks without a version has no copy, whatever was thought.
            let lost = |delegate: &P| {
                Some(*delegate) == without || (*delegate == asker.peer && asker.version.is_none())
            };
            entry.delegates.retain(|delegate| !lost(delegate));
            known = Some(entry.clone()).filter(|entry| entry.meta.is_fresh(now));
            if asker.version == Some(entry.meta.version) && known.is_some() {
                add_delegate(&mut entry.delegates, asker.peer, most);
            }
        }
        if let Some(entry) = known {
            if asker.version == Some(entry.meta.version) {
                return self.give(now, asker, object, entry.meta, true);
            }
            let others: Vec<P> = entry
                .delegates
                .into_iter()
                .filter(|delegate| *delegate != asker.peer)
                .collect();
            if !others.is_empty() {
                let delegate = others[self.below(others.len())];
                return self.redirect(asker, object, delegate);
            }
        }
        if self.is_waited_for(asker, object) {
            return;
        }
        if self.groups.len() >= self.config.max_asks || !self.places.take(asker.peer) {
            return self.turn_away(asker, object);
        }
        self.groups.insert(
            object,
            Group {
                fetcher: Fetcher::Asker(asker.peer),
                waiting: Vec::new(),
            },
        );
        self.send_fetcher(now, asker, object);
    }

    fn redirect(&mut self, asker: Waiting<P>, object: Guid, delegate: P) {
        let most = self.config.delegates;
        if let Some(entry) = self.entries.use_now(object) {
            add_delegate(&mut entry.delegates, asker.peer, most);
        }
        let ask = asker.ask;
        self.send(
            asker.peer,
            Message::Redirect {
                ask,
                object,
                delegate,
            },
        );
    }

    fn send_to_origin(&mut self, asker: Waiting<P>, object: Guid, duty: Duty) {
        let ask = asker.ask;
        self.send(asker.peer, Message::Origin { ask, object, duty });
    }

    fn send_fetcher(&mut self, now: Time, asker: Waiting<P>, object: Guid) {
        self.send_to_origin(asker, object, Duty::Tell);
        self.timers
            .set(Timer::Group(object), now + self.config.wait_timeout);
    }

    /// Whether somebody gets the object already, so that the asker has only to wait.
    fn is_waited_for(&mut self, asker: Waiting<P>, object: Guid) -> bool {
        let Some(group) = self.groups.get_mut(&object) else {
            return false;
        };
        let mut waiting = group.waiting.iter_mut();
        if let Some(place) = waiting.find(|other| other.peer == asker.peer) {
            // It has one place: who asks anew waits for the earlier answer no more.
            *place = asker;
        } else if group.waiting.len() < self.config.max_waiting && self.places.take(asker.peer) {
            group.waiting.push(asker);
        } else {
            self.turn_away(asker, object);
            return true;
        }
        let ask = asker.ask;
        self.send(asker.peer, Message::Wait { ask, object });
        true
    }

    /// The first that waits; `false` if there is no room for it.
    fn begin(&mut self, asker: Waiting<P>, object: Guid, fetcher: Fetcher<P>) -> bool {
        if self.groups.len() >= self.config.max_asks || !self.places.take(asker.peer) {
            self.turn_away(asker, object);
            return false;
        }
        let waiting = vec![asker];
        self.groups.insert(object, Group { fetcher, waiting });
        let ask = asker.ask;
        self.send(asker.peer, Message::Wait { ask, object });
        true
    }

    /// There is no room for it.
    fn turn_away(&mut self, asker: Waiting<P>, object: Guid) {
        self.stats.turned_away += 1;
        self.send_to_origin(asker, object, Duty::None);
    }

    /// Ends a group, and frees the places that its peers had.
    fn remove_group(&mut self, object: Guid) -> Option<Group<P>> {
        self.timers.cancel(Timer::Group(object));
        let group = self.groups.remove(&object)?;
        if let Fetcher::Asker(peer) = group.fetcher {
            self.places.free(peer);
        }
        for asker in &group.waiting {
            self.places.free(asker.peer);
        }
        Some(group)
    }

    /// Answers with the body, or without it (Q4).
    pub(crate) fn give(
        &mut self,
        now: Time,
        asker: Waiting<P>,
        object: Guid,
        meta: Meta,
        hit: bool,
    ) {
        let (ask, copy) = (asker.ask, meta.told(now));
        let message = if asker.version == Some(meta.version) {
            Message::Current { ask, object, copy }
        } else {
            self.stats.served += 1;
            Message::Object {
                ask,
                object,
                copy,
                hit,
            }
        };
        self.send(asker.peer, message);
    }

    fn keep(&mut self, object: Guid, meta: Meta) {
        let delegates = Vec::new();
        self.remember(object, Entry { meta, delegates });
    }

    /// What the origin said to the home for everybody who waits.
    pub(crate) fn handle_group_fetch(&mut self, now: Time, object: Guid, outcome: Outcome) {
        let fetched = |group: &Group<P>| group.fetcher == Fetcher::Me;
        if !self.groups.get(&object).is_some_and(fetched) {
            self.stats.unexpected += 1;
            return;
        }
        self.end_group(now, object, outcome);
    }

    pub(crate) fn end_group(&mut self, now: Time, object: Guid, outcome: Outcome) {
        let Some(group) = self.remove_group(object) else {
            return;
        };
        if outcome == Outcome::Private {
            self.remember_private(now, object);
        }
        let meta = outcome.meta();
        if let Some(meta) = meta {
            self.keep(object, meta);
        }
        let hit = group.fetcher == Fetcher::Pull || matches!(outcome, Outcome::Same(_));
        for asker in group.waiting {
            match meta {
                Some(meta) => self.give(now, asker, object, meta, hit),
                None => self.send_to_origin(asker, object, Duty::None),
            }
        }
    }

    /// Q9, Q10.
    pub(crate) fn handle_told(&mut self, now: Time, from: P, object: Guid, told: Told) {
        let sent = |group: &Group<P>| group.fetcher == Fetcher::Asker(from);
        if !self.groups.get(&object).is_some_and(sent) {
            self.stats.unexpected += 1;
            return;
        }
        match told {
            Told::Got(copy) => {
                let waiting = self.remove_group(object).map(|group| group.waiting);
                let meta = copy.meta(now);
                let delegates = vec![from];
                self.remember(object, Entry { meta, delegates });
                for asker in waiting.into_iter().flatten() {
                    if asker.version == Some(meta.version) {
                        self.give(now, asker, object, meta, true);
                    } else {
                        self.redirect(asker, object, from);
                    }
                }
            }
            Told::Private => self.end_group(now, object, Outcome::Private),
            Told::Failed => self.next_fetcher(now, object),
        }
    }

    /// The asker at the origin has nothing to tell, or is silent (Q10).
    pub(crate) fn next_fetcher(&mut self, now: Time, object: Guid) {
        self.timers.cancel(Timer::Group(object));
        let Some(group) = self.groups.get_mut(&object) else {
            return;
        };
        if group.waiting.is_empty() {
            self.remove_group(object);
            return;
        }
        // Its place goes along with it.
        let next = group.waiting.remove(0);
        let before = std::mem::replace(&mut group.fetcher, Fetcher::Asker(next.peer));
        if let Fetcher::Asker(peer) = before {
            self.places.free(peer);
        }
        self.send_fetcher(now, next, object);
    }

    /// In home-store the home can answer no more; in the directory scheme it never had it.
    pub(crate) fn handle_evicted(&mut self, object: Guid) {
        if self.config.scheme == Scheme::HomeStore {
            self.entries.remove(object);
        }
    }
}

/// The newest is last; the oldest gives way.
fn add_delegate<P: Peer>(delegates: &mut Vec<P>, peer: P, most: usize) {
    delegates.retain(|delegate| *delegate != peer);
    if delegates.len() >= most {
        delegates.remove(0);
    }
    delegates.push(peer);
}
