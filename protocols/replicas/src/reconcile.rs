//! Compares with the neighbours what both should keep, and moves what differs (R12, R13).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use guid::{Guid, Span};
use overlay::Contact;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use wire::Limiter;

use crate::arcs::Arcs;
use crate::collection::{Collection, Entry, ItemId, PutRefused, StoreError};
use crate::config::{BURST, MAX_LIST, MAX_SPANS, SPLIT};
use crate::digest::{Digest, digest_of};
use crate::fetch::{Fetched, fetch_verified, local};
use crate::message::{Refusal, Request, Response};
use crate::place::move_to;
use crate::pool::RequestError;
use crate::repair::repair;
use crate::shared::Shared;
use crate::spans::Shares;

/// Items under way at a time while reconciling: enough to fill a fast network, few enough
/// to leave the budgets to those who wait for their items.
const AT_A_TIME: usize = 8;

/// A leaf set that never comes to rest does not put off reconciliation for longer than so
/// many debounce times.
const MAX_DEBOUNCES: u32 = 10;

/// Entries of one arc that are compared one by one: beyond, the arc is split further.
const LIST_BELOW: u64 = MAX_LIST as u64;

/// Requests for digests in one reconciliation at most. A neighbour that keeps claiming
/// other digests would have us split arcs forever; honest ones with a million differing
/// items need about as many (R12).
const MAX_ROUNDS: usize = 1024;

/// How long one neighbour is reconciled with at a time: what moved until then has moved,
/// and the others get their turn, whatever this one answers and how slowly.
const TURN: Duration = Duration::from_secs(60);

/// Rounds in a row in which a neighbour could not be compared with, until what is shared with it
/// counts as settled without it: one that is there and does not answer would keep reads from
/// having their majority for as long as it stays.
const GIVEN_UP: u32 = 4;

/// A neighbour and how the work with it stands.
struct With<'a> {
    contact: &'a Contact,
    /// One of the two sides has no room: nothing more is sent over for nothing.
    full: AtomicBool,
}

impl With<'_> {
    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn note_full(&self) {
        self.full.store(true, Ordering::Relaxed);
    }
}

/// Neighbours with which comparing fails again and again.
#[derive(Default)]
struct Silent(BTreeMap<Guid, u32>);

impl Silent {
    /// Notes how it went; whether what is shared with the neighbour is settled without it, if
    /// need be (R23).
    fn no_more_waited_for(&mut self, neighbour: Guid, compared: bool) -> bool {
        if compared {
            self.0.remove(&neighbour);
            return true;
        }
        let failed = self.0.entry(neighbour).or_default();
        *failed = failed.saturating_add(1);
        *failed >= GIVEN_UP
    }

    /// Forgets who is no neighbour any more.
    fn keep(&mut self, neighbours: &[Contact]) {
        let still = |guid: &Guid| neighbours.iter().any(|contact| contact.guid == *guid);
        self.0.retain(|guid, _| still(guid));
    }
}

#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Peer(#[from] RequestError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reconciles after each change of the leaf set, and now and then without one.
pub(crate) async fn run<C: Collection>(shared: Arc<Shared<C>>) {
    let limiter = Limiter::new(shared.config.repair_bytes_per_second, BURST);
    let mut changes = shared.placement.changes();
    changes.mark_changed();
    let mut wait = shared.config.reconcile_every;
    let mut strays_at = Instant::now();
    let mut retry = shared.config.retry_after;
    let mut silent = Silent::default();
    loop {
        if let Ok(Ok(())) = timeout(wait, changes.changed()).await {
            settle(&shared, &mut changes).await;
            retry = shared.config.retry_after;
        } else if changes.has_changed().is_err() {
            return;
        }
        let mut complete = round(&shared, &limiter, &mut silent).await;
        // Looking through all there is costs more than comparing digests: not each time.
        if complete && Instant::now() >= strays_at {
            complete = offer_strays(&shared, &limiter).await;
            strays_at = Instant::now() + shared.config.reconcile_every / 4;
        }
        // What does not work for a while, as where a disk is full, is tried less and less.
        (wait, retry) = match complete {
            true => (shared.config.reconcile_every, shared.config.retry_after),
            false => (retry, (retry * 2).min(shared.config.reconcile_every)),
        };
    }
}

/// Notes at once what belongs here no more (R23).
pub(crate) async fn follow_duty<C: Collection>(shared: Arc<Shared<C>>) {
    let mut changes = shared.placement.changes();
    while changes.changed().await.is_ok() {
        let me = shared.placement.me().guid;
        let others = shared.placement.neighbours();
        let others = others.iter().map(|contact| contact.guid);
        let shares = Shares::new(me, others, shared.config.replicas);
        shared.duty.belongs_here(&Arcs::of(&shares.mine));
    }
}

/// Waits until the leaf set has been quiet for a while.
async fn settle<C: Collection>(shared: &Shared<C>, changes: &mut watch::Receiver<u64>) {
    let quiet = shared.config.debounce;
    let latest = Instant::now() + quiet * MAX_DEBOUNCES;
    while Instant::now() < latest {
        match timeout(quiet, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Reconciles with each neighbour once; whether all of it worked.
async fn round<C: Collection>(
    shared: &Arc<Shared<C>>,
    limiter: &Limiter,
    silent: &mut Silent,
) -> bool {
    let me = shared.placement.me();
    let neighbours = shared.placement.neighbours();
    let shares = Shares::new(
        me.guid,
        neighbours.iter().map(|contact| contact.guid),
        shared.config.replicas,
    );
    silent.keep(&neighbours);
    let mut complete = true;
    let mine = Arcs::of(&shares.mine);
    shared.duty.compare(&mine);
    // With whom an arc is still to be compared. Where nobody is known, whoever kept it before
    // has not been met yet, as far as this node can tell: then nothing is ever settled.
    let mut open: BTreeMap<Guid, Arcs> = shares
        .with
        .iter()
        .map(|(neighbour, spans)| (*neighbour, Arcs::of(spans)))
        .collect();
    // Of two that both start, both would move the same items: the lower one goes first.
    let (higher, lower): (Vec<_>, Vec<_>) = neighbours
        .iter()
        .filter(|contact| contact.peer != me.peer)
        .partition(|contact| contact.guid > me.guid);
    for (contacts, yielding) in [(higher, false), (lower, true)] {
        if yielding && !contacts.is_empty() {
            sleep(shared.config.debounce).await;
        }
        for contact in contacts {
            let spans = shares.with.get(&contact.guid).cloned().unwrap_or_default();
            if spans.is_empty() {
                continue;
            }
            let with = With {
                contact,
                full: AtomicBool::new(false),
            };
            let compared = match timeout(TURN, reconcile(shared, &with, spans, limiter)).await {
                Ok(Ok(compared)) => {
                    shared.counters.reconciled.one();
                    compared
                }
                Err(_) => Compared::NONE,
                Ok(Err(error)) => {
                    shared.counters.reconcile_failed.one();
                    tracing::debug!(peer = %contact.peer, %error, "reconciliation failed");
                    Compared::NONE
                }
            };
            // R23 is about what this node has: a neighbour that is full takes nothing from it.
            if silent.no_more_waited_for(contact.guid, compared.pulled) {
                open.remove(&contact.guid);
                let rest = open.values().fold(Arcs::default(), |all, one| all.or(one));
                shared.duty.compared(&rest);
            }
            complete &= compared.pulled && compared.pushed;
        }
    }
    complete
}

/// What came of comparing with a neighbour.
#[derive(Clone, Copy)]
struct Compared {
    /// All that it has is here.
    pulled: bool,
    /// And all that is here, it has.
    pushed: bool,
}

impl Compared {
    const ALL: Compared = Compared {
        pulled: true,
        pushed: true,
    };
    const NONE: Compared = Compared {
        pulled: false,
        pushed: false,
    };

    fn and(self, other: Compared) -> Compared {
        Compared {
            pulled: self.pulled && other.pulled,
            pushed: self.pushed && other.pushed,
        }
    }
}

/// Makes two nodes agree on some arcs.
async fn reconcile<C: Collection>(
    shared: &Arc<Shared<C>>,
    with: &With<'_>,
    mut spans: Vec<Span>,
    limiter: &Limiter,
) -> Result<Compared, ReconcileError> {
    let mut compared = Compared::ALL;
    for _ in 0..MAX_ROUNDS {
        if spans.is_empty() {
            return Ok(compared);
        }
        let batch = spans.split_off(spans.len().saturating_sub(MAX_SPANS));
        let theirs = digests(shared, with.contact, &batch).await?;
        for (span, theirs) in batch.into_iter().zip(theirs) {
            let mine = digest_of(&*shared.collection, span).await?;
            if mine == theirs {
                continue;
            }
            if mine.count.max(theirs.count) <= LIST_BELOW || span.last_offset() == 0 {
                let listed = reconcile_list(shared, with, span, theirs.count, limiter).await?;
                compared = compared.and(listed);
            } else {
                spans.extend(span.split(SPLIT));
            }
        }
    }
    Ok(Compared::NONE)
}

async fn digests<C: Collection>(
    shared: &Shared<C>,
    with: &Contact,
    spans: &[Span],
) -> Result<Vec<Digest>, RequestError> {
    let request = Request::Digest {
        spans: spans.to_vec(),
    };
    match shared.pool.ask(with, request, Bytes::new()).await?.response {
        Response::Digests { digests } if digests.len() == spans.len() => Ok(digests),
        _ => Err(RequestError::Nonsense),
    }
}

/// Compares an arc entry by entry and moves what differs, both ways. Page by page, so
/// that an arc of any number of entries takes the memory of one page. The neighbour has
/// `claimed` to keep so many; a page more may have come since.
async fn reconcile_list<C: Collection>(
    shared: &Arc<Shared<C>>,
    with: &With<'_>,
    span: Span,
    claimed: u64,
    limiter: &Limiter,
) -> Result<Compared, ReconcileError> {
    let mut compared = Compared::ALL;
    let mut after: Option<ItemId> = None;
    let mut listed = 0;
    loop {
        let (theirs, more) = their_page(shared, with.contact, span, after.clone()).await?;
        listed += theirs.len() as u64;
        if listed > claimed.saturating_add(LIST_BELOW) {
            return Err(RequestError::Nonsense.into());
        }
        // The page covers the arc up to its last entry; the last page all of the rest.
        let end = match (more, theirs.last()) {
            (true, Some(last)) => Some(last.clone()),
            _ => None,
        };
        let mine = my_page(shared, span, after, end.as_ref()).await?;
        compared = compared.and(move_differences(shared, with, mine, theirs, limiter).await);
        match end {
            Some(last) => after = Some(last.id),
            None => return Ok(compared),
        }
    }
}

async fn their_page<C: Collection>(
    shared: &Shared<C>,
    with: &Contact,
    span: Span,
    after: Option<ItemId>,
) -> Result<(Vec<Entry>, bool), RequestError> {
    let request = Request::List {
        span,
        after: after.clone(),
        limit: MAX_LIST as u32,
    };
    let Response::Entries { entries, more } =
        shared.pool.ask(with, request, Bytes::new()).await?.response
    else {
        return Err(RequestError::Nonsense);
    };
    // In order, inside the arc, and about items that exist: or it would never end.
    let key_of = |id: &ItemId| shared.collection.key_of(id);
    let place = |entry: &Entry| (span.from.clockwise_to(entry.guid), entry.id.clone());
    let start = after.and_then(|id| Some((span.from.clockwise_to(key_of(&id)?), id)));
    let valid = entries.len() <= MAX_LIST
        && entries
            .iter()
            .all(|entry| span.contains(entry.guid) && key_of(&entry.id) == Some(entry.guid))
        && entries
            .windows(2)
            .all(|pair| place(&pair[0]) < place(&pair[1]))
        && entries
            .first()
            .is_none_or(|first| start.is_none_or(|start| start < place(first)))
        && !(more && entries.is_empty());
    match valid {
        true => Ok((entries, more)),
        false => Err(RequestError::Nonsense),
    }
}

/// What is kept here behind `after`, up to `end`.
async fn my_page<C: Collection>(
    shared: &Shared<C>,
    span: Span,
    mut after: Option<ItemId>,
    end: Option<&Entry>,
) -> Result<Vec<Entry>, StoreError> {
    let place = |entry: &Entry| (span.from.clockwise_to(entry.guid), entry.id.clone());
    let end = end.map(place);
    let mut all = Vec::new();
    loop {
        let page = shared.collection.list(span, after, MAX_LIST).await?;
        let full = page.len() == MAX_LIST;
        after = page.last().map(|entry| entry.id.clone());
        for entry in page {
            if end.as_ref().is_some_and(|end| place(&entry) > *end) {
                return Ok(all);
            }
            all.push(entry);
        }
        if !full {
            return Ok(all);
        }
    }
}

async fn move_differences<C: Collection>(
    shared: &Arc<Shared<C>>,
    with: &With<'_>,
    mine: Vec<Entry>,
    theirs: Vec<Entry>,
    limiter: &Limiter,
) -> Compared {
    let mut here: HashMap<ItemId, u64> = mine
        .into_iter()
        .map(|entry| (entry.id, entry.version))
        .collect();
    let mut moves = Vec::new();
    for entry in theirs {
        match here.remove(&entry.id) {
            Some(version) if version == entry.version => {}
            Some(version) if version > entry.version => moves.push((entry.id, Way::Push)),
            _ => moves.push((entry.id, Way::Pull)),
        }
    }
    moves.extend(here.into_keys().map(|id| (id, Way::Push)));
    let moved = stream::iter(moves)
        .map(|(id, way)| async move {
            if !shared.collection.is_wanted(&id).await {
                return Compared::ALL;
            }
            match way {
                Way::Push => Compared {
                    pushed: !with.is_full() && push(shared, with, &id, limiter).await,
                    ..Compared::ALL
                },
                Way::Pull => Compared {
                    pulled: pull(shared, with, &id, limiter).await,
                    ..Compared::ALL
                },
            }
        })
        .buffer_unordered(AT_A_TIME);
    moved
        .fold(Compared::ALL, |all, one| async move { all.and(one) })
        .await
}

enum Way {
    Push,
    Pull,
}

async fn push<C: Collection>(
    shared: &Arc<Shared<C>>,
    to: &With<'_>,
    id: &ItemId,
    limiter: &Limiter,
) -> bool {
    let item = match shared.collection.get(id).await {
        Ok(Some(item)) => item,
        // Removed meanwhile: nothing to move.
        Ok(None) => return true,
        Err(error) => {
            if matches!(error, StoreError::Corrupt(_)) {
                shared.found_corrupt(id).await;
            }
            return false;
        }
    };
    limiter.take(item.len()).await;
    match move_to(shared, to.contact, id, item).await {
        Ok(()) => {
            shared.counters.repair_pushed.one();
            true
        }
        Err(RequestError::Refused { why, .. }) => {
            match why {
                // Either it is wrong or the copy here is.
                Refusal::Invalid => drop(local(shared, id).await),
                Refusal::Full => to.note_full(),
                Refusal::Failed => {}
            }
            false
        }
        Err(_) => false,
    }
}

async fn pull<C: Collection>(
    shared: &Arc<Shared<C>>,
    from: &With<'_>,
    id: &ItemId,
    limiter: &Limiter,
) -> bool {
    match fetch_verified(shared, from.contact, id).await {
        Ok(Fetched::Item { item, .. }) => {
            limiter.take(item.len()).await;
            match shared.collection.put_moved(id, item, true).await {
                Ok(_) => {
                    shared.counters.repair_pulled.one();
                    true
                }
                Err(PutRefused::Store(StoreError::Full(_))) => {
                    from.note_full();
                    false
                }
                Err(_) => false,
            }
        }
        Ok(Fetched::Missing | Fetched::PerhapsLost) => true,
        Err(_) => false,
    }
}

/// Offers what is kept here without belonging here to whom it belongs (R15).
async fn offer_strays<C: Collection>(shared: &Arc<Shared<C>>, limiter: &Limiter) -> bool {
    let me = shared.placement.me().guid;
    let neighbours = shared.placement.neighbours();
    if neighbours.is_empty() {
        return true;
    }
    let shares = Shares::new(
        me,
        neighbours.iter().map(|contact| contact.guid),
        shared.config.replicas,
    );
    let mut complete = true;
    let mut after = None;
    loop {
        let Ok(page) = shared.collection.list(Span::full(), after, MAX_LIST).await else {
            return false;
        };
        let full = page.len() == MAX_LIST;
        after = page.last().map(|entry| entry.id.clone());
        let strays = page
            .into_iter()
            .filter(|entry| !shares.mine.iter().any(|span| span.contains(entry.guid)));
        complete &= stream::iter(strays)
            .map(|entry| async move { repair(shared, &entry.id, limiter).await })
            .buffer_unordered(AT_A_TIME)
            .fold(true, |all, one| async move { all & one })
            .await;
        if !full {
            return complete;
        }
    }
}
