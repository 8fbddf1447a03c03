//! Getting an item from its replicas, or from a copy that is nearer (R11, R18, R19).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p_identity::PeerId;
use overlay::{Contact, RouteError};
use tokio::time::{Instant, sleep_until, timeout};

use crate::collection::{Collection, ItemId};
use crate::fetch::{Fetched, GetError, fetch_verified};
use crate::pool::RequestError;
use crate::shared::Shared;

/// Holders looked for when no replica has the item: the first may have it no more.
const LAST_HOLDERS: usize = 4;

type Found = Result<Vec<Contact>, RouteError>;
type Answer = (PeerId, Result<Fetched, RequestError>);

/// The item from its replicas, asking further away when the closest do not have it, and
/// whoever else publishes a copy.
pub(crate) async fn fetch<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: &ItemId,
) -> Result<(Bytes, PeerId), GetError> {
    let key = shared.collection.key_of(id).ok_or(GetError::Invalid)?;
    let _held = Arc::clone(&shared.fetching)
        .acquire_many_owned(C::MAX_ITEM as u32)
        .await
        .expect("the semaphore is never closed");
    let mut read = Read::new(shared, id);
    for width in [shared.config.replicas, shared.config.search_width] {
        let set = shared.replica_set(key, width).await?;
        read.add_replicas(set);
        match width == shared.config.replicas {
            true => read.begin(),
            false => read.search_for_any(),
        }
        if let Some(found) = read.run().await {
            return Ok(found);
        }
    }
    // The last search finds the others if the one holder found before had nothing.
    for _ in 0..2 {
        read.search_for_any();
        if let Some(found) = read.await_search().await {
            return Ok(found);
        }
    }
    if read.failed.is_empty() && (read.perhaps_lost || shared.may_be_lost_at(key)) {
        return Err(GetError::MayBeLost {
            asked: read.replicas,
        });
    }
    Err(GetError::none_found(read.replicas, read.failed))
}

/// How far the search for copies beyond the replicas has come.
#[derive(Clone, Copy, PartialEq)]
enum Search {
    /// Nobody has looked.
    Not,
    /// For the nearest copy.
    Nearest,
    /// For several.
    Any,
    /// There is certainly none, or nobody to ask.
    Over,
}

/// One read under way.
struct Read<'a, C> {
    shared: &'a Arc<Shared<C>>,
    id: &'a ItemId,
    seen: HashSet<PeerId>,
    /// Holders that a search has found.
    holders: HashSet<PeerId>,
    waiting: VecDeque<Contact>,
    asking: FuturesUnordered<BoxFuture<'a, Answer>>,
    /// Whoever was asked last and has not answered.
    silent: Option<PeerId>,
    /// When the next one is asked, though nobody has failed.
    next_at: Instant,
    searching: Option<BoxFuture<'a, Found>>,
    search: Search,
    /// Whether a holder that is found now is asked at once.
    eager: bool,
    /// Replicas, for the error.
    replicas: Vec<PeerId>,
    failed: Vec<(PeerId, RequestError)>,
    /// Whether a replica has said that the item may be with nodes that are gone.
    perhaps_lost: bool,
}

impl<'a, C: Collection> Read<'a, C> {
    fn new(shared: &'a Arc<Shared<C>>, id: &'a ItemId) -> Read<'a, C> {
        Read {
            shared,
            id,
            seen: HashSet::from([shared.placement.me().peer]),
            holders: HashSet::new(),
            waiting: VecDeque::new(),
            asking: FuturesUnordered::new(),
            silent: None,
            next_at: Instant::now(),
            searching: None,
            search: match shared.copies.is_some() {
                true => Search::Not,
                false => Search::Over,
            },
            eager: false,
            replicas: Vec::new(),
            failed: Vec::new(),
            perhaps_lost: false,
        }
    }

    /// The near ones first, and of these the least busy, so that many gets spread over the
    /// replicas.
    fn add_replicas(&mut self, mut set: Vec<Contact>) {
        set.retain(|contact| self.seen.insert(contact.peer));
        self.replicas.extend(set.iter().map(|contact| contact.peer));
        let near = self.shared.config.near;
        set.sort_by_key(|contact| {
            let (avoided, load) = self.shared.pool.score(contact.peer);
            (avoided, farness(self.shared.rtt(contact.peer), near), load)
        });
        self.waiting.extend(set);
    }

    /// Decides whether a nearer copy is worth a search, and how long it may hold up the
    /// read (R18).
    fn begin(&mut self) {
        let willing = self
            .waiting
            .iter()
            .filter(|contact| !self.shared.pool.is_avoided(contact.peer));
        let measured: Vec<Option<Duration>> = willing
            .map(|contact| self.shared.rtt(contact.peer))
            .collect();
        match measured.iter().flatten().min() {
            Some(rtt) if *rtt <= self.shared.config.near => {}
            Some(rtt) => {
                self.start_search(1);
                if self.searching.is_some() {
                    let wait = (*rtt / 4).min(self.shared.config.search_wait);
                    self.next_at = Instant::now() + wait;
                }
            }
            // Nobody knows how far the replicas are: the first answer decides.
            None => {
                self.start_search(1);
                self.eager = true;
            }
        }
    }

    fn start_search(&mut self, count: usize) {
        let Some(copies) = &self.shared.copies else {
            return;
        };
        if self.search == Search::Over || self.searching.is_some() {
            return;
        }
        self.search = match count {
            1 => Search::Nearest,
            _ => Search::Any,
        };
        self.shared.counters.searches.one();
        let most = self.shared.config.search_timeout;
        let id = self.id;
        self.searching = Some(Box::pin(async move {
            timeout(most, copies.locate(id, count))
                .await
                .unwrap_or(Err(RouteError::Timeout))
        }));
    }

    /// No replica has it: any copy will do.
    fn search_for_any(&mut self) {
        self.eager = true;
        if self.search != Search::Any {
            self.start_search(LAST_HOLDERS);
        }
    }

    /// Waits for a search that is under way, and asks whom it finds.
    async fn await_search(&mut self) -> Option<(Bytes, PeerId)> {
        let found = self.searching.as_mut()?.await;
        self.take_holders(found);
        self.run().await
    }

    /// Asks one after the other, the next one as soon as one fails or is slow, until one
    /// delivers or nobody is left. A search goes on beside it.
    async fn run(&mut self) -> Option<(Bytes, PeerId)> {
        loop {
            let held_up = self.searching.is_some() && Instant::now() < self.next_at;
            if self.asking.is_empty() && !held_up {
                self.ask_next();
            }
            if self.asking.is_empty() && self.waiting.is_empty() {
                return None;
            }
            let (next_at, more) = (self.next_at, !self.waiting.is_empty());
            tokio::select! {
                Some((peer, answer)) = self.asking.next() => {
                    if let Some(item) = self.take_answer(peer, answer) {
                        return Some((item, peer));
                    }
                    self.ask_next();
                    // Something is amiss: a copy elsewhere may be what is needed.
                    if self.search == Search::Not {
                        self.start_search(1);
                    }
                }
                found = ended(&mut self.searching) => self.take_holders(found),
                () = sleep_until(next_at), if more => {
                    self.give_up_waiting();
                    self.ask_next();
                }
            }
        }
    }

    fn ask_next(&mut self) {
        let Some(next) = self.waiting.pop_front() else {
            return;
        };
        self.silent = Some(next.peer);
        self.next_at = Instant::now() + self.shared.config.hedge_after;
        let (shared, id) = (self.shared, self.id);
        self.asking.push(Box::pin(async move {
            (next.peer, fetch_verified(shared, &next, id).await)
        }));
    }

    /// Whoever was asked has not delivered for so long that another one is asked as well.
    fn give_up_waiting(&mut self) {
        let Some(silent) = self.silent.filter(|_| !self.asking.is_empty()) else {
            return;
        };
        self.shared.counters.hedges.one();
        // The next get asks another one first.
        self.shared.pool.avoid(silent);
        if self.search == Search::Not {
            self.start_search(1);
        }
    }

    fn take_answer(
        &mut self,
        peer: PeerId,
        answer: Result<Fetched, RequestError>,
    ) -> Option<Bytes> {
        let holder = self.holders.contains(&peer);
        match answer {
            Ok(Fetched::Item { item, .. }) => {
                if holder {
                    self.shared.counters.copies_fetched.one();
                }
                return Some(item);
            }
            // What a holder does not have is no news of the replicas.
            _ if holder => self.shared.counters.copies_missed.one(),
            Ok(Fetched::Missing) => {}
            Ok(Fetched::PerhapsLost) => self.perhaps_lost = true,
            Err(error) => self.failed.push((peer, error)),
        }
        None
    }

    /// A search has ended. Whom it found while the read was held up is nearer than any
    /// replica, as a round trip to one takes four times as long at least.
    fn take_holders(&mut self, found: Found) {
        self.searching = None;
        let held_up = self.asking.is_empty();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                if error == RouteError::NotFound {
                    self.search = Search::Over;
                }
                tracing::trace!(%error, "no copy was found");
                Vec::new()
            }
        };
        let mut news = 0;
        for holder in found.into_iter().rev() {
            let avoided = self.shared.pool.is_avoided(holder.peer);
            if self.seen.insert(holder.peer) {
                self.holders.insert(holder.peer);
                match avoided {
                    true => self.waiting.push_back(holder),
                    false => self.waiting.push_front(holder),
                }
                news += usize::from(!avoided);
            }
        }
        if held_up || (self.eager && news > 0) {
            self.ask_next();
        }
    }
}

/// The outcome of a search that is under way; pending while there is none.
async fn ended(searching: &mut Option<BoxFuture<'_, Found>>) -> Found {
    match searching {
        Some(searching) => searching.await,
        None => std::future::pending().await,
    }
}

/// Far in steps of doubling, so that what is about as far is chosen by load: 0 is near.
/// What was never measured counts as four times as far as near.
fn farness(rtt: Option<Duration>, near: Duration) -> u32 {
    let Some(rtt) = rtt else { return 2 };
    let times = rtt.as_micros() / near.as_micros().max(1);
    match rtt <= near {
        true => 0,
        false => times.max(1).ilog2() + 1,
    }
}
