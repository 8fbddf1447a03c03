//! Named timers that can be cancelled.

use std::collections::{BTreeMap, BTreeSet};

use guid::Guid;
use overlay_core::Time;

use crate::TimerKind;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Ask(Guid),
    Group(Guid),
    Pull(Guid),
    Offer,
}

impl Timer {
    fn kind(self) -> TimerKind {
        match self {
            Timer::Ask(_) => TimerKind::Ask,
            Timer::Group(_) => TimerKind::Group,
            Timer::Pull(_) => TimerKind::Pull,
            Timer::Offer => TimerKind::Offer,
        }
    }
}

/// All timers of a node: each name is set once at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<Timer, Time>,
    order: BTreeSet<(Time, Timer)>,
}

impl Timers {
    /// Sets a timer, in place of an earlier setting.
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.cancel(timer);
        self.due.insert(timer, at);
        self.order.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.due.contains_key(&timer)
    }

    pub(crate) fn set_timers(&self) -> impl Iterator<Item = Timer> + '_ {
        self.due.keys().copied()
    }

    /// Takes the first timer that is due.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Timer> {
        let (_, timer) = self.order.first().copied().filter(|(at, _)| *at <= now)?;
        self.cancel(timer);
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<(Time, TimerKind)> {
        let (at, timer) = self.order.first()?;
        Some((*at, timer.kind()))
    }
}
