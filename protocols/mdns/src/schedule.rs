//! When to send what on one socket: pure, time and chance come as arguments.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{backoff::Backoff, config::Config};

/// Range of the random delay before an answer, in milliseconds (M5, RFC 6762
/// section 6), so that not all nodes answer in the same moment.
pub const ANSWER_DELAY_MS: std::ops::RangeInclusive<u64> = 20..=100;

/// Least time between two multicast answers (M5, RFC 6762 section 6).
pub const ANSWER_SPACING: Duration = Duration::from_secs(1);

/// Most answers by unicast waiting on one socket (M5).
pub const MAX_UNICAST: usize = 16;

/// Waits after a failed sending: from the first to the second (M8).
const FAILURE_WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Something to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The query.
    Query,
    /// Our addresses, by multicast.
    Answer,
    /// That the service exists, by multicast.
    Services,
    /// Our addresses to one resolver.
    Unicast { to: SocketAddr, id: u16 },
}

#[derive(Debug)]
pub(crate) struct Schedule {
    intervals: Backoff,
    failures: Backoff,
    query: Instant,
    answer: Option<Instant>,
    last_answer: Option<Instant>,
    services: Option<Instant>,
    last_services: Option<Instant>,
    repeat: bool,
    unicast: Vec<(Instant, SocketAddr, u16)>,
    blocked: Option<Instant>,
}

impl Schedule {
    /// Starts with a query at once (M4).
    pub(crate) fn new(now: Instant, config: &Config) -> Self {
        Self {
            intervals: Backoff::new(config.first_interval, config.max_interval),
            failures: Backoff::new(FAILURE_WAITS.0, FAILURE_WAITS.1),
            query: now,
            answer: None,
            last_answer: None,
            services: None,
            last_services: None,
            repeat: false,
            unicast: Vec::new(),
            blocked: None,
        }
    }

    /// The service was asked for: answer after `delay`, one answer for all who
    /// ask until then (M5).
    pub(crate) fn on_query(&mut self, now: Instant, delay: Duration) {
        self.answer = Some(soonest(self.answer, spaced(now + delay, self.last_answer)));
    }

    /// It was asked which services there are.
    pub(crate) fn on_meta_query(&mut self, now: Instant, delay: Duration) {
        self.services = Some(soonest(
            self.services,
            spaced(now + delay, self.last_services),
        ));
    }

    /// The service was asked for from a port that wants its answer by unicast;
    /// whether there was room.
    pub(crate) fn on_legacy_query(
        &mut self,
        now: Instant,
        delay: Duration,
        to: SocketAddr,
        id: u16,
    ) -> bool {
        let room = self.unicast.len() < MAX_UNICAST;
        if room {
            self.unicast.push((now + delay, to, id));
        }
        room
    }

    /// Our addresses changed: tell so at once, and once more (M6).
    pub(crate) fn on_change(&mut self, now: Instant) {
        self.answer = Some(now);
        self.repeat = true;
    }

    /// What to send at `now`; a query moves the next one away by the backoff
    /// and at most a tenth more, of which `jitter` (0 to 1) is the part.
    pub(crate) fn take_due(&mut self, now: Instant, jitter: f64) -> Option<Due> {
        if self.blocked.is_some_and(|until| until > now) {
            return None;
        }
        self.blocked = None;
        if self.query <= now {
            let interval = self.intervals.step();
            self.query = now + interval + (interval / 10).mul_f64(jitter.clamp(0.0, 1.0));
            return Some(Due::Query);
        }
        if self.answer.is_some_and(|at| at <= now) {
            self.last_answer = Some(now);
            self.answer = std::mem::take(&mut self.repeat).then(|| now + ANSWER_SPACING);
            return Some(Due::Answer);
        }
        if self.services.is_some_and(|at| at <= now) {
            self.last_services = Some(now);
            self.services = None;
            return Some(Due::Services);
        }
        let index = self.unicast.iter().position(|(at, ..)| *at <= now)?;
        let (_, to, id) = self.unicast.swap_remove(index);
        Some(Due::Unicast { to, id })
    }

    /// Something was sent by multicast.
    pub(crate) fn on_sent(&mut self) {
        self.failures.reset();
    }

    /// Sending by multicast failed: wait, then ask and tell again (M8).
    pub(crate) fn on_failure(&mut self, now: Instant) {
        let until = now + self.failures.step();
        self.blocked = Some(until);
        self.intervals.reset();
        self.query = until;
        self.answer = Some(until);
        self.unicast.clear();
    }

    /// When [`Self::take_due`] wants to be called.
    pub(crate) fn deadline(&self) -> Instant {
        let unicast = self.unicast.iter().map(|(at, ..)| *at);
        let due = [self.answer, self.services]
            .into_iter()
            .flatten()
            .chain(unicast)
            .fold(self.query, Instant::min);
        self.blocked.map_or(due, |until| due.max(until))
    }
}

fn soonest(planned: Option<Instant>, at: Instant) -> Instant {
    planned.map_or(at, |planned| planned.min(at))
}

fn spaced(at: Instant, last: Option<Instant>) -> Instant {
    last.map_or(at, |last| at.max(last + ANSWER_SPACING))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock(Instant);

    impl Clock {
        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }
    }

    fn schedule() -> (Schedule, Clock) {
        let now = Instant::now();
        (Schedule::new(now, &Config::default()), Clock(now))
    }

    const DELAY: Duration = Duration::from_millis(50);

    #[test]
    fn queries_start_at_once_and_get_rarer() {
        let (mut schedule, clock) = schedule();
        for ms in [0, 500, 1500, 3500, 7500] {
            assert_eq!(schedule.deadline(), clock.at(ms));
            assert_eq!(schedule.take_due(clock.at(ms), 0.0), Some(Due::Query));
            assert_eq!(schedule.take_due(clock.at(ms), 0.0), None);
        }
    }

    #[test]
    fn jitter_adds_at_most_a_tenth() {
        let (mut schedule, clock) = schedule();
        schedule.take_due(clock.at(0), 7.0);
        assert_eq!(schedule.deadline(), clock.at(550));
    }

    #[test]
    fn many_queries_get_one_answer_and_answers_are_spaced() {
        let (mut schedule, clock) = schedule();
        schedule.take_due(clock.at(0), 0.0);
        schedule.on_query(clock.at(10), DELAY);
        schedule.on_query(clock.at(20), DELAY);
        assert_eq!(schedule.deadline(), clock.at(60));
        assert_eq!(schedule.take_due(clock.at(60), 0.0), Some(Due::Answer));
        assert_eq!(schedule.take_due(clock.at(60), 0.0), None);
        schedule.on_query(clock.at(100), DELAY);
        assert_eq!(schedule.take_due(clock.at(500), 0.0), Some(Due::Query));
        assert_eq!(schedule.take_due(clock.at(1059), 0.0), None);
        assert_eq!(schedule.take_due(clock.at(1060), 0.0), Some(Due::Answer));
    }

    #[test]
    fn a_change_is_told_at_once_and_once_more() {
        let (mut schedule, clock) = schedule();
        schedule.take_due(clock.at(0), 0.0);
        schedule.on_change(clock.at(10));
        assert_eq!(schedule.take_due(clock.at(10), 0.0), Some(Due::Answer));
        assert_eq!(schedule.take_due(clock.at(500), 0.0), Some(Due::Query));
        assert_eq!(schedule.take_due(clock.at(1010), 0.0), Some(Due::Answer));
        assert_eq!(schedule.take_due(clock.at(1400), 0.0), None);
    }

    #[test]
    fn after_failures_it_waits_longer_and_then_asks_and_tells() {
        let (mut schedule, clock) = schedule();
        schedule.take_due(clock.at(0), 0.0);
        schedule.on_failure(clock.at(0));
        assert_eq!(schedule.deadline(), clock.at(500));
        assert_eq!(schedule.take_due(clock.at(499), 0.0), None);
        assert_eq!(schedule.take_due(clock.at(500), 0.0), Some(Due::Query));
        schedule.on_failure(clock.at(500));
        assert_eq!(schedule.deadline(), clock.at(1500));
        assert_eq!(schedule.take_due(clock.at(1500), 0.0), Some(Due::Query));
        schedule.on_sent();
        assert_eq!(schedule.take_due(clock.at(1500), 0.0), Some(Due::Answer));
        schedule.on_failure(clock.at(1500));
        assert_eq!(schedule.deadline(), clock.at(2000));
    }

    #[test]
    fn unicast_answers_are_bounded() {
        let (mut schedule, clock) = schedule();
        schedule.take_due(clock.at(0), 0.0);
        let to: SocketAddr = "10.0.0.1:40000".parse().unwrap();
        for id in 0..u16::try_from(MAX_UNICAST).unwrap() {
            assert!(schedule.on_legacy_query(clock.at(0), DELAY, to, id));
        }
        assert!(!schedule.on_legacy_query(clock.at(0), DELAY, to, 99));
        let mut answered = 0;
        while let Some(due) = schedule.take_due(clock.at(50), 0.0) {
            assert!(matches!(due, Due::Unicast { .. }));
            answered += 1;
        }
        assert_eq!(answered, MAX_UNICAST);
    }

    #[test]
    fn the_question_for_services_is_answered() {
        let (mut schedule, clock) = schedule();
        schedule.take_due(clock.at(0), 0.0);
        schedule.on_meta_query(clock.at(0), DELAY);
        assert_eq!(schedule.take_due(clock.at(50), 0.0), Some(Due::Services));
        schedule.on_meta_query(clock.at(60), DELAY);
        assert_eq!(schedule.take_due(clock.at(499), 0.0), None);
    }
}
