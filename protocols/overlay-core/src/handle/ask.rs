//! Questions put to a node directly, not routed: asked again while it is silent, and in
//! the end given up (L13).

use guid::Guid;

use crate::location::message::Location;
use crate::location::state::{Ask, MAX_ASKS, Purpose};
use crate::timers::Timer;
use crate::{Contact, Message, Overlay, Peer, Time};

/// Times a question is put: a lost message is no reason to go round a node.
const TRIES: u32 = 2;

impl<P: Peer> Overlay<P> {
    /// Puts a question, made with the nonce its answer brings back. Says whether there
    /// was room for one more.
    pub(crate) fn ask(
        &mut self,
        now: Time,
        to: &Contact<P>,
        purpose: Purpose,
        make: impl FnOnce(u64) -> Location<P>,
    ) -> bool {
        if self.location.asks.len() >= MAX_ASKS {
            self.stats.dropped += 1;
            return false;
        }
        let nonce = self.next_number();
        let ask = Ask {
            to: to.clone(),
            message: make(nonce),
            purpose,
            sent: now,
            tries: 0,
        };
        self.location.asks.insert(nonce, ask);
        self.put(now, nonce);
        true
    }

    fn put(&mut self, now: Time, nonce: u64) {
        let Some(ask) = self.location.asks.get_mut(&nonce) else {
            return;
        };
        ask.sent = now;
        let (to, message, tries) = (ask.to.clone(), ask.message.clone(), ask.tries);
        let wait = self.hop_timeout(to.peer) * 2u32.pow(tries.min(6));
        self.timers
            .set(Timer::Ask(nonce), now + wait.min(self.config.max_rto));
        self.send(now, &to, Message::Location(message));
    }

    /// Ends the question that `from` has answered. Says what it was for.
    pub(crate) fn end_ask(&mut self, now: Time, from: P, nonce: u64) -> Option<Ask<P>> {
        self.location
            .asks
            .get(&nonce)
            .filter(|ask| ask.to.peer == from)?;
        let ask = self.forget_ask(nonce)?;
        // Karn: an answer does not say to which sending.
        if ask.tries == 0 {
            let sample = now.since(ask.sent);
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.rtt.measured(sample);
            }
            self.location.pointers.note_rtt(from, sample);
        }
        Some(ask)
    }

    pub(crate) fn forget_ask(&mut self, nonce: u64) -> Option<Ask<P>> {
        self.timers.cancel(Timer::Ask(nonce));
        self.location.asks.remove(&nonce)
    }

    pub(crate) fn handle_ask_timeout(&mut self, now: Time, nonce: u64) {
        let Some(ask) = self.location.asks.get_mut(&nonce) else {
            return;
        };
        ask.tries += 1;
        if ask.tries < TRIES {
            self.stats.retried += 1;
            self.put(now, nonce);
            return;
        }
        if let Some(ask) = self.forget_ask(nonce) {
            self.give_up_ask(now, &ask);
        }
    }

    /// The node was silent. That is no death, but reason to ask (P12).
    fn give_up_ask(&mut self, now: Time, ask: &Ask<P>) {
        let silent = ask.to.clone();
        match ask.purpose {
            Purpose::Step { object, salt } => {
                if self.is_member(silent.guid) {
                    self.probe(now, &silent, true, false);
                }
                self.turn_walk_back(now, object, salt);
            }
            Purpose::Extra { .. } => {}
            Purpose::Withdraw { request } => self.note_withdrawn(request),
            Purpose::Errand { search } => {
                self.probe(now, &silent, false, false);
                self.note_errand(now, search, silent.guid, false);
            }
        }
    }

    /// A connection broke: what waits for it need not wait its whole time.
    pub(crate) fn hurry_asks(&mut self, now: Time, peer: P) {
        let soon = now + self.config.min_rto;
        let asks = self.location.asks.iter();
        let waiting = asks.filter(|(_, ask)| ask.to.peer == peer);
        for nonce in waiting.map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            self.timers.set(Timer::Ask(nonce), soon);
        }
    }

    /// Who was asked to keep a pointer and has not answered.
    pub(crate) fn asked_about(&self, object: Guid) -> Vec<Contact<P>> {
        let asks = self.location.asks.values();
        let about = asks.filter(|ask| ask.purpose.is_about(object));
        about.map(|ask| ask.to.clone()).collect()
    }

    /// Drops the questions that have lost their purpose.
    pub(crate) fn forget_asks_about(&mut self, object: Guid) {
        let asks = self.location.asks.iter();
        let about = asks.filter(|(_, ask)| ask.purpose.is_about(object));
        for nonce in about.map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            self.forget_ask(nonce);
        }
    }
}

impl Purpose {
    /// Whether it is to leave a pointer for this object.
    fn is_about(&self, object: Guid) -> bool {
        match self {
            Purpose::Step { object: of, .. } | Purpose::Extra { object: of } => *of == object,
            Purpose::Withdraw { .. } | Purpose::Errand { .. } => false,
        }
    }
}
