//! What buckets there are, and whether they keep versions (K1, K6).

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use guid::{Guid, Span};
use objects::{Action, Listing, Name, Predicate};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::{
    bucket_keys::{BucketKeys, Keys, behind, key_and_name},
    failures,
    names::{OWN, bucket_of, name_of_bucket},
    shelf::Shelf,
};

/// The format that is written and read.
const FORMAT: u64 = 1;

/// Longest file that says what a bucket is.
const MAX_FILE: u64 = 4096;

/// Heads looked at at a time.
const AT_A_TIME: usize = 16;

/// Objects of the store in one answer of it.
const PAGE: usize = 4096;

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Versioning {
    /// It never has.
    #[default]
    Off,
    /// It does.
    Enabled,
    /// It has, and does no more.
    Suspended,
}

/// A bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    v: u64,
    /// When it was made, Unix milliseconds.
    pub(super) created: u64,
    #[serde(default)]
    pub(super) versioning: Versioning,
}

impl Bucket {
    pub(super) fn new(created: u64) -> Bucket {
        Bucket {
            v: FORMAT,
            created,
            versioning: Versioning::Off,
        }
    }
}

impl Shelf {
    /// A bucket, if it was made or something is in it.
    pub(super) async fn bucket(&self, bucket: &str) -> S3Result<Bucket> {
        self.bucket_if_any(bucket)
            .await?
            .ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) async fn bucket_if_any(&self, bucket: &str) -> S3Result<Option<Bucket>> {
        let name = name_of_bucket(bucket)?;
        if let Some(record) = self.head_here(&name).await?
            && let Some(root) = record.root()
        {
            let mut text = Vec::new();
            let blocks = &self.app.node_blocks;
            let read = unixfs::export_range(&root, blocks, &mut text, 0..MAX_FILE, 1).await;
            read.map_err(failures::export)?;
            let read: Option<Bucket> = serde_json::from_slice(&text).ok();
            // What a person has put there counts as a bucket without settings.
            let read = read.filter(|read| read.v == FORMAT);
            return Ok(Some(
                read.unwrap_or_else(|| Bucket::new(record.fields().time)),
            ));
        }
        let prefix = format!("{bucket}/");
        let names = self
            .app
            .objects
            .names(&self.app.objects.owner(), &prefix, 1)
            .await;
        let names = names.map_err(failures::read)?;
        let Some(first) = names.first().and_then(|first| Name::new(first).ok()) else {
            return Ok(None);
        };
        let first = self.head_here(&first).await?;
        Ok(Some(Bucket::new(
            first.map_or(0, |first| first.fields().time),
        )))
    }

    /// Says what a bucket is, where it is (or there is none) as it was read.
    pub(super) async fn write_bucket(
        &self,
        bucket: &str,
        says: &Bucket,
        new: bool,
    ) -> S3Result<()> {
        let name = name_of_bucket(bucket)?;
        let text = serde_json::to_vec(says).expect("numbers and words are JSON");
        let options = unixfs::Options::default();
        let file = unixfs::import_reader(&text[..], &self.app.node_blocks, &options).await;
        let file = file.map_err(failures::import)?;
        let predicates = match new {
            true => vec![Predicate::Version(0)],
            false => Vec::new(),
        };
        self.write(&name, predicates, vec![Action::Set(file.cid)])
            .await?;
        Ok(())
    }

    /// All buckets, in order.
    pub(super) async fn buckets(&self) -> S3Result<Vec<(String, Bucket)>> {
        let listing = self.listing().await?;
        let mut called = BTreeSet::new();
        let mut start = Some(String::new());
        while let Some(from) = start
            && let Some(name) = listing.range(&from).next()
        {
            called.extend(bucket_of(name).map(str::to_owned));
            // One key of each bucket is enough.
            start = match name.split_once('/') {
                Some((first, _)) if !name.starts_with(OWN) => behind(&format!("{first}/")),
                _ => Some(format!("{name}\0")),
            };
        }
        stream::iter(called)
            .map(|bucket| async move {
                let says = self.bucket_if_any(&bucket).await?;
                Ok(says.map(|says| (bucket, says)))
            })
            .buffered(AT_A_TIME)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await
    }

    async fn listing(&self) -> S3Result<Listing> {
        let listing = self.app.objects.listing(&self.app.objects.owner()).await;
        listing.map_err(failures::read)
    }

    /// The keys of a bucket whose newest version is not a removal, in order.
    pub(super) async fn keys(&self, bucket: &str) -> S3Result<BucketKeys> {
        Ok(self.escaped.keys(self.listing().await?, bucket))
    }

    /// The same with those that were removed, as far as this node keeps their newest record.
    pub(super) async fn all_keys(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> S3Result<Vec<(String, Name)>> {
        let names = self.names_here(bucket).await?;
        Ok(in_order(names.iter().map(|name| &**name), prefix))
    }

    /// Names of this node's objects in a bucket whose heads it keeps.
    async fn names_here(&self, bucket: &str) -> S3Result<Vec<Arc<str>>> {
        let store = self.app.objects.store();
        let whole = Span::new(Guid::new(0), Guid::new(u128::MAX));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(whole, after, PAGE).await;
            let page =
                page.map_err(|error| failures::read(objects::ReadError::Replicas(error.into())))?;
            let Some((last, _)) = page.last() else {
                return Ok(found);
            };
            after = Some(*last);
            let names = stream::iter(page)
                .map(|(aguid, _)| self.name_here(aguid))
                .buffered(AT_A_TIME);
            let mut names = std::pin::pin!(names);
            while let Some(name) = names.next().await {
                found.extend(name.filter(|name| {
                    name.split_once('/')
                        .is_some_and(|(first, _)| first == bucket)
                }));
            }
        }
    }

    async fn name_here(&self, aguid: Guid) -> Option<Arc<str>> {
        if let Some(known) = self.names.lock().get(&aguid) {
            return known.clone();
        }
        let heads = self.app.objects.store().get(aguid).await.ok()??;
        let record = heads.records().first()?;
        let own = *record.author() == self.app.objects.owner();
        let name = own.then(|| Arc::from(record.name().as_str()));
        self.names.lock().put(aguid, name.clone());
        name
    }

    /// Removes a bucket that nothing is in.
    pub(super) async fn remove_bucket(&self, bucket: &str) -> S3Result<()> {
        let says = self.bucket(bucket).await?;
        if self.keys(bucket).await?.first_from("").is_some() {
            return Err(s3_error!(BucketNotEmpty));
        }
        if says.versioning != Versioning::Off {
            for (_, name) in self.all_keys(bucket, "").await? {
                let shown = self.versions(&name).await?;
                if !shown.versions.is_empty() || shown.more {
                    return Err(s3_error!(BucketNotEmpty, "there are versions in it"));
                }
            }
        }
        self.uploads.forget_bucket(bucket).await;
        self.remove(&name_of_bucket(bucket)?, Versioning::Off, Vec::new())
            .await?;
        Ok(())
    }
}

/// Keys that begin so, in the order of their bytes.
fn in_order<'a>(names: impl Iterator<Item = &'a str>, prefix: &str) -> Vec<(String, Name)> {
    let keys = names.filter_map(key_and_name);
    let keys = keys.filter(|(key, _)| key.starts_with(prefix));
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    keys
}
