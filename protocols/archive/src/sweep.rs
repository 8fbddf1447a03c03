//! Counting fragments and making anew what is missing (H19 to H23, H26).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use guid::Guid;
use libp2p_identity::PeerId;
use replicas::{GetError, ItemId, StoreError, hashing};
use tokio::time::{Instant, sleep, timeout};

use crate::code::{Coder, SHARD};
use crate::collections::MANIFEST_COPIES;
use crate::error::RestoreError;
use crate::handle::Handle;
use crate::manifest::Manifest;
use crate::names::ManifestName;
use crate::restore::Order;
use crate::segment::Segment;

/// Columns that are asked about at a time.
const AT_A_TIME: usize = 8;

/// Archives that are looked at at a time, so that one that takes long does not hold up all.
const ARCHIVES_AT_A_TIME: usize = 2;

/// Segments of an archive that may fail before the rest is left to the next sweep.
const MAX_LOST: u64 = 4;

/// An archive has this part of the time between sweeps for being counted, and as much for being
/// repaired.
const TIME_SHARE: u32 = 4;

/// An archive of somebody else sits out 2^f - 1 of its turns after f in vain, f being so much at
/// most.
const MAX_FAILURES: u32 = 6;

/// What a node saw of an archive when it looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// When, Unix seconds.
    pub at: u64,
    /// Fragments that were there.
    pub there: u64,
    /// Fragments that should be.
    pub wanted: u64,
    /// Missing ones that were brought to their place or made anew.
    pub made: u64,
    /// Segments with so few fragments that nothing could be made of them.
    pub lost: u64,
}

/// How far sweeps have come with an archive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// The segment to go on with.
    next: usize,
    /// How often nothing could be done for it, one time after the other.
    failures: u32,
    /// Turns that it still sits out.
    rest: u32,
}

/// What is learned while segments of an archive are made anew.
struct Making {
    order: Order,
    /// Columns whose nodes have no room.
    full: BTreeSet<usize>,
}

/// A column, and who has it.
#[derive(Clone, Debug)]
pub struct Column {
    /// The node at its place, where somebody knows it.
    pub node: Option<PeerId>,
    /// The segments whose fragment it lacks; why it did not say, where it did not.
    pub lacks: Result<Vec<usize>, String>,
}

/// The fragments of an archive, counted.
#[derive(Clone, Debug)]
pub struct Census {
    /// Column by column.
    pub columns: Vec<Column>,
    segments: usize,
}

impl Census {
    /// Fragments that are there.
    pub fn there(&self) -> u64 {
        let of = |column: &Column| match &column.lacks {
            Ok(lacks) => self.segments - lacks.len(),
            Err(_) => 0,
        };
        self.columns.iter().map(of).sum::<usize>() as u64
    }

    /// Fragments of the segment of which fewest are there.
    pub fn least(&self) -> usize {
        let mut missing = vec![0; self.segments];
        let mut silent = 0;
        for column in &self.columns {
            match &column.lacks {
                Ok(lacks) => lacks.iter().for_each(|segment| missing[*segment] += 1),
                Err(_) => silent += 1,
            }
        }
        let most = missing.into_iter().max().unwrap_or_default();
        self.columns.len() - silent - most
    }

    /// Nodes that have fragments.
    pub fn nodes(&self) -> usize {
        let has = |column: &&Column| match &column.lacks {
            Ok(lacks) => lacks.len() < self.segments,
            Err(_) => false,
        };
        let nodes = self.columns.iter().filter(has);
        let nodes: BTreeSet<_> = nodes.filter_map(|column| column.node).collect();
        nodes.len()
    }
}

impl Handle {
    /// Asks who has which fragments of an archive (H21).
    pub async fn census(&self, manifest: &Manifest) -> Census {
        let asked = (0..manifest.rate().fragments()).map(|index| self.column(manifest, index));
        Census {
            columns: stream::iter(asked).buffered(AT_A_TIME).collect().await,
            segments: manifest.segments(),
        }
    }

    async fn column(&self, manifest: &Manifest, index: usize) -> Column {
        let wanted = manifest.column(index);
        let asked = self
            .inner
            .fragments
            .holding(manifest.place_of(index), &wanted);
        let holding = match asked.await {
            Ok(mut holding) => holding.pop(),
            Err(error) => {
                return Column {
                    node: None,
                    lacks: Err(error.to_string()),
                };
            }
        };
        let Some(holding) = holding else {
            return Column {
                node: None,
                lacks: Err("nobody is there".into()),
            };
        };
        let lacks = match holding.lacks {
            Ok(lacks) if lacks.len() == wanted.len() => Ok((0..wanted.len()).collect()),
            Ok(lacks) => {
                let segments = wanted.iter().enumerate();
                let segments: HashMap<&ItemId, usize> =
                    segments.map(|(at, entry)| (&entry.id, at)).collect();
                Ok(lacks
                    .iter()
                    .filter_map(|id| segments.get(id).copied())
                    .collect())
            }
            Err(error) => Err(error.to_string()),
        };
        Column {
            node: Some(holding.peer),
            lacks,
        }
    }

    /// Looks after archives for as long as it is polled (H20).
    pub async fn look_after(&self) {
        let every = self.inner.config.sweep_every;
        // Nodes that were started together do not all look at once.
        sleep(every + every.mul_f64(part_of(self.inner.placement.me().guid))).await;
        for round in 1.. {
            if let Err(error) = self.sweep(round).await {
                tracing::warn!(%error, "archives could not be looked after");
            }
            match self.let_go_of_strays().await {
                Ok(gone) if gone.items == 0 => {}
                Ok(gone) => tracing::info!(
                    fragments = gone.items,
                    bytes = gone.bytes,
                    "fragments are where they belong, and no more here"
                ),
                Err(error) => {
                    tracing::warn!(%error, "fragments that belong elsewhere are still here");
                }
            }
            sleep(every).await;
        }
    }

    /// Looks once at the archives that it is this node's turn to look at in this round, and makes
    /// anew what is missing, as far as it comes (H26).
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn sweep(&self, round: u64) -> Result<(), StoreError> {
        let (mut mine, mut due) = (BTreeSet::new(), Vec::new());
        for name in self.kept_names().await? {
            let ManifestName::ByObject { version, .. } = name else {
                continue;
            };
            let Some(rank) = self.rank(&name) else {
                continue;
            };
            mine.insert(version);
            if round.is_multiple_of(rank as u64 + 1) && self.is_due(version) {
                due.push(name);
            }
        }
        let looking = due.into_iter().map(|name| self.look(name));
        let mut looking = stream::iter(looking).buffer_unordered(ARCHIVES_AT_A_TIME);
        let mut failed = None;
        while let Some(outcome) = looking.next().await {
            failed = failed.or(outcome.err());
        }
        let inner = &self.inner;
        inner.looked.lock().retain(|of, _| mine.contains(of));
        inner.progress.lock().retain(|of, _| mine.contains(of));
        failed.map_or(Ok(()), Err)
    }

    /// Whether an archive is looked at when its turn comes, or sits this one out.
    fn is_due(&self, version: [u8; 32]) -> bool {
        match self.inner.progress.lock().get_mut(&version) {
            Some(progress) if progress.rest > 0 => {
                progress.rest -= 1;
                false
            }
            _ => true,
        }
    }

    /// Looks at one archive, and notes what it saw and how far it came.
    async fn look(&self, name: ManifestName) -> Result<(), StoreError> {
        let ManifestName::ByObject { version, .. } = name else {
            return Ok(());
        };
        let Some(manifest) = self.kept(&name).await? else {
            return Ok(());
        };
        let progress = self.inner.progress.lock().get(&version).copied();
        let mut progress = progress.unwrap_or_default();
        let looked = self.look_at(&manifest, &mut progress.next).await;
        let in_vain = looked.is_none_or(|(looked, hopeless)| hopeless && looked.made == 0);
        progress.failures = match in_vain {
            true => progress.failures.saturating_add(1).min(MAX_FAILURES),
            false => 0,
        };
        let own = *manifest.record().author() == self.inner.keypair.public();
        progress.rest = if own { 0 } else { (1 << progress.failures) - 1 };
        self.inner.progress.lock().insert(version, progress);
        if let Some((looked, _)) = looked {
            self.inner.looked.lock().insert(version, looked);
        }
        Ok(())
    }

    /// How many nodes are closer to a manifest than this one, if it is one of those to keep it.
    fn rank(&self, name: &ManifestName) -> Option<usize> {
        let placement = &self.inner.placement;
        let set = placement.local_replica_set(name.place(), MANIFEST_COPIES)?;
        let me = placement.me().peer;
        set.iter().position(|contact| contact.peer == me)
    }

    /// Counts the fragments of an archive and makes those of the segments from `next` on; whether
    /// some could not be made. `None` where not even counting came to its end in time.
    async fn look_at(&self, manifest: &Manifest, next: &mut usize) -> Option<(Looked, bool)> {
        let budget = self.inner.config.sweep_every / TIME_SHARE;
        let record = manifest.record();
        let Ok(census) = timeout(budget, self.census(manifest)).await else {
            tracing::warn!(
                name = %record.name(),
                version = record.seq(),
                "the fragments of an archive could not be counted in time"
            );
            return None;
        };
        let started = Instant::now();
        let wanted = manifest.rate().fragments() * manifest.segments();
        let mut looked = Looked {
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            there: census.there(),
            wanted: wanted as u64,
            ..Looked::default()
        };
        let mut missing: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, column) in census.columns.iter().enumerate() {
            // Who does not answer may have it: whether it does shows when it is gone or back.
            for segment in column.lacks.iter().flatten() {
                missing.entry(*segment).or_default().push(index);
            }
        }
        let mut making = Making {
            order: Order::new(manifest.rate().fragments()),
            full: BTreeSet::new(),
        };
        let (mut failed, mut first, mut tried) = (0, None, false);
        let later = missing.split_off(next);
        *next = 0;
        for (segment, mut missing) in later.into_iter().chain(missing) {
            if failed == MAX_LOST || tried && started.elapsed() >= budget {
                *next = segment;
                break;
            }
            missing.retain(|index| !making.full.contains(index));
            if missing.is_empty() {
                continue;
            }
            tried = true;
            let turn = self.inner.segment.lock().await;
            let made = self.make(manifest, segment, missing, &mut making).await;
            drop(turn);
            match made {
                Ok(made) => looked.made += made,
                Err(RestoreError::Stopped) => break,
                Err(error) => {
                    looked.lost += u64::from(matches!(error, RestoreError::TooFew { .. }));
                    failed += 1;
                    first = first.or(Some(error.to_string()));
                }
            }
        }
        let full = making.full.len();
        if failed > 0 || full > 0 {
            tracing::warn!(
                name = %record.name(),
                version = record.seq(),
                segments = failed,
                full,
                reason = first.as_deref().unwrap_or("nodes at places of fragments are full"),
                "fragments of an archive could not be made anew"
            );
        }
        Some((looked, failed > 0 || full > 0))
    }

    /// Brings the missing fragments of a segment to their places, or makes them (H22).
    async fn make(
        &self,
        manifest: &Manifest,
        segment: usize,
        missing: Vec<usize>,
        making: &mut Making,
    ) -> Result<u64, RestoreError> {
        let rate = manifest.rate();
        let (mut made, mut gone) = (0, Vec::new());
        for index in missing {
            let id = manifest.fragment(segment, index);
            match self.inner.fragments.get(&id).await {
                Ok(fragment) => {
                    self.inner.limiter.take(2 * fragment.len()).await;
                    made += u64::from(self.place(&id, index, fragment, making).await);
                }
                Err(GetError::Local(StoreError::Closed)) => return Err(RestoreError::Stopped),
                Err(_) => gone.push(index),
            }
        }
        if gone.is_empty() {
            return Ok(made);
        }
        // So many can there be at most: where they are too few, none is fetched in vain.
        let left = rate.fragments() - gone.len();
        if left < rate.needed() {
            return Err(RestoreError::TooFew {
                part: segment + 1,
                parts: manifest.segments(),
                found: left,
                needed: rate.needed(),
                fragments: rate.fragments(),
                bad: 0,
            });
        }
        // Found to be full just now: the rest of its column waits for the next sweep.
        gone.retain(|index| !making.full.contains(index));
        if gone.is_empty() {
            return Ok(made);
        }
        let moved = (rate.needed() + gone.len()) * SHARD.min(manifest.contents().shard);
        self.inner.limiter.take(moved).await;
        let gathered = self.gather(manifest, segment, &mut making.order).await?;
        let length = manifest.data_of(segment);
        let coding = hashing::run(move || {
            let mut coder = Coder::new(rate);
            let mut data = coder.decode(&gathered.shards)?;
            data.truncate(length);
            Segment::encode(&mut coder, data)
        });
        let coded = coding.await.ok_or(RestoreError::Stopped)??;
        if coded.root() != manifest.contents().roots[segment] {
            return Err(RestoreError::Wrong(
                "its fragments do not belong together".into(),
            ));
        }
        for index in gone {
            let id = manifest.fragment(segment, index);
            let fragment = coded.fragment(index);
            made += u64::from(self.place(&id, index, fragment, making).await);
        }
        Ok(made)
    }

    /// Puts a fragment to its place, and notes where there is no room; whether it is there.
    async fn place(&self, id: &ItemId, index: usize, fragment: Bytes, making: &mut Making) -> bool {
        match self.hand_over(id, fragment).await {
            Ok(()) => true,
            Err(not) => {
                tracing::debug!(reason = not.reason, "a fragment could not be put");
                if not.full {
                    making.full.insert(index);
                }
                false
            }
        }
    }
}

/// Which part of an interval a node waits more before its first sweep. Neighbours on the ring,
/// which look after the same archives, have the first bits of their GUIDs in common.
fn part_of(guid: Guid) -> f64 {
    f64::from(guid.as_u128() as u8) / 256.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_begin_at_once() {
        let guid = Guid::new(0xabcd << 112);
        let parts = [0, 1, 128, 255].map(|low| part_of(Guid::new(guid.as_u128() + low)));
        assert_eq!(parts, [0.0, 1.0 / 256.0, 0.5, 255.0 / 256.0]);
    }
}
