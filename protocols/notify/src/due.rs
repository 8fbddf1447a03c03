//! When who is asked next (E8).

use std::collections::{BTreeSet, HashMap};

use guid::Guid;
use tokio::time::Instant;

/// Subjects in the order in which they are due.
#[derive(Default)]
pub(crate) struct Due {
    order: BTreeSet<(Instant, Guid)>,
    at: HashMap<Guid, Instant>,
}

impl Due {
    /// The subject is due then, whatever was said before.
    pub(crate) fn set(&mut self, subject: Guid, at: Instant) {
        self.remove(subject);
        self.at.insert(subject, at);
        self.order.insert((at, subject));
    }

    /// The subject is due then, or before if it is already.
    pub(crate) fn not_after(&mut self, subject: Guid, at: Instant) {
        if self.at.get(&subject).is_none_or(|known| *known > at) {
            self.set(subject, at);
        }
    }

    pub(crate) fn remove(&mut self, subject: Guid) {
        if let Some(at) = self.at.remove(&subject) {
            self.order.remove(&(at, subject));
        }
    }

    /// When the first is due.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the first one, if it is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Guid> {
        let (at, subject) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.remove(subject);
        Some(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_is_due_first_is_taken_first() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let [a, b] = [1, 2].map(Guid::new);
        let mut due = Due::default();
        due.set(a, later(5));
        due.set(b, later(3));
        due.not_after(a, later(9));
        assert_eq!(due.first(), Some(later(3)));
        due.not_after(a, later(1));
        assert_eq!(due.take(now), None);
        assert_eq!(due.take(later(9)), Some(a));
        due.set(b, later(20));
        assert_eq!(due.take(later(9)), None);
        due.remove(b);
        assert_eq!((due.first(), due.at.len()), (None, 0));
    }
}
