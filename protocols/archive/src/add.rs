//! Archiving a version (H14 to H16).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use objects::Record;
use replicas::{GetError, ItemId, PutError, hashing};

use crate::code::{Coder, Rate, SHARD};
use crate::columns::{choose, rate_for};
use crate::error::AddError;
use crate::handle::{Handle, MAX_JOBS};
use crate::manifest::{Contents, MAX_SEGMENTS, Manifest, names_of};
use crate::names::{FragmentName, series};
use crate::segment::{Root, Segment};
use crate::stream::Cutter;
use crate::walk::Walk;

/// Fragments on their way at a time.
const AT_A_TIME: usize = 8;

/// Told how many bytes are done, from the task that works: it must not block.
pub type Report<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// What came of archiving a version.
#[derive(Clone, Debug)]
pub struct Added {
    /// The manifest.
    pub manifest: Manifest,
    /// Fragments that could not be stored, and are made by the sweep.
    pub missing: u64,
    /// Why the first of them was not.
    pub first_failure: Option<String>,
}

impl Handle {
    /// Archives the version with this record, which this node's key has signed. One that is
    /// archived already is archived anew only when `again` says so; else its manifest is put
    /// again, and nothing is coded.
    ///
    /// # Errors
    /// See [`AddError`]. After [`AddError::Manifest`] a manifest may be on some nodes, and here;
    /// the next call goes on with it. After any other one there is none that was not there
    /// before.
    pub async fn add(
        &self,
        record: Record,
        again: bool,
        report: Report<'_>,
    ) -> Result<Added, AddError> {
        let _job = self.job().ok_or(AddError::Busy(MAX_JOBS))?;
        if *record.author() != self.inner.keypair.public() {
            return Err(AddError::NotYours(record.author_peer()));
        }
        if record.is_removal() {
            return Err(AddError::Removed(record.seq()));
        }
        if self.inner.placement.neighbours().is_empty() {
            // Who is alone cannot tell what others know either, and that is not what is wrong.
            return Err(AddError::TooFewNodes(1));
        }
        let before = self.before(&record).await.map_err(AddError::Unknown)?;
        if let Some(before) = before.as_ref().filter(|_| !again) {
            // The last attempt may have ended when few had it.
            self.publish(before).await.map_err(AddError::Manifest)?;
            return Err(AddError::Already {
                seq: record.seq(),
                needed: before.rate().needed(),
                fragments: before.rate().fragments(),
            });
        }
        // Later than the one it replaces, whatever the clock says.
        let made = before.map_or(0, |before| before.contents().made + 1);
        let made = made.max(unix_seconds());
        let series = series(&record.vguid(), made);
        let salts = choose(&*self.inner.placement, series).await?;
        let rate = rate_for(salts.len()).ok_or(AddError::TooFewNodes(salts.len()))?;
        if record.fields().size > rate.capacity(SHARD) as u64 * MAX_SEGMENTS as u64 {
            return Err(AddError::too_large(rate.capacity(SHARD), rate.needed()));
        }

        let mut placing = Placing {
            handle: self,
            coder: Some(Coder::new(rate)),
            rate,
            series,
            salts: &salts,
            roots: Vec::new(),
            missing: 0,
            first_failure: None,
        };
        let mut walk = Walk::new(Arc::clone(&self.inner.blocks), &record)?;
        let mut cutter = Cutter::new(rate);
        let mut blocks = 0;
        while let Some((cid, bytes)) = walk.next().await? {
            blocks += 1;
            for data in cutter.push(&cid, &bytes) {
                placing.place(data).await?;
            }
            report(cutter.length());
        }
        let length = cutter.length();
        if let Some(data) = cutter.finish() {
            placing.place(data).await?;
        }
        let (missing, first_failure) = (placing.missing, placing.first_failure);
        let contents = Contents {
            rate,
            made,
            roots: placing.roots,
            salts,
            shard: SHARD,
            blocks,
            length,
        };
        let manifest = Manifest::sign(&self.inner.keypair, record, contents)?;
        self.publish(&manifest).await.map_err(AddError::Manifest)?;
        Ok(Added {
            manifest,
            missing,
            first_failure,
        })
    }

    /// The manifest of a version that was archived before, also where it is found under one of
    /// its names only.
    async fn before(&self, record: &Record) -> Result<Option<Manifest>, GetError> {
        for name in names_of(record) {
            if let Some(manifest) = self.manifest(&name).await? {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }

    /// Puts a manifest under both of its names.
    async fn publish(&self, manifest: &Manifest) -> Result<(), PutError> {
        for name in manifest.names() {
            let bytes = manifest.encoded().clone();
            let put = self.inner.manifests.put_trusted(name.encode(), bytes);
            put.await?;
        }
        Ok(())
    }

    /// Puts a fragment to its place; why not, where it could not be.
    pub(crate) async fn hand_over(&self, id: &ItemId, fragment: Bytes) -> Result<(), NotPut> {
        let put = self.inner.fragments.hand_over(id, fragment).await;
        put.map(|_| ()).map_err(|error| NotPut {
            full: matches!(
                &error,
                PutError::NoQuorum { receipt, .. } if receipt.is_for_want_of_room()
            ),
            reason: error.to_string(),
        })
    }
}

/// Why a fragment was not put.
pub(crate) struct NotPut {
    /// Whether its node has no room.
    pub(crate) full: bool,
    pub(crate) reason: String,
}

/// Codes segments and puts their fragments.
struct Placing<'a> {
    handle: &'a Handle,
    /// Where it is not at work.
    coder: Option<Coder>,
    rate: Rate,
    series: guid::Guid,
    salts: &'a [u32],
    roots: Vec<Root>,
    missing: u64,
    first_failure: Option<String>,
}

impl Placing<'_> {
    async fn place(&mut self, data: Vec<u8>) -> Result<(), AddError> {
        if self.roots.len() == MAX_SEGMENTS {
            let capacity = self.rate.capacity(SHARD);
            return Err(AddError::too_large(capacity, self.rate.needed()));
        }
        let mut coder = self.coder.take().unwrap_or_else(|| Coder::new(self.rate));
        let coded = hashing::run(move || {
            let segment = Segment::encode(&mut coder, data);
            (segment, coder)
        });
        let (segment, coder) = coded.await.ok_or(AddError::Stopped)?;
        self.coder = Some(coder);
        let segment = segment?;
        let root = segment.root();
        let handle = self.handle;
        let mut put = Vec::with_capacity(self.salts.len());
        for (index, salt) in self.salts.iter().enumerate() {
            let name = FragmentName {
                root,
                series: self.series,
                index: index as u8,
                salt: *salt,
            };
            let (id, segment) = (name.encode(), &segment);
            // Cut when it is its turn, so that few copies of shards are in memory.
            put.push(async move { handle.hand_over(&id, segment.fragment(index)).await });
        }
        let mut outcomes = stream::iter(put).buffer_unordered(AT_A_TIME);
        let (mut placed, mut first) = (0, None);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(()) => placed += 1,
                Err(not) => first = first.or(Some(not.reason)),
            }
        }
        let (needed, fragments) = (self.rate.needed(), self.rate.fragments());
        let least = needed + (fragments - needed).div_ceil(2);
        if placed < least {
            return Err(AddError::TooFewStored {
                placed,
                fragments,
                least,
                first,
            });
        }
        self.missing += (fragments - placed) as u64;
        if self.first_failure.is_none() {
            self.first_failure = first;
        }
        self.roots.push(root);
        Ok(())
    }
}

fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
