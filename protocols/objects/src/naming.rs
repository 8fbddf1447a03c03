//! How the list of names is kept (J5): who wait to have a name listed are taken together, so that
//! one version of the list does for all of them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{StreamExt, TryStreamExt, stream};
use libp2p_identity::PublicKey;
use tokio::sync::{Mutex, oneshot};
use unixfs::{BlockSink, BlockSource, BoxError, SpliceError};

use crate::handle::{Blocks, Content, Handle};
use crate::names::Names;
use crate::namespace::{self, MAX_NAMES, MAX_NAMES_BYTES, Room};
use crate::{Heads, Name, ReadError, Record, WriteError, aguid};

/// Names that one version of the list takes up at most.
const TOGETHER: usize = 256;

/// Names that could not be listed and are tried again with the next one.
const MAX_MISSED: usize = 1_024;

/// Objects that are read at a time to see whether they are listed.
const READS: usize = 16;

/// Changes that are made one by one; of more the list is written anew.
const MAX_CHANGES: usize = 4 * TOGETHER;

/// Blocks of the list on their way at a time.
const IN_FLIGHT: usize = 16;

/// How it went with a name: one error is for all whom a list failed.
type Outcome = Result<(), Arc<WriteError>>;

/// The state of a node's own list.
#[derive(Default)]
pub(crate) struct Naming {
    /// Held while the list is brought up to date.
    turn: Mutex<()>,
    queue: parking_lot::Mutex<Queue>,
    /// Room that was promised to objects whose versions are being made.
    promised: parking_lot::Mutex<Room>,
    /// The list as it was last read or written.
    known: parking_lot::Mutex<Option<Known>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Names of which a list was not written.
    missed: BTreeSet<Name>,
}

struct Waiting {
    name: Name,
    tell: oneshot::Sender<Outcome>,
}

/// A list.
#[derive(Clone, Default)]
struct Known {
    /// The records that it is of.
    heads: Vec<Cid>,
    /// Their number.
    seq: u64,
    names: Arc<Names>,
    /// The file that has their lines and nothing else; none where it is one of somebody else's
    /// making, or there is not one.
    file: Option<Cid>,
}

/// The names of a namespace, as they were at one time. Cheap to clone.
#[derive(Clone)]
pub struct Listing(Arc<Names>);

impl Listing {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names in the order of their bytes, from the first on that is not before `start`; finding
    /// that one does not take longer where it is far behind.
    pub fn range(&self, start: &str) -> impl Iterator<Item = &str> {
        self.0.range(start)
    }

    /// Whether this is the same as another one: the same moment's, not only the same names.
    pub fn is(&self, other: &Listing) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn nearest(&self, wanted: &str) -> Vec<String> {
        namespace::nearest(&self.0, wanted)
    }
}

/// A listing of these names, without a node.
impl<'a> FromIterator<&'a str> for Listing {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Listing {
        Listing(Arc::new(names.into_iter().collect()))
    }
}

/// Room on the list, kept until it is dropped.
pub(crate) struct Promise<'a> {
    naming: &'a Naming,
    room: Room,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut promised = self.naming.promised.lock();
        promised.names -= self.room.names;
        promised.bytes -= self.room.bytes;
    }
}

impl Naming {
    /// Promises a name room, if it has some beside those that were promised it before.
    fn promise(&self, names: &Names, name: &Name) -> Option<Promise<'_>> {
        let mut promised = self.promised.lock();
        if !namespace::has_room(names, *promised, name.as_str()) {
            return None;
        }
        let room = Room::of(name.as_str());
        promised.names += room.names;
        promised.bytes += room.bytes;
        Some(Promise { naming: self, room })
    }

    fn wait(&self, name: &Name) -> oneshot::Receiver<Outcome> {
        let (tell, told) = oneshot::channel();
        let name = name.clone();
        self.queue.lock().waiting.push_back(Waiting { name, tell });
        told
    }

    /// Those who have waited longest, and of those that were missed as many as there is room for.
    fn group(&self) -> Group<'_> {
        let mut queue = self.queue.lock();
        let waiting = queue.waiting.len().min(TOGETHER);
        let mut group = Group {
            naming: self,
            waiting: queue.waiting.drain(..waiting).collect(),
            missed: Vec::new(),
        };
        while group.waiting.len() + group.missed.len() < TOGETHER
            && let Some(missed) = queue.missed.pop_first()
        {
            group.missed.push(missed);
        }
        group
    }
}

/// Names that are listed together. Where they are not, also where who had the turn went away, they
/// are missed: the next group has them.
struct Group<'a> {
    naming: &'a Naming,
    waiting: Vec<Waiting>,
    missed: Vec<Name>,
}

impl Group<'_> {
    fn names(&self) -> BTreeSet<Name> {
        let waiting = self.waiting.iter().map(|waiting| &waiting.name);
        waiting.chain(&self.missed).cloned().collect()
    }

    /// The list is written; but for those that it says why not.
    fn listed(mut self, failed: &[(Name, Arc<WriteError>)]) {
        self.missed.clear();
        for Waiting { name, tell } in self.waiting.drain(..) {
            let failed = failed.iter().find(|(failed, _)| *failed == name);
            // Who has gone away meanwhile need not know.
            let _ = tell.send(match failed {
                Some((_, error)) => Err(Arc::clone(error)),
                None => Ok(()),
            });
        }
    }

    /// No list was written.
    fn failed(mut self, error: WriteError) {
        let error = Arc::new(error);
        for Waiting { name, tell } in self.waiting.drain(..) {
            self.missed.push(name);
            let _ = tell.send(Err(Arc::clone(&error)));
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let waiting = self.waiting.drain(..).map(|waiting| waiting.name);
        let mut queue = self.naming.queue.lock();
        for name in self.missed.drain(..).chain(waiting) {
            if queue.missed.len() < MAX_MISSED {
                queue.missed.insert(name);
            }
        }
    }
}

/// Keeps what is new of a list until all of it is known: leaves and nodes can then be put at the
/// same time, and only the record, which leads to them, after them.
struct Collected<'a> {
    blocks: &'a dyn Blocks,
    new: parking_lot::Mutex<Vec<(Cid, Bytes)>>,
}

#[async_trait]
impl BlockSource for Collected<'_> {
    async fn get(&self, cid: &Cid) -> Result<Bytes, BoxError> {
        self.blocks.get(cid).await
    }
}

#[async_trait]
impl BlockSink for Collected<'_> {
    async fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), BoxError> {
        self.new.lock().push((cid, bytes));
        Ok(())
    }
}

impl Collected<'_> {
    async fn put_all(self) -> Result<(), SpliceError> {
        let blocks = self.blocks;
        stream::iter(self.new.into_inner())
            .map(|(cid, bytes)| async move {
                let put = blocks.put(cid, bytes).await;
                put.map_err(|source| SpliceError::Sink { cid, source })
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }
}

impl Handle {
    /// The names in a namespace.
    ///
    /// # Errors
    /// Where the list cannot be read; one that does not exist is empty.
    pub async fn listing(&self, owner: &PublicKey) -> Result<Listing, ReadError> {
        let list = self.newest_if_any(aguid(owner, &Name::namespace()));
        match list.await? {
            Some(list) => Ok(Listing(
                self.list_of(&list, *owner == self.owner()).await?.names,
            )),
            None => Ok(Listing(Arc::default())),
        }
    }

    /// Refuses an object that would be there and in no list, for that is full (J5). A list that
    /// cannot be read now refuses nothing.
    pub(crate) async fn promise_room(
        &self,
        name: &Name,
    ) -> Result<Option<Promise<'_>>, WriteError> {
        if name.is_namespace() {
            return Ok(None);
        }
        let known = self.naming().known.lock().clone();
        if let Some(known) = known
            && let Some(promise) = self.naming().promise(&known.names, name)
        {
            return Ok(Some(promise));
        }
        match self.listing(&self.owner()).await {
            Ok(Listing(names)) => match self.naming().promise(&names, name) {
                Some(promise) => Ok(Some(promise)),
                None => Err(WriteError::TooManyNames),
            },
            Err(_) => Ok(None),
        }
    }

    /// Has a name listed if its object is there, and not if it is not: by whoever has the turn, who
    /// takes all who wait.
    pub(crate) async fn list_name(&self, name: &Name) -> Outcome {
        if name.is_namespace() {
            return Ok(());
        }
        let mut told = self.naming().wait(name);
        loop {
            let turn = tokio::select! {
                biased;
                outcome = &mut told => match outcome {
                    Ok(outcome) => return outcome,
                    // Who had it listed went away in the middle.
                    Err(_) => None,
                },
                turn = self.naming().turn.lock() => Some(turn),
            };
            match (turn, told.try_recv()) {
                (Some(_turn), Err(oneshot::error::TryRecvError::Empty)) => {
                    // Those before this one, and in the end it.
                    self.list_group().await;
                }
                (Some(_), Ok(outcome)) => return outcome,
                (None, _) | (Some(_), Err(oneshot::error::TryRecvError::Closed)) => {
                    told = self.naming().wait(name);
                }
            }
        }
    }

    /// Brings the list up to date for those who wait.
    async fn list_group(&self) {
        let group = self.naming().group();
        match self.list_names(group.names()).await {
            Ok(failed) => group.listed(&failed),
            Err(error) => group.failed(error),
        }
    }

    /// Lists those of some names whose objects are there, and no others of them; those of which it
    /// cannot be said, or that have no room, with the reason.
    async fn list_names(
        &self,
        names: BTreeSet<Name>,
    ) -> Result<Vec<(Name, Arc<WriteError>)>, WriteError> {
        let owner = self.owner();
        let objects = stream::iter(names)
            .map(|name| {
                let newest = self.newest(aguid(&owner, &name));
                async move { (name, newest.await) }
            })
            .buffer_unordered(READS)
            .collect::<Vec<_>>();
        let list = self.newest_if_any(aguid(&owner, &Name::namespace()));
        let (objects, list) = futures::join!(objects, list);
        let list = list?;
        let known = match &list {
            Some(list) => self.list_of(list, true).await?,
            None => Known::default(),
        };
        let aside = self.aside(list.as_ref()).await?;
        let whole = list.as_ref().is_none_or(|list| list.single().is_some()) && aside.is_none();

        let mut names = Names::clone(&known.names);
        let mut changes = Vec::new();
        // A list that was overtaken had names that are still there.
        if let Some(root) = aside.as_ref().and_then(Record::root) {
            let before = namespace::read(&self.read_names(&root).await?);
            let added = before
                .iter()
                .filter_map(|name| namespace::add(&mut names, name));
            changes.extend(added);
            if names.len() > MAX_NAMES || names.bytes() > MAX_NAMES_BYTES {
                return Err(WriteError::TooManyNames);
            }
        }
        let mut failed = Vec::new();
        for (name, heads) in objects {
            let live = match heads {
                Ok(heads) => heads.records().iter().any(|record| !record.is_removal()),
                Err(error) => {
                    failed.push((name, Arc::new(error.into())));
                    continue;
                }
            };
            let text = name.as_str();
            match live {
                true if !namespace::has_room(&names, Room::default(), text) => {
                    failed.push((name, Arc::new(WriteError::TooManyNames)));
                }
                true => changes.extend(namespace::add(&mut names, text)),
                false => changes.extend(namespace::take(&mut names, text)),
            }
        }
        if changes.is_empty() && whole {
            return Ok(failed);
        }
        let file = self.write_names(known.file, changes, &names).await?;
        let content = Content::plain(file, names.bytes());
        let aside = aside.map(|aside| aside.vguid());
        let written = self
            .commit(&Name::namespace(), list, aside, None, content)
            .await?;
        *self.naming().known.lock() = Some(Known {
            heads: vec![written.record.vguid()],
            seq: written.record.seq(),
            names: Arc::new(names),
            file: Some(file),
        });
        Ok(failed)
    }

    /// Stores a list of names; only the blocks that change, where there was one before.
    async fn write_names(
        &self,
        before: Option<Cid>,
        changes: Vec<(std::ops::Range<u64>, unixfs::Insert)>,
        names: &Names,
    ) -> Result<Cid, WriteError> {
        let blocks = &*self.inner.blocks;
        let options = namespace::options();
        if let Some(before) = before
            && changes.len() <= MAX_CHANGES
        {
            let new = Collected {
                blocks,
                new: parking_lot::Mutex::default(),
            };
            let made = unixfs::splice_each(&before, changes, &new, &options).await?;
            // Else the file is longer than its record said.
            if made.size == names.bytes() {
                new.put_all().await?;
                return Ok(made.cid);
            }
        }
        let text = namespace::write(names);
        let imported = unixfs::import_reader(&text[..], blocks, &options).await;
        Ok(imported.map_err(WriteError::Names)?.cid)
    }

    async fn read_names(&self, root: &Cid) -> Result<Vec<u8>, ReadError> {
        let mut text = Vec::new();
        let whole = 0..MAX_NAMES_BYTES;
        unixfs::export_range(root, &*self.inner.blocks, &mut text, whole, IN_FLIGHT).await?;
        Ok(text)
    }

    /// The names that a list has; all that any of its branches has.
    async fn list_of(&self, list: &Heads, own: bool) -> Result<Known, ReadError> {
        let heads = list.vguids();
        if own
            && let Some(known) = &*self.naming().known.lock()
            && known.heads == heads
        {
            return Ok(known.clone());
        }
        let roots: Vec<Cid> = list.records().iter().filter_map(Record::root).collect();
        let mut known = Known {
            heads,
            seq: list.seq(),
            ..Known::default()
        };
        match &roots[..] {
            [root] => {
                let text = self.read_names(root).await?;
                let names = namespace::read(&text);
                let file = list.single().is_some() && namespace::is_exactly(&text, &names);
                known.file = file.then_some(*root);
                known.names = Arc::new(names);
            }
            roots => {
                let mut names = Names::default();
                for root in roots {
                    let branch = namespace::read(&self.read_names(root).await?);
                    for name in branch.iter() {
                        names.insert(name);
                    }
                }
                known.names = Arc::new(names);
            }
        }
        if own {
            let mut remembered = self.naming().known.lock();
            // A list that was written while this one was read is the newer one.
            if remembered
                .as_ref()
                .is_none_or(|other| other.seq <= known.seq)
            {
                *remembered = Some(known.clone());
            }
        }
        Ok(known)
    }
}
