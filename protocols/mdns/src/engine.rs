//! Keeps a link for each interface and family, as they come and go (**M3**,
//! **M4**).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use if_watch::tokio::IfWatcher;
use libp2p_core::Multiaddr;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::backoff::Backoff;
use crate::interfaces::{self, Family, Interface, Interfaces};
use crate::link::{Common, Link, Notice};

/// First and longest wait before a link that could not be opened is tried
/// again.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// How often to look at the interfaces although nothing was reported: flags
/// such as "up" change without an address changing.
const LOOK: Duration = Duration::from_secs(15);

/// What distinguishes two links. An IPv4 socket sends from the address that
/// the interface had when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    index: u32,
    family: Family,
    address: Option<Ipv4Addr>,
}

pub(crate) struct Engine {
    common: Common,
    interfaces: BTreeMap<u32, watch::Sender<Interface>>,
    links: BTreeMap<Key, AbortHandle>,
    tasks: JoinSet<io::Result<()>>,
    keys: HashMap<Id, Key>,
    retry: Backoff,
}

impl Engine {
    pub(crate) fn new(common: Common) -> Engine {
        Engine {
            common,
            interfaces: BTreeMap::new(),
            links: BTreeMap::new(),
            tasks: JoinSet::new(),
            keys: HashMap::new(),
            retry: Backoff::new(RETRY.0, RETRY.1),
        }
    }

    /// Runs until the behaviour is dropped; the links say goodbye then.
    pub(crate) async fn run(mut self) {
        let mut watcher = IfWatcher::new().map_err(no_watcher).ok();
        let mut own = self.common.own.clone();
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                event = next_event(&mut watcher) => {
                    tracing::debug!(?event, "interfaces changed");
                    if let Err(error) = event {
                        no_watcher(error);
                        watcher = None;
                    }
                    self.retry.reset();
                    next_look = self.look().await;
                }
                () = sleep_until(next_look) => next_look = self.look().await,
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.on_link_ended(ended);
                    next_look = next_look.min(Instant::now() + self.retry.next());
                }
                () = end_of(&mut own) => break,
            }
        }
        // Each link says goodbye, by itself, for the same reason.
        while self.tasks.join_next().await.is_some() {}
    }

    /// Opens and closes links so that they match the interfaces. Returns when
    /// to look again.
    async fn look(&mut self) -> Instant {
        let listed = match interfaces::list() {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "cannot list the interfaces");
                return Instant::now() + self.retry.next();
            }
        };
        self.close_gone(&listed).await;
        let mut failed = false;
        for (index, interface) in listed {
            let keys = keys(index, &interface);
            let sender = self
                .interfaces
                .entry(index)
                .or_insert_with(|| watch::Sender::new(interface.clone()));
            sender.send_if_modified(|known| {
                let changed = *known != interface;
                *known = interface;
                changed
            });
            let receiver = sender.subscribe();
            for key in keys {
                if !self.links.contains_key(&key) {
                    failed |= !self.open(key, receiver.clone());
                }
            }
        }
        if failed {
            return Instant::now() + self.retry.next();
        }
        self.retry.reset();
        Instant::now() + LOOK
    }

    async fn close_gone(&mut self, listed: &Interfaces) {
        self.links.retain(|key, task| {
            let stays = listed
                .get(&key.index)
                .is_some_and(|interface| keys(key.index, interface).any(|wanted| wanted == *key));
            if !stays {
                tracing::info!(interface = key.index, family = ?key.family, "mDNS link closed");
                task.abort();
            }
            stays
        });
        let gone: Vec<u32> = self
            .interfaces
            .keys()
            .filter(|index| !listed.contains_key(index))
            .copied()
            .collect();
        for index in gone {
            self.interfaces.remove(&index);
            // The behaviour always reads, so this waits only for its turn.
            let _ = self
                .common
                .findings
                .send(Notice::InterfaceGone(index))
                .await;
        }
    }

    fn open(&mut self, key: Key, interface: watch::Receiver<Interface>) -> bool {
        let name = interface.borrow().name.clone();
        match Link::open(key.index, key.family, interface, self.common.clone()) {
            Ok(link) => {
                tracing::info!(interface = name, family = ?key.family, "mDNS link opened");
                let task = self.tasks.spawn(link.run());
                self.keys.insert(task.id(), key);
                self.links.insert(key, task);
                true
            }
            Err(error) => {
                tracing::debug!(interface = name, family = ?key.family, %error, "no mDNS link yet");
                false
            }
        }
    }

    fn on_link_ended(&mut self, ended: Result<(Id, io::Result<()>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(key) = self.keys.remove(&id) else {
            return;
        };
        if let Ok((_, Err(error))) = &ended {
            tracing::debug!(interface = key.index, family = ?key.family, %error, "mDNS link failed");
        }
        // The same link may have been opened anew since this task was aborted.
        if self.links.get(&key).is_some_and(|task| task.id() == id) {
            self.links.remove(&key);
        }
    }
}

/// The links that an interface wants.
fn keys(index: u32, interface: &Interface) -> impl Iterator<Item = Key> + use<> {
    let v4 = interface.ipv4().map(|ip| Key {
        index,
        family: Family::V4,
        address: Some(ip),
    });
    let v6 = interface.speaks_ipv6().then_some(Key {
        index,
        family: Family::V6,
        address: None,
    });
    v4.into_iter().chain(v6)
}

/// Returns when the behaviour is gone.
async fn end_of(own: &mut watch::Receiver<Arc<[Multiaddr]>>) {
    while own.changed().await.is_ok() {}
}

async fn next_event(watcher: &mut Option<IfWatcher>) -> io::Result<if_watch::IfEvent> {
    match watcher {
        Some(watcher) => watcher.select_next_some().await,
        None => std::future::pending().await,
    }
}

fn no_watcher(error: io::Error) {
    tracing::warn!(%error, "interfaces are not watched, only looked at every {LOOK:?}");
}
