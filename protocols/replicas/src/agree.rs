//! Getting what a majority of the replicas agree on (R22).

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use guid::Guid;
use libp2p_identity::PeerId;
use overlay::Contact;
use tokio::time::timeout;

use crate::collection::{Collection, ItemId, StoreError};
use crate::fetch::{Fetched, GetError, Kept, fetch_verified, local, majority};
use crate::place::{self, PutError};
use crate::pool::RequestError;
use crate::shared::Shared;

/// How often a read goes on with a higher version that its write-back was told of. What comes
/// later was written after the read began.
const ROUNDS: usize = 4;

pub(crate) async fn get_agreed<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<Bytes, GetError> {
    let (mut round, mut heard) = (1, 0);
    loop {
        let agreed = agree(shared, id, heard).await?;
        if agreed.kept <= agreed.version || round == ROUNDS {
            return Ok(agreed.item);
        }
        heard = agreed.kept;
        round += 1;
    }
}

struct Agreed {
    item: Bytes,
    version: u64,
    /// The highest version that is kept by those who were given it.
    kept: u64,
}

/// One round; of version `heard` is said that somebody has it.
async fn agree<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
    heard: u64,
) -> Result<Agreed, GetError> {
    let key = shared.collection.key_of(id).ok_or(GetError::Invalid)?;
    let kept = local(shared, id).await?;
    let damaged = kept == Kept::Damaged;
    let mine = kept.whole().and_then(|item| {
        let version = shared.collection.verify(id, &item).ok()?;
        Some((version, item))
    });
    let (set, needed, member) = majority(shared, key).await?;
    // What was damaged here says nothing about what it was.
    let (needed, member) = match member && damaged {
        true => (needed + 1, false),
        false => (needed, member),
    };
    // Nor does what a node has that came to the replicas just now (R23): of those who have
    // something, so many have to be no newcomers.
    let votes_needed = needed + usize::from(member && !shared.duty.is_settled(key));
    let mut asked: Vec<PeerId> = set.iter().map(|contact| contact.peer).collect();
    // What each of those that answered has; none where it has nothing.
    let mut versions = Vec::new();
    if member {
        versions.push(mine.as_ref().map(|(version, _)| *version));
    }
    let mut best = mine;
    let (mut answers, mut votes) = (0, 0);
    let (mut failed, mut perhaps_lost) = (Vec::new(), false);
    let mut asking = ask(shared, &set, id);
    loop {
        // Whoever has nothing of what others have is new among them, and stands in for one
        // that may have known more: then all are asked.
        let sure = match &best {
            None => heard == 0,
            Some((version, _)) => {
                *version >= heard && votes >= votes_needed && !versions.contains(&None)
            }
        };
        if answers >= needed && sure {
            break;
        }
        match asking.next().await {
            Some((
                _,
                Ok(Fetched::Item {
                    item,
                    version,
                    settled,
                }),
            )) => {
                answers += 1;
                votes += usize::from(settled);
                versions.push(Some(version));
                best = Some(joined(shared, id, best, (version, item)));
            }
            Some((_, Ok(missing))) => {
                answers += 1;
                versions.push(None);
                perhaps_lost |= matches!(missing, Fetched::PerhapsLost);
            }
            Some((peer, Err(error))) => failed.push((peer, error)),
            None if answers >= needed && failed.is_empty() => break,
            None => return Err(GetError::none_found(asked, failed)),
        }
    }
    // A question left half asked is never polled again, and would keep the lock under
    // which its stream is being opened from whoever asks that peer next.
    drop(asking);
    let gap = versions.contains(&None);
    if best.is_none() && !failed.is_empty() {
        return Err(GetError::none_found(asked, failed));
    }
    if best.is_none() || gap || votes < votes_needed {
        // The closest may have come just now: whoever kept it before is asked as well.
        best = of_those_behind(shared, key, id, &mut asked, best).await?;
    }
    // Where a majority was lost together, the rest may be of before the newest.
    if (best.is_none() || gap) && (perhaps_lost || shared.may_be_lost_at(key)) {
        return Err(GetError::MayBeLost { asked });
    }
    let Some((version, item)) = best else {
        return Err(GetError::NotFound { asked });
    };
    let kept = match versions.iter().any(|known| *known != Some(version)) {
        true => write_back(shared, id, item.clone(), asked, member).await?,
        false => version,
    };
    Ok(Agreed {
        item,
        version,
        kept,
    })
}

type Answer = (PeerId, Result<Fetched, RequestError>);

fn ask<'a, C: Collection>(
    shared: &'a Arc<Shared<C>>,
    set: &'a [Contact],
    id: &'a ItemId,
) -> FuturesUnordered<impl Future<Output = Answer> + 'a> {
    let ask = |contact: &'a Contact| async move {
        let answer = fetch_verified(shared, contact, id).await;
        (contact.peer, answer)
    };
    set.iter().map(ask).collect()
}

fn joined<C: Collection>(
    shared: &Shared<C>,
    id: &ItemId,
    known: Option<(u64, Bytes)>,
    found: (u64, Bytes),
) -> (u64, Bytes) {
    match known {
        Some(known) => shared.collection.join(id, known, found),
        None => found,
    }
}

/// What the next nodes behind the replicas have of an item, all of it joined. They have no
/// duty to, so those that do not answer within a while are not waited for.
async fn of_those_behind<C: Collection>(
    shared: &Arc<Shared<C>>,
    key: Guid,
    id: &ItemId,
    asked: &mut Vec<PeerId>,
    mut best: Option<(u64, Bytes)>,
) -> Result<Option<(u64, Bytes)>, GetError> {
    let mut set = match shared.replica_set(key, shared.config.search_width).await {
        Ok(set) => set,
        // What was found is still an answer.
        Err(_) if best.is_some() => return Ok(best),
        Err(error) => return Err(error.into()),
    };
    let me = shared.placement.me().peer;
    set.retain(|contact| contact.peer != me && !asked.contains(&contact.peer));
    asked.extend(set.iter().map(|contact| contact.peer));
    let mut asking = ask(shared, &set, id);
    let _ = timeout(shared.config.put_wait, async {
        while let Some((_, answer)) = asking.next().await {
            if let Ok(Fetched::Item { item, version, .. }) = answer {
                best = Some(joined(shared, id, best.take(), (version, item)));
            }
        }
    })
    .await;
    Ok(best)
}

/// Puts what was found where not all of a majority have it, so that the next get finds it
/// as well. The highest version that is kept then, as far as those who answered say.
async fn write_back<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
    item: Bytes,
    asked: Vec<PeerId>,
    member: bool,
) -> Result<u64, GetError> {
    match place::put_and_hear(shared, id.clone(), item, true).await {
        Ok((_, highest)) => Ok(highest),
        Err(PutError::Invalid(_)) => Err(GetError::Invalid),
        // Who is to keep it is asked; this node is not, and has no room.
        Err(PutError::Local(StoreError::Full(_))) if !member => Ok(0),
        Err(PutError::Local(error)) => Err(error.into()),
        Err(PutError::Placement(error)) => Err(error.into()),
        Err(PutError::NoQuorum { receipt, .. }) => Err(GetError::Unavailable {
            asked,
            failed: receipt.failed,
        }),
    }
}
