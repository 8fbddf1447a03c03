//! What applications hold: reading versions, writing new ones, listing names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use guid::Guid;
use libp2p_identity::{Keypair, PublicKey};
use replicas::{Keeper, PutReceipt};
use tokio::sync::{Mutex, broadcast};
use tokio::time::{Instant, timeout, timeout_at};
use unixfs::{BlockSink, BlockSource, BoxError, Options};

use crate::clock::now_millis;
use crate::collection::id_of;
use crate::error::{ReadError, WriteError};
use crate::name::normal;
use crate::naming::Naming;
use crate::record::MAX_HEADS;
use crate::update::{Action, Predicate, Update};
use crate::{Fields, HeadStore, Heads, Name, Newest, Record, RecordError, Version, aguid};

/// How long a guess of what somebody meant may take.
const GUESS: Duration = Duration::from_secs(2);

/// Versions that one listing walks at most.
pub const MAX_HISTORY: usize = 1_000;

/// Records that one request reads at most on its way back to an old version.
pub const MAX_WALK: u64 = 65_536;

/// How long one request may be on its way back.
pub const WALK_TIME: Duration = Duration::from_secs(60);

/// Records that are read at most to see whether a newest version follows the one that was
/// written here last.
const MAX_OVERTAKEN: u64 = 1_024;

/// Writes that wait for who wants to hear of them.
const WRITES: usize = 256;

/// Locks over the objects: writers of one take turns, those of others seldom wait.
const LOCKS: usize = 64;

/// Where the blocks of content and of records come from and go to. Those of a list of names come in
/// any order, nodes before what they link to: a record is put when all that it leads to is stored.
pub trait Blocks: BlockSource + BlockSink + 'static {}

impl<B: BlockSource + BlockSink + 'static> Blocks for B {}

/// Reads anybody's objects and writes this node's. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    replicas: replicas::Handle<Newest>,
    pub(crate) blocks: Arc<dyn Blocks>,
    keypair: Keypair,
    writing: Vec<Mutex<()>>,
    naming: Naming,
    writes: broadcast::Sender<Heads>,
    max_walk: u64,
}

/// A version that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its record.
    pub record: Record,
    /// Where that is durable as the newest.
    pub replicas: PutReceipt,
    /// The newest of the object, as a majority had it afterwards: several records where this
    /// one is of a fork.
    pub newest: Heads,
}

/// The versions of an object, newest first.
#[derive(Clone, Debug)]
pub struct History {
    /// The records that were got. Those of one number are branches of a fork.
    pub versions: Vec<Record>,
    /// How many of them are heads: more than one where there is a fork now.
    pub heads: usize,
    /// The version that this node wrote last, where the newest does not follow it (J12).
    pub overtaken: Option<Record>,
    /// Whether there are older ones.
    pub more: bool,
    /// The first record that could not be got or was not waited for, and why; what is before
    /// it is not known.
    pub missing: Option<(Cid, String)>,
}

/// What a version is of, while it is being made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Content {
    root: Option<Cid>,
    size: u64,
    properties: Option<Cid>,
}

impl Content {
    fn of(record: &Record) -> Content {
        Content {
            root: record.root(),
            size: record.fields().size,
            properties: record.properties(),
        }
    }

    /// Content of which nothing more is said.
    pub(crate) fn plain(root: Cid, size: u64) -> Content {
        Content {
            root: Some(root),
            size,
            properties: None,
        }
    }
}

impl Handle {
    /// Acts with `keypair` through the replicas of heads and over these blocks.
    pub fn new(
        replicas: replicas::Handle<Newest>,
        blocks: Arc<dyn Blocks>,
        keypair: Keypair,
    ) -> Handle {
        Handle {
            inner: Arc::new(Inner {
                replicas,
                blocks,
                keypair,
                writing: (0..LOCKS).map(|_| Mutex::default()).collect(),
                naming: Naming::default(),
                writes: broadcast::channel(WRITES).0,
                max_walk: MAX_WALK,
            }),
        }
    }

    /// The same with another bound than [`MAX_WALK`].
    ///
    /// # Panics
    /// When there is a clone of this handle.
    pub fn with_max_walk(mut self, records: u64) -> Handle {
        let inner = Arc::get_mut(&mut self.inner);
        inner.expect("a handle that was just made").max_walk = records;
        self
    }

    /// What is written here from now on: the newest of each object as it is afterwards. Who
    /// falls [256](broadcast::error::RecvError::Lagged) behind misses some.
    pub fn writes(&self) -> broadcast::Receiver<Heads> {
        self.inner.writes.subscribe()
    }

    /// Has a version that nothing is known of any more, and that was kept elsewhere, be the
    /// newest of its object again. Where a newer one turns up, that one is (J12).
    ///
    /// # Errors
    /// As those of [`replicas::Handle::put`].
    pub async fn bring_back(
        &self,
        record: Record,
    ) -> Result<replicas::PutReceipt, replicas::PutError> {
        let id = id_of(record.aguid());
        self.inner
            .replicas
            .put(id, Heads::of(record).encode())
            .await
    }

    /// The key that owns what is written here.
    pub fn owner(&self) -> PublicKey {
        self.inner.keypair.public()
    }

    /// The newest records of an object, as a majority of its replicas has them (J14): more
    /// than one where there is a fork, and a removal where it was removed.
    pub async fn newest(&self, aguid: Guid) -> Result<Heads, ReadError> {
        let bytes = self.inner.replicas.get_agreed(&id_of(aguid)).await?;
        // Verified on its way here; a copy of this node's own was verified by the store.
        Heads::decode(aguid, &bytes).map_err(|error| {
            let damaged = replicas::StoreError::Corrupt(error.to_string());
            ReadError::Replicas(damaged.into())
        })
    }

    /// The record of one version. The newest must not be a removal nor one of several.
    pub async fn version(&self, aguid: Guid, version: Version) -> Result<Record, ReadError> {
        let heads = self.newest(aguid).await?;
        match version {
            Version::Newest => match heads.single() {
                None => Err(fork(heads.seq(), heads.records())),
                Some(head) if head.is_removal() => Err(ReadError::Removed { seq: head.seq() }),
                Some(head) => Ok(head.clone()),
            },
            Version::Number(number) => self.numbered(&heads, number).await,
            Version::Vguid(vguid) => {
                let head = heads.records().iter().find(|head| head.vguid() == vguid);
                match head {
                    Some(head) => Ok(head.clone()),
                    None => self.record(aguid, vguid).await,
                }
            }
        }
    }

    /// The versions of an object, `limit` at most.
    pub async fn history(&self, aguid: Guid, limit: usize) -> Result<History, ReadError> {
        let heads = self.newest(aguid).await?;
        let limit = limit.min(MAX_HISTORY).max(heads.records().len());
        let mut history = History {
            versions: Vec::new(),
            heads: heads.records().len(),
            overtaken: self.overtaken(&heads).await?,
            more: false,
            missing: None,
        };
        // By the highest number that each can have, so that the newest come first.
        let mut waiting: BTreeMap<(u64, Cid), Option<Record>> = BTreeMap::new();
        for head in heads.records() {
            waiting.insert((head.seq(), head.vguid()), Some(head.clone()));
        }
        let mut seen = BTreeSet::new();
        let mut walk = self.walk();
        while let Some(((most, vguid), known)) = waiting.pop_last() {
            if history.versions.len() == limit {
                history.more = true;
                break;
            }
            let record = match known {
                Some(record) => record,
                None => match self.step(&mut walk, aguid, vguid, 1..=most).await {
                    Ok(record) => record,
                    Err(error) => {
                        history.missing = Some((vguid, error.to_string()));
                        history.more = true;
                        break;
                    }
                },
            };
            if record.seq() < most {
                waiting.insert((record.seq(), vguid), Some(record));
                continue;
            }
            let below = record.seq() - 1;
            for previous in &record.fields().previous {
                if seen.insert(*previous) {
                    waiting.insert((below, *previous), None);
                }
            }
            history.versions.push(record);
        }
        Ok(history)
    }

    /// The version that this node wrote last of an object, where the newest ones do not follow
    /// it: another node with this node's key wrote on without having heard of it (J12). None
    /// also where that cannot be told within a bounded walk, and where the object is not this
    /// node's.
    pub async fn overtaken(&self, heads: &Heads) -> Result<Option<Record>, ReadError> {
        let aguid = heads.aguid();
        if *heads.records()[0].author() != self.owner() {
            return Ok(None);
        }
        let written = self.store().written(aguid).await;
        let written = written.map_err(|error| ReadError::Replicas(error.into()))?;
        let Some((seq, vguid)) = written else {
            return Ok(None);
        };
        if seq > heads.seq() || heads.vguids().contains(&vguid) {
            return Ok(None);
        }
        let mut walk = Walk {
            left: MAX_OVERTAKEN,
            until: Instant::now() + GUESS,
        };
        let mut waiting: Vec<Record> = heads.records().to_vec();
        let mut seen = BTreeSet::new();
        while let Some(record) = waiting.pop() {
            let previous = &record.fields().previous;
            if previous.contains(&vguid) {
                // From now on it is enough to see that what is newest then follows this one.
                if let Some(head) = heads.single() {
                    self.note_written(head).await?;
                }
                return Ok(None);
            }
            if record.seq() <= seq + 1 {
                continue;
            }
            for next in previous.iter().filter(|next| seen.insert(**next)) {
                match self
                    .step(&mut walk, aguid, *next, 1..=record.seq() - 1)
                    .await
                {
                    Ok(next) => waiting.push(next),
                    // Then nothing is claimed.
                    Err(_) => return Ok(None),
                }
            }
        }
        Ok(self.record(aguid, vguid).await.ok())
    }

    async fn note_written(&self, record: &Record) -> Result<(), ReadError> {
        let (aguid, vguid) = (record.aguid(), record.vguid());
        let noted = self.store().note_written(aguid, record.seq(), vguid).await;
        noted.map_err(|error| ReadError::Replicas(error.into()))
    }

    /// Carries an update out on an object of this node (J17).
    pub async fn update(&self, name: &Name, update: Update) -> Result<Written, WriteError> {
        update.check().map_err(WriteError::Malformed)?;
        let aguid = aguid(&self.owner(), name);
        // Until it is listed.
        let mut room = None;
        let written = {
            let at = (aguid.as_u128() % LOCKS as u128) as usize;
            let _turn = self.inner.writing[at].lock().await;
            let heads = self.newest_if_any(aguid).await?;
            let aside = self.aside(heads.as_ref()).await?;
            let (content, chosen) = self
                .evaluate(heads.as_ref(), aside.as_ref(), update)
                .await?;
            let is_live = |heads: &Heads| heads.records().iter().any(|head| !head.is_removal());
            if content.root.is_some() && !heads.as_ref().is_some_and(is_live) {
                room = self.promise_room(name).await?;
            }
            let aside = aside.map(|aside| aside.vguid());
            self.commit(name, heads, aside, chosen, content).await?
        };
        if let Err(error) = self.list_name(name).await {
            // J5: the object is there all the same, and the next write mends it.
            tracing::warn!(%name, %error, "the list of names was not brought up to date");
        }
        drop(room);
        Ok(written)
    }

    /// The names in a namespace that begin with `prefix`, at most `limit`.
    pub async fn names(
        &self,
        owner: &PublicKey,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<String>, ReadError> {
        self.names_behind(owner, prefix, None, limit).await
    }

    /// The same without those up to a name.
    pub async fn names_behind(
        &self,
        owner: &PublicKey,
        prefix: &str,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, ReadError> {
        let listing = self.listing(owner).await?;
        // As names are where they come in (J2).
        let (prefix, behind) = (normal(prefix), name.map(normal));
        let behind = behind.as_deref();
        let start = behind.map_or(&*prefix, |behind| behind.max(&*prefix));
        let from = listing
            .range(start)
            .skip_while(|name| behind.is_some_and(|behind| *name <= behind));
        let like = from.take_while(|name| name.starts_with(&*prefix));
        Ok(like.take(limit).map(str::to_owned).collect())
    }

    /// At most three names that somebody who typed `name` may have meant.
    pub async fn nearest_names(&self, owner: &PublicKey, name: &Name) -> Vec<String> {
        // Nobody waits for a guess.
        match timeout(GUESS, self.listing(owner)).await {
            Ok(Ok(listing)) => listing.nearest(name.as_str()),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// Who has to keep the newest record, and whether they do.
    pub async fn keepers(&self, aguid: Guid) -> Result<Vec<Keeper>, ReadError> {
        Ok(self.inner.replicas.keepers(&id_of(aguid)).await?)
    }

    /// The store of this node's copies.
    pub fn store(&self) -> &Arc<dyn HeadStore> {
        self.inner.replicas.collection().store()
    }

    /// What the exchange with the replicas did since the start.
    pub fn stats(&self) -> replicas::Stats {
        self.inner.replicas.stats()
    }

    /// What was written here and overtaken, of an object that may not be there.
    pub(crate) async fn aside(&self, heads: Option<&Heads>) -> Result<Option<Record>, ReadError> {
        match heads {
            Some(heads) => self.overtaken(heads).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn newest_if_any(&self, aguid: Guid) -> Result<Option<Heads>, ReadError> {
        match self.newest(aguid).await {
            Ok(heads) => Ok(Some(heads)),
            Err(ReadError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Goes back along the records that each version was made from.
    async fn numbered(&self, heads: &Heads, number: u64) -> Result<Record, ReadError> {
        let newest = heads.seq();
        if number == 0 || number > newest {
            return Err(ReadError::NoVersion {
                wanted: Version::Number(number),
                newest,
            });
        }
        let mut walk = self.walk();
        let mut level = heads.records().to_vec();
        for seq in (number..newest).rev() {
            let before: BTreeSet<Cid> = level.iter().filter_map(made_from).collect();
            level.clear();
            for vguid in before {
                level.push(
                    self.step(&mut walk, heads.aguid(), vguid, seq..=seq)
                        .await?,
                );
            }
        }
        match &level[..] {
            [record] => Ok(record.clone()),
            branches => Err(fork(number, branches)),
        }
    }

    fn walk(&self) -> Walk {
        Walk {
            left: self.inner.max_walk,
            until: Instant::now() + WALK_TIME,
        }
    }

    /// The next record of a walk back, which has one of the numbers `seq`. Whoever wrote the history
    /// decides how long it is and how many branches it has; not how much one request reads.
    async fn step(
        &self,
        walk: &mut Walk,
        aguid: Guid,
        vguid: Cid,
        seq: RangeInclusive<u64>,
    ) -> Result<Record, ReadError> {
        let too_far = ReadError::TooFar {
            next: vguid,
            seq: *seq.end(),
            records: self.inner.max_walk - walk.left,
        };
        if walk.left == 0 {
            return Err(too_far);
        }
        walk.left -= 1;
        let record = timeout_at(walk.until, self.record(aguid, vguid)).await;
        let record = record.map_err(|_| too_far)??;
        match seq.contains(&record.seq()) {
            true => Ok(record),
            // J8: signed by the owner, but not where it stands.
            false => Err(ReadError::Record {
                vguid,
                reason: RecordError::Previous("its number is not before the next"),
            }),
        }
    }

    async fn record(&self, aguid: Guid, vguid: Cid) -> Result<Record, ReadError> {
        let bytes = self.inner.blocks.get(&vguid).await;
        let bytes = bytes.map_err(|source| ReadError::Block { vguid, source })?;
        let no_good = |reason| ReadError::Record { vguid, reason };
        let record = Record::decode(&bytes).map_err(no_good)?;
        match record.aguid() == aguid && record.vguid() == vguid {
            true => Ok(record),
            false => Err(no_good(RecordError::OtherObject)),
        }
    }

    /// What the update makes of the newest version, and the record it is made from.
    async fn evaluate(
        &self,
        heads: Option<&Heads>,
        aside: Option<&Record>,
        update: Update,
    ) -> Result<(Content, Option<Cid>), WriteError> {
        let chosen = |clause: &crate::Clause| match clause.actions.first() {
            Some(Action::Restore(Version::Vguid(vguid))) => Some(*vguid),
            _ => None,
        };
        let forked = heads.filter(|heads| heads.single().is_none() || aside.is_some());
        let base = forked
            .is_none()
            .then(|| heads.and_then(Heads::single))
            .flatten();
        let mut refused = Vec::new();
        for clause in update.clauses {
            let mut broken = None;
            for predicate in &clause.predicates {
                broken = self.broken(heads, predicate).await?;
                if broken.is_some() {
                    break;
                }
            }
            if let Some(broken) = broken {
                refused.push(broken);
                continue;
            }
            let chosen = chosen(&clause);
            if let Some(forked) = forked
                && chosen.is_none()
            {
                let branches: Vec<Record> = forked.records().iter().chain(aside).cloned().collect();
                return Err(fork(forked.seq(), &branches).into());
            }
            let mut content = base.map(Content::of);
            for action in clause.actions {
                content = Some(self.act(heads, aside, content, action).await?);
            }
            return Ok((content.unwrap_or_default(), chosen));
        }
        Err(WriteError::Refused(refused))
    }

    /// Why a predicate does not hold.
    async fn broken(
        &self,
        heads: Option<&Heads>,
        predicate: &Predicate,
    ) -> Result<Option<String>, WriteError> {
        let live: Vec<&Record> = heads
            .iter()
            .flat_map(|heads| heads.records())
            .filter(|record| !record.is_removal())
            .collect();
        let number = live.first().map_or(0, |record| record.seq());
        let broken = match predicate {
            Predicate::Version(wanted) => (number != *wanted).then(|| match (number, wanted) {
                (0, wanted) => format!("version {wanted} was wanted, and there is none now"),
                (number, 0) => format!("it exists already, as version {number}"),
                (number, wanted) => {
                    format!("version {wanted} was wanted, the newest is {number}")
                }
            }),
            Predicate::Vguid(wanted) => {
                let holds = live.iter().any(|record| record.vguid() == *wanted);
                (!holds).then(|| format!("{wanted} is not the newest version"))
            }
            Predicate::Size(wanted) => {
                let size = live.first().map_or(0, |record| record.fields().size);
                let text = || format!("a size of {wanted} was wanted, it has {size} bytes");
                (size != *wanted).then(text)
            }
            Predicate::Block { offset, cid } => {
                let root = live.first().and_then(|record| record.root());
                let leaf = match root {
                    Some(root) => {
                        let leaf = unixfs::leaf_at(&root, *offset, &*self.inner.blocks).await;
                        leaf.map_err(ReadError::from)?
                    }
                    None => None,
                };
                let is = leaf.map_or("none".to_owned(), |leaf| leaf.to_string());
                let text = || format!("the block at {offset} is {is}, not {cid}");
                (leaf != Some(*cid)).then(text)
            }
        };
        Ok(broken)
    }

    /// What an action makes of what was there.
    async fn act(
        &self,
        heads: Option<&Heads>,
        aside: Option<&Record>,
        before: Option<Content>,
        action: Action,
    ) -> Result<Content, WriteError> {
        let blocks = &*self.inner.blocks;
        let missing = || ReadError::NotFound { asked: Vec::new() };
        match action {
            Action::Set(root) => {
                let stat = unixfs::stat(&root, blocks).await.map_err(ReadError::from)?;
                Ok(Content::plain(root, stat.size))
            }
            Action::Splice {
                offset,
                delete,
                insert,
            } => {
                // What is not there, or was removed, is changed as if it were empty.
                let (root, size) = match before {
                    Some(Content {
                        root: Some(root),
                        size,
                        ..
                    }) => (root, size),
                    _ => (self.empty().await?, 0),
                };
                let from = offset.unwrap_or(size);
                // Nothing is behind the end; only what begins there is refused.
                let to = from.saturating_add(delete).min(size.max(from));
                let made = unixfs::splice(&root, from..to, insert.into(), blocks).await?;
                Ok(Content::plain(made.cid, made.size))
            }
            Action::Restore(version) => {
                let heads = heads.ok_or_else(missing)?;
                let record = match version {
                    Version::Newest => match heads.single() {
                        Some(head) => head.clone(),
                        None => return Err(fork(heads.seq(), heads.records()).into()),
                    },
                    Version::Number(number) => self.numbered(heads, number).await?,
                    Version::Vguid(vguid) => {
                        let mut branches = heads.records().iter().chain(aside);
                        let forked = heads.single().is_none() || aside.is_some();
                        match branches.find(|branch| branch.vguid() == vguid) {
                            // A removal ends a fork as well as any.
                            Some(head) if head.is_removal() && forked => {
                                return Ok(Content::of(head));
                            }
                            Some(head) => head.clone(),
                            None => self.record(heads.aguid(), vguid).await?,
                        }
                    }
                };
                match record.root() {
                    Some(_) => Ok(Content::of(&record)),
                    None => Err(ReadError::Removed { seq: record.seq() }.into()),
                }
            }
            Action::Remove => match before {
                None => Err(missing().into()),
                Some(Content { root: None, .. }) => {
                    let seq = heads.map_or(0, Heads::seq);
                    Err(ReadError::Removed { seq }.into())
                }
                Some(_) => Ok(Content::default()),
            },
            Action::Describe(properties) => Ok(Content {
                properties: Some(properties),
                ..before.ok_or_else(missing)?
            }),
        }
    }

    async fn empty(&self) -> Result<Cid, WriteError> {
        let options = Options::default();
        let empty = unixfs::import_reader(&b""[..], &*self.inner.blocks, &options).await;
        Ok(empty.map_err(WriteError::Names)?.cid)
    }

    /// Signs the next version and has it kept: its block, then as the newest here, then as
    /// the newest on a majority of the replicas (J13).
    pub(crate) async fn commit(
        &self,
        name: &Name,
        heads: Option<Heads>,
        aside: Option<Cid>,
        chosen: Option<Cid>,
        content: Content,
    ) -> Result<Written, WriteError> {
        let mut previous = heads.as_ref().map(Heads::vguids).unwrap_or_default();
        // The one it is made from is the first, if it is one of the heads.
        previous.sort_by_key(|vguid| Some(*vguid) != chosen);
        // Its number is lower, so it is never the first; and it is there, however many heads are.
        previous.truncate(MAX_HEADS - usize::from(aside.is_some()));
        previous.extend(aside);
        let fields = Fields {
            name: name.clone(),
            seq: heads.as_ref().map_or(0, Heads::seq) + 1,
            previous,
            root: content.root,
            size: content.size,
            time: now_millis(),
            properties: content.properties,
        };
        let record = Record::sign(&self.inner.keypair, fields)?;
        let block = record.encoded().clone();
        let put = self.inner.blocks.put(record.vguid(), block).await;
        put.map_err(WriteError::Block)?;
        // Durable with the heads.
        self.note_written(&record).await?;
        let heads = Heads::of(record.clone());
        let kept = self.store().put(heads.clone()).await;
        let kept = kept.map_err(|refused| match refused {
            crate::Refused::NoRoom(error) => {
                WriteError::Store(replicas::StoreError::Full(error.to_string()))
            }
            crate::Refused::Store(error) => WriteError::Store(error),
        })?;
        if kept.version != heads.version() {
            return Err(WriteError::Contended);
        }
        let id = id_of(record.aguid());
        // From here on it is kept here, and the next version follows it.
        let unsure = |source: BoxError| WriteError::Unsure {
            seq: record.seq(),
            source,
        };
        let put = self.inner.replicas.put_trusted(id, heads.encode()).await;
        let replicas = put.map_err(|error| unsure(error.into()))?;
        // Replicas that had a newer one have kept that (J15).
        let newest = self.newest(record.aguid()).await;
        let newest = newest.map_err(|error| unsure(error.into()))?;
        let mut known = newest.vguids();
        known.extend(previous_of(newest.records()));
        match known.contains(&record.vguid()) {
            true => {
                // Nobody may want to hear of it.
                let _ = self.inner.writes.send(newest.clone());
                Ok(Written {
                    record,
                    replicas,
                    newest,
                })
            }
            false => Err(WriteError::Contended),
        }
    }

    pub(crate) fn naming(&self) -> &Naming {
        &self.inner.naming
    }
}

/// What a walk back may still do (J21).
struct Walk {
    left: u64,
    until: Instant,
}

fn fork(seq: u64, branches: &[Record]) -> ReadError {
    ReadError::Fork {
        seq,
        heads: branches.iter().map(Record::vguid).collect(),
    }
}

/// The records that some follow, each once.
fn previous_of(records: &[Record]) -> BTreeSet<Cid> {
    let all = records.iter().flat_map(|record| &record.fields().previous);
    all.copied().collect()
}

fn made_from(record: &Record) -> Option<Cid> {
    record.fields().previous.first().copied()
}
