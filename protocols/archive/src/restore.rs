//! Restoring a version (H17, H18).

use std::collections::BTreeMap;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt};
use replicas::{GetError, RequestError, hashing};
use unixfs::BoxError;

use crate::add::Report;
use crate::code::Coder;
use crate::error::RestoreError;
use crate::handle::{Handle, MAX_JOBS};
use crate::manifest::Manifest;
use crate::segment::Fragment;
use crate::stream::Joiner;

/// Blocks that are put at a time.
const AT_A_TIME: usize = 8;

/// What came of restoring a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Blocks that are in the network again.
    pub blocks: u64,
    /// Bytes of the archive that were read.
    pub bytes: u64,
    /// Fragments that could not be got, and others were taken.
    pub missing: u64,
    /// Of these, fragments that were not what their names promise.
    pub bad: u64,
}

/// Which columns are tried first: those that gave something so far.
pub(crate) struct Order(Vec<usize>);

impl Order {
    /// The data first: of it nothing has to be computed.
    pub(crate) fn new(fragments: usize) -> Order {
        Order((0..fragments).collect())
    }

    /// A column that failed is tried last from now on.
    fn failed(&mut self, index: usize) {
        self.0.retain(|column| *column != index);
        self.0.push(index);
    }
}

/// Enough fragments of a segment.
pub(crate) struct Gathered {
    pub(crate) shards: Vec<(usize, Bytes)>,
    pub(crate) missing: u64,
    pub(crate) bad: u64,
}

impl Handle {
    /// Puts all blocks of an archived version back into the network.
    ///
    /// # Errors
    /// See [`RestoreError`]. Blocks that were put until then stay.
    pub async fn restore(
        &self,
        manifest: &Manifest,
        report: Report<'_>,
    ) -> Result<Restored, RestoreError> {
        let _job = self.job().ok_or(RestoreError::Busy(MAX_JOBS))?;
        let contents = manifest.contents();
        let mut coder = Coder::new(manifest.rate());
        let mut order = Order::new(manifest.rate().fragments());
        let mut restored = Restored::default();
        let mut joiner = Joiner::default();
        for segment in 0..manifest.segments() {
            let gathered = self.gather(manifest, segment, &mut order).await?;
            restored.missing += gathered.missing;
            restored.bad += gathered.bad;
            let length = manifest.data_of(segment);
            let decoding = hashing::run(move || {
                let data = coder.decode(&gathered.shards);
                (data, coder)
            });
            let (data, back) = decoding.await.ok_or(RestoreError::Stopped)?;
            coder = back;
            let data = data?;
            // All the shards of a segment are as long as its data needs.
            let data = data
                .get(..length)
                .ok_or_else(|| RestoreError::Wrong("a part of it is too short".into()))?;
            joiner.push(data);
            restored.bytes += length as u64;
            restored.blocks += self.put_blocks(&mut joiner).await?;
            if restored.blocks > contents.blocks {
                break;
            }
            report(restored.bytes);
        }
        joiner.finish()?;
        match restored.blocks == contents.blocks {
            true => Ok(restored),
            false => Err(RestoreError::Wrong(
                "it has another number of blocks".into(),
            )),
        }
    }

    /// Puts the blocks that are whole by now; how many.
    async fn put_blocks(&self, joiner: &mut Joiner) -> Result<u64, RestoreError> {
        let mut putting = FuturesUnordered::new();
        let mut count = 0;
        loop {
            while putting.len() < AT_A_TIME
                && let Some((cid, bytes)) = joiner.next_block()?
            {
                count += 1;
                putting.push(self.put_block(cid, bytes));
            }
            match putting.next().await {
                Some(outcome) => outcome?,
                None => return Ok(count),
            }
        }
    }

    async fn put_block(&self, cid: Cid, bytes: Bytes) -> Result<(), RestoreError> {
        let block = bytes.clone();
        hashing::run(move || blocks::verify(&cid, &block))
            .await
            .ok_or(RestoreError::Stopped)?
            .map_err(|error| RestoreError::Wrong(error.to_string()))?;
        let put = self.inner.blocks.put(cid, bytes).await;
        put.map_err(|source: BoxError| RestoreError::Put { cid, source })
    }

    /// Gets enough fragments of a segment, another one for each that fails (H17).
    pub(crate) async fn gather(
        &self,
        manifest: &Manifest,
        segment: usize,
        order: &mut Order,
    ) -> Result<Gathered, RestoreError> {
        let rate = manifest.rate();
        let columns = order.0.clone();
        let mut left = columns.into_iter();
        let mut asking = FuturesUnordered::new();
        let mut shards = BTreeMap::new();
        let (mut missing, mut bad) = (0, 0);
        loop {
            while shards.len() + asking.len() < rate.needed()
                && let Some(index) = left.next()
            {
                asking.push(async move { (index, self.fetch(manifest, segment, index).await) });
            }
            let Some((index, got)) = asking.next().await else {
                break;
            };
            match got {
                Ok(shard) => {
                    shards.insert(index, shard);
                }
                Err(lied) => {
                    missing += 1;
                    bad += u64::from(lied);
                    order.failed(index);
                }
            }
        }
        if shards.len() < rate.needed() {
            return Err(RestoreError::TooFew {
                part: segment + 1,
                parts: manifest.segments(),
                found: shards.len(),
                needed: rate.needed(),
                fragments: rate.fragments(),
                bad,
            });
        }
        Ok(Gathered {
            shards: shards.into_iter().collect(),
            missing,
            bad,
        })
    }

    /// The shard in a fragment; where there is none, whether that is because it was not what its
    /// name promises.
    async fn fetch(
        &self,
        manifest: &Manifest,
        segment: usize,
        index: usize,
    ) -> Result<Bytes, bool> {
        let id = manifest.fragment(segment, index);
        let got = self.inner.fragments.get(&id).await;
        let bytes = got.map_err(|error| was_bad(&error))?;
        let root = manifest.contents().roots[segment];
        let checked = hashing::run(move || Fragment::verify(&root, index, &bytes)).await;
        let fragment = checked.ok_or(false)?.map_err(|_| true)?;
        // Another rate, or another length, is not this archive's, though it proves itself.
        let length = manifest.rate().shard_of(manifest.data_of(segment));
        match fragment.rate == manifest.rate() && fragment.shard.len() == length {
            true => Ok(fragment.shard),
            false => Err(true),
        }
    }
}

/// Whether somebody had the fragment, and it was damaged.
fn was_bad(error: &GetError) -> bool {
    match error {
        GetError::Damaged { .. } => true,
        GetError::Unavailable { failed, .. } => failed
            .iter()
            .any(|(_, error)| matches!(error, RequestError::Mismatch)),
        _ => false,
    }
}
