//! Getting what a majority of the replicas agree on (R22).

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p_identity::PeerId;

use crate::collection::{Collection, ItemId};
use crate::fetch::{Fetched, GetError, fetch_verified, local, majority};
use crate::nearest;
use crate::place::{self, PutError};
use crate::shared::Shared;

pub(crate) async fn get_agreed<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<Bytes, GetError> {
    let key = shared.collection.key_of(id).ok_or(GetError::Invalid)?;
    let mine = local(shared, id).await?.whole();
    let mine = mine.and_then(|item| {
        let version = shared.collection.verify(id, &item).ok()?;
        Some((version, item))
    });
    let (set, needed, member) = majority(shared, key).await?;
    let asked: Vec<PeerId> = set.iter().map(|contact| contact.peer).collect();
    // What each of the majority has; none where it has nothing.
    let mut versions = Vec::new();
    if member {
        versions.push(mine.as_ref().map(|(version, _)| *version));
    }
    let mut best = mine;
    let (mut answers, mut failed) = (0, Vec::new());
    let mut asking: FuturesUnordered<_> = set
        .iter()
        .map(|contact| async move { (contact.peer, fetch_verified(shared, contact, id).await) })
        .collect();
    while answers < needed {
        match asking.next().await {
            Some((_, Ok(Fetched::Item(item, version)))) => {
                answers += 1;
                versions.push(Some(version));
                best = Some(match best {
                    Some(known) => shared.collection.join(id, known, (version, item)),
                    None => (version, item),
                });
            }
            Some((_, Ok(Fetched::Missing | Fetched::PerhapsLost))) => {
                answers += 1;
                versions.push(None);
            }
            Some((peer, Err(error))) => failed.push((peer, error)),
            None => return Err(GetError::none_found(asked, failed)),
        }
    }
    // A question left half asked is never polled again, and would keep the lock under
    // which its stream is being opened from whoever asks that peer next.
    drop(asking);
    let Some((version, item)) = best else {
        // The closest may have come just now: whoever kept it before is asked as well.
        let (item, _) = nearest::fetch(shared, id).await?;
        write_back(shared, id, item.clone(), asked).await?;
        return Ok(item);
    };
    if versions.iter().any(|known| *known != Some(version)) {
        write_back(shared, id, item.clone(), asked).await?;
    }
    Ok(item)
}

/// Puts what was found where not all of a majority have it, so that the next get finds it
/// as well.
async fn write_back<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
    item: Bytes,
    asked: Vec<PeerId>,
) -> Result<(), GetError> {
    match place::put(shared, id.clone(), item, true).await {
        Ok(_) => Ok(()),
        Err(PutError::Invalid(_)) => Err(GetError::Invalid),
        Err(PutError::Local(error)) => Err(error.into()),
        Err(PutError::Placement(error)) => Err(error.into()),
        Err(PutError::NoQuorum { receipt, .. }) => Err(GetError::Unavailable {
            asked,
            failed: receipt.failed,
        }),
    }
}
