//! The routing table (P3; Pastry, section 2.1).

use std::time::Duration;

use guid::{Base, Guid};

use crate::{Contact, Peer};

/// One cell's node, and how far away it is.
#[derive(Clone, Debug)]
pub(crate) struct Entry<P> {
    pub(crate) contact: Contact<P>,
    /// Smoothed round-trip time.
    pub(crate) rtt: Duration,
}

/// 128/b rows of 2^b cells. Row n holds nodes that share the first n digits with this
/// one, by their next digit; each cell the nearest node known for it.
#[derive(Clone, Debug)]
pub(crate) struct Table<P> {
    me: Guid,
    base: Base,
    /// Rows up to the last that has an entry: in a network of N nodes about log N.
    rows: Vec<Vec<Option<Entry<P>>>>,
}

impl<P: Peer> Table<P> {
    pub(crate) fn new(me: Guid, base: Base) -> Self {
        Table {
            me,
            base,
            rows: Vec::new(),
        }
    }

    /// The cell that `guid` belongs into; `None` for this node itself.
    pub(crate) fn cell(&self, guid: Guid) -> Option<(usize, usize)> {
        let row = self.me.shared_prefix(guid, self.base);
        (row < self.base.rows()).then(|| (row, guid.digit(row, self.base)))
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> Option<&Entry<P>> {
        self.rows.get(row)?.get(column)?.as_ref()
    }

    /// The node that shares one digit more with `key` than this one does (P5, second case).
    pub(crate) fn towards(&self, key: Guid) -> Option<&Contact<P>> {
        let (row, column) = self.cell(key)?;
        self.get(row, column).map(|entry| &entry.contact)
    }

    /// Whether the cell of `guid` is empty or has a node farther away than `rtt`, or is
    /// this node's already.
    pub(crate) fn wants(&self, guid: Guid, rtt: Duration) -> bool {
        self.cell(guid).is_some_and(|(row, column)| {
            self.get(row, column)
                .is_none_or(|entry| entry.contact.guid == guid || rtt < entry.rtt)
        })
    }

    pub(crate) fn is_empty_at(&self, guid: Guid) -> bool {
        self.cell(guid)
            .is_some_and(|(row, column)| self.get(row, column).is_none())
    }

    pub(crate) fn contains(&self, guid: Guid) -> bool {
        self.cell(guid)
            .and_then(|(row, column)| self.get(row, column))
            .is_some_and(|entry| entry.contact.guid == guid)
    }

    /// Puts a node into its cell if it is the nearest for it. Returns the node that had
    /// to go.
    pub(crate) fn insert(&mut self, contact: &Contact<P>, rtt: Duration) -> Option<Contact<P>> {
        if !self.wants(contact.guid, rtt) {
            return None;
        }
        let (row, column) = self.cell(contact.guid)?;
        if self.rows.len() <= row {
            self.rows
                .resize_with(row + 1, || vec![None; self.base.fanout()]);
        }
        let old = self.rows[row][column].replace(Entry {
            contact: contact.clone(),
            rtt,
        });
        old.map(|entry| entry.contact)
            .filter(|old| old.guid != contact.guid)
    }

    /// Takes a node out. Returns the cell it leaves empty.
    pub(crate) fn remove(&mut self, guid: Guid) -> Option<(usize, usize)> {
        if !self.contains(guid) {
            return None;
        }
        let (row, column) = self.cell(guid)?;
        self.rows[row][column] = None;
        while self
            .rows
            .last()
            .is_some_and(|row| row.iter().all(Option::is_none))
        {
            self.rows.pop();
        }
        Some((row, column))
    }

    /// The nodes of one row, by column.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = &Entry<P>> {
        self.rows.get(row).into_iter().flatten().flatten()
    }

    /// Rows that can have an entry.
    pub(crate) fn used_rows(&self) -> usize {
        self.rows.len()
    }

    /// All entries with their cells, by row and column.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, usize, &Entry<P>)> {
        self.rows.iter().enumerate().flat_map(|(row, cells)| {
            cells
                .iter()
                .enumerate()
                .filter_map(move |(column, entry)| entry.as_ref().map(|entry| (row, column, entry)))
        })
    }

    pub(crate) fn check_invariants(&self) {
        for (row, column, entry) in self.entries() {
            let cell = self.cell(entry.contact.guid);
            assert_eq!(
                cell,
                Some((row, column)),
                "an entry stands in another's cell"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_cell_holds_the_nearest_that_was_met(
            me in any::<u128>(),
            met in prop::collection::vec((any::<u128>(), 0u32..128, 0u64..20, any::<bool>()), 0..80),
            bits in prop::sample::select(vec![1u32, 2, 4, 8]),
        ) {
            let base = Base::new(bits).expect("a width");
            let me = Guid::new(me);
            let mut table = Table::new(me, base);
            let mut model = BTreeMap::new();
            for (other, shared, micros, leaves) in met {
                // Shares `shared` bits with this node, so that deep rows are met too.
                let mask = u128::MAX.checked_shr(shared).unwrap_or(0);
                let guid = Guid::new(me.as_u128() ^ (other & mask));
                let contact = Contact { guid, peer: guid.as_u128(), addrs: crate::Addrs::default() };
                let rtt = Duration::from_micros(micros);
                let Some(cell) = table.cell(guid) else {
                    prop_assert_eq!(guid, me);
                    continue;
                };
                if leaves {
                    let removed = table.remove(guid);
                    let was = model.get(&cell).is_some_and(|(known, _)| *known == guid);
                    prop_assert_eq!(removed, was.then_some(cell));
                    if was {
                        model.remove(&cell);
                    }
                } else {
                    table.insert(&contact, rtt);
                    let known = model.entry(cell).or_insert((guid, rtt));
                    if known.0 == guid || rtt < known.1 {
                        *known = (guid, rtt);
                    }
                }
                table.check_invariants();
            }
            let held: BTreeMap<_, _> = table
                .entries()
                .map(|(row, column, entry)| ((row, column), (entry.contact.guid, entry.rtt)))
                .collect();
            for ((row, _), (guid, _)) in &held {
                prop_assert_eq!(me.shared_prefix(*guid, base), *row);
            }
            prop_assert_eq!(held, model);
        }
    }
}
