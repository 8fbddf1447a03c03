//! Archives versions by itself, of names for which that was asked (H27 of
//! `docs/specs/archive.md`).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use archive::AddError;
use futures::future::{BoxFuture, OptionFuture};
use objects::{Heads, Name, ReadError, Version};
use parking_lot::Mutex;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};

use crate::archive_policy::ArchivePolicy;

/// How long until what was not archived is tried again: first, and at most. It is twice as long
/// each time.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_AT_MOST: Duration = Duration::from_secs(600);

/// How often all names are looked at, in case a write was missed.
const LOOK_EVERY: Duration = Duration::from_secs(86_400);

/// How long after a start that is done first: a node that has just come knows nobody.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// Failures that are remembered.
const MAX_FAILURES: usize = 16;

/// What is archived by itself, and how far that is. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Archiving(Arc<Inner>);

struct Inner {
    policy: ArchivePolicy,
    objects: objects::Handle,
    archive: archive::Handle,
    /// How long a version has to be the newest.
    settle: Duration,
    seen: Mutex<Seen>,
}

/// How far it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Names whose newest version is still to be archived.
    pub(crate) waiting: usize,
    /// Versions that were archived since the start.
    pub(crate) archived: u64,
    /// The last names that could not be archived and are tried again, and why.
    pub(crate) failures: VecDeque<(String, String)>,
}

impl Archiving {
    pub(crate) fn new(
        policy: ArchivePolicy,
        objects: objects::Handle,
        archive: archive::Handle,
        settle: Duration,
    ) -> Archiving {
        Archiving(Arc::new(Inner {
            policy,
            objects,
            archive,
            settle,
            seen: Mutex::default(),
        }))
    }

    /// Which names.
    pub(crate) fn policy(&self) -> &ArchivePolicy {
        &self.0.policy
    }

    /// How far it is.
    pub(crate) fn seen(&self) -> Seen {
        self.0.seen.lock().clone()
    }

    /// Never returns.
    pub(crate) async fn run(self) {
        let mut writes = self.0.objects.writes();
        let mut changes = self.0.policy.changes();
        // When the newest version of each of these names is to be archived.
        let mut due: BTreeMap<String, Instant> = BTreeMap::new();
        // How often they failed one after the other.
        let mut failures: HashMap<String, u32> = HashMap::new();
        let mut look = Instant::now() + FIRST_LOOK;
        let mut working: Option<BoxFuture<'_, (String, Outcome)>> = None;
        loop {
            self.0.seen.lock().waiting = due.len() + usize::from(working.is_some());
            let next = due.iter().min_by_key(|(_, at)| **at);
            let next = next.map(|(name, at)| (name.clone(), *at));
            let wake = next.as_ref().map_or(look, |(_, at)| *at).min(look);
            let idle = working.is_none();
            tokio::select! {
                written = writes.recv() => match written {
                    Ok(heads) => self.note(&heads, &mut due),
                    // Some were missed: all names are looked at.
                    Err(RecvError::Lagged(_)) => look = Instant::now(),
                    Err(RecvError::Closed) => return,
                },
                Ok(()) = changes.changed() => {
                    changes.borrow_and_update();
                    due.retain(|name, _| self.0.policy.covers(name));
                    failures.retain(|name, _| self.0.policy.covers(name));
                    look = Instant::now();
                }
                Some((name, outcome)) = OptionFuture::from(working.as_mut()) => {
                    working = None;
                    if self.ended(&name, outcome) {
                        let count = failures.entry(name.clone()).or_default();
                        let pause = AGAIN.saturating_mul(1 << (*count).min(16));
                        *count += 1;
                        due.entry(name).or_insert(Instant::now() + pause.min(AGAIN_AT_MOST));
                    } else {
                        failures.remove(&name);
                    }
                }
                () = sleep_until(wake), if idle => match next {
                    Some((name, at)) if at <= Instant::now() => {
                        due.remove(&name);
                        working = Some(Box::pin(self.archive(name)));
                    }
                    _ => {
                        look = Instant::now() + LOOK_EVERY;
                        let now = Instant::now();
                        due.extend(self.names().await.into_iter().map(|name| (name, now)));
                    }
                },
            }
        }
    }

    /// A version was written: it is archived when it has been the newest for long enough.
    fn note(&self, heads: &Heads, due: &mut BTreeMap<String, Instant>) {
        let Some(record) = heads.single() else {
            return;
        };
        let name = record.name().as_str();
        let mine = *record.author() == self.0.objects.owner();
        if mine && self.0.policy.covers(name) {
            due.insert(name.to_owned(), Instant::now() + self.0.settle);
        }
    }

    /// All names that are to be archived.
    async fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for prefix in self.0.policy.list() {
            let owner = self.0.objects.owner();
            let found = self.0.objects.names(&owner, &prefix, objects::MAX_NAMES);
            match found.await {
                Ok(found) => names.extend(found),
                Err(ReadError::NotFound { .. }) => {}
                Err(error) => self.failed(&format!("{prefix}..."), error.to_string()),
            }
        }
        names
    }

    async fn archive(&self, name: String) -> (String, Outcome) {
        let outcome = self.try_archive(&name).await;
        (name, outcome)
    }

    async fn try_archive(&self, name: &str) -> Outcome {
        let known = match Name::new(name) {
            Ok(known) => known,
            Err(error) => return Outcome::Never(error.to_string()),
        };
        let aguid = objects::aguid(&self.0.objects.owner(), &known);
        let record = match self.0.objects.version(aguid, Version::Newest).await {
            Ok(record) => record,
            Err(ReadError::Removed { .. }) => return Outcome::Nothing,
            Err(error) => return Outcome::Later(error.to_string()),
        };
        // Also where it is archived already: only this sees that its manifest is kept well.
        match self.0.archive.add(record, false, &|_| ()).await {
            Ok(added) => {
                let record = added.manifest.record();
                tracing::info!(name, version = record.seq(), "archived by itself");
                Outcome::Archived
            }
            Err(AddError::Already { .. } | AddError::Removed(_)) => Outcome::Nothing,
            Err(error @ (AddError::TooLarge { .. } | AddError::NotYours(_))) => {
                Outcome::Never(error.to_string())
            }
            Err(error) => Outcome::Later(error.to_string()),
        }
    }

    /// Whether it is to be tried again.
    fn ended(&self, name: &str, outcome: Outcome) -> bool {
        self.0
            .seen
            .lock()
            .failures
            .retain(|(failed, _)| failed != name);
        match outcome {
            Outcome::Archived => {
                self.0.seen.lock().archived += 1;
                false
            }
            Outcome::Nothing => false,
            Outcome::Never(reason) => {
                self.failed(name, reason);
                false
            }
            Outcome::Later(reason) => {
                self.failed(name, reason);
                self.0.policy.covers(name)
            }
        }
    }

    fn failed(&self, name: &str, reason: String) {
        tracing::warn!(name, reason, "not archived");
        let failures = &mut self.0.seen.lock().failures;
        failures.retain(|(failed, _)| failed != name);
        if failures.len() == MAX_FAILURES {
            failures.pop_front();
        }
        failures.push_back((name.to_owned(), reason));
    }
}

/// What came of archiving the newest version of a name.
enum Outcome {
    Archived,
    /// There is nothing to do.
    Nothing,
    Later(String),
    Never(String),
}
