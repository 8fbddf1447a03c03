//! What a store holds, without the values: who may add what, which record is in force,
//! what has expired. Pure: the two stores share it, and it is all they decide with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use guid::{Guid, Span};
use serde::{Deserialize, Serialize};

use crate::item::stretches;
use crate::{Item, Record};

/// How much a store keeps (D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Records in all.
    pub records: usize,
    /// Bytes of encoded records in all.
    pub bytes: u64,
    /// Records of one publisher. This node's own, which it keeps wherever on the ring
    /// they belong, are bounded by the total only.
    pub publisher_records: usize,
    /// Bytes of one publisher's encoded records.
    pub publisher_bytes: u64,
}

impl Default for Limits {
    /// 65,536 records of 1 GiB in all: the ledger then takes about 16 MiB of memory. One
    /// publisher gets a sixteenth, so that it takes many keys to fill a node.
    fn default() -> Limits {
        Limits {
            records: 65_536,
            bytes: 1 << 30,
            publisher_records: 4_096,
            publisher_bytes: 64 << 20,
        }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Records, with those of which only the number is remembered.
    pub records: usize,
    /// Bytes of encoded records.
    pub bytes: u64,
}

/// Why there is no room for a record (D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The publisher has used its share.
    #[error("the publisher's share of this node's records is used up")]
    Publisher,
    /// The store is full.
    #[error("this node keeps as many records as it may")]
    Total,
}

/// What is known of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// [`Record::version`] of the newest record seen.
    pub(crate) version: u64,
    /// When that record expires.
    pub(crate) expires: u64,
    /// Until when the version is remembered: the latest expiry of any record of the item
    /// seen here (D6).
    pub(crate) hold: u64,
    /// Bytes of the record; 0 when only its version is remembered.
    pub(crate) size: u32,
}

impl Meta {
    /// Whether there is a record to serve.
    pub(crate) fn is_live(&self, now: u64) -> bool {
        self.size > 0 && now < self.expires
    }

    /// When something is to be done about it.
    fn due(&self) -> u64 {
        if self.size > 0 {
            self.expires
        } else {
            self.hold
        }
    }
}

/// What to do with an offered record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Keep it with this meta.
    Keep(Meta),
    /// A newer one was seen.
    Older { version: u64 },
    /// The kept one has the same version: it is the same record, or the publisher signed
    /// two, and [`Record::cmp_force`] decides.
    Tie(Meta),
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// The publisher that is this node itself.
    own: Guid,
    limits: Limits,
    items: BTreeMap<Item, Meta>,
    /// Items by the time something is due, so that a sweep touches no others.
    due: BTreeSet<(u64, Item)>,
    publishers: HashMap<Guid, Usage>,
    total: Usage,
}

impl Ledger {
    pub(crate) fn new(own: Guid, limits: Limits) -> Ledger {
        Ledger {
            own,
            limits,
            items: BTreeMap::new(),
            due: BTreeSet::new(),
            publishers: HashMap::new(),
            total: Usage::default(),
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.total
    }

    /// The item's meta while its record is served.
    pub(crate) fn live(&self, item: Item, now: u64) -> Option<Meta> {
        self.items
            .get(&item)
            .copied()
            .filter(|meta| meta.is_live(now))
    }

    /// Judges a record whose time has been checked (D4, D6).
    pub(crate) fn judge(&self, now: u64, record: &Record) -> Verdict {
        let offered = Meta {
            version: record.version(),
            expires: record.expires(),
            hold: record.expires(),
            size: record.encoded().len() as u32,
        };
        let Some(kept) = self.items.get(&record.item()) else {
            return Verdict::Keep(offered);
        };
        let offered = Meta {
            hold: kept.hold.max(offered.hold),
            ..offered
        };
        if kept.is_live(now) {
            if offered.version == kept.version {
                return Verdict::Tie(offered);
            }
            if offered.version < kept.version {
                return Verdict::Older {
                    version: kept.version,
                };
            }
        } else if record.seq() <= Record::seq_of_version(kept.version) {
            // D6: the newest record is over. What it replaced does not come back, nor
            // does a second record under its number.
            return Verdict::Older {
                version: kept.version,
            };
        }
        Verdict::Keep(offered)
    }

    /// Whether `meta` may take the place of what is known of `item` (D8).
    pub(crate) fn check_room(&self, item: Item, meta: Meta) -> Result<(), NoRoom> {
        let kept = self.items.get(&item);
        let more = usize::from(kept.is_none());
        let less = kept.map_or(0, |kept| u64::from(kept.size));
        let size = u64::from(meta.size);
        // What grows nothing is always welcome: a tombstone gets in where all is full.
        if more == 0 && size <= less {
            return Ok(());
        }
        let fits = |usage: &Usage, records: usize, bytes: u64| {
            usage.records + more <= records && usage.bytes - less + size <= bytes
        };
        let limits = &self.limits;
        let publisher = self
            .publishers
            .get(&item.publisher)
            .copied()
            .unwrap_or_default();
        let own = item.publisher == self.own;
        if !own && !fits(&publisher, limits.publisher_records, limits.publisher_bytes) {
            return Err(NoRoom::Publisher);
        }
        if !fits(&self.total, limits.records, limits.bytes) {
            return Err(NoRoom::Total);
        }
        Ok(())
    }

    /// Notes what is now known of an item.
    pub(crate) fn set(&mut self, item: Item, meta: Meta) {
        self.remove(item);
        self.items.insert(item, meta);
        self.due.insert((meta.due(), item));
        let size = u64::from(meta.size);
        for usage in [
            self.publishers.entry(item.publisher).or_default(),
            &mut self.total,
        ] {
            usage.records += 1;
            usage.bytes += size;
        }
    }

    /// Forgets an item.
    pub(crate) fn remove(&mut self, item: Item) {
        let Some(meta) = self.items.remove(&item) else {
            return;
        };
        self.due.remove(&(meta.due(), item));
        let size = u64::from(meta.size);
        self.total.records -= 1;
        self.total.bytes -= size;
        let publisher = self
            .publishers
            .get_mut(&item.publisher)
            .expect("every kept item is counted for its publisher");
        publisher.records -= 1;
        publisher.bytes -= size;
        if publisher.records == 0 {
            self.publishers.remove(&item.publisher);
        }
    }

    /// At most `limit` items whose record, or whose memory of one, is over at `now`; with
    /// each what stays of it (D6, D7).
    pub(crate) fn expired(&self, now: u64, limit: usize) -> Vec<(Item, Option<Meta>)> {
        self.due
            .iter()
            .take_while(|(due, _)| *due <= now)
            .take(limit)
            .map(|(_, item)| {
                let meta = self.items[item];
                (*item, (now < meta.hold).then_some(Meta { size: 0, ..meta }))
            })
            .collect()
    }

    /// At most `limit` live items of the arc and their versions, in the order of the
    /// ring, from behind `after` on.
    pub(crate) fn list(
        &self,
        now: u64,
        span: Span,
        after: Option<Item>,
        limit: usize,
    ) -> Vec<(Item, u64)> {
        stretches(span, after)
            .into_iter()
            .flat_map(|(first, last)| self.items.range(first..=last))
            .filter(|(_, meta)| meta.is_live(now))
            .take(limit)
            .map(|(item, meta)| (*item, meta.version))
            .collect()
    }
}
