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

/// The timers that every node has, once each.
const FIXED: [TimerKind; 8] = [
    TimerKind::Lonely,
    TimerKind::Seed,
    TimerKind::Join,
    TimerKind::Heartbeat,
    TimerKind::Heartbeat,
    TimerKind::TableProbe,
    TimerKind::RowExchange,
    TimerKind::Heal,
];

impl<P> Timer<P> {
    /// Its place in [`FIXED`]; `None` where it is one of many.
    fn place(&self) -> Option<usize> {
        match self {
            Timer::Lonely => Some(0),
            Timer::Seed => Some(1),
            Timer::Join => Some(2),
            Timer::Heartbeat => Some(3),
            Timer::Watch => Some(4),
            Timer::TableProbe => Some(5),
            Timer::RowExchange => Some(6),
            Timer::Heal => Some(7),
            Timer::Probe(_)
            | Timer::Hop(_)
            | Timer::Request(_)
            | Timer::Ticket(_)
            | Timer::Sweep
            | Timer::Ways
            | Timer::Ask(_)
            | Timer::Walk(..)
            | Timer::Publication(_)
            | Timer::Seek(_) => None,
        }
    }

    fn at_place(place: usize) -> Timer<P> {
        match place {
            0 => Timer::Lonely,
            1 => Timer::Seed,
            2 => Timer::Join,
            3 => Timer::Heartbeat,
            4 => Timer::Watch,
            5 => Timer::TableProbe,
            6 => Timer::RowExchange,
            _ => Timer::Heal,
        }
    }

    fn kind(&self) -> TimerKind {
        match self {
            Timer::Probe(_) => TimerKind::Probe,
            Timer::Hop(_) => TimerKind::Hop,
            Timer::Request(_) => TimerKind::Request,
            Timer::Ticket(_) => TimerKind::Ticket,
            Timer::Sweep | Timer::Ways => TimerKind::Pointers,
            Timer::Ask(_) => TimerKind::Ask,
            Timer::Walk(..) | Timer::Publication(_) => TimerKind::Publication,
            Timer::Seek(_) => TimerKind::Request,
            fixed => FIXED[fixed.place().unwrap_or_default()],
        }
    }
}

/// All timers of a node: each name is set once at most.
///
/// Those that every node has stand side by side; those of single probes, hops, requests
/// and pointers stand in trees, which take no room while there are none.
#[derive(Clone, Debug)]
pub(crate) struct Timers<P> {
    fixed: [Option<Time>; FIXED.len()],
    due: BTreeMap<Timer<P>, Time>,
    order: BTreeSet<(Time, Timer<P>)>,
}

impl<P: Peer> Timers<P> {
    pub(crate) fn new() -> Self {
        Timers {
            fixed: [None; FIXED.len()],
            due: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Sets a timer, in place of an earlier setting.
    pub(crate) fn set(&mut self, timer: Timer<P>, at: Time) {
        if let Some(place) = timer.place() {
            self.fixed[place] = Some(at);
            return;
        }
        self.cancel(timer);
        self.due.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Sets a timer unless it is due earlier already.
    pub(crate) fn set_sooner(&mut self, timer: Timer<P>, at: Time) {
        let due = match timer.place() {
            Some(place) => self.fixed[place],
            None => self.due.get(&timer).copied(),
        };
        if due.is_none_or(|due| at < due) {
            self.set(timer, at);
        }
    }

    pub(crate) fn cancel(&mut self, timer: Timer<P>) {
        if let Some(place) = timer.place() {
            self.fixed[place] = None;
        } else if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Whether a timer is set.
    pub(crate) fn is_set(&self, timer: &Timer<P>) -> bool {
        match timer.place() {
            Some(place) => self.fixed[place].is_some(),
            None => self.due.contains_key(timer),
        }
    }

    /// Those that are set for one thing among many.
    pub(crate) fn single(&self) -> impl Iterator<Item = &Timer<P>> {
        self.due.keys()
    }

    pub(crate) fn clear(&mut self) {
        *self = Timers::new();
    }

    /// Emptied trees keep room that most nodes have no use for most of the time.
    pub(crate) fn give_room_back(&mut self) {
        if self.due.is_empty() {
            self.due = BTreeMap::new();
            self.order = BTreeSet::new();
        }
    }

    /// Takes the first timer that is due.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Timer<P>> {
        let (_, timer) = self.first().filter(|(at, _)| *at <= now)?;
        self.cancel(timer);
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<(Time, TimerKind)> {
        self.first().map(|(at, timer)| (at, timer.kind()))
    }

    fn first(&self) -> Option<(Time, Timer<P>)> {
        let mut first = None;
        for (place, at) in self.fixed.iter().enumerate() {
            // Of two at one time it is the one with the lower name.
            if let Some(at) = at
                && first.is_none_or(|(before, _)| *at < before)
            {
                first = Some((*at, place));
            }
        }
        let fixed = first.map(|(at, place)| (at, Timer::at_place(place)));
        match (fixed, self.order.first()) {
            (Some(fixed), Some(single)) => Some(fixed.min(*single)),
            (fixed, single) => fixed.or(single.copied()),
        }
    }
}
