//! Places for connections of clients: so many are served, so many wait for a place, and who is
//! idle gives way (Q45).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::Config;

/// How long a new connection is not idle, though its first request has not come.
const FRESH: Duration = Duration::from_secs(1);

/// Connections that are refused at a time, and how long each may take for that.
const MAX_REFUSED: usize = 128;
const REFUSAL: Duration = Duration::from_millis(200);

/// A connection has its own descriptor and at most those of a file and of an origin; half of what
/// the process may have is left to the node.
const FILES_A_PLACE: u64 = 6;

/// All places of a proxy.
#[derive(Debug)]
pub(crate) struct Places {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    patience: Duration,
    idle: Mutex<Idle>,
}

/// Connections that have no request, by when that began: the longest is the first.
#[derive(Debug, Default)]
struct Idle {
    connections: BTreeMap<u64, Resting>,
    next: u64,
    /// How many of those who wait for a place have found nobody who gives way.
    wishes: usize,
}

#[derive(Debug)]
struct Resting {
    since: Option<Instant>,
    leave: CancellationToken,
}

/// What becomes of a new connection.
pub(crate) enum Admission {
    /// It has a place.
    Place(OwnedSemaphorePermit),
    /// It may wait for one.
    Wait(OwnedSemaphorePermit),
    /// There is none.
    Refused(OwnedSemaphorePermit),
}

impl Places {
    /// As many as the configuration says, and as the process may have files open.
    pub(crate) fn new(config: &Config) -> Arc<Places> {
        let files = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let files = files.map_or(u64::MAX, |(soft, _)| soft);
        let most = usize::try_from(files / FILES_A_PLACE)
            .unwrap_or(usize::MAX)
            .max(1);
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(most)));
        Arc::new(Places {
            places: semaphore(config.max_connections.max(1)),
            waiting: semaphore(config.max_waiting),
            refused: semaphore(MAX_REFUSED),
            patience: config.place_timeout,
            idle: Mutex::default(),
        })
    }

    /// Looks for a place for a new connection; waits where too many are being refused.
    pub(crate) async fn admit(&self) -> Admission {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Admission::Place(place);
        }
        if let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() {
            return Admission::Wait(waiting);
        }
        let refused = Arc::clone(&self.refused).acquire_owned().await;
        Admission::Refused(refused.expect("the semaphore is never closed"))
    }

    /// Waits for a place, which who is idle leaves; `None` if there is none in time.
    pub(crate) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let end = Instant::now() + self.patience;
        loop {
            let turn = (end - Instant::now()).min(FRESH);
            let wish = self.make_room();
            let place = Arc::clone(&self.places).acquire_owned();
            let place = timeout(turn, place).await;
            drop(wish);
            if let Ok(place) = place {
                return Some(place.expect("the semaphore is never closed"));
            }
            if Instant::now() >= end {
                return None;
            }
        }
    }

    /// Has the connection leave that has been idle the longest, or if there is none the next that
    /// is, while the wish lasts.
    fn make_room(&self) -> Option<Wish<'_>> {
        let mut idle = self.idle.lock();
        let old = |resting: &Resting| resting.since.is_none_or(|since| since.elapsed() >= FRESH);
        let mut connections = idle.connections.iter();
        let longest = connections.find(|(_, resting)| old(resting));
        let longest = longest.map(|(number, _)| *number);
        if let Some(resting) = longest.and_then(|number| idle.connections.remove(&number)) {
            resting.leave.cancel();
            return None;
        }
        idle.wishes += 1;
        Some(Wish(&self.idle))
    }

    /// A connection that begins.
    pub(crate) fn stay(self: &Arc<Self>) -> Arc<Stay> {
        let stay = Arc::new(Stay {
            places: Arc::clone(self),
            leave: CancellationToken::new(),
            number: Mutex::default(),
        });
        stay.rest(Some(Instant::now()));
        stay
    }
}

/// That somebody has found nobody who gives way.
struct Wish<'a>(&'a Mutex<Idle>);

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        let mut idle = self.0.lock();
        // It may have come true.
        idle.wishes = idle.wishes.saturating_sub(1);
    }
}

/// A connection that is served.
#[derive(Debug)]
pub(crate) struct Stay {
    places: Arc<Places>,
    leave: CancellationToken,
    /// Its number while it is idle.
    number: Mutex<Option<u64>>,
}

impl Stay {
    /// A request has come.
    pub(crate) fn work(&self) {
        if let Some(number) = self.number.lock().take() {
            self.places.idle.lock().connections.remove(&number);
        }
    }

    /// All of the answer is on its way.
    pub(crate) fn rest_again(&self) {
        self.rest(None);
    }

    fn rest(&self, since: Option<Instant>) {
        let mut own = self.number.lock();
        let mut idle = self.places.idle.lock();
        let number = idle.next;
        idle.next += 1;
        *own = Some(number);
        if since.is_none() && idle.wishes > 0 {
            idle.wishes -= 1;
            self.leave.cancel();
            return;
        }
        let leave = self.leave.clone();
        idle.connections.insert(number, Resting { since, leave });
    }

    /// Whether it has no request.
    pub(crate) fn is_idle(&self) -> bool {
        self.number.lock().is_some()
    }

    /// Comes when it is to give way.
    pub(crate) async fn must_leave(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.work();
    }
}

/// Tells a client that there is no place for it.
pub(crate) async fn refuse(mut stream: TcpStream, name: &str) {
    let why = "the web cache has as many connections as it takes: ask again later\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 1\r\nCache-Control: no-store\r\n\
         Proxy-Status: {name}; error=connection_limit_reached\r\nConnection: close\r\n\r\n{why}",
        why.len()
    );
    let saying = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closed with bytes unread, the answer might be lost with the connection.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Who does not take it has gone, or is of no concern.
    drop(timeout(REFUSAL, saying).await);
}
