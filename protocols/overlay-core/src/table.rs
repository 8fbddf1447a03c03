//! The routing table (P3; Pastry, section 2.1).

use std::time::Duration;

use guid::{Base, Guid};

use crate::rtt::micros;
use crate::{Contact, Peer};

/// One cell's node, and how far away it is.
#[derive(Clone, Debug)]
pub(crate) struct Entry<P> {
    pub(crate) contact: Contact<P>,
    micros: u32,
}

impl<P> Entry<P> {
    pub(crate) fn new(contact: Contact<P>, rtt: Duration) -> Entry<P> {
        let micros = micros(rtt);
        Entry { contact, micros }
    }

    /// Smoothed round-trip time.
    pub(crate) fn rtt(&self) -> Duration {
        Duration::from_micros(self.micros.into())
    }
}

/// The filled cells of a row, by column: most rows have few, and a row of empty cells for
/// each of them would be most of a node's memory.
type Row<P> = Vec<Entry<P>>;

/// 128/b rows of 2^b cells. Row n holds nodes that share the first n digits with this
/// one, by their next digit; each cell the nearest node known for it.
#[derive(Clone, Debug)]
pub(crate) struct Table<P> {
    me: Guid,
    base: Base,
    /// Rows up to the last that has an entry: in a network of N nodes about log N.
    rows: Vec<Row<P>>,
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
        let cells = self.rows.get(row)?;
        let at = self.find(cells, row, column).ok()?;
        Some(&cells[at])
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
                .is_none_or(|entry| entry.contact.guid == guid || rtt < entry.rtt())
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
            self.rows.resize_with(row + 1, Vec::new);
        }
        let entry = Entry::new(contact.clone(), rtt);
        let place = self.find(&self.rows[row], row, column);
        let cells = &mut self.rows[row];
        match place {
            Ok(at) => {
                let old = std::mem::replace(&mut cells[at], entry).contact;
                (old.guid != contact.guid).then_some(old)
            }
            Err(at) => {
                // One more and no room for others: deep rows stay at one.
                cells.reserve_exact(1);
                cells.insert(at, entry);
                None
            }
        }
    }

    /// Takes a node out. Returns the cell it leaves empty.
    pub(crate) fn remove(&mut self, guid: Guid) -> Option<(usize, usize)> {
        if !self.contains(guid) {
            return None;
        }
        let (row, column) = self.cell(guid)?;
        if let Ok(at) = self.find(&self.rows[row], row, column) {
            self.rows[row].remove(at);
        }
        while self.rows.last().is_some_and(Vec::is_empty) {
            self.rows.pop();
        }
        Some((row, column))
    }

    /// The nodes of one row, by column.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = &Entry<P>> {
        self.rows.get(row).into_iter().flatten()
    }

    /// How far away the entries of a row are: half of them are nearer.
    pub(crate) fn median(&self, row: usize) -> Duration {
        let mut rtts: Vec<Duration> = self.row(row).map(Entry::rtt).collect();
        rtts.sort_unstable();
        rtts.get(rtts.len() / 2).copied().unwrap_or_default()
    }

    /// Rows that can have an entry.
    pub(crate) fn used_rows(&self) -> usize {
        self.rows.len()
    }

    /// All entries with their cells, by row and column.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, usize, &Entry<P>)> {
        self.rows.iter().enumerate().flat_map(move |(row, cells)| {
            cells
                .iter()
                .map(move |entry| (row, entry.contact.guid.digit(row, self.base), entry))
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
        for cells in &self.rows {
            // Those of one row share their first digits.
            assert!(
                cells.is_sorted_by_key(|entry| entry.contact.guid),
                "a row is out of order"
            );
        }
    }

    /// Where in a row a column's cell is, or would be.
    fn find(&self, cells: &Row<P>, row: usize, column: usize) -> Result<usize, usize> {
        let digit = |entry: &Entry<P>| entry.contact.guid.digit(row, self.base);
        // Where all columns before it are filled the column tells; others are searched.
        match cells.get(column) {
            Some(entry) if digit(entry) == column => Ok(column),
            _ => cells.binary_search_by_key(&column, digit),
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
                .map(|(row, column, entry)| ((row, column), (entry.contact.guid, entry.rtt())))
                .collect();
            for ((row, _), (guid, _)) in &held {
                prop_assert_eq!(me.shared_prefix(*guid, base), *row);
            }
            prop_assert_eq!(held, model);
        }
    }
}
