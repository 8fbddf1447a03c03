//! What applications hold.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{self, Stream, StreamExt};
use guid::{Guid, Span};
use libp2p_identity::Keypair;
use objects::Version;
use parking_lot::Mutex;
use replicas::{Collection as _, GetError, MAX_LIST, Placement, StoreError, hashing};
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::Limiter;

use crate::code::Rate;
use crate::collections::{Fragments, Manifests};
use crate::error::FindError;
use crate::manifest::{Manifest, ManifestError};
use crate::names::{ManifestName, archives_of, version_of};
use crate::store::Usage;
use crate::sweep::{Looked, Progress};

/// Archives and restores at a time: each has a segment and its fragments in memory.
pub const MAX_JOBS: usize = 2;

/// How long repair at its rate takes for what passes at once (H22).
const BURST: Duration = Duration::from_secs(1);

/// Manifests that are looked up at a time.
const AT_A_TIME: usize = 4;

/// How an archive is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often the fragments of an archive are counted.
    pub sweep_every: Duration,
    /// Bytes a second that repair may move.
    pub repair_bytes_per_second: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            sweep_every: Duration::from_secs(600),
            repair_bytes_per_second: 8 << 20,
        }
    }
}

/// Archives, restores and looks after archives. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) fragments: replicas::Handle<Fragments>,
    pub(crate) manifests: replicas::Handle<Manifests>,
    pub(crate) blocks: Arc<dyn objects::Blocks>,
    pub(crate) placement: Arc<dyn Placement>,
    pub(crate) keypair: Keypair,
    pub(crate) config: Config,
    pub(crate) limiter: Limiter,
    /// What the last sweep saw of each archive that this node looks after, by the hash in its
    /// VGUID.
    pub(crate) looked: Mutex<BTreeMap<[u8; 32], Looked>>,
    /// How far sweeps have come with these.
    pub(crate) progress: Mutex<BTreeMap<[u8; 32], Progress>>,
    /// Held while a segment is made anew: one is in memory at a time. Who waits longest is next.
    pub(crate) segment: tokio::sync::Mutex<()>,
    jobs: Semaphore,
}

/// Archives of this node's own that are listed at most.
pub const MAX_OWN: usize = 65_536;

/// An archive in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The object's name.
    pub name: String,
    /// Which version.
    pub seq: u64,
    /// Its VGUID.
    pub vguid: Cid,
    /// When it was archived, Unix seconds.
    pub made: u64,
    /// How many fragments of how many are needed.
    pub rate: Rate,
    /// Bytes archived.
    pub length: u64,
}

impl Archived {
    /// What a listing says of the archive with this manifest.
    pub fn of(manifest: &Manifest) -> Archived {
        let record = manifest.record();
        Archived {
            name: record.name().to_string(),
            seq: record.seq(),
            vguid: record.vguid(),
            made: manifest.contents().made,
            rate: manifest.rate(),
            length: manifest.contents().length,
        }
    }
}

/// How much is kept here for archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Fragments.
    pub fragments: Usage,
    /// Manifests.
    pub manifests: Usage,
}

impl Handle {
    /// Acts with `keypair` through the replicas of fragments and manifests, over these blocks.
    pub fn new(
        fragments: replicas::Handle<Fragments>,
        manifests: replicas::Handle<Manifests>,
        blocks: Arc<dyn objects::Blocks>,
        placement: impl Placement,
        keypair: Keypair,
        config: Config,
    ) -> Handle {
        Handle {
            inner: Arc::new(Inner {
                fragments,
                manifests,
                blocks,
                placement: Arc::new(placement),
                keypair,
                limiter: Limiter::new(config.repair_bytes_per_second, BURST),
                config,
                looked: Mutex::default(),
                progress: Mutex::default(),
                segment: tokio::sync::Mutex::default(),
                jobs: Semaphore::new(MAX_JOBS),
            }),
        }
    }

    /// The right to one job more.
    pub(crate) fn job(&self) -> Option<SemaphorePermit<'_>> {
        self.inner.jobs.try_acquire().ok()
    }

    /// The manifest of a version of an object. With [`Version::Newest`] that of the newest one
    /// that is archived and whose manifest can be got.
    ///
    /// # Errors
    /// Where nothing of the object, or not this version, is archived, or it cannot be told.
    pub async fn find(&self, aguid: Guid, version: Version) -> Result<Manifest, FindError> {
        if let Version::Vguid(vguid) = version {
            return match self.of_version(&vguid).await? {
                Some(manifest) if manifest.record().aguid() == aguid => Ok(manifest),
                _ => Err(FindError::NotThis {
                    wanted: vguid.to_string(),
                    archived: self.numbers(self.archived(aguid).await?).await?,
                }),
            };
        }
        let archived = self.archived(aguid).await?;
        let wanted = |(seq, _): &&(u64, ManifestName)| match version {
            Version::Number(number) => *seq == number,
            Version::Newest | Version::Vguid(_) => true,
        };
        let names = archived.iter().filter(wanted).map(|(_, name)| *name);
        let mut failed = None;
        let mut manifests = pin!(self.manifests(names.collect()));
        while let Some(found) = manifests.next().await {
            match found {
                // A name that leads nowhere, as anybody can list: the next one.
                Ok(None) => {}
                Ok(Some(manifest)) => return Ok(manifest),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (failed, version) {
            (Some(error), _) => Err(error.into()),
            (None, Version::Number(number)) => {
                let archived = self.numbers(archived).await?;
                match archived.is_empty() {
                    true => Err(FindError::Nothing),
                    false => Err(FindError::NotThis {
                        wanted: format!("v{number}"),
                        archived,
                    }),
                }
            }
            (None, Version::Newest | Version::Vguid(_)) => Err(FindError::Nothing),
        }
    }

    /// All archived versions of an object whose manifests can be got, newest first, [`MAX_LIST`]
    /// at most.
    ///
    /// # Errors
    /// Where none can, and it cannot be told whether there is one.
    pub async fn all(&self, aguid: Guid) -> Result<Vec<Manifest>, FindError> {
        let archived = self.archived(aguid).await?;
        Ok(self.genuine(archived, |manifest| manifest).await?)
    }

    /// The numbers of those versions that are archived in truth.
    async fn numbers(&self, listed: Vec<(u64, ManifestName)>) -> Result<Vec<u64>, GetError> {
        self.genuine(listed, |manifest| manifest.record().seq())
            .await
    }

    /// Something of each manifest among what is listed, [`MAX_LIST`] at most: who lists names
    /// that lead nowhere hides none.
    async fn genuine<T>(
        &self,
        listed: Vec<(u64, ManifestName)>,
        what: impl Fn(Manifest) -> T,
    ) -> Result<Vec<T>, GetError> {
        let names = listed.into_iter().map(|(_, name)| name).collect();
        let (mut genuine, mut failed) = (Vec::new(), None);
        let mut manifests = pin!(self.manifests(names));
        while let Some(found) = manifests.next().await {
            match found {
                Ok(found) => genuine.extend(found.map(&what)),
                Err(error) => failed = failed.or(Some(error)),
            }
            if genuine.len() == MAX_LIST {
                break;
            }
        }
        match failed {
            Some(error) if genuine.is_empty() => Err(error),
            _ => Ok(genuine),
        }
    }

    /// What is found under each of these names, in their order, as many as a majority of a
    /// replica set lists at most.
    fn manifests(
        &self,
        names: Vec<ManifestName>,
    ) -> impl Stream<Item = Result<Option<Manifest>, GetError>> {
        let found = names
            .into_iter()
            .map(move |name| async move { self.manifest(&name).await });
        stream::iter(found).buffered(AT_A_TIME)
    }

    /// The manifest of the version with this VGUID, if it is archived.
    ///
    /// # Errors
    /// Where it cannot be told.
    pub async fn of_version(&self, vguid: &Cid) -> Result<Option<Manifest>, GetError> {
        match version_of(vguid) {
            Some(version) => self.manifest(&ManifestName::ByVersion(version)).await,
            None => Ok(None),
        }
    }

    async fn archived(&self, aguid: Guid) -> Result<Vec<(u64, ManifestName)>, GetError> {
        let entries = self.inner.manifests.find(archives_of(aguid)).await?;
        let names = entries
            .iter()
            .filter_map(|entry| ManifestName::decode(&entry.id));
        Ok(names
            .filter_map(|name| match name {
                ManifestName::ByObject { seq, .. } => Some((seq, name)),
                ManifestName::ByVersion(_) => None,
            })
            .collect())
    }

    pub(crate) async fn manifest(&self, name: &ManifestName) -> Result<Option<Manifest>, GetError> {
        let bytes = match self.inner.manifests.get_newest(&name.encode()).await {
            Ok(bytes) => bytes,
            Err(GetError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Verified on its way here; a copy of this node's own was verified when it was read.
        let decoded = decode(*name, bytes).await?;
        let manifest = decoded.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Some(manifest))
    }

    /// The archives of this node's own key whose manifests are kept here, as all are that were
    /// made here; [`MAX_OWN`] at most.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn own(&self) -> Result<Vec<Archived>, StoreError> {
        let own = self.inner.keypair.public();
        let mut archived = Vec::new();
        for name in self.kept_names().await? {
            if archived.len() == MAX_OWN {
                break;
            }
            if let Some(manifest) = self.kept(&name).await?
                && *manifest.record().author() == own
            {
                archived.push(Archived::of(&manifest));
            }
        }
        archived.sort_by(|a, b| (&a.name, b.seq).cmp(&(&b.name, a.seq)));
        Ok(archived)
    }

    /// The names by object of the manifests that are kept here.
    pub(crate) async fn kept_names(&self) -> Result<Vec<ManifestName>, StoreError> {
        let store = self.inner.manifests.collection().store();
        let (mut after, mut names) = (None, Vec::new());
        loop {
            let page = store.list(Span::full(), after, MAX_LIST).await?;
            let full = page.len() == MAX_LIST;
            after = page.last().map(|(place, id, _)| (*place, id.clone()));
            let page = page
                .iter()
                .filter_map(|(_, id, _)| ManifestName::decode(id));
            names.extend(page.filter(|name| matches!(name, ManifestName::ByObject { .. })));
            if !full {
                return Ok(names);
            }
        }
    }

    /// A manifest that is kept here. A damaged one is dropped, and brought back by repair (R16).
    pub(crate) async fn kept(&self, name: &ManifestName) -> Result<Option<Manifest>, StoreError> {
        let id = name.encode();
        let bytes = match self.inner.manifests.get_local(&id).await {
            Ok(bytes) => bytes,
            Err(StoreError::Corrupt(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let manifest = decode(*name, bytes).await?;
        if manifest.is_err() {
            self.inner.manifests.collection().discard_corrupt(&id).await;
            self.inner.manifests.repair(&id);
        }
        Ok(manifest.ok())
    }

    /// How much is kept here.
    pub fn usage(&self) -> Kept {
        Kept {
            fragments: self.inner.fragments.collection().store().usage(),
            manifests: self.inner.manifests.collection().store().usage(),
        }
    }

    /// What this node saw of an archive when it looked last, if it looks after it.
    pub fn looked(&self, vguid: &Cid) -> Option<Looked> {
        let version = version_of(vguid)?;
        self.inner.looked.lock().get(&version).copied()
    }

    /// How many archives this node has looked at in its last sweeps.
    pub fn looked_after(&self) -> usize {
        self.inner.looked.lock().len()
    }
}

/// Decodes a manifest, which has up to a megabyte, where computing holds up nobody.
async fn decode(
    name: ManifestName,
    bytes: Bytes,
) -> Result<Result<Manifest, ManifestError>, StoreError> {
    let decoded = hashing::run(move || Manifest::decode_as(&name, &bytes)).await;
    decoded.ok_or(StoreError::Closed)
}
