//! Fragments and manifests as collections that `replicas` places (H6, H12).

use std::sync::Arc;

use bytes::Bytes;
use guid::{Guid, Span};
use libp2p_swarm::StreamProtocol;
use replicas::{Collection, Config, Entry, ItemId, PutRefused, StoreError, Stored, hashing};

use crate::manifest::{MAX_MANIFEST, Manifest};
use crate::names::{FragmentName, ManifestName};
use crate::segment::{Fragment, MAX_FRAGMENT};
use crate::store::{Item, Store};

/// Copies of a manifest (H12): as many as a leaf set of 16 can repair.
pub const MANIFEST_COPIES: usize = 8;

/// How fragments are kept: each once. What moves by itself is bounded as repair is (H22).
pub fn fragments_config(repair_bytes_per_second: u64) -> Config {
    Config {
        replicas: 1,
        published: 0,
        repair_bytes_per_second,
        ..Config::default()
    }
}

/// How manifests are kept.
pub fn manifests_config() -> Config {
    Config {
        replicas: MANIFEST_COPIES,
        search_width: MANIFEST_COPIES,
        published: 0,
        ..Config::default()
    }
}

/// The fragments of a store.
pub struct Fragments {
    store: Arc<dyn Store>,
}

impl Fragments {
    /// Serves the fragments of `store`.
    pub fn new(store: Arc<dyn Store>) -> Fragments {
        Fragments { store }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

/// The manifests of a store.
pub struct Manifests {
    store: Arc<dyn Store>,
}

impl Manifests {
    /// Serves the manifests of `store`.
    pub fn new(store: Arc<dyn Store>) -> Manifests {
        Manifests { store }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

fn invalid(error: impl ToString) -> PutRefused {
    PutRefused::Invalid(error.to_string())
}

fn fragment(id: &ItemId) -> Result<FragmentName, PutRefused> {
    FragmentName::decode(id).ok_or_else(|| invalid("no name of a fragment"))
}

fn manifest(id: &ItemId) -> Result<ManifestName, PutRefused> {
    ManifestName::decode(id).ok_or_else(|| invalid("no name of a manifest"))
}

fn check_fragment(id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
    let name = fragment(id)?;
    let found = Fragment::verify(&name.root, name.index.into(), bytes);
    found.map(|_| 0).map_err(invalid)
}

/// What a store lists, as entries.
async fn list(
    store: &dyn Store,
    span: Span,
    after: Option<(Guid, ItemId)>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let found = store.list(span, after, limit).await?.into_iter();
    let entry = |(guid, id, version)| Entry { guid, id, version };
    Ok(found.map(entry).collect())
}

async fn forget(store: &dyn Store, place: Option<Guid>, id: &ItemId) {
    let Some(place) = place else {
        return;
    };
    if let Err(error) = store.remove(place, id).await {
        tracing::warn!(%error, "a damaged item of the archive could not be dropped");
    }
}

#[async_trait::async_trait]
impl Collection for Fragments {
    const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/fragments/1.0.0");
    const MAX_ITEM: usize = MAX_FRAGMENT;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        FragmentName::decode(id).map(|name| name.place())
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        check_fragment(id, bytes)
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        let Some(place) = self.key_of(id) else {
            return Ok(None);
        };
        let kept = self.store.get(place, id).await?;
        Ok(kept.map(|(_, bytes)| bytes))
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let (name, item) = (id.clone(), bytes.clone());
        hashing::run(move || check_fragment(&name, &item))
            .await
            .ok_or(StoreError::Closed)??;
        self.put_trusted(id, bytes).await
    }

    async fn put_trusted(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let item = Item {
            place: fragment(id)?.place(),
            id: id.clone(),
            version: 0,
            owner: None,
            bytes,
        };
        Ok(self.store.put(item).await?)
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        match self.key_of(id) {
            Some(place) => self.store.version(place, id).await,
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = after.and_then(|id| Some((self.key_of(&id)?, id)));
        list(&*self.store, span, after, limit).await
    }

    fn describe(&self, id: &ItemId) -> String {
        match FragmentName::decode(id) {
            Some(name) => format!("fragment {} at {}", name.index, name.place()),
            None => "no fragment".to_owned(),
        }
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        forget(&*self.store, self.key_of(id), id).await;
    }
}

#[async_trait::async_trait]
impl Collection for Manifests {
    const PROTOCOL: StreamProtocol = StreamProtocol::new("/hedgerow/archives/1.0.0");
    const MAX_ITEM: usize = MAX_MANIFEST;

    fn key_of(&self, id: &ItemId) -> Option<Guid> {
        ManifestName::decode(id).map(|name| name.place())
    }

    fn verify(&self, id: &ItemId, bytes: &Bytes) -> Result<u64, PutRefused> {
        let found = Manifest::decode_as(&manifest(id)?, bytes).map_err(invalid)?;
        Ok(found.version())
    }

    async fn get(&self, id: &ItemId) -> Result<Option<Bytes>, StoreError> {
        let Some(place) = self.key_of(id) else {
            return Ok(None);
        };
        let kept = self.store.get(place, id).await?;
        Ok(kept.map(|(_, bytes)| bytes))
    }

    async fn put(&self, id: &ItemId, bytes: Bytes) -> Result<Stored, PutRefused> {
        let (name, item) = (manifest(id)?, bytes.clone());
        let found = hashing::run(move || Manifest::decode_as(&name, &item))
            .await
            .ok_or(StoreError::Closed)?
            .map_err(invalid)?;
        let item = Item {
            place: name.place(),
            id: id.clone(),
            version: found.version(),
            owner: Some(Guid::of_key(&found.record().author().encode_protobuf())),
            bytes,
        };
        Ok(self.store.put(item).await?)
    }

    async fn version(&self, id: &ItemId) -> Result<Option<u64>, StoreError> {
        match self.key_of(id) {
            Some(place) => self.store.version(place, id).await,
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        span: Span,
        after: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = after.and_then(|id| Some((self.key_of(&id)?, id)));
        list(&*self.store, span, after, limit).await
    }

    fn describe(&self, id: &ItemId) -> String {
        match ManifestName::decode(id) {
            Some(name) => format!("manifest at {}", name.place()),
            None => "no manifest".to_owned(),
        }
    }

    async fn discard_corrupt(&self, id: &ItemId) {
        forget(&*self.store, self.key_of(id), id).await;
    }
}
