//! Getting items from their replicas (R11).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use guid::{Guid, Span};
use libp2p_identity::PeerId;
use overlay::Contact;

use crate::collection::{Collection, Entry, ItemId, StoreError};
use crate::config::MAX_LIST;
use crate::hashing;
use crate::message::{Request, Response};
use crate::nearest;
use crate::placement::PlacementError;
use crate::pool::RequestError;
use crate::shared::Shared;

/// Why an item was not got.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GetError {
    /// The name is no name of an item.
    #[error("no name of an item")]
    Invalid,
    /// Everybody who should keep it was asked and does not have it.
    #[error("not found on {}", names(.asked))]
    NotFound {
        /// Who was asked.
        asked: Vec<PeerId>,
    },
    /// None of those who can be asked has it, but so many of those who kept what belongs
    /// there are gone that it may be with them (R21).
    #[error("not on {}, but it may be with nodes that cannot be reached now: try again when they are back", names(.asked))]
    MayBeLost {
        /// Who was asked.
        asked: Vec<PeerId>,
    },
    /// The copy kept here is not what was put, and nobody else has another.
    #[error("the copy on this node is damaged, and there is no other on {}", others(.asked))]
    Damaged {
        /// Who was asked.
        asked: Vec<PeerId>,
    },
    /// Nobody delivered it, but not everybody could be asked.
    #[error("not found, and not all could be asked: {}", reasons(.failed))]
    Unavailable {
        /// Who was asked.
        asked: Vec<PeerId>,
        /// Who of them failed, and how.
        failed: Vec<(PeerId, RequestError)>,
    },
    /// Nobody delivered it in time.
    #[error("no answer in time from {}", names(.asked))]
    Timeout {
        /// Who was asked.
        asked: Vec<PeerId>,
    },
    /// It is not known who to ask.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The store here failed.
    #[error(transparent)]
    Local(#[from] StoreError),
}

fn names(peers: &[PeerId]) -> String {
    match peers {
        [] => "this node, the only one known".into(),
        peers => format!("this node and {}", others(peers)),
    }
}

fn others(peers: &[PeerId]) -> String {
    match peers {
        [] => "any node known".into(),
        peers => {
            let names: Vec<String> = peers.iter().map(PeerId::to_string).collect();
            names.join(", ")
        }
    }
}

fn reasons(failed: &[(PeerId, RequestError)]) -> String {
    let reasons: Vec<String> = failed
        .iter()
        .map(|(peer, error)| format!("{peer}: {error}"))
        .collect();
    reasons.join("; ")
}

impl GetError {
    pub(crate) fn none_found(asked: Vec<PeerId>, failed: Vec<(PeerId, RequestError)>) -> GetError {
        let timed_out =
            |(_, error): &(PeerId, RequestError)| matches!(error, RequestError::Timeout);
        if failed.is_empty() {
            GetError::NotFound { asked }
        } else if failed.len() == asked.len() && failed.iter().all(timed_out) {
            GetError::Timeout { asked }
        } else {
            GetError::Unavailable { asked, failed }
        }
    }
}

pub(crate) async fn get<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<Bytes, GetError> {
    let here = local(shared, id).await?;
    if let Kept::Whole(item) = here {
        shared.used_here(id);
        return Ok(item);
    }
    match nearest::fetch(shared, id).await {
        Ok((item, _)) => {
            shared.keep_copy(id, &item);
            Ok(item)
        }
        Err(GetError::NotFound { asked }) if here == Kept::Damaged => {
            Err(GetError::Damaged { asked })
        }
        Err(error) => Err(error),
    }
}

/// What is kept here of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of it.
    Whole(Bytes),
    /// Nothing.
    Nothing,
    /// A copy that is not what was put. It is on its way out (R16).
    Damaged,
}

impl Kept {
    /// The item, unless it is missing or damaged.
    pub(crate) fn whole(self) -> Option<Bytes> {
        match self {
            Kept::Whole(item) => Some(item),
            Kept::Nothing | Kept::Damaged => None,
        }
    }
}

/// The copy kept here; a damaged one is removed and replaced (R16).
pub(crate) async fn local<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<Kept, GetError> {
    match shared.collection.get(id).await {
        Ok(None) => return Ok(Kept::Nothing),
        Ok(Some(item)) => {
            let (collection, name, bytes) =
                (Arc::clone(&shared.collection), id.clone(), item.clone());
            let intact = hashing::run(move || collection.is_intact(&name, &bytes)).await;
            if intact.ok_or(StoreError::Closed)? {
                return Ok(Kept::Whole(item));
            }
        }
        Err(StoreError::Corrupt(_)) => {}
        Err(error) => return Err(error.into()),
    }
    shared.found_corrupt(id).await;
    Ok(Kept::Damaged)
}

/// What a peer has of an item.
pub(crate) enum Fetched {
    /// The item, verified, its version, and whether who sent it would know of a newer one.
    Item {
        item: Bytes,
        version: u64,
        settled: bool,
    },
    /// Nothing.
    Missing,
    /// Nothing, but it may be with nodes that are gone (R21).
    PerhapsLost,
}

/// An item and its version from one peer.
pub(crate) async fn fetch_verified<C: Collection>(
    shared: &Arc<Shared<C>>,
    from: &Contact,
    id: &ItemId,
) -> Result<Fetched, RequestError> {
    let asked = shared
        .pool
        .ask(from, Request::Get { id: id.clone() }, Bytes::new())
        .await;
    let reply = match asked {
        Ok(reply) => reply,
        Err(error) => {
            if matches!(error, RequestError::Timeout) {
                shared.counters.timeouts.one();
            }
            return Err(error);
        }
    };
    let settled = match reply.response {
        Response::Item => true,
        Response::Unsettled => false,
        Response::Missing => return Ok(Fetched::Missing),
        Response::PerhapsLost => return Ok(Fetched::PerhapsLost),
        _ => return Err(RequestError::Nonsense),
    };
    shared.counters.bytes_received.add(reply.body.len() as u64);
    let (collection, name, bytes) = (
        Arc::clone(&shared.collection),
        id.clone(),
        reply.body.clone(),
    );
    let checked = hashing::run(move || collection.verify(&name, &bytes)).await;
    let Ok(version) = checked.ok_or(RequestError::Ended)? else {
        shared.counters.mismatches.one();
        shared.pool.avoid(from.peer);
        tracing::debug!(peer = %from.peer, "a peer sent bytes that do not match");
        return Err(RequestError::Mismatch);
    };
    shared.counters.items_fetched.one();
    Ok(Fetched::Item {
        item: reply.body,
        version,
        settled,
    })
}

/// The members of a replica set to ask, how many answers are enough, this node's own
/// counted as given, and whether it is a member.
pub(crate) async fn majority<C: Collection>(
    shared: &Shared<C>,
    key: Guid,
) -> Result<(Vec<Contact>, usize, bool), GetError> {
    let mut set = shared.replica_set(key, shared.config.replicas).await?;
    let quorum = set.len() / 2 + 1;
    let all = set.len();
    let me = shared.placement.me().peer;
    set.retain(|contact| contact.peer != me);
    let mine = all - set.len();
    Ok((set, quorum.saturating_sub(mine), mine > 0))
}

pub(crate) async fn get_newest<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<Bytes, GetError> {
    let key = shared.collection.key_of(id).ok_or(GetError::Invalid)?;
    let mine = local(shared, id).await?.whole();
    let mut newest = mine.and_then(|item| {
        let version = shared.collection.verify(id, &item).ok()?;
        Some((version, item))
    });
    let (set, needed, _) = majority(shared, key).await?;
    let asked: Vec<PeerId> = set.iter().map(|contact| contact.peer).collect();
    let (mut answers, mut failed, mut differ) = (0, Vec::new(), false);
    let mut asking: FuturesUnordered<_> = set
        .iter()
        .map(|contact| async move { (contact.peer, fetch_verified(shared, contact, id).await) })
        .collect();
    while answers < needed {
        match asking.next().await {
            Some((_, Ok(found))) => {
                answers += 1;
                let found = match found {
                    Fetched::Item { item, version, .. } => Some((item, version)),
                    Fetched::Missing | Fetched::PerhapsLost => None,
                };
                let version = found.as_ref().map(|(_, version)| *version);
                differ |= version != newest.as_ref().map(|(version, _)| *version);
                if let Some((item, version)) = found
                    && newest.as_ref().is_none_or(|(best, _)| version > *best)
                {
                    newest = Some((version, item));
                }
            }
            Some((peer, Err(error))) => failed.push((peer, error)),
            None => break,
        }
    }
    // A question left half asked is never polled again, and would keep the lock under
    // which its stream is being opened from whoever asks that peer next.
    drop(asking);
    match newest {
        Some((_, item)) => {
            if differ
                && shared
                    .collection
                    .put_trusted(id, item.clone())
                    .await
                    .is_ok()
            {
                // Read repair: whoever had an older one gets this one.
                shared.repair_later(id);
            }
            Ok(item)
        }
        // The closest may have come just now: whoever kept it before is asked as well.
        None => match nearest::fetch(shared, id).await {
            Err(GetError::NotFound { .. }) if !failed.is_empty() => {
                Err(GetError::none_found(asked, failed))
            }
            found => found.map(|(item, _)| item),
        },
    }
}

pub(crate) async fn find<C: Collection>(
    shared: &Arc<Shared<C>>,
    key: Guid,
) -> Result<Vec<Entry>, GetError> {
    let span = Span::new(key, key);
    let mut found: BTreeMap<ItemId, Entry> = BTreeMap::new();
    let mut note = |entries: Vec<Entry>| {
        for entry in entries {
            // Only what belongs there: a peer may list what it likes.
            if entry.guid != key || shared.collection.key_of(&entry.id) != Some(key) {
                continue;
            }
            let known = found
                .entry(entry.id.clone())
                .or_insert_with(|| entry.clone());
            if known.version < entry.version {
                *known = entry;
            }
        }
    };
    note(shared.collection.list(span, None, MAX_LIST).await?);
    let (set, needed, _) = majority(shared, key).await?;
    let asked: Vec<PeerId> = set.iter().map(|contact| contact.peer).collect();
    let request = Request::List {
        span,
        after: None,
        limit: MAX_LIST as u32,
    };
    let mut asking: FuturesUnordered<_> = set
        .iter()
        .map(|contact| {
            let asked = shared.pool.ask(contact, request.clone(), Bytes::new());
            async move { (contact.peer, asked.await) }
        })
        .collect();
    let (mut answers, mut failed) = (0, Vec::new());
    while answers < needed {
        match asking.next().await {
            Some((peer, Ok(reply))) => match reply.response {
                Response::Entries { entries, .. } => {
                    answers += 1;
                    note(entries);
                }
                _ => failed.push((peer, RequestError::Nonsense)),
            },
            Some((peer, Err(error))) => failed.push((peer, error)),
            None => break,
        }
    }
    if found.is_empty() {
        if answers < needed {
            return Err(GetError::none_found(asked, failed));
        }
        if shared.may_be_lost_at(key) {
            return Err(GetError::MayBeLost { asked });
        }
    }
    Ok(found.into_values().collect())
}
