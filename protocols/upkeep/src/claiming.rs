//! Says to those who keep blocks which of them this node needs, and which no more (I14 to I16).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cid::Cid;
use claims::Secret;
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use objects::Heads;
use parking_lot::Mutex;
use replicas::{PutError, StoreError};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::sleep;

use crate::collect;
use crate::handle::{Progress, Shared};
use crate::ledger::{Ledger, Place};
use crate::marking::{MarkError, is_own, mark_all, mark_object, mark_pins, mark_root};

/// Claims and releases that are read from the ledger at a time, and on their way at a time.
const PAGE: usize = 256;
const AT_A_TIME: usize = 16;

/// Roots and versions that are remembered between two looks; of more, all are looked at.
const MAX_NEWS: usize = 4096;

/// Needs that are looked at before those of them that are stale are released.
const STALE_PAGE: usize = 1024;

/// What claims are made for and with.
pub(crate) struct Claiming {
    pub(crate) objects: objects::Handle,
    pub(crate) claims: claims::Handle,
    /// One mark at a time.
    marking: tokio::sync::Mutex<()>,
    /// There is something to claim or to release.
    changed: Notify,
    news: Mutex<News>,
    /// Claims that were made since the start.
    pub(crate) made: AtomicU64,
}

/// What has come to be needed since the last look.
#[derive(Default)]
struct News {
    /// Anything: all there is has to be looked at.
    all: bool,
    pins: bool,
    roots: Vec<Cid>,
    written: Vec<Heads>,
}

impl Claiming {
    pub(crate) fn new(objects: objects::Handle, claims: claims::Handle) -> Claiming {
        Claiming {
            objects,
            claims,
            marking: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
            news: Mutex::new(News {
                all: true,
                ..News::default()
            }),
            made: AtomicU64::new(0),
        }
    }

    /// A root has come to be needed.
    pub(crate) fn needs(&self, root: Cid) {
        let mut news = self.news.lock();
        match news.roots.len() < MAX_NEWS {
            true => news.roots.push(root),
            false => news.all = true,
        }
        drop(news);
        self.changed.notify_one();
    }

    /// A pin may have come to have all its blocks.
    pub(crate) fn pinned(&self) {
        self.news.lock().pins = true;
        self.changed.notify_one();
    }

    fn written(&self, heads: Heads) {
        let mut news = self.news.lock();
        match news.written.len() < MAX_NEWS {
            true => news.written.push(heads),
            false => news.all = true,
        }
    }

    fn missed(&self) {
        self.news.lock().all = true;
    }
}

/// Blocks that nobody here needs any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Versions, pins and roots that need what they need.
    pub roots: u64,
    /// Blocks that they do not, and that were needed before.
    pub blocks: u64,
}

/// Never returns.
pub(crate) async fn run(shared: &Shared) {
    let Some(claiming) = &shared.claiming else {
        return std::future::pending().await;
    };
    let mut writes = claiming.objects.writes();
    loop {
        let mut again = look(shared, claiming).await;
        release_now_and_then(shared, claiming).await;
        again |= send(shared, claiming, Way::Claim).await;
        again |= send(shared, claiming, Way::Release).await;
        let pause = match again {
            true => shared.config.look_every,
            false => shared.config.again_after,
        };
        tokio::select! {
            heads = writes.recv() => match heads {
                Ok(heads) => claiming.written(heads),
                Err(RecvError::Lagged(_)) => claiming.missed(),
                Err(RecvError::Closed) => return std::future::pending().await,
            },
            () = claiming.changed.notified() => {}
            () = sleep(pause) => {}
        }
        sleep(shared.config.claim_after).await;
        loop {
            match writes.try_recv() {
                Ok(heads) => claiming.written(heads),
                Err(TryRecvError::Lagged(_)) => claiming.missed(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }
}

/// Old lists of names and what else came to be needed no more goes without being asked for, once
/// a day: all that is needed is gone through for it.
async fn release_now_and_then(shared: &Shared, claiming: &Claiming) {
    let last = shared.on_ledger(|ledger| ledger.place::<u64>(Place::Release));
    let due = match last.await {
        Ok(Some(last)) => last.saturating_add(shared.config.release_every.as_secs()),
        // The first time: from now on.
        Ok(None) => return note_release(shared).await,
        Err(error) => return tracing::warn!(%error, "nothing is released by itself"),
    };
    if now() < due {
        return;
    }
    match release(shared, claiming, &|_| ()).await {
        Ok(released) if released.blocks > 0 => {
            tracing::info!(blocks = released.blocks, "released what is needed no more");
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, "nothing is released");
            // Not again at once: all would be gone through again.
            note_release(shared).await;
        }
    }
}

async fn note_release(shared: &Shared) {
    let noted = shared.on_ledger(|ledger| ledger.set_place(Place::Release, Some(&now())));
    if let Err(error) = noted.await {
        tracing::warn!(%error, "when something was released is not written down");
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// Goes through what has come to be needed; whether that is to be tried again.
async fn look(shared: &Shared, claiming: &Claiming) -> bool {
    let _turn = claiming.marking.lock().await;
    let news = std::mem::take(&mut *claiming.news.lock());
    match go_through(shared, claiming, news).await {
        Ok(()) => false,
        Err(error) => {
            tracing::warn!(%error, "not all that is needed here could be gone through");
            claiming.missed();
            true
        }
    }
}

async fn go_through(shared: &Shared, claiming: &Claiming, news: News) -> Result<(), MarkError> {
    let epoch = shared.on_ledger(|ledger| ledger.needs().epoch()).await;
    let epoch = epoch.map_err(|error| MarkError::new("the ledger", error))?;
    if news.all {
        return mark_all(shared, epoch).await.map(|_| ());
    }
    if news.pins {
        mark_pins(shared, epoch).await?;
    }
    for root in news.roots {
        let marked = mark_root(shared, root, epoch).await;
        marked.map_err(|error| MarkError::new(root.to_string(), error))?;
    }
    let me = claiming.objects.owner();
    // The newest of each stands for those before it.
    let mut seen = HashSet::new();
    for heads in news.written.iter().rev() {
        if is_own(heads, &me) && seen.insert(heads.aguid()) {
            mark_object(shared, heads, epoch).await?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Way {
    Claim,
    Release,
}

/// Lets go of the copies beyond duty of what was released, as a pass would (I7): those who have to
/// keep it decide about theirs (I18).
async fn drop_copies(shared: &Shared, released: &[(Cid, Secret)]) -> Result<(), StoreError> {
    if !shared.blocks.is_settled() {
        return Ok(());
    }
    let mut beyond = Vec::new();
    for (cid, _) in released {
        if shared.blocks.has(cid).await? && collect::may_go(shared, cid).await? {
            beyond.push(*cid);
        }
    }
    let _turn = shared.taking_up.write().await;
    beyond = shared.not_needed(beyond).await?;
    beyond.retain(|cid| !shared.blocks.is_duty(cid));
    shared.blocks.let_go(&beyond).await?;
    Ok(())
}

async fn send_one(
    claiming: &Claiming,
    way: Way,
    cid: Cid,
    secret: Secret,
) -> Result<(Cid, Secret), (Cid, PutError)> {
    let outcome = match way {
        Way::Claim => claiming.claims.claim(&cid, &secret).await,
        Way::Release => claiming.claims.release(&cid, &secret).await,
    };
    outcome.map(|_| (cid, secret)).map_err(|error| (cid, error))
}

/// Sends what is to be sent; whether some of it has to be sent again.
async fn send(shared: &Shared, claiming: &Claiming, way: Way) -> bool {
    let (mut after, mut failures) = (None, false);
    loop {
        let behind = after.take();
        let page = shared.on_ledger(move |ledger: &Ledger| match way {
            Way::Claim => ledger.needs().unclaimed(behind.as_ref(), PAGE),
            Way::Release => ledger.needs().releasing(behind.as_ref(), PAGE),
        });
        let page = match page.await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "what is to be claimed cannot be read");
                return true;
            }
        };
        if page.is_empty() {
            return failures;
        }
        after = page.last().copied();
        let sent = stream::iter(page.clone())
            .map(|(cid, secret)| send_one(claiming, way, cid, secret).boxed())
            .buffer_unordered(AT_A_TIME)
            .collect::<Vec<Result<(Cid, Secret), (Cid, PutError)>>>()
            .await;
        let (mut done, mut failed) = (Vec::new(), 0);
        for outcome in sent {
            match outcome {
                Ok(sent) => done.push(sent),
                Err((cid, error)) => {
                    failed += 1;
                    tracing::debug!(%cid, %error, "a claim was not taken");
                }
            }
        }
        if let Way::Release = way
            && let Err(error) = drop_copies(shared, &done).await
        {
            tracing::warn!(%error, "copies of what is needed no more stay here");
        }
        let made = done.len() as u64;
        let noted = shared.on_ledger(move |ledger| match way {
            Way::Claim => ledger.needs().claimed(&done),
            Way::Release => ledger.needs().released(&done),
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "what was claimed cannot be noted");
            return true;
        }
        if let Way::Claim = way {
            claiming.made.fetch_add(made, Ordering::Relaxed);
        }
        failures |= failed > 0;
        // Nobody takes any: those behind have time as well.
        if failed == page.len() {
            return true;
        }
    }
}

/// Goes through all that is needed here, and has what was needed before released (I16).
pub(crate) async fn release(
    shared: &Shared,
    claiming: &Claiming,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Released, MarkError> {
    let _turn = claiming.marking.lock().await;
    let ledger = |error: StoreError| MarkError::new("the ledger", error);
    let epoch = shared.on_ledger(|ledger| ledger.needs().begin_epoch());
    let epoch = epoch.await.map_err(ledger)?;
    let marked = mark_all(shared, epoch).await?;
    // And what was written meanwhile.
    mark_all(shared, epoch).await?;
    let mut released = Released {
        roots: marked.roots,
        blocks: 0,
    };
    let mut after = None;
    loop {
        let page = shared.on_ledger(move |ledger| {
            let needs = ledger.needs();
            let mut stale = needs.stale(epoch, after.as_ref(), STALE_PAGE)?;
            // Of a pin that has not all its blocks yet.
            let mut free = Vec::with_capacity(stale.cids.len());
            for cid in stale.cids.drain(..) {
                if !ledger.is_pinned(&cid)? {
                    free.push(cid);
                }
            }
            needs.claim_again(&stale.again)?;
            Ok::<_, StoreError>((needs.release(&free, epoch)?, stale.next))
        });
        let (count, next) = page.await.map_err(ledger)?;
        released.blocks += count;
        tell(Progress {
            done: released.blocks,
            total: 0,
        });
        match next {
            Some(cid) => after = Some(cid),
            None => break,
        }
    }
    note_release(shared).await;
    claiming.changed.notify_one();
    Ok(released)
}
