//! The asker: its own copy, the home, a delegate, the origin (Q3 to Q7).

use guid::Guid;
use overlay_core::{Peer, Time};

use crate::cache::{Ask, Stage};
use crate::timers::Timer;
use crate::{
    Copied, Duty, Message, Meta, Outcome, Output, Purpose, Source, Ticket, Told, Webcache,
};

/// After so many redirects that led nowhere the origin is asked (Q11).
const MAX_REDIRECTS: u8 = 4;

impl<P: Peer> Webcache<P> {
    /// Q3.
    pub(crate) fn handle_request(
        &mut self,
        now: Time,
        ticket: Ticket,
        object: Guid,
        have: Option<Meta>,
    ) {
        self.stats.requests += 1;
        if have.is_some_and(|meta| meta.is_fresh(now)) {
            return self.answer(ticket, object, Source::Local);
        }
        if let Some(ask) = self.asks.get_mut(&object) {
            if ask.tickets.len() < self.config.max_waiting {
                ask.tickets.push(ticket);
            } else {
                self.answer(ticket, object, Source::Direct);
            }
            return;
        }
        if self.asks.len() >= self.config.max_asks || self.is_private(now, object) {
            return self.answer(ticket, object, Source::Direct);
        }
        let ask = Ask {
            id: 0,
            tickets: vec![ticket],
            version: have.map(|meta| meta.version),
            stage: Stage::Home(None),
            redirects: 0,
        };
        self.asks.insert(object, ask);
        self.ask_home(now, object, None);
    }

    fn ask_home(&mut self, now: Time, object: Guid, without: Option<P>) {
        let id = self.ask_number();
        let Some(ask) = self.asks.get_mut(&object) else {
            return;
        };
        (ask.id, ask.stage) = (id, Stage::Home(None));
        let message = Message::Get {
            ask: id,
            object,
            version: ask.version,
            without,
        };
        self.output(Output::ToHome { object, message });
        self.timers
            .set(Timer::Ask(object), now + self.config.home_timeout);
    }

    /// The question that an answer answers (Q7).
    fn asked(&mut self, from: P, id: u64, object: Guid) -> Option<&mut Ask<P>> {
        let ask = self.asks.get(&object).filter(|ask| ask.id == id);
        let expected = ask.is_some_and(|ask| match &ask.stage {
            Stage::Home(home) => home.is_none_or(|home| home == from),
            Stage::Delegate(delegate) => *delegate == from,
            Stage::Origin(_) => false,
        });
        if !expected {
            self.stats.unexpected += 1;
            return None;
        }
        self.asks.get_mut(&object)
    }

    /// As [`Webcache::asked`], where only the home may answer so.
    fn asked_home(&mut self, from: P, id: u64, object: Guid) -> Option<&mut Ask<P>> {
        let ask = self.asks.get(&object).filter(|ask| ask.id == id);
        if ask.is_some_and(|ask| matches!(ask.stage, Stage::Delegate(_))) {
            self.stats.unexpected += 1;
            return None;
        }
        self.asked(from, id, object)
    }

    /// Q5. Only the first one counts: a home cannot put an asker off for ever.
    pub(crate) fn handle_wait(&mut self, now: Time, from: P, id: u64, object: Guid) {
        let until = now + self.config.wait_timeout;
        let Some(ask) = self.asked_home(from, id, object) else {
            return;
        };
        if ask.stage == Stage::Home(None) {
            ask.stage = Stage::Home(Some(from));
            self.timers.set(Timer::Ask(object), until);
        }
    }

    /// Q4.
    pub(crate) fn handle_current(
        &mut self,
        now: Time,
        from: P,
        id: u64,
        object: Guid,
        copy: Copied,
    ) {
        let Some(ask) = self.asked(from, id, object) else {
            return;
        };
        if ask.version != Some(copy.version) {
            // It speaks of what this node has not got: no answer at all.
            self.stats.unexpected += 1;
            return self.go_to_origin(object, None);
        }
        let meta = copy.meta(now);
        self.output(Output::Refresh { object, meta });
        self.end(object, Source::Validated(from));
    }

    /// A body: for clients, or from a former home (Q12).
    pub(crate) fn handle_object(
        &mut self,
        now: Time,
        from: P,
        id: u64,
        object: Guid,
        meta: Meta,
        hit: bool,
    ) {
        if self.is_pulled(from, id, object) {
            return self.end_pull(now, object, Some(meta));
        }
        if self.asked(from, id, object).is_some() {
            self.end(object, Source::Peer { from, hit });
        }
    }

    /// Q9.
    pub(crate) fn handle_redirect(
        &mut self,
        now: Time,
        from: P,
        id: u64,
        object: Guid,
        delegate: P,
    ) {
        let me = self.me;
        let Some(ask) = self.asked_home(from, id, object) else {
            return;
        };
        ask.redirects += 1;
        if ask.redirects > MAX_REDIRECTS {
            return self.go_to_origin(object, None);
        }
        if delegate == me {
            return self.ask_home(now, object, Some(me));
        }
        let version = ask.version;
        ask.stage = Stage::Delegate(delegate);
        let id = self.ask_number();
        if let Some(ask) = self.asks.get_mut(&object) {
            ask.id = id;
        }
        let message = Message::Fetch {
            ask: id,
            object,
            version,
        };
        self.send(delegate, message);
        self.timers
            .set(Timer::Ask(object), now + self.config.home_timeout);
    }

    /// Q11, or Q12 where it was offered.
    pub(crate) fn handle_gone(&mut self, now: Time, from: P, id: u64, object: Guid) {
        if self.is_pulled(from, id, object) {
            return self.end_pull(now, object, None);
        }
        let Some(ask) = self.asked(from, id, object) else {
            return;
        };
        match ask.stage {
            Stage::Delegate(delegate) => self.ask_home(now, object, Some(delegate)),
            // No home says so.
            Stage::Home(_) | Stage::Origin(_) => self.stats.unexpected += 1,
        }
    }

    /// Q8, Q9.
    pub(crate) fn handle_sent_to_origin(&mut self, from: P, id: u64, object: Guid, duty: Duty) {
        if self.asked_home(from, id, object).is_some() {
            self.go_to_origin(object, Some((from, duty)));
        }
    }

    /// Q5, Q11.
    pub(crate) fn handle_silence(&mut self, now: Time, object: Guid) {
        let Some(ask) = self.asks.get(&object) else {
            return;
        };
        self.stats.silent += 1;
        match ask.stage {
            Stage::Home(_) => self.go_to_origin(object, None),
            Stage::Delegate(delegate) => self.ask_home(now, object, Some(delegate)),
            // The driver bounds how long the origin takes.
            Stage::Origin(_) => {}
        }
    }

    pub(crate) fn handle_unreachable(&mut self, now: Time, object: Guid, id: u64) {
        if self.pulls.get(&object).is_some_and(|pull| pull.ask == id) {
            return self.end_pull(now, object, None);
        }
        if self.asks.get(&object).is_some_and(|ask| ask.id == id) {
            self.handle_silence(now, object);
        }
    }

    fn go_to_origin(&mut self, object: Guid, duty: Option<(P, Duty)>) {
        let Some(ask) = self.asks.get_mut(&object) else {
            return;
        };
        ask.stage = Stage::Origin(duty);
        let validate = ask.version.is_some();
        self.timers.cancel(Timer::Ask(object));
        self.output(Output::Origin {
            object,
            purpose: Purpose::Own,
            validate,
        });
    }

    /// What the origin said to this node for its own clients.
    pub(crate) fn handle_own_fetch(&mut self, now: Time, object: Guid, outcome: Outcome) {
        let Some(Ask {
            stage: Stage::Origin(duty),
            tickets,
            ..
        }) = self.asks.get(&object).cloned()
        else {
            self.stats.unexpected += 1;
            return;
        };
        self.asks.remove(&object);
        if let Some((home, duty)) = duty {
            self.do_duty(now, home, duty, object, outcome);
        }
        if outcome == Outcome::Private {
            // Q6: the answer is the first one's alone.
            self.remember_private(now, object);
            for (nth, ticket) in tickets.into_iter().enumerate() {
                let source = match nth {
                    0 => Source::Origin,
                    _ => Source::Direct,
                };
                self.answer(ticket, object, source);
            }
            return;
        }
        let source = match outcome.meta() {
            Some(_) => Source::Origin,
            None => Source::Failed,
        };
        for ticket in tickets {
            self.answer(ticket, object, source);
        }
    }

    fn do_duty(&mut self, now: Time, home: P, duty: Duty, object: Guid, outcome: Outcome) {
        let copy = outcome.meta().map(|meta| meta.told(now));
        let message = match (duty, copy) {
            (Duty::Tell, Some(copy)) => Message::Told {
                object,
                outcome: Told::Got(copy),
            },
            (Duty::Tell, None) if outcome == Outcome::Private => Message::Told {
                object,
                outcome: Told::Private,
            },
            (Duty::Tell, None) => Message::Told {
                object,
                outcome: Told::Failed,
            },
            (Duty::None, _) => return,
        };
        self.send(home, message);
    }

    fn end(&mut self, object: Guid, source: Source<P>) {
        self.timers.cancel(Timer::Ask(object));
        let ask = self.asks.remove(&object);
        for ticket in ask.into_iter().flat_map(|ask| ask.tickets) {
            self.answer(ticket, object, source);
        }
    }
}
