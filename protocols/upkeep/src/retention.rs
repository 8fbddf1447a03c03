//! Which versions of an object are kept (I17).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cid::Cid;
use guid::{Guid, Span};
use objects::{Heads, ReadError, Record};

use crate::PinError;
use crate::claiming::Claiming;
use crate::handle::Shared;
use crate::marking::{LIST, is_own, record};

/// Which versions are kept: those that one of these says. The newest always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub last: Option<u64>,
    /// Those that were the newest at some time within so long.
    pub within: Option<Duration>,
}

/// What pruning an object does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Versions whose content is kept no more, and was until now.
    pub versions: u64,
    /// Bytes of their content; what they share with one another and with others is counted
    /// each time.
    pub bytes: u64,
    /// The first version whose content is kept.
    pub floor: u64,
}

/// Why an object was not pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Its newest version is not known.
    #[error(transparent)]
    Read(Box<ReadError>),
    /// A record of its history cannot be read.
    #[error("version {seq}: {source}")]
    Record {
        /// The number of the version, or of the one that follows it.
        seq: u64,
        /// Why.
        source: PinError,
    },
    /// Another key's.
    #[error("only who owns an object can prune it")]
    NotYours,
    /// Several newest versions.
    #[error("it has {0} newest versions: end the fork first")]
    Forked(usize),
    /// Nothing says what is kept.
    #[error("it is not said what to keep")]
    KeepsNothing,
    /// The node does not know what it needs.
    #[error("this node keeps no account of what it needs")]
    NoAccount,
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] replicas::StoreError),
}

/// Prunes an object, or says what that would do.
pub(crate) async fn prune(
    shared: &Shared,
    claiming: &Claiming,
    aguid: Guid,
    keep: Keep,
    dry: bool,
) -> Result<Pruned, PruneError> {
    if keep == Keep::default() {
        return Err(PruneError::KeepsNothing);
    }
    let heads = claiming.objects.newest(aguid).await;
    let heads = heads.map_err(|error| PruneError::Read(Box::new(error)))?;
    let newest = single(&heads, claiming)?;
    let before = shared.on_ledger(move |ledger| ledger.needs().floor(aguid));
    let before = before.await?;
    let oldest = keep.within.map(millis_ago);
    let by_number = keep
        .last
        .map(|last| (newest.seq() + 1).saturating_sub(last.max(1)));
    let mut pruned = Pruned {
        floor: newest.seq(),
        ..Pruned::default()
    };
    // Back from the newest; who follows a record says until when it was the newest.
    let mut until = u64::MAX;
    let mut next = Some(newest.clone());
    let mut kept = true;
    while let Some(record) = next {
        let seq = record.seq();
        if seq < before {
            break;
        }
        let by_number = by_number.is_some_and(|first| seq >= first);
        let by_time = oldest.is_some_and(|oldest| until >= oldest);
        kept &= by_number || by_time || seq == newest.seq();
        match kept {
            true => pruned.floor = seq,
            false if record.root().is_some() => {
                pruned.versions += 1;
                pruned.bytes = pruned.bytes.saturating_add(record.fields().size);
            }
            false => {}
        }
        until = record.fields().time;
        next = match before_of(&record) {
            Some(vguid) if seq > before => {
                let read = self::record(shared, aguid, vguid).await;
                Some(read.map_err(|source| PruneError::Record { seq, source })?)
            }
            _ => None,
        };
    }
    if !dry {
        let floor = pruned.floor;
        let raised = shared.on_ledger(move |ledger| ledger.needs().raise_floor(aguid, floor));
        raised.await?;
    }
    Ok(pruned)
}

/// Objects of this node, also removed ones, whose names begin so: what they are called.
pub(crate) async fn own_objects(
    claiming: &Claiming,
    prefix: &str,
) -> Result<Vec<(String, Guid)>, replicas::StoreError> {
    let store = claiming.objects.store();
    let me = claiming.objects.owner();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(Span::full(), after, LIST).await?;
        for (aguid, _) in &page {
            let Some(heads) = store.get(*aguid).await? else {
                continue;
            };
            let name = heads.records().first().map(|record| record.name());
            if let Some(name) = name.filter(|name| !name.is_namespace())
                && is_own(&heads, &me)
                && name.as_str().starts_with(prefix)
            {
                found.push((name.as_str().to_owned(), *aguid));
            }
        }
        after = page.last().map(|(aguid, _)| *aguid);
        if page.len() < LIST {
            found.sort_unstable();
            return Ok(found);
        }
    }
}

fn single<'a>(heads: &'a Heads, claiming: &Claiming) -> Result<&'a Record, PruneError> {
    let Some(newest) = heads.single() else {
        return Err(PruneError::Forked(heads.records().len()));
    };
    match *newest.author() == claiming.objects.owner() {
        true => Ok(newest),
        false => Err(PruneError::NotYours),
    }
}

/// The version that this one was made from.
fn before_of(record: &Record) -> Option<Cid> {
    record.fields().previous.first().copied()
}

fn millis_ago(within: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let ago = now.unwrap_or_default().saturating_sub(within);
    ago.as_millis().try_into().unwrap_or(u64::MAX)
}
