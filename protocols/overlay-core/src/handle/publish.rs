//! A publisher's part: telling the nodes on the ways to an object's roots that it is here,
//! again and again (L3 to L7; Tapestry, section III-B).

use std::time::Duration;

use guid::Guid;
use rand::Rng;

use crate::handle::route::Next;
use crate::location::message::{Location, Publish, Spread, Stored, Way};
use crate::location::publication::{MAX_WAITING, Publication, Reach, Walk};
use crate::location::state::{MAX_WALKS, Purpose};
use crate::message::MAX_HOPS;
use crate::timers::Timer;
use crate::{
    Contact, Full, Outcome, Overlay, Peer, Published, RequestId, RouteFailure, State, Time,
};

/// How long a walk waits that cannot go on: while a gap is being mended.
const PAUSE: Duration = Duration::from_millis(500);

/// Times a walk may be stuck before it is given up and begun anew later.
const MAX_STUCK: u32 = 8;

/// Wait before a root that was missed is tried again; doubled each time.
const RETRY: Duration = Duration::from_secs(5);

/// A walk that a hop asks for begins no sooner than this after the one before it.
const MIN_BETWEEN_WALKS: Duration = Duration::from_secs(1);

impl<P: Peer> Overlay<P> {
    pub(crate) fn handle_publish_command(&mut self, now: Time, request: RequestId, object: Guid) {
        if self.state == State::Left {
            self.end(request, Err(RouteFailure::Left));
            return;
        }
        let known = self.location.publications.contains_key(&object);
        if !known && self.location.publications.len() >= self.config.location.max_publications {
            self.end(request, Err(RouteFailure::Full(Full::Publications)));
            return;
        }
        let publication = self.location.publications.entry(object);
        let publication =
            publication.or_insert_with(|| Publication::new(self.config.location.roots));
        if publication.waiting.len() >= MAX_WAITING {
            self.end(request, Err(RouteFailure::Busy));
            return;
        }
        let deadline = now + self.config.request_timeout;
        publication.waiting.push((request, deadline));
        // Each command has a deadline of its own, whoever wants the same after it.
        self.timers.set_sooner(Timer::Publication(object), deadline);
        self.begin_round(now, object);
    }

    /// All ways are walked anew, from here.
    fn begin_round(&mut self, now: Time, object: Guid) {
        let Some(publication) = self.location.publications.get_mut(&object) else {
            return;
        };
        publication.full = None;
        for salt in 0..publication.roots.len() as u8 {
            self.queue_walk(object, salt, None);
        }
        self.pump_walks(now);
    }

    /// A walk is due, from this node or from a hop on the way.
    fn queue_walk(&mut self, object: Guid, salt: u8, from: Option<Contact<P>>) {
        let publication = self.location.publications.get_mut(&object);
        let root = publication.and_then(|known| known.roots.get_mut(usize::from(salt)));
        let Some(root) = root.filter(|root| root.reach != Reach::Walking) else {
            return;
        };
        root.resume = from;
        if root.reach != Reach::Queued {
            root.reach = Reach::Queued;
            self.location.queue.push_back((object, salt));
        }
    }

    /// Begins as many walks as may be under way.
    pub(crate) fn pump_walks(&mut self, now: Time) {
        // A walk that ends at once comes back here, and thousands may: the loop that began
        // it takes the next, so that they do not pile up on the stack.
        if std::mem::replace(&mut self.location.pumping, true) {
            return;
        }
        self.begin_walks(now);
        self.location.pumping = false;
    }

    fn begin_walks(&mut self, now: Time) {
        while self.state == State::Active && self.location.walks.len() < MAX_WALKS {
            let Some((object, salt)) = self.location.queue.pop_front() else {
                return;
            };
            let publication = self.location.publications.get_mut(&object);
            let root = publication.and_then(|known| known.roots.get_mut(usize::from(salt)));
            let Some(root) = root.filter(|root| root.reach == Reach::Queued) else {
                continue;
            };
            root.reach = Reach::Walking;
            root.begun = Some(now);
            let walk = Walk::new(root.resume.take());
            self.location.walks.insert((object, salt), walk);
            self.walk_on(now, object, salt);
        }
    }

    /// Asks the last hop for the way on, or decides it here where the walk begins.
    pub(crate) fn walk_on(&mut self, now: Time, object: Guid, salt: u8) {
        let Some(walk) = self.location.walks.get_mut(&(object, salt)) else {
            return;
        };
        if walk.passed.is_empty() {
            let except: Vec<P> = walk.except.iter().map(|contact| contact.peer).collect();
            let (here, first) = match self.choose_next(object.salted(salt), &except, None) {
                Next::Here => (true, None),
                Next::Hop(next) if !except.contains(&next.peer) => (false, Some(next.clone())),
                Next::Hop(_) | Next::Nowhere => {
                    self.pause_walk(now, object, salt);
                    return;
                }
            };
            let publication = self.location.publications.get_mut(&object);
            let root = publication.and_then(|known| known.roots.get_mut(usize::from(salt)));
            if let Some(root) = root {
                root.here = here;
                root.first = first.as_ref().map(|contact| contact.peer);
            }
            if except.is_empty() {
                self.spread_from_here(now, object, salt, first.as_ref());
            }
            let Some(first) = first else {
                self.end_walk(now, object, salt, Reach::Reached);
                return;
            };
            if let Some(walk) = self.location.walks.get_mut(&(object, salt)) {
                walk.passed.push(first);
            }
        }
        self.ask_hop(now, object, salt);
    }

    /// The publisher is the first of the hops beside which more pointers are left (L6).
    fn spread_from_here(&mut self, now: Time, object: Guid, salt: u8, first: Option<&Contact<P>>) {
        let settings = &self.config.location;
        if settings.spread_hops == 0 {
            return;
        }
        let (backups, neighbours) = (settings.backups.into(), settings.neighbours.into());
        let mut also = match first {
            Some(first) if backups > 0 => self.backups(object.salted(salt), first),
            _ => Vec::new(),
        };
        also.truncate(backups);
        // Those nearby are the same for all ways and are told once.
        if salt == 0 {
            let near = self.near.entries().iter().map(|entry| &entry.contact);
            let near = near.filter(|near| also.iter().all(|one| one.guid != near.guid));
            let near: Vec<_> = near.take(neighbours).cloned().collect();
            also.extend(near);
        }
        self.place_extras(now, object, also);
    }

    fn ask_hop(&mut self, now: Time, object: Guid, salt: u8) {
        let Some(walk) = self.location.walks.get(&(object, salt)) else {
            return;
        };
        let Some(hop) = walk.passed.last().cloned() else {
            return;
        };
        let settings = &self.config.location;
        let mut spread = Spread {
            copies: settings.root_copies,
            ..Spread::default()
        };
        // This node was the first of the hops that are counted.
        if walk.passed.len() < usize::from(settings.spread_hops) {
            spread.backups = settings.backups;
            spread.neighbours = settings.neighbours;
        }
        let except = walk.except.iter().map(|contact| contact.guid).collect();
        let (holder, lifetime) = (self.me.clone(), self.lifetime_secs());
        let asked = self.ask(now, &hop, Purpose::Step { object, salt }, |nonce| {
            Location::Publish(Publish {
                nonce,
                holder,
                object,
                salt: Some(salt),
                lifetime,
                except,
                spread,
            })
        });
        if !asked {
            self.pause_walk(now, object, salt);
        }
    }

    fn lifetime_secs(&self) -> u32 {
        let secs = self.config.location.lifetime.as_secs();
        u32::try_from(secs.max(1)).unwrap_or(u32::MAX)
    }

    /// A hop was silent: the one before it is asked for another way.
    pub(crate) fn turn_walk_back(&mut self, now: Time, object: Guid, salt: u8) {
        let Some(walk) = self.location.walks.get_mut(&(object, salt)) else {
            return;
        };
        walk.turn_back();
        if walk.stuck >= MAX_STUCK {
            self.end_walk(now, object, salt, Reach::Missed);
        } else {
            self.walk_on(now, object, salt);
        }
    }

    /// Waits where nobody can tell the way on: a neighbour has died and whoever follows it
    /// is being looked for.
    fn pause_walk(&mut self, now: Time, object: Guid, salt: u8) {
        let Some(walk) = self.location.walks.get_mut(&(object, salt)) else {
            return;
        };
        walk.stuck += 1;
        // Who was silent may have had its reasons, or is known to be dead by then.
        walk.except.clear();
        if walk.stuck >= MAX_STUCK {
            self.end_walk(now, object, salt, Reach::Missed);
        } else {
            self.timers.set(Timer::Walk(object, salt), now + PAUSE);
        }
    }

    /// A node answers that it keeps a pointer, or does not, and where the way goes on.
    pub(crate) fn handle_published(
        &mut self,
        now: Time,
        from: P,
        nonce: u64,
        stored: Stored,
        way: Way<P>,
        also: Vec<Contact<P>>,
    ) {
        let Some(ask) = self.end_ask(now, from, nonce) else {
            return;
        };
        let (object, salt) = match ask.purpose {
            Purpose::Step { object, salt } => (object, Some(salt)),
            Purpose::Extra { object } => (object, None),
            Purpose::Withdraw { .. } | Purpose::Errand { .. } => return,
        };
        let until = now + self.config.location.lifetime;
        let Some(publication) = self.location.publications.get_mut(&object) else {
            return;
        };
        match stored {
            Stored::Kept => publication.note_placed(now, &ask.to, until),
            Stored::Full(full) => publication.full = Some(full),
            Stored::NotJoined => {}
        }
        let Some(salt) = salt else {
            return;
        };
        if stored == Stored::NotJoined {
            self.turn_walk_back(now, object, salt);
            return;
        }
        self.place_extras(now, object, also);
        let Some(walk) = self.location.walks.get_mut(&(object, salt)) else {
            return;
        };
        match way {
            Way::Root => self.end_walk(now, object, salt, Reach::Reached),
            Way::Next(next)
                if next.guid != self.me.guid
                    && walk.is_new(next.guid)
                    && walk.passed.len() < usize::from(MAX_HOPS) =>
            {
                walk.passed.push(next);
                self.walk_on(now, object, salt);
            }
            Way::Next(_) | Way::Unknown => self.pause_walk(now, object, salt),
        }
    }

    /// Pointers beside the way: with backups, neighbours, and the nodes next to the root.
    fn place_extras(&mut self, now: Time, object: Guid, also: Vec<Contact<P>>) {
        let settings = &self.config.location;
        let most = usize::from(settings.root_copies)
            + usize::from(settings.backups)
            + usize::from(settings.neighbours);
        for contact in also.into_iter().take(most) {
            if contact.guid == self.me.guid {
                continue;
            }
            let (holder, lifetime) = (self.me.clone(), self.lifetime_secs());
            self.ask(now, &contact, Purpose::Extra { object }, |nonce| {
                Location::Publish(Publish {
                    nonce,
                    holder,
                    object,
                    salt: None,
                    lifetime,
                    except: Vec::new(),
                    spread: Spread::default(),
                })
            });
        }
    }

    fn end_walk(&mut self, now: Time, object: Guid, salt: u8, reach: Reach) {
        self.location.walks.remove(&(object, salt));
        self.timers.cancel(Timer::Walk(object, salt));
        let Some(publication) = self.location.publications.get_mut(&object) else {
            return;
        };
        if let Some(root) = publication.roots.get_mut(usize::from(salt)) {
            root.reach = reach;
        }
        if publication.is_at_rest() {
            self.end_round(now, object);
        }
        self.pump_walks(now);
    }

    /// Every way has been walked: whoever waits is told, and the next round is set.
    fn end_round(&mut self, now: Time, object: Guid) {
        let Some(publication) = self.location.publications.get_mut(&object) else {
            return;
        };
        let whole = publication.reached() == publication.roots.len();
        publication.failures = if whole { 0 } else { publication.failures + 1 };
        let republish = self.config.location.republish;
        let wait = if whole {
            republish
        } else {
            (RETRY * 2u32.pow(publication.failures.min(16) - 1)).min(republish)
        };
        // Spread out, or what was published together is renewed together for ever.
        let wait = wait - wait / 8192 * (self.rng.next_u32() % 1024);
        self.timers.set(Timer::Publication(object), now + wait);
        self.tell_published(now, object, |_| true);
    }

    /// Ends those commands that wait for an object's pointers whose deadline is one of these.
    fn tell_published(&mut self, now: Time, object: Guid, ends: impl Fn(Time) -> bool) {
        let Some(publication) = self.location.publications.get_mut(&object) else {
            return;
        };
        let waiting = std::mem::take(&mut publication.waiting);
        let (waiting, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, deadline)| ends(*deadline));
        publication.waiting = others;
        if waiting.is_empty() {
            return;
        }
        let outcome = if publication.is_known() {
            Ok(Outcome::Published(Published {
                roots: publication.reached(),
                pointers: publication.placed.len(),
            }))
        } else {
            Err(match publication.full {
                Some(full) => RouteFailure::Full(full),
                None => RouteFailure::TimedOut(self.config.request_timeout),
            })
        };
        if outcome.is_err() && publication.waiting.is_empty() {
            // Nobody can find it, so it is not published.
            self.forget_publication(now, object);
        }
        for (request, _) in waiting {
            self.end(request, outcome.clone());
        }
    }

    /// The deadline of the commands that wait, or time to walk the ways again.
    pub(crate) fn handle_publication_due(&mut self, now: Time, object: Guid) {
        let Some(publication) = self.location.publications.get(&object) else {
            return;
        };
        if publication.is_at_rest() {
            self.begin_round(now, object);
        } else {
            // The round goes on, and sets the timer at its end.
            self.tell_published(now, object, |deadline| deadline <= now);
            let publication = self.location.publications.get(&object);
            let waiting = publication.map_or(&[][..], |known| &known.waiting);
            if let Some(next) = waiting.iter().map(|(_, deadline)| *deadline).min() {
                self.timers.set(Timer::Publication(object), next);
            }
        }
    }

    /// Drops a publication, with what is under way for it.
    pub(crate) fn forget_publication(&mut self, now: Time, object: Guid) -> Option<Publication<P>> {
        let publication = self.location.publications.remove(&object)?;
        self.timers.cancel(Timer::Publication(object));
        for salt in 0..publication.roots.len() as u8 {
            self.timers.cancel(Timer::Walk(object, salt));
            self.location.walks.remove(&(object, salt));
        }
        self.location.queue.retain(|(queued, _)| *queued != object);
        self.forget_asks_about(object);
        self.pump_walks(now);
        Some(publication)
    }

    /// A hop says that the way leads elsewhere from there on (L7).
    pub(crate) fn handle_moved(&mut self, now: Time, from: P, ways: Vec<(Guid, u8)>) {
        for (object, salt) in ways {
            let Some(publication) = self.location.publications.get(&object) else {
                continue;
            };
            // Only where this node left a pointer anybody has a say.
            let Some((hop, _)) = publication.placed.get(&from).cloned() else {
                continue;
            };
            let Some(root) = publication.roots.get(usize::from(salt)) else {
                continue;
            };
            let soon = |begun: Time| now.since(begun) < MIN_BETWEEN_WALKS;
            if root.reach == Reach::Queued || root.begun.is_some_and(soon) {
                continue;
            }
            self.queue_walk(object, salt, Some(hop));
        }
        self.pump_walks(now);
    }

    /// The publisher is a hop as well: where its own way has changed it begins anew (L7).
    pub(crate) fn watch_own_ways(&mut self, now: Time) {
        let mut changed = Vec::new();
        for (object, publication) in &self.location.publications {
            for (salt, root) in (0u8..).zip(&publication.roots) {
                let gone = root
                    .first
                    .is_some_and(|first| self.location.gone.contains(&first));
                let key = object.salted(salt);
                if gone || (root.here && self.choose_next(key, &[], None) != Next::Here) {
                    changed.push((*object, salt));
                }
            }
        }
        for (object, salt) in changed {
            self.queue_walk(object, salt, None);
        }
        self.pump_walks(now);
    }
}
