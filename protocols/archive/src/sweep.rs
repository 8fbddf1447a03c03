//! Counting fragments and making anew what is missing (H19 to H23).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::stream::{self, StreamExt};
use libp2p_identity::PeerId;
use replicas::{GetError, ItemId, StoreError, hashing};
use tokio::time::sleep;

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
        let segment_of = |id: &ItemId| wanted.iter().position(|entry| entry.id == *id);
        let lacks = match holding.lacks {
            Ok(lacks) if lacks.len() == wanted.len() => Ok((0..wanted.len()).collect()),
            Ok(lacks) => Ok(lacks.iter().filter_map(segment_of).collect()),
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
        let part = self.inner.placement.me().guid.as_u128() >> 120;
        sleep(every + every.mul_f64(part as f64 / 256.0)).await;
        for round in 1.. {
            if let Err(error) = self.sweep(round).await {
                tracing::warn!(%error, "archives could not be looked after");
            }
            sleep(every).await;
        }
    }

    /// Looks once at the archives that it is this node's turn to look at in this round, and makes
    /// anew what is missing.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn sweep(&self, round: u64) -> Result<(), StoreError> {
        let mut mine = BTreeSet::new();
        for name in self.kept_names().await? {
            let Some(rank) = self.rank(&name) else {
                continue;
            };
            let Some(manifest) = self.kept(&name).await? else {
                continue;
            };
            let vguid = manifest.record().vguid();
            mine.insert(vguid);
            if round.is_multiple_of(rank as u64 + 1) {
                let looked = self.look_at(&manifest).await;
                self.inner.looked.lock().insert(vguid, looked);
            }
        }
        self.inner
            .looked
            .lock()
            .retain(|vguid, _| mine.contains(vguid));
        Ok(())
    }

    /// How many nodes are closer to a manifest than this one, if it is one of those to keep it.
    fn rank(&self, name: &ManifestName) -> Option<usize> {
        let placement = &self.inner.placement;
        let set = placement.local_replica_set(name.place(), MANIFEST_COPIES)?;
        let me = placement.me().peer;
        set.iter().position(|contact| contact.peer == me)
    }

    async fn look_at(&self, manifest: &Manifest) -> Looked {
        let census = self.census(manifest).await;
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
        let mut order = Order::new(manifest.rate().fragments());
        for (segment, missing) in missing {
            match self.make(manifest, segment, missing, &mut order).await {
                Ok(made) => looked.made += made,
                Err(RestoreError::Stopped) => break,
                Err(error) => {
                    looked.lost += 1;
                    tracing::warn!(
                        name = %manifest.record().name(),
                        version = manifest.record().seq(),
                        %error,
                        "fragments of an archive could not be made anew"
                    );
                }
            }
        }
        looked
    }

    /// Brings the missing fragments of a segment to their places, or makes them (H22).
    async fn make(
        &self,
        manifest: &Manifest,
        segment: usize,
        missing: Vec<usize>,
        order: &mut Order,
    ) -> Result<u64, RestoreError> {
        let (mut made, mut gone) = (0, Vec::new());
        for index in missing {
            let id = manifest.fragment(segment, index);
            match self.inner.fragments.get(&id).await {
                Ok(fragment) => {
                    self.inner.limiter.take(2 * fragment.len()).await;
                    made += u64::from(self.hand_over(&id, fragment).await.is_ok());
                }
                Err(GetError::Local(StoreError::Closed)) => return Err(RestoreError::Stopped),
                Err(_) => gone.push(index),
            }
        }
        if gone.is_empty() {
            return Ok(made);
        }
        let rate = manifest.rate();
        let moved = (rate.needed() + gone.len()) * SHARD.min(manifest.contents().shard);
        self.inner.limiter.take(moved).await;
        let gathered = self.gather(manifest, segment, order).await?;
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
            match self.hand_over(&id, coded.fragment(index)).await {
                Ok(()) => made += 1,
                Err(reason) => tracing::debug!(%reason, "a fragment could not be put"),
            }
        }
        Ok(made)
    }
}
