//! Versions of subjects that nobody follows here (E5).

use std::collections::{HashMap, VecDeque};

use guid::Guid;

/// Subjects whose newest version is remembered so.
pub(crate) const MAX_SEEN: usize = 4_096;

/// The highest version of each subject that passed by, of the last ones.
#[derive(Default)]
pub(crate) struct Seen {
    versions: HashMap<Guid, u64>,
    order: VecDeque<Guid>,
}

impl Seen {
    pub(crate) fn version(&self, subject: Guid) -> Option<u64> {
        self.versions.get(&subject).copied()
    }

    pub(crate) fn note(&mut self, subject: Guid, version: u64) {
        if let Some(known) = self.versions.get_mut(&subject) {
            *known = version.max(*known);
            return;
        }
        if self.order.len() >= MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.versions.remove(&oldest);
        }
        self.order.push_back(subject);
        self.versions.insert(subject, version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_never_goes_back() {
        let mut seen = Seen::default();
        let subject = |n: usize| Guid::new(n as u128);
        seen.note(subject(0), 5);
        seen.note(subject(0), 3);
        assert_eq!(seen.version(subject(0)), Some(5));
        for n in 1..=MAX_SEEN {
            seen.note(subject(n), 1);
        }
        assert_eq!(seen.version(subject(0)), None);
        assert_eq!(seen.versions.len(), MAX_SEEN);
        assert_eq!(seen.order.len(), MAX_SEEN);
    }
}
