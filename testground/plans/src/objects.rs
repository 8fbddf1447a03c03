//! What all instances know of the objects that any of them has put.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use rand::Rng;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use testground::history::{Outcome, now};
use tokio::task::JoinHandle;

use crate::client::{Client, Object};
use crate::team::Team;

/// The topic.
const TOPIC: &str = "objects";

/// How often an object is asked for at the end before it counts as not readable: a node may
/// have been lost in the midst of the first try.
const TRIES: usize = 3;

#[derive(Debug, Serialize, Deserialize)]
enum Note {
    Put(Put),
    /// This instance puts no more.
    Done,
}

/// A put that was acknowledged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) object: Object,
    /// The instance that put it.
    pub(crate) by: usize,
    /// When it was acknowledged, microseconds since 1970.
    pub(crate) at: u64,
}

/// The objects that were acknowledged so far, here and at all other instances.
#[derive(Debug)]
pub(crate) struct Objects {
    known: Arc<Mutex<Vec<Put>>>,
    all: JoinHandle<anyhow::Result<()>>,
}

impl Objects {
    /// Begins to listen.
    pub(crate) async fn listen(team: &Team) -> anyhow::Result<Objects> {
        let mut notes = team.sync.subscribe::<Note>(TOPIC).await?;
        let known = Arc::new(Mutex::new(Vec::new()));
        let (list, mut left) = (Arc::clone(&known), team.nodes);
        let all = tokio::spawn(async move {
            while left > 0 {
                match notes.next().await? {
                    Note::Put(put) => lock(&list).push(put),
                    Note::Done => left -= 1,
                }
            }
            Ok(())
        });
        Ok(Objects { known, all })
    }

    /// Puts fresh bytes and tells the others, if it was acknowledged.
    pub(crate) async fn put(
        &self,
        team: &Team,
        client: &Client,
        chance: &mut ChaCha8Rng,
        size: usize,
    ) -> anyhow::Result<Option<Object>> {
        let object = client.put(&fresh(chance, size)).await?;
        if let Some(object) = &object {
            self.tell(team, object.clone()).await?;
        }
        Ok(object)
    }

    /// Tells the others of an object that was put without them.
    pub(crate) async fn tell(&self, team: &Team, object: Object) -> anyhow::Result<()> {
        let put = Put {
            object,
            by: team.number,
            at: now(),
        };
        team.sync.publish(TOPIC, &Note::Put(put)).await?;
        Ok(())
    }

    /// Any object that is known by now, of those `wanted`.
    pub(crate) fn any(
        &self,
        chance: &mut ChaCha8Rng,
        wanted: impl Fn(&Put) -> bool,
    ) -> Option<Object> {
        let known = lock(&self.known);
        let wanted = known.iter().filter(|put| wanted(put));
        wanted.choose(chance).map(|put| put.object.clone())
    }

    /// This instance puts no more; waits until none does. All objects.
    pub(crate) async fn finish(self, team: &Team) -> anyhow::Result<Vec<Object>> {
        team.sync.publish(TOPIC, &Note::Done).await?;
        self.all.await??;
        let known = lock(&self.known);
        let objects: Vec<Object> = known.iter().map(|put| put.object.clone()).collect();
        if objects.is_empty() {
            bail!("no put was acknowledged");
        }
        Ok(objects)
    }
}

/// Bytes that nobody has put yet.
pub(crate) fn fresh(chance: &mut ChaCha8Rng, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    chance.fill_bytes(&mut bytes);
    bytes
}

/// Reads every object, now that all has healed.
pub(crate) async fn read_all(client: &Client, objects: &[Object]) -> anyhow::Result<()> {
    client.finale()?;
    let mut lost = Vec::new();
    for object in objects {
        let mut tries = 0;
        while client.get(&object.cid).await? != Outcome::Ok {
            tries += 1;
            if tries == TRIES {
                lost.push(object.cid.as_str());
                break;
            }
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    bail!(
        "{} of {} acknowledged objects could not be read: {}",
        lost.len(),
        objects.len(),
        lost.join(", ")
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A list is never left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
