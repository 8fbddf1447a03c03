//! What must hold of all that a node keeps, whatever others say: every bound, and that
//! whatever waits for another node has a timer that ends its waiting.

use overlay_core::Peer;

use crate::Webcache;
use crate::cache::{Fetcher, Stage};
use crate::timers::Timer;

impl<P: Peer> Webcache<P> {
    /// Checks the node's state. Run after every input in debug builds.
    ///
    /// # Panics
    /// When something does not hold: a mistake in this crate.
    pub fn check_invariants(&self) {
        let config = &self.config;
        let [to_offer, to_pull] = self.waiting_to_move();
        let bounds = [
            ("objects asked for", self.asks.len(), config.max_asks),
            ("groups", self.groups.len(), config.max_asks),
            ("pulls", self.pulls.len(), config.max_pulls),
            ("objects to offer", to_offer, config.max_entries),
            ("objects to pull", to_pull, config.max_entries),
        ];
        for (what, count, most) in bounds {
            assert!(count <= most, "{count} {what}, {most} is the most");
        }
        self.entries.check("entries");
        self.private.check("private objects");
        for (object, ask) in &self.asks {
            assert!(!ask.tickets.is_empty(), "nobody wants {object}");
            assert!(ask.tickets.len() <= config.max_waiting, "too many wait");
            let waits = !matches!(ask.stage, Stage::Origin(_));
            let set = self.timers.is_set(Timer::Ask(*object));
            assert_eq!(set, waits, "the timer of asking for {object}");
        }
        for (object, group) in &self.groups {
            assert!(group.waiting.len() <= config.max_waiting, "too many wait");
            let timed = matches!(group.fetcher, Fetcher::Asker(_));
            let set = self.timers.is_set(Timer::Group(*object));
            assert_eq!(set, timed, "the timer of the group for {object}");
            let pulled = group.fetcher == Fetcher::Pull;
            assert!(
                !pulled || self.pulls.contains_key(object),
                "nobody gets {object}"
            );
        }
        self.places.check(self.groups.values().flat_map(|group| {
            let fetcher = match group.fetcher {
                Fetcher::Asker(peer) => Some(peer),
                Fetcher::Me | Fetcher::Pull => None,
            };
            let waiting = group.waiting.iter().map(|asker| asker.peer);
            waiting.chain(fetcher)
        }));
        for (object, group) in &self.groups {
            let mut peers: Vec<P> = group.waiting.iter().map(|asker| asker.peer).collect();
            peers.sort_unstable();
            peers.dedup();
            let once = peers.len() == group.waiting.len();
            assert!(once, "a peer waits twice for {object}");
        }
        for object in self.pulls.keys() {
            let set = self.timers.is_set(Timer::Pull(*object));
            assert!(set, "the timer of pulling {object}");
        }
        let more = self.timers.is_set(Timer::Offer);
        assert_eq!(more, to_offer > 0, "the timer of offers");
        for timer in self.timers.set_timers() {
            let known = match timer {
                Timer::Ask(object) => self.asks.contains_key(&object),
                Timer::Group(object) => self.groups.contains_key(&object),
                Timer::Pull(object) => self.pulls.contains_key(&object),
                Timer::Offer => true,
            };
            assert!(known, "{timer:?} is set for nothing");
        }
    }
}
