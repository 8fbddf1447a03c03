//! Objects of the node as S3 sees them: the newest version of a key, all that are shown, and
//! new ones (K4, K6 to K9).

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use cid::Cid;
use data_encoding::HEXLOWER;
use guid::Guid;
use lru::LruCache;
use objects::{
    Action, MAX_HISTORY, Name, Predicate, ReadError, Record, Update, Version as Which, WriteError,
};
use parking_lot::Mutex;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use unixfs::{BlockSink, BlockSource, Kind};

use super::{
    bucket_keys::Escaped, buckets::Versioning, failures, properties::Properties, uploads::Uploads,
};
use crate::api::App;

/// Properties that are held in memory; each has a few hundred bytes, 10 KiB at worst.
const MAX_HELD: usize = 4096;

/// Locks over the keys: those who change one key take turns.
const LOCKS: usize = 64;

/// Names of objects by their AGUID: as many as there are objects in the store.
const MAX_NAMES: usize = 262_144;

const DAG_PB: u64 = 0x70;

/// How long the lock of a key is waited for.
const TURN: Duration = Duration::from_secs(60);

/// Everything behind the door. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shelf(Arc<Inner>);

/// See [`Shelf`].
pub(super) struct Inner {
    pub(super) app: App,
    pub(super) uploads: Uploads,
    locks: Vec<AsyncMutex<()>>,
    held: Mutex<LruCache<Cid, Arc<Properties>>>,
    /// Of each object in the store its name, where it is this node's.
    pub(super) names: Mutex<LruCache<Guid, Option<Arc<str>>>>,
    pub(super) escaped: Escaped,
}

/// A version of a key.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// The record that has its content.
    pub(super) record: Record,
    pub(super) properties: Arc<Properties>,
}

impl Version {
    /// Whether it says that the key was removed.
    pub(super) fn is_marker(&self) -> bool {
        self.record.is_removal()
    }

    /// Which version it is, where versions are told apart.
    pub(super) fn id(&self) -> String {
        match self.properties.null {
            true => "null".to_owned(),
            false => self.vguid().to_string(),
        }
    }

    /// The record that the version was made by.
    pub(super) fn vguid(&self) -> Cid {
        self.properties.of.unwrap_or_else(|| self.record.vguid())
    }

    /// When it was made, Unix milliseconds.
    pub(super) fn time(&self) -> u64 {
        self.properties.time.unwrap_or(self.record.fields().time)
    }

    pub(super) fn size(&self) -> u64 {
        self.record.fields().size
    }

    /// The tag of its content, without quotes: where S3 did not write it, one that nobody
    /// takes for an MD5.
    pub(super) fn etag(&self) -> String {
        match (&self.properties.etag, self.record.root()) {
            (Some(etag), _) => etag.clone(),
            (None, Some(root)) => {
                let hash = root.hash().digest();
                format!("{}-1", HEXLOWER.encode(&hash[..hash.len().min(16)]))
            }
            (None, None) => String::new(),
        }
    }
}

/// What the newest record of a key says.
pub(super) enum Newest {
    /// There is, or was, nothing.
    Nothing,
    /// It was removed; the removal is a version that is shown.
    Marker(Version),
    /// It is this.
    There(Version),
}

/// The versions of a key as far as they were looked at (K8).
#[derive(Default)]
pub(super) struct Shown {
    /// Those that are shown, newest first.
    pub(super) versions: Vec<Version>,
    /// Those that an edit hides.
    hidden: Vec<Cid>,
    /// Whether there are records that were not looked at.
    pub(super) more: bool,
}

impl std::ops::Deref for Shelf {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shelf {
    pub(super) fn new(app: App, uploads: Uploads) -> Shelf {
        let cache = |size| NonZeroUsize::new(size).expect("not zero");
        Shelf(Arc::new(Inner {
            app,
            uploads,
            locks: (0..LOCKS).map(|_| AsyncMutex::default()).collect(),
            held: Mutex::new(LruCache::new(cache(MAX_HELD))),
            names: Mutex::new(LruCache::new(cache(MAX_NAMES))),
            escaped: Escaped::default(),
        }))
    }

    pub(super) fn aguid(&self, name: &Name) -> Guid {
        objects::aguid(&self.app.objects.owner(), name)
    }

    /// Waits until nobody else changes the object through this door.
    pub(super) async fn turn(&self, name: &Name) -> S3Result<MutexGuard<'_, ()>> {
        let at = (self.aguid(name).as_u128() % LOCKS as u128) as usize;
        let turn = tokio::time::timeout(TURN, self.0.locks[at].lock()).await;
        turn.map_err(|_| s3_error!(SlowDown, "others are changing this key"))
    }

    /// The newest record of an object, as a majority has it; none where there never was one.
    pub(super) async fn head(&self, name: &Name) -> S3Result<Option<Record>> {
        let heads = match self.app.objects.newest(self.aguid(name)).await {
            Ok(heads) => heads,
            Err(ReadError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failures::read(error)),
        };
        single(&heads).map(Some)
    }

    /// The same as this node has it, which each of its own writes has told (J13); what it does
    /// not have is asked for.
    pub(super) async fn head_here(&self, name: &Name) -> S3Result<Option<Record>> {
        let kept = self.app.objects.store().get(self.aguid(name)).await;
        match kept {
            Ok(Some(heads)) => single(&heads).map(Some),
            Ok(None) | Err(_) => self.head(name).await,
        }
    }

    /// What S3 says of a version beside its content.
    pub(super) async fn properties(&self, record: &Record) -> S3Result<Arc<Properties>> {
        let Some(cid) = record.properties() else {
            return Ok(Arc::default());
        };
        if let Some(held) = self.0.held.lock().get(&cid) {
            return Ok(Arc::clone(held));
        }
        let bytes = self.app.node_blocks.get(&cid).await;
        let bytes =
            bytes.map_err(|source| failures::read(ReadError::Block { vguid: cid, source }))?;
        // What another program has written there means nothing to this one.
        let read = Arc::new(Properties::decode(&bytes).unwrap_or_default());
        self.0.held.lock().put(cid, Arc::clone(&read));
        Ok(read)
    }

    pub(super) async fn version(&self, record: Record) -> S3Result<Version> {
        let properties = self.properties(&record).await?;
        Ok(Version { record, properties })
    }

    /// What a record that is the newest says.
    pub(super) async fn newest_of(&self, record: Option<Record>) -> S3Result<Newest> {
        let Some(record) = record else {
            return Ok(Newest::Nothing);
        };
        let version = self.version(record).await?;
        let properties = &version.properties;
        if !version.is_marker() {
            return Ok(Newest::There(version));
        }
        let shown = match properties.is_edit() {
            true => properties.of.is_some(),
            false => !properties.null || properties.marker,
        };
        Ok(match shown {
            true => Newest::Marker(version),
            false => Newest::Nothing,
        })
    }

    pub(super) async fn newest(&self, name: &Name) -> S3Result<Newest> {
        self.newest_of(self.head(name).await?).await
    }

    /// All versions of a key that are shown (K8).
    pub(super) async fn versions(&self, name: &Name) -> S3Result<Shown> {
        let history = self
            .app
            .objects
            .history(self.aguid(name), MAX_HISTORY)
            .await;
        let history = match history {
            Ok(history) => history,
            Err(ReadError::NotFound { .. }) => return Ok(Shown::default()),
            Err(error) => return Err(failures::read(error)),
        };
        let (mut shown, mut hidden) = (Vec::new(), Vec::new());
        let mut null_seen = false;
        for record in history.versions {
            let version = self.version(record).await?;
            let properties = &version.properties;
            hidden.extend(properties.hides.iter().copied());
            if properties.is_edit() {
                continue;
            }
            if properties.null && std::mem::replace(&mut null_seen, true) {
                continue;
            }
            if hidden.contains(&version.record.vguid()) {
                continue;
            }
            if version.is_marker() && properties.null && !properties.marker {
                continue;
            }
            shown.push(version);
        }
        Ok(Shown {
            versions: shown,
            hidden,
            more: history.more,
        })
    }

    /// One version by its id (K8).
    pub(super) async fn version_called(&self, name: &Name, id: &str) -> S3Result<Version> {
        let vguid = match id {
            "null" => None,
            id => Some(id.parse::<Cid>().map_err(|_| {
                s3_error!(
                    InvalidArgument,
                    "the version id is none: it is a VGUID or `null`"
                )
            })?),
        };
        let shown = self.versions(name).await?;
        let is_it = |version: &Version| match vguid {
            None => version.properties.null,
            Some(vguid) => !version.properties.null && version.record.vguid() == vguid,
        };
        if let Some(found) = shown.versions.into_iter().find(is_it) {
            return Ok(found);
        }
        if let Some(vguid) = vguid.filter(|vguid| shown.more && !shown.hidden.contains(vguid)) {
            let which = Which::Vguid(vguid);
            let record = self.app.objects.version(self.aguid(name), which).await;
            let version = match record {
                Ok(record) => self.version(record).await?,
                Err(error) if failures::is_unknown(&error) => {
                    return Err(s3_error!(NoSuchVersion));
                }
                Err(error) => return Err(failures::read(error)),
            };
            // Neither of them is a version by its VGUID, wherever it stands.
            if !version.properties.is_edit() && !version.properties.null {
                return Ok(version);
            }
        }
        Err(s3_error!(NoSuchVersion))
    }

    /// Stores properties; the action that says them of a version.
    pub(super) async fn describe(&self, properties: &Properties) -> S3Result<Action> {
        let (cid, bytes) = properties.encode();
        let put = self.app.node_blocks.put(cid, bytes.into()).await;
        put.map_err(failures::block)?;
        Ok(Action::Describe(cid))
    }

    /// Makes a version. It is finished though the client goes away.
    pub(super) async fn write(
        &self,
        name: &Name,
        predicates: Vec<Predicate>,
        actions: Vec<Action>,
    ) -> S3Result<Record> {
        let (objects, name) = (self.app.objects.clone(), name.clone());
        let update = Update::when(predicates, actions);
        let written = tokio::spawn(async move { objects.update(&name, update).await });
        match written.await {
            Ok(Ok(written)) => Ok(written.record),
            Ok(Err(error)) => Err(failures::write(error)),
            Err(_) => Err(s3_error!(ServiceUnavailable, "the node is stopping")),
        }
    }

    /// Removes the newest version of a key (K7); the removal, if it is a version that is shown.
    pub(super) async fn remove(
        &self,
        name: &Name,
        versioning: Versioning,
        predicates: Vec<Predicate>,
    ) -> S3Result<Option<Version>> {
        let mut actions = vec![Action::Remove];
        if versioning != Versioning::Enabled {
            let properties = Properties {
                null: true,
                marker: versioning == Versioning::Suspended,
                ..Properties::default()
            };
            actions.push(self.describe(&properties).await?);
        }
        let (objects, wanted) = (self.app.objects.clone(), name.clone());
        let update = Update::when(predicates, actions);
        let written = tokio::spawn(async move { objects.update(&wanted, update).await });
        match written.await {
            Ok(Ok(written)) if versioning != Versioning::Off => {
                Ok(Some(self.version(written.record).await?))
            }
            Ok(Ok(_)) => Ok(None),
            // What is not there is removed already.
            Ok(Err(WriteError::Read(ReadError::NotFound { .. } | ReadError::Removed { .. }))) => {
                Ok(None)
            }
            Ok(Err(error)) => Err(failures::write(error)),
            Err(_) => Err(s3_error!(ServiceUnavailable, "the node is stopping")),
        }
    }

    /// Has a version shown no more (K9); what it was, if it was shown.
    pub(super) async fn hide(&self, name: &Name, id: &str) -> S3Result<Option<Version>> {
        let _turn = self.turn(name).await?;
        let hidden = match self.version_called(name, id).await {
            Ok(version) => version,
            Err(error) if *error.code() == S3ErrorCode::NoSuchVersion => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(head) = self.head(name).await? else {
            return Ok(None);
        };
        let shown = self.versions(name).await?;
        let vguid = hidden.record.vguid();
        let next = shown
            .versions
            .iter()
            .find(|version| version.record.vguid() != vguid);
        if next.is_none() && shown.more {
            return Err(s3_error!(
                ServiceUnavailable,
                "the version that would be the newest is too far back in the history of this key: put a new one first"
            ));
        }
        let mut properties = match next {
            Some(next) => Properties {
                of: Some(next.record.vguid()),
                time: Some(next.time()),
                ..Properties::clone(&next.properties)
            },
            None => Properties::default(),
        };
        properties.hides = vec![vguid];
        let mut actions = Vec::new();
        match next.filter(|next| !next.is_marker()) {
            // Also where it stays the newest: this says which content it is.
            Some(next) => actions.push(Action::Restore(Which::Vguid(next.record.vguid()))),
            None if !head.is_removal() => actions.push(Action::Remove),
            None => {}
        }
        actions.push(self.describe(&properties).await?);
        let before = match head.is_removal() {
            true => Predicate::Version(0),
            false => Predicate::Vguid(head.vguid()),
        };
        self.write(name, vec![before], actions).await?;
        Ok(Some(hidden))
    }

    /// Whether a version is a file: what was put by other doors may be a directory, which no
    /// key leads to.
    pub(super) async fn is_file(&self, version: &Version) -> S3Result<bool> {
        match version.record.root() {
            None => Ok(false),
            Some(root) if version.properties.etag.is_none() && root.codec() == DAG_PB => {
                let stat = unixfs::stat(&root, &self.app.node_blocks).await;
                Ok(stat.map_err(failures::export)?.kind == Kind::File)
            }
            Some(_) => Ok(true),
        }
    }
}

fn single(heads: &objects::Heads) -> S3Result<Record> {
    heads.single().cloned().ok_or_else(|| {
        S3Error::with_message(
            S3ErrorCode::OperationAborted,
            "two nodes with one key wrote it at the same time: choose with `hedgerow object restore NAME@VGUID`",
        )
    })
}
