//! What a store holds, without the records: who may add what, and how new it is. Pure: the
//! two stores share it (J16).

use std::collections::{BTreeMap, HashMap};

use guid::{Guid, Span};
use serde::{Deserialize, Serialize};

/// How much a store keeps (J16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Objects in all.
    pub objects: usize,
    /// Bytes of encoded heads in all.
    pub bytes: u64,
    /// Objects of one author. This node's own are bounded by the total only.
    pub author_objects: usize,
    /// Bytes of one author's encoded heads.
    pub author_bytes: u64,
}

impl Default for Limits {
    /// 262,144 objects of 1 GiB: the index then takes some 32 MiB of memory. One author gets
    /// a quarter: a network of few nodes belongs to few people, with all their files.
    fn default() -> Limits {
        Limits {
            objects: 262_144,
            bytes: 1 << 30,
            author_objects: 65_536,
            author_bytes: 256 << 20,
        }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Objects.
    pub objects: usize,
    /// Bytes of encoded heads.
    pub bytes: u64,
}

/// Why there is no room for an object (J16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The author has used its share.
    #[error("the author's share of this node's objects is used up")]
    Author,
    /// The store is full.
    #[error("this node keeps as many objects as it may")]
    Total,
}

/// What is known of an object's heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// [`crate::Heads::version`].
    pub(crate) version: u64,
    /// GUID of the author's key.
    pub(crate) author: Guid,
    /// Bytes of the encoding.
    pub(crate) size: u32,
}

#[derive(Debug)]
pub(crate) struct Index {
    /// The author that is this node itself.
    own: Guid,
    limits: Limits,
    objects: BTreeMap<Guid, Meta>,
    authors: HashMap<Guid, Usage>,
    total: Usage,
}

impl Index {
    pub(crate) fn new(own: Guid, limits: Limits) -> Index {
        Index {
            own,
            limits,
            objects: BTreeMap::new(),
            authors: HashMap::new(),
            total: Usage::default(),
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.total
    }

    pub(crate) fn get(&self, aguid: Guid) -> Option<Meta> {
        self.objects.get(&aguid).copied()
    }

    /// Whether `meta` may take the place of what is known of an object.
    pub(crate) fn check_room(&self, aguid: Guid, meta: Meta) -> Result<(), NoRoom> {
        let kept = self.objects.get(&aguid);
        let more = usize::from(kept.is_none());
        let less = kept.map_or(0, |kept| u64::from(kept.size));
        let size = u64::from(meta.size);
        // What grows nothing is always welcome: a removal gets in where all is full.
        if more == 0 && size <= less {
            return Ok(());
        }
        let fits = |usage: &Usage, objects: usize, bytes: u64| {
            usage.objects + more <= objects && usage.bytes - less + size <= bytes
        };
        let author = self.authors.get(&meta.author).copied().unwrap_or_default();
        let limits = &self.limits;
        if meta.author != self.own && !fits(&author, limits.author_objects, limits.author_bytes) {
            return Err(NoRoom::Author);
        }
        // A quarter is this node's own, or others could keep it from writing under its names.
        let own = self.authors.get(&self.own).copied().unwrap_or_default();
        let others = Usage {
            objects: self.total.objects - own.objects,
            bytes: self.total.bytes - own.bytes,
        };
        let mine = meta.author == self.own;
        if !mine && !fits(&others, limits.objects / 4 * 3, limits.bytes / 4 * 3)
            || !fits(&self.total, limits.objects, limits.bytes)
        {
            return Err(NoRoom::Total);
        }
        Ok(())
    }

    /// Notes what is now known of an object.
    pub(crate) fn set(&mut self, aguid: Guid, meta: Meta) {
        self.remove(aguid);
        self.objects.insert(aguid, meta);
        for usage in [
            self.authors.entry(meta.author).or_default(),
            &mut self.total,
        ] {
            usage.objects += 1;
            usage.bytes += u64::from(meta.size);
        }
    }

    /// Forgets an object.
    pub(crate) fn remove(&mut self, aguid: Guid) {
        let Some(meta) = self.objects.remove(&aguid) else {
            return;
        };
        let size = u64::from(meta.size);
        self.total.objects -= 1;
        self.total.bytes -= size;
        let author = self
            .authors
            .get_mut(&meta.author)
            .expect("every kept object is counted for its author");
        author.objects -= 1;
        author.bytes -= size;
        if author.objects == 0 {
            self.authors.remove(&meta.author);
        }
    }

    /// At most `limit` objects of the arc and their versions, in the order of the ring, from
    /// behind `after` on.
    pub(crate) fn list(&self, span: Span, after: Option<Guid>, limit: usize) -> Vec<(Guid, u64)> {
        let top = Guid::new(u128::MAX);
        let arcs = match span.from <= span.to {
            true => vec![(span.from, span.to)],
            false => vec![(span.from, top), (Guid::new(0), span.to)],
        };
        // Places are compared by how far up from the start they lie, so that an arc through
        // zero has one order.
        let up = |aguid: &Guid| span.from.clockwise_to(*aguid);
        let behind = |aguid: &Guid| after.is_none_or(|after| up(aguid) > up(&after));
        arcs.into_iter()
            .flat_map(|(from, to)| {
                let from = match after {
                    Some(after) if (from..=to).contains(&after) => after,
                    _ => from,
                };
                self.objects.range(from..=to)
            })
            .filter(|(aguid, _)| behind(aguid))
            .take(limit)
            .map(|(aguid, meta)| (*aguid, meta.version))
            .collect()
    }
}
