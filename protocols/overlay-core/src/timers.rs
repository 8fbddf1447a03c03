//! Named timers that can be cancelled.

use std::collections::{BTreeMap, BTreeSet};

use guid::Guid;

use crate::{MessageId, Peer, RequestId, Ticket, Time, TimerKind};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer<P> {
    Lonely,
    Seed,
    Join,
    Heartbeat,
    Watch,
    TableProbe,
    RowExchange,
    Heal,
    Probe(P),
    Hop(MessageId),
    Request(RequestId),
    Ticket(Ticket),
    Sweep,
    Ways,
    Ask(u64),
    Walk(Guid, u8),
    Publication(Guid),
    Seek(RequestId),
}

impl<P> Timer<P> {
    fn kind(&self) -> TimerKind {
        match self {
            Timer::Lonely => TimerKind::Lonely,
            Timer::Seed => TimerKind::Seed,
            Timer::Join => TimerKind::Join,
            Timer::Heartbeat | Timer::Watch => TimerKind::Heartbeat,
            Timer::TableProbe => TimerKind::TableProbe,
            Timer::RowExchange => TimerKind::RowExchange,
            Timer::Heal => TimerKind::Heal,
            Timer::Probe(_) => TimerKind::Probe,
            Timer::Hop(_) => TimerKind::Hop,
            Timer::Request(_) => TimerKind::Request,
            Timer::Ticket(_) => TimerKind::Ticket,
            Timer::Sweep | Timer::Ways => TimerKind::Pointers,
            Timer::Ask(_) => TimerKind::Ask,
            Timer::Walk(..) | Timer::Publication(_) => TimerKind::Publication,
            Timer::Seek(_) => TimerKind::Request,
        }
    }
}

/// All timers of a node: each name is set once at most.
#[derive(Clone, Debug)]
pub(crate) struct Timers<P> {
    due: BTreeMap<Timer<P>, Time>,
    order: BTreeSet<(Time, Timer<P>)>,
}

impl<P: Peer> Timers<P> {
    pub(crate) fn new() -> Self {
        Timers {
            due: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Sets a timer, in place of an earlier setting.
    pub(crate) fn set(&mut self, timer: Timer<P>, at: Time) {
        self.cancel(timer);
        self.due.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Sets a timer unless it is due earlier already.
    pub(crate) fn set_sooner(&mut self, timer: Timer<P>, at: Time) {
        if self.due.get(&timer).is_none_or(|due| at < *due) {
            self.set(timer, at);
        }
    }

    pub(crate) fn cancel(&mut self, timer: Timer<P>) {
        if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.due.clear();
        self.order.clear();
    }

    /// Takes the first timer that is due.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Timer<P>> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<(Time, TimerKind)> {
        self.order.first().map(|(at, timer)| (*at, timer.kind()))
    }
}
