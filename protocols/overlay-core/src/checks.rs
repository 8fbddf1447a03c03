//! What must hold of all that a node keeps, whatever others say (P26, L16): every bound,
//! and that whatever waits has a timer that ends its waiting.

use crate::handle::join::MAX_SEEDS;
use crate::handle::request::MAX_REQUESTS;
use crate::handle::route::{MAX_IN_FLIGHT, MAX_WAITING};
use crate::overlay::MAX_FAILED_MEMORY;
use crate::peers::{MAX_LOST, MAX_PEERS};
use crate::seen::MEMORY;
use crate::timers::Timer;
use crate::{Overlay, Peer, State};

impl<P: Peer> Overlay<P> {
    pub(crate) fn check_bounds(&self) {
        let bounds = [
            ("peers", self.peers.len(), MAX_PEERS),
            ("dead nodes", self.failed.len(), MAX_FAILED_MEMORY),
            ("lost nodes", self.lost.len(), MAX_LOST),
            ("possible seeds", self.joining.seeds.len(), MAX_SEEDS),
            ("early messages", self.joining.early.len(), MAX_WAITING),
            ("messages with hops", self.hops.len(), MAX_IN_FLIGHT),
            ("requests", self.requests.len(), MAX_REQUESTS),
            (
                "messages with applications",
                self.waiting.len(),
                MAX_WAITING,
            ),
            ("messages seen", self.seen.len(), 2 * MEMORY),
            ("errands seen", self.location.served.len(), 2 * MEMORY),
        ];
        for (what, count, most) in bounds {
            assert!(count <= most, "{count} {what} are kept, {most} is the most");
        }
        let sent = self.sent_for.values();
        assert!(
            sent.clone()
                .all(|request| self.requests.contains_key(request)),
            "a message is remembered for a request that has ended"
        );
        assert_eq!(
            self.peers.asked_count(),
            self.peers.asked().count(),
            "those asked are miscounted"
        );
    }

    /// Nothing waits for ever, and no timer is for nothing.
    pub(crate) fn check_timers(&self) {
        let asked = self.peers.asked().map(|(peer, _)| peer.contact.peer);
        let probes = asked.map(Timer::Probe);
        let hops = self.hops.iter().map(|(id, _)| Timer::Hop(*id));
        let requests = self.requests.keys().map(|id| Timer::Request(*id));
        let tickets = self.waiting.keys().map(|ticket| Timer::Ticket(*ticket));
        let asks = self.location.asks.keys().map(|nonce| Timer::Ask(*nonce));
        let seeks = self.location.seeks.keys().map(|id| Timer::Seek(*id));
        // While its ways are walked a publication has walks, which have timers or asks.
        let publications = self.location.publications.iter();
        let timed = publications.filter(|(_, known)| known.is_timed());
        let publications = timed.map(|(object, _)| Timer::Publication(*object));
        let waiting = probes
            .chain(hops)
            .chain(requests)
            .chain(tickets)
            .chain(asks)
            .chain(seeks)
            .chain(publications);
        if self.state == State::Left {
            assert_eq!(self.timers.next(), None, "a timer is set after leaving");
            return;
        }
        for timer in waiting {
            assert!(self.timers.is_set(&timer), "{timer:?} is not set");
        }
        for timer in self.timers.single() {
            assert!(self.waits_for(timer), "{timer:?} is set for nothing");
        }
    }

    /// Whether there is what a timer is for.
    fn waits_for(&self, timer: &Timer<P>) -> bool {
        let location = &self.location;
        match timer {
            Timer::Probe(peer) => self
                .peers
                .get(peer)
                .is_some_and(|peer| peer.probing().is_some()),
            Timer::Hop(id) => self.hops.get(id).is_some(),
            Timer::Request(request) => self.requests.contains_key(request),
            Timer::Ticket(ticket) => self.waiting.contains_key(ticket),
            Timer::Ask(nonce) => location.asks.contains_key(nonce),
            Timer::Walk(object, salt) => location.walks.contains_key(&(*object, *salt)),
            Timer::Publication(object) => location.publications.contains_key(object),
            Timer::Seek(request) => location.seeks.contains_key(request),
            Timer::Sweep
            | Timer::Ways
            | Timer::Lonely
            | Timer::Seed
            | Timer::Join
            | Timer::Heartbeat
            | Timer::Watch
            | Timer::TableProbe
            | Timer::RowExchange
            | Timer::Heal => true,
        }
    }
}
