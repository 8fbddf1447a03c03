//! Putting an item on its replica set and nowhere else, and asking who of it lacks items.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use guid::{Guid, Span};
use libp2p_identity::PeerId;
use overlay::Contact;

use crate::collection::{Collection, Entry, ItemId, PutRefused, StoreError};
use crate::digest::{Digest, digest_of};
use crate::fetch::GetError;
use crate::message::{Refusal, Request, Response};
use crate::place::{PutError, PutReceipt, place_on};
use crate::pool::RequestError;
use crate::shared::Shared;

/// Questions to one node at a time.
const AT_A_TIME: usize = 16;

/// A node whose duty it is to keep what belongs to a place.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The node.
    pub peer: PeerId,
    /// Those of the items asked for that it lacks, as it says itself; or why it did not say.
    pub lacks: Result<Vec<ItemId>, RequestError>,
}

/// Puts an item on its replica set alone (R24): here only where this node is a member.
pub(crate) async fn hand_over<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
    bytes: Bytes,
) -> Result<PutReceipt, PutError> {
    let Some(key) = shared.collection.key_of(id) else {
        return Err(PutError::Invalid("no name of an item".into()));
    };
    if bytes.len() > C::MAX_ITEM {
        let (size, most) = (bytes.len(), C::MAX_ITEM);
        return Err(PutError::Invalid(format!(
            "{size} bytes, at most {most} are allowed"
        )));
    }
    let set = shared.replica_set(key, shared.config.replicas).await?;
    let me = shared.placement.me().peer;
    let mut receipt = PutReceipt {
        stored_on: Vec::new(),
        wanted: set.len(),
        failed: Vec::new(),
        pending: Vec::new(),
    };
    let placing = set.iter().map(|contact| {
        let bytes = bytes.clone();
        async move {
            let placed = match contact.peer == me {
                true => keep(shared, id, bytes).await,
                false => place_on(shared, contact, id, bytes).await,
            };
            (contact.peer, placed)
        }
    });
    for (peer, placed) in join_all(placing).await {
        match placed {
            Ok(()) => receipt.stored_on.push(peer),
            Err(error) => receipt.failed.push((peer, error)),
        }
    }
    let quorum = receipt.wanted / 2 + 1;
    match receipt.stored_on.len() >= quorum {
        true => Ok(receipt),
        false => Err(PutError::NoQuorum { quorum, receipt }),
    }
}

/// Keeps the item here, and says how it went as a peer would.
async fn keep<C: Collection>(
    shared: &Shared<C>,
    id: &ItemId,
    bytes: Bytes,
) -> Result<(), RequestError> {
    let kept = shared.collection.put_trusted(id, bytes).await;
    kept.map(|_| ()).map_err(|error| {
        let why = match &error {
            PutRefused::Invalid(_) => Refusal::Invalid,
            PutRefused::Store(StoreError::Full(_)) => Refusal::Full,
            PutRefused::Store(_) => Refusal::Failed,
        };
        let text = error.to_string();
        RequestError::Refused { why, text }
    })
}

/// Which of `wanted`, all of them at the place `key`, the members of its replica set lack (R25).
pub(crate) async fn holding<C: Collection>(
    shared: &Arc<Shared<C>>,
    key: Guid,
    wanted: &[Entry],
) -> Result<Vec<Holding>, GetError> {
    let set = shared.replica_set(key, shared.config.replicas).await?;
    let mut sum = Digest::default();
    wanted.iter().for_each(|entry| sum.add(entry));
    let me = shared.placement.me().peer;
    let asked = set.iter().map(|contact| async move {
        let lacks = match contact.peer == me {
            true => Ok(lacked_here(shared, key, wanted, sum).await?),
            false => lacked_there(shared, contact, key, wanted, sum).await,
        };
        let peer = contact.peer;
        Ok::<_, GetError>(Holding { peer, lacks })
    });
    join_all(asked).await.into_iter().collect()
}

async fn lacked_here<C: Collection>(
    shared: &Shared<C>,
    key: Guid,
    wanted: &[Entry],
    sum: Digest,
) -> Result<Vec<ItemId>, StoreError> {
    if digest_of(&*shared.collection, Span::new(key, key)).await? == sum {
        return Ok(Vec::new());
    }
    let mut lacked = Vec::new();
    for entry in wanted {
        if shared.collection.version(&entry.id).await? < Some(entry.version) {
            lacked.push(entry.id.clone());
        }
    }
    Ok(lacked)
}

async fn lacked_there<C: Collection>(
    shared: &Shared<C>,
    contact: &Contact,
    key: Guid,
    wanted: &[Entry],
    sum: Digest,
) -> Result<Vec<ItemId>, RequestError> {
    let ask = |request| shared.pool.ask(contact, request, Bytes::new());
    let spans = vec![Span::new(key, key)];
    let counted = match ask(Request::Digest { spans }).await?.response {
        Response::Digests { digests } => match digests[..] {
            [digest] => digest,
            _ => return Err(RequestError::Nonsense),
        },
        _ => return Err(RequestError::Nonsense),
    };
    if counted == sum {
        return Ok(Vec::new());
    }
    if counted.count == 0 {
        return Ok(wanted.iter().map(|entry| entry.id.clone()).collect());
    }
    // Made one by one as it is their turn: there may be tens of thousands.
    let has = (0..wanted.len()).map(|at| {
        let (id, version) = (wanted[at].id.clone(), wanted[at].version);
        let asked = ask(Request::Has { id: id.clone() });
        async move {
            match asked.await?.response {
                Response::Held { version: held } => Ok((held < Some(version)).then_some((at, id))),
                _ => Err(RequestError::Nonsense),
            }
        }
    });
    let mut answers = stream::iter(has).buffer_unordered(AT_A_TIME);
    let mut lacked = BTreeMap::new();
    let mut failed = None;
    // All of them to their end: a question left half asked would hold up its stream.
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(lack) => lacked.extend(lack),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(lacked.into_values().collect()),
    }
}
