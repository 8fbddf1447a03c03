//! Goes through what this node needs (I14, I15).

use blocks::DAG_CBOR;
use bytes::Bytes;
use cid::Cid;
use guid::{Guid, Span};
use objects::{Heads, Record};
use replicas::StoreError;

use crate::PinError;
use crate::claiming::Claiming;
use crate::handle::Shared;
use crate::walk::{Kind, Visitor, Wanted, walk};

/// Blocks that are noted at a time.
const PAGE: usize = 1024;

/// Objects, pins and roots that are looked at at a time.
pub(crate) const LIST: usize = 256;

/// Records of an object that are gone through.
const MAX_RECORDS: usize = 1_048_576;

/// Lists of this node's names that are kept, the newest ones: nobody goes back to older ones.
const LISTS_KEPT: u64 = 16;

/// Why it is not known what this node needs.
#[derive(Debug, thiserror::Error)]
#[error("{of}: {source}")]
pub struct MarkError {
    /// What could not be gone through.
    pub of: String,
    /// Why.
    #[source]
    pub source: Box<PinError>,
}

impl MarkError {
    pub(crate) fn new(of: impl Into<String>, source: impl Into<PinError>) -> MarkError {
        MarkError {
            of: of.into(),
            source: Box::new(source.into()),
        }
    }
}

/// How far a mark is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marked {
    /// Versions, pins and roots gone through that had not been.
    pub(crate) roots: u64,
    /// Needs that are new.
    pub(crate) new: u64,
}

/// What came of going through several things: one that fails does not keep the others from it.
#[derive(Default)]
struct Outcome {
    marked: Marked,
    /// The first failure.
    failed: Option<MarkError>,
}

impl Outcome {
    fn note(&mut self, outcome: Result<Marked, MarkError>) {
        match outcome {
            Ok(more) => {
                self.marked.roots += more.roots;
                self.marked.new += more.new;
            }
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    fn end(self) -> Result<Marked, MarkError> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.marked),
        }
    }
}

/// Goes through all that this node needs and the mark has not come by. What can be gone through
/// is, also where something cannot; the first such is the error.
pub(crate) async fn mark_all(shared: &Shared, epoch: u32) -> Result<Marked, MarkError> {
    let mut marked = Outcome::default();
    let mut note = |outcome| marked.note(outcome);
    note(mark_pins(shared, epoch).await);
    note(mark_kept(shared, epoch).await);
    let Some(claiming) = &shared.claiming else {
        return marked.end();
    };
    let store = claiming.objects.store();
    let me = claiming.objects.owner();
    let mut after = None;
    loop {
        let page = store.list(Span::full(), after, LIST).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                note(Err(MarkError::new("the objects that are kept here", error)));
                break;
            }
        };
        // Most of the time there is nothing new.
        let listed = page.clone();
        let open = shared.on_ledger(move |ledger| {
            let mut open = Vec::new();
            for (aguid, version) in listed {
                if !ledger.needs().is_marked(aguid, version, epoch)? {
                    open.push(aguid);
                }
            }
            Ok::<_, StoreError>(open)
        });
        let open = match open.await {
            Ok(open) => open,
            Err(error) => {
                note(Err(MarkError::new("the ledger", error)));
                break;
            }
        };
        for aguid in &open {
            match store.get(*aguid).await {
                Ok(Some(heads)) if is_own(&heads, &me) => {
                    note(mark_object(shared, &heads, epoch).await);
                }
                Ok(_) => {}
                Err(error) => note(Err(MarkError::new(format!("the object {aguid}"), error))),
            }
        }
        after = page.last().map(|(aguid, _)| *aguid);
        if page.len() < LIST {
            break;
        }
    }
    // What was written here and is not kept here any more, as where its copy was damaged.
    let lost = shared.on_ledger(move |ledger| ledger.needs().unmarked(epoch));
    match lost.await {
        Ok(lost) => {
            for aguid in lost {
                note(mark_lost(shared, claiming, aguid, epoch).await);
            }
        }
        Err(error) => note(Err(MarkError::new("the ledger", error))),
    }
    marked.end()
}

async fn mark_lost(
    shared: &Shared,
    claiming: &Claiming,
    aguid: Guid,
    epoch: u32,
) -> Result<Marked, MarkError> {
    let heads = claiming.objects.newest(aguid).await;
    let heads = heads.map_err(|error| {
        let source: unixfs::BoxError = error.into();
        MarkError::new(format!("the object {aguid}"), PinError::Versions(source))
    })?;
    mark_object(shared, &heads, epoch).await
}

pub(crate) fn is_own(heads: &Heads, me: &libp2p_identity::PublicKey) -> bool {
    heads.records().iter().any(|record| record.author() == me)
}

pub(crate) async fn mark_pins(shared: &Shared, epoch: u32) -> Result<Marked, MarkError> {
    let pins = shared.on_ledger(|ledger| ledger.all()).await;
    let pins = pins.map_err(|error| MarkError::new("the pins", error))?;
    let mut marked = Outcome::default();
    // One that has not all its blocks yet is gone through when it has: nothing is released that
    // is noted as a pin's.
    for (root, row) in pins.into_iter().filter(|(_, row)| row.whole) {
        let label = match row.label.is_empty() {
            true => root.to_string(),
            false => row.label,
        };
        marked.note(
            mark_root(shared, root, epoch)
                .await
                .map_err(|error| MarkError::new(label, error)),
        );
    }
    marked.end()
}

async fn mark_kept(shared: &Shared, epoch: u32) -> Result<Marked, MarkError> {
    let mut marked = Outcome::default();
    let mut after = None;
    loop {
        let page = shared.on_ledger(move |ledger| ledger.needs().kept(after.as_ref(), LIST));
        let page = page
            .await
            .map_err(|error| MarkError::new("what has no name", error))?;
        for root in &page {
            let outcome = mark_root(shared, *root, epoch).await;
            marked.note(outcome.map_err(|error| MarkError::new(root.to_string(), error)));
        }
        after = page.last().copied();
        if page.len() < LIST {
            return marked.end();
        }
    }
}

/// All below a root.
pub(crate) async fn mark_root(shared: &Shared, root: Cid, epoch: u32) -> Result<Marked, PinError> {
    let mut marking = Marking::new(shared, epoch);
    if marking.is_complete(root).await? {
        return Ok(Marked::default());
    }
    walk(root, &mut marking).await?;
    // A leaf is complete as it is, and looked at no more.
    marking.note(vec![(root, true)]).await?;
    Ok(Marked {
        roots: 1,
        new: marking.new,
    })
}

/// All records of an object, and the content of those versions that are kept.
pub(crate) async fn mark_object(
    shared: &Shared,
    heads: &Heads,
    epoch: u32,
) -> Result<Marked, MarkError> {
    let (aguid, version) = (heads.aguid(), heads.version());
    let done = shared.on_ledger(move |ledger| ledger.needs().is_marked(aguid, version, epoch));
    let named = |error: PinError| MarkError::new(name_of(heads), error);
    if done.await.map_err(|error| named(error.into()))? {
        return Ok(Marked::default());
    }
    let marked = mark_records(shared, heads, epoch).await?;
    shared
        .on_ledger(move |ledger| ledger.needs().set_marked(aguid, version, epoch))
        .await
        .map_err(|error: StoreError| named(error.into()))?;
    Ok(marked)
}

fn name_of(heads: &Heads) -> String {
    match heads.records().first().map(|record| record.name()) {
        Some(name) if name.is_namespace() => "the list of names".to_owned(),
        Some(name) => name.as_str().to_owned(),
        None => heads.aguid().to_string(),
    }
}

async fn mark_records(shared: &Shared, heads: &Heads, epoch: u32) -> Result<Marked, MarkError> {
    let name = name_of(heads);
    let failed = |of: String| move |error: PinError| MarkError::new(of, error);
    let floor = floor(shared, heads).await.map_err(failed(name.clone()))?;
    let aguid = heads.aguid();
    let known = shared.on_ledger(move |ledger| ledger.needs().marked_version(aguid));
    let known = known.await.map_err(PinError::Store);
    let known = Heads::seq_of(known.map_err(failed(name.clone()))?);
    let mut marking = Marking::new(shared, epoch);
    // Back to where a mark has come by all before, then forth again.
    let mut open: Vec<Cid> = heads.vguids();
    // And from what was written here last, which the newest may not follow (J12).
    if let Some(claiming) = &shared.claiming {
        let written = claiming.objects.store().written(aguid).await;
        let written = written.map_err(PinError::Store);
        open.extend(
            written
                .map_err(failed(name.clone()))?
                .map(|(_, vguid)| vguid),
        );
    }
    let mut records = Vec::new();
    while let Some(vguid) = open.pop() {
        let seen = shared.on_ledger(move |ledger| ledger.needs().is_history(&vguid, epoch));
        let seen = seen.await.map_err(PinError::Store);
        if seen.map_err(failed(name.clone()))? {
            continue;
        }
        if records.len() == MAX_RECORDS {
            return Err(MarkError::new(name, PinError::TooMany));
        }
        let record = record(shared, heads.aguid(), vguid).await;
        let record = record.map_err(failed(format!("{name}, version {vguid}")))?;
        open.extend(&record.fields().previous);
        records.push((record.seq(), vguid, record.properties()));
    }
    records.sort_unstable();
    records.dedup();
    let mut marked = Marked::default();
    for (seq, vguid, properties) in records {
        let of = || format!("{name}@v{seq}");
        if seq >= floor {
            let walked = walk(vguid, &mut marking).await;
            walked.map_err(|error| MarkError::new(of(), error))?;
        } else if let Some(properties) = properties {
            // What was said of it stays with its record; not what that may lead to.
            let noted = marking.note(vec![(properties, false)]).await;
            noted.map_err(|error| MarkError::new(of(), error))?;
        }
        if seq < floor && seq > known {
            // Nobody was ever told of it. What cannot be read of it stays where it is.
            let mut knowing = Knowing(&marking);
            if let Err(error) = walk(vguid, &mut knowing).await {
                tracing::debug!(version = of(), %error, "not all of it is released");
            }
        }
        let noted = marking.note(vec![(vguid, false)]).await;
        noted.map_err(|error| MarkError::new(of(), error))?;
        let noted = shared.on_ledger(move |ledger| ledger.needs().set_history(&vguid, epoch));
        let noted = noted.await.map_err(PinError::Store);
        noted.map_err(|error| MarkError::new(of(), error))?;
        marked.roots += 1;
    }
    marked.new = marking.new;
    Ok(marked)
}

/// The first version whose content is kept.
async fn floor(shared: &Shared, heads: &Heads) -> Result<u64, PinError> {
    if heads
        .records()
        .iter()
        .any(|record| record.name().is_namespace())
    {
        return Ok((heads.seq() + 1).saturating_sub(LISTS_KEPT));
    }
    let aguid = heads.aguid();
    let floor = shared.on_ledger(move |ledger| ledger.needs().floor(aguid));
    // Of a fork all heads are kept.
    Ok(floor.await.map_err(PinError::Store)?.min(heads.seq()))
}

/// A record of an object.
pub(crate) async fn record(shared: &Shared, aguid: Guid, vguid: Cid) -> Result<Record, PinError> {
    let bytes = read(shared, &vguid).await?;
    match Record::decode(&bytes) {
        Ok(record) if record.aguid() == aguid && vguid.codec() == DAG_CBOR => Ok(record),
        _ => Err(PinError::Malformed(vguid)),
    }
}

/// A block from here, or from wherever it is.
async fn read(shared: &Shared, cid: &Cid) -> Result<Bytes, PinError> {
    if let Ok(Some(bytes)) = shared.blocks.get_local(cid).await {
        return Ok(bytes);
    }
    let got = shared.source.get(cid).await;
    got.map_err(|source| PinError::Block { cid: *cid, source })
}

/// Notes what a walk comes by.
struct Marking<'a> {
    shared: &'a Shared,
    epoch: u32,
    new: u64,
}

impl Marking<'_> {
    fn new(shared: &Shared, epoch: u32) -> Marking<'_> {
        Marking {
            shared,
            epoch,
            new: 0,
        }
    }

    async fn is_complete(&self, cid: Cid) -> Result<bool, PinError> {
        let epoch = self.epoch;
        let complete = self
            .shared
            .on_ledger(move |ledger| ledger.needs().is_complete(&cid, epoch));
        complete.await.map_err(PinError::Store)
    }

    async fn note(&mut self, blocks: Vec<(Cid, bool)>) -> Result<(), PinError> {
        let epoch = self.epoch;
        let noted = self
            .shared
            .on_ledger(move |ledger| ledger.needs().mark(&blocks, epoch));
        self.new += noted.await.map_err(PinError::Store)?;
        Ok(())
    }
}

impl Visitor for Marking<'_> {
    type Error = PinError;

    async fn skips(&mut self, wanted: &Wanted) -> Result<bool, PinError> {
        self.is_complete(wanted.cid).await
    }

    async fn node(&mut self, wanted: Wanted) -> Result<Option<Bytes>, PinError> {
        let bytes = read(self.shared, &wanted.cid).await?;
        self.note(vec![(wanted.cid, false)]).await?;
        Ok(Some(bytes))
    }

    async fn leaves(&mut self, wanted: Vec<Wanted>) -> Result<(), PinError> {
        for page in wanted.chunks(PAGE) {
            // What is kept nowhere cannot be claimed.
            let page = page
                .iter()
                .filter(|wanted| blocks::check_kind(&wanted.cid).is_ok());
            // What properties name may be looked for below elsewhere.
            let page = page.map(|wanted| (wanted.cid, wanted.kind != Kind::Optional));
            self.note(page.collect()).await?;
        }
        Ok(())
    }

    async fn complete(&mut self, cid: Cid, _bytes: usize) -> Result<(), PinError> {
        self.note(vec![(cid, true)]).await
    }
}

/// Notes what a version has that is needed no more, and of which nobody was told.
struct Knowing<'a, 'b>(&'a Marking<'b>);

impl Knowing<'_, '_> {
    async fn note(&self, blocks: Vec<Cid>) -> Result<(), PinError> {
        let noted = self
            .0
            .shared
            .on_ledger(move |ledger| ledger.needs().know(&blocks));
        noted.await.map_err(PinError::Store)
    }
}

impl Visitor for Knowing<'_, '_> {
    type Error = PinError;

    async fn skips(&mut self, wanted: &Wanted) -> Result<bool, PinError> {
        self.0.is_complete(wanted.cid).await
    }

    async fn node(&mut self, wanted: Wanted) -> Result<Option<Bytes>, PinError> {
        let bytes = read(self.0.shared, &wanted.cid).await?;
        self.note(vec![wanted.cid]).await?;
        Ok(Some(bytes))
    }

    async fn leaves(&mut self, wanted: Vec<Wanted>) -> Result<(), PinError> {
        for page in wanted.chunks(PAGE) {
            let page = page.iter().map(|wanted| wanted.cid);
            let page = page.filter(|cid| blocks::check_kind(cid).is_ok());
            self.note(page.collect()).await?;
        }
        Ok(())
    }

    async fn complete(&mut self, _cid: Cid, _bytes: usize) -> Result<(), PinError> {
        Ok(())
    }
}
