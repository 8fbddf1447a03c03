//! A map that forgets what was used longest ago when it is full.

use std::collections::BTreeMap;

use guid::Guid;

/// Values by identifier, at most so many.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<T> {
    most: usize,
    values: BTreeMap<Guid, (u64, T)>,
    by_use: BTreeMap<u64, Guid>,
    next: u64,
}

impl<T> Bounded<T> {
    pub(crate) fn new(most: usize) -> Bounded<T> {
        Bounded {
            most,
            values: BTreeMap::new(),
            by_use: BTreeMap::new(),
            next: 0,
        }
    }

    pub(crate) fn get(&self, key: Guid) -> Option<&T> {
        self.values.get(&key).map(|(_, value)| value)
    }

    /// The value, which counts as used now.
    pub(crate) fn use_now(&mut self, key: Guid) -> Option<&mut T> {
        let (used, value) = self.values.get_mut(&key)?;
        self.by_use.remove(used);
        *used = self.next;
        self.by_use.insert(self.next, key);
        self.next += 1;
        Some(value)
    }

    /// Whether another had to be forgotten for it.
    pub(crate) fn insert(&mut self, key: Guid, value: T) -> bool {
        if let Some(known) = self.use_now(key) {
            *known = value;
            return false;
        }
        let full = self.values.len() >= self.most;
        if full && let Some((_, oldest)) = self.by_use.pop_first() {
            self.values.remove(&oldest);
        }
        self.by_use.insert(self.next, key);
        self.values.insert(key, (self.next, value));
        self.next += 1;
        full
    }

    pub(crate) fn remove(&mut self, key: Guid) -> Option<T> {
        let (used, value) = self.values.remove(&key)?;
        self.by_use.remove(&used);
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Guid, &T)> + '_ {
        self.values.iter().map(|(key, (_, value))| (*key, value))
    }

    /// Both maps must speak of the same.
    pub(crate) fn check(&self, what: &str) {
        assert!(self.values.len() <= self.most, "too many {what}");
        assert_eq!(self.values.len(), self.by_use.len(), "{what} miscounted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_is_forgotten() {
        let mut map = Bounded::new(2);
        assert!(!map.insert(Guid::new(1), 'a'));
        assert!(!map.insert(Guid::new(2), 'b'));
        map.use_now(Guid::new(1));
        assert!(map.insert(Guid::new(3), 'c'));
        assert_eq!(map.get(Guid::new(2)), None);
        assert_eq!(map.get(Guid::new(1)), Some(&'a'));
        assert!(!map.insert(Guid::new(3), 'd'), "it was there already");
        map.check("values");
    }
}
