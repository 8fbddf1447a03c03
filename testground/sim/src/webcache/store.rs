//! A store with room for so many bytes, in which the one used longest ago makes room.

use lru::LruCache;

/// Items by number.
#[derive(Debug)]
pub struct Store {
    room: u64,
    bytes: u64,
    items: LruCache<u32, u32>,
}

impl Store {
    /// An empty one with room for so many bytes.
    pub fn new(room: u64) -> Store {
        Store {
            room,
            bytes: 0,
            items: LruCache::unbounded(),
        }
    }

    /// Whether it has an item, which counts as used.
    pub fn has(&mut self, item: u32) -> bool {
        self.items.get(&item).is_some()
    }

    /// The same for who only wants to know.
    pub fn holds(&self, item: u32) -> bool {
        self.items.contains(&item)
    }

    /// Keeps an item, and says which had to go for it: itself, if it is larger than all room.
    pub fn keep(&mut self, item: u32, size: u32) -> Vec<u32> {
        if u64::from(size) > self.room {
            return vec![item];
        }
        if let Some(old) = self.items.put(item, size) {
            self.bytes -= u64::from(old);
        }
        self.bytes += u64::from(size);
        let mut gone = Vec::new();
        while self.bytes > self.room
            && let Some((item, size)) = self.items.pop_lru()
        {
            self.bytes -= u64::from(size);
            gone.push(item);
        }
        gone
    }

    /// Bytes kept.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let mut store = Store::new(100);
        assert!(store.keep(1, 40).is_empty());
        assert!(store.keep(2, 40).is_empty());
        assert!(store.has(1));
        assert_eq!(store.keep(3, 50), [2]);
        assert_eq!(store.keep(4, 101), [4], "it fits nowhere");
        assert_eq!(
            (store.bytes(), store.holds(1), store.holds(2)),
            (90, true, false)
        );
    }
}
