//! Putting an item on its replica set (R10).

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use libp2p_identity::PeerId;
use overlay::Contact;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::budget::Held;
use crate::collection::{Collection, ItemId, PutRefused, StoreError};
use crate::message::{Refusal, Request, Response};
use crate::placement::PlacementError;
use crate::pool::RequestError;
use crate::shared::Shared;

/// Where an item is durable now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutReceipt {
    /// The members of the replica set that hold it durably; this node if it is one.
    pub stored_on: Vec<PeerId>,
    /// Members of the replica set: k, or fewer where fewer nodes exist.
    pub wanted: usize,
    /// Members that failed, and how. The missing copies are made in the background.
    pub failed: Vec<(PeerId, RequestError)>,
    /// Members that had not answered yet.
    pub pending: Vec<PeerId>,
}

impl PutReceipt {
    /// Notes an answer; the version that is kept there now.
    fn note(&mut self, (peer, outcome): (PeerId, Result<u64, RequestError>)) -> u64 {
        self.pending.retain(|pending| *pending != peer);
        match outcome {
            Ok(version) => {
                self.stored_on.push(peer);
                version
            }
            Err(reason) => {
                self.failed.push((peer, reason));
                0
            }
        }
    }

    /// Whether there was somebody to store the item, but nobody had room.
    pub fn is_for_want_of_room(&self) -> bool {
        let full = |(_, error): &(PeerId, RequestError)| {
            matches!(
                error,
                RequestError::Refused {
                    why: Refusal::Full,
                    ..
                }
            )
        };
        !self.failed.is_empty() && self.failed.iter().all(full)
    }
}

/// Why an item was not put.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PutError {
    /// The item is not valid.
    #[error("the item is not valid: {0}")]
    Invalid(String),
    /// It could not be kept here.
    #[error("it could not be kept here: {0}")]
    Local(#[source] StoreError),
    /// It is kept here, but nobody could say who else should.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// It is kept here, but on too few of its replicas.
    #[error(
        "only {} of {} replicas stored it, {quorum} are needed{}",
        .receipt.stored_on.len(), .receipt.wanted, reasons(.receipt)
    )]
    NoQuorum {
        /// How many would have been enough.
        quorum: usize,
        /// How far it came.
        receipt: PutReceipt,
    },
}

fn reasons(receipt: &PutReceipt) -> String {
    let failed = receipt.failed.iter();
    let failed = failed.map(|(peer, reason)| format!("{peer}: {reason}"));
    let pending = receipt.pending.iter();
    let pending = pending.map(|peer| format!("{peer}: no answer yet"));
    let reasons: Vec<String> = failed.chain(pending).collect();
    match reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.join("; ")),
    }
}

pub(crate) async fn put<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: ItemId,
    bytes: Bytes,
    trusted: bool,
) -> Result<PutReceipt, PutError> {
    let (receipt, _) = put_and_hear(shared, id, bytes, trusted).await?;
    Ok(receipt)
}

/// Puts an item, and hears which version is kept now by whoever knows the highest: higher than
/// the item's where it was not the newest.
pub(crate) async fn put_and_hear<C: Collection>(
    shared: &Arc<Shared<C>>,
    id: ItemId,
    bytes: Bytes,
    trusted: bool,
) -> Result<(PutReceipt, u64), PutError> {
    let Some(key) = shared.collection.key_of(&id) else {
        return Err(PutError::Invalid("no name of an item".into()));
    };
    if bytes.len() > C::MAX_ITEM {
        return Err(PutError::Invalid(format!(
            "{} bytes, at most {} are allowed",
            bytes.len(),
            C::MAX_ITEM
        )));
    }
    // The copy here and those on the others are written at the same time.
    let local = async {
        match trusted {
            true => shared.collection.put_trusted(&id, bytes.clone()).await,
            false => shared.collection.put(&id, bytes.clone()).await,
        }
    };
    let remote = async {
        let set = shared.replica_set(key, shared.config.replicas).await?;
        Ok::<_, PlacementError>(Placing::start(shared, set, &id, &bytes))
    };
    let (local, remote) = tokio::join!(local, remote);
    let here = match local {
        Ok(stored) => {
            shared.used_here(&id);
            stored.version
        }
        Err(PutRefused::Invalid(reason)) => return Err(PutError::Invalid(reason)),
        Err(PutRefused::Store(error)) => return Err(PutError::Local(error)),
    };
    let placing = match remote {
        Ok(placing) => placing,
        Err(error) => {
            shared.repair_later(&id);
            return Err(error.into());
        }
    };
    let (receipt, highest) = placing.finish(shared).await?;
    Ok((receipt, highest.max(here)))
}

struct Placing {
    receipt: PutReceipt,
    /// Dropped when the quorum has answered, or the put is given up: from then on nobody
    /// waits for a member that is behind.
    needed: watch::Sender<()>,
    answers: mpsc::Receiver<(PeerId, Result<u64, RequestError>)>,
    waiting: mpsc::Receiver<Infallible>,
}

impl Placing {
    /// Starts one task for each member of the set but this node. The tasks go on after
    /// the quorum has answered.
    fn start<C: Collection>(
        shared: &Arc<Shared<C>>,
        set: Vec<Contact>,
        id: &ItemId,
        bytes: &Bytes,
    ) -> Placing {
        let me = shared.placement.me().peer;
        let (answer, answers) = mpsc::channel(set.len().max(1));
        let needed = watch::Sender::new(());
        // Closes when every task has its share or has given up waiting for it.
        let (admitted, waiting) = mpsc::channel(1);
        let mut receipt = PutReceipt {
            stored_on: Vec::new(),
            wanted: set.len(),
            failed: Vec::new(),
            pending: Vec::new(),
        };
        for contact in set {
            if contact.peer == me {
                receipt.stored_on.push(me);
                continue;
            }
            receipt.pending.push(contact.peer);
            let (shared, id, bytes) = (Arc::clone(shared), id.clone(), bytes.clone());
            let put = Request::Put {
                id: id.clone(),
                moved: false,
            };
            let answer = answer.clone();
            let admitted = admitted.clone();
            let mut needed = needed.subscribe();
            tokio::spawn(async move {
                let give_up = async {
                    sleep(shared.config.put_wait).await;
                    // All may be slow, as where the way out is: then their answers are
                    // waited for, and no quorum would come of passing them over.
                    while needed.changed().await.is_ok() {}
                };
                let share = admit(&shared, contact.peer, bytes.len(), give_up);
                let outcome = match share.await {
                    Ok(held) => {
                        drop(admitted);
                        send_to(&shared, &contact, put, bytes, held).await
                    }
                    Err(error) => Err(error),
                };
                if outcome.is_err() {
                    shared.repair_later(&id);
                }
                // Nobody listens once the put has been answered.
                let _ = answer.send((contact.peer, outcome)).await;
            });
        }
        Placing {
            receipt,
            needed,
            answers,
            waiting,
        }
    }

    async fn finish<C: Collection>(
        self,
        shared: &Shared<C>,
    ) -> Result<(PutReceipt, u64), PutError> {
        let Placing {
            mut receipt,
            needed,
            mut answers,
            mut waiting,
        } = self;
        let quorum = receipt.wanted / 2 + 1;
        let mut highest = 0;
        // Where too many have failed nothing is gained by waiting for those that are slow.
        while receipt.stored_on.len() < quorum
            && receipt.stored_on.len() + receipt.pending.len() >= quorum
        {
            match answers.recv().await {
                Some(answer) => highest = receipt.note(answer).max(highest),
                None => break,
            }
        }
        drop(needed);
        // No put is over while one of its tasks waits for its share of the budget: else the
        // puts that a slow member has not taken would pile up in memory.
        let _: Option<Infallible> = waiting.recv().await;
        let _ = timeout(shared.config.put_grace, async {
            while let Some(answer) = answers.recv().await {
                highest = receipt.note(answer).max(highest);
            }
        })
        .await;
        match receipt.stored_on.len() >= quorum {
            true => Ok((receipt, highest)),
            false => Err(PutError::NoQuorum { quorum, receipt }),
        }
    }
}

/// Puts an item on one peer; it is durable there when this returns.
pub(crate) async fn place_on<C: Collection>(
    shared: &Shared<C>,
    contact: &Contact,
    id: &ItemId,
    bytes: Bytes,
) -> Result<(), RequestError> {
    let put = Request::Put {
        id: id.clone(),
        moved: false,
    };
    admit_and_send(shared, contact, put, bytes).await
}

/// The same for a copy of what was put before (R26).
pub(crate) async fn move_to<C: Collection>(
    shared: &Shared<C>,
    contact: &Contact,
    id: &ItemId,
    bytes: Bytes,
) -> Result<(), RequestError> {
    let put = Request::Put {
        id: id.clone(),
        moved: true,
    };
    admit_and_send(shared, contact, put, bytes).await
}

async fn admit_and_send<C: Collection>(
    shared: &Shared<C>,
    contact: &Contact,
    put: Request,
    bytes: Bytes,
) -> Result<(), RequestError> {
    let give_up = sleep(shared.config.request_timeout);
    let held = admit(shared, contact.peer, bytes.len(), give_up).await?;
    send_to(shared, contact, put, bytes, held).await?;
    Ok(())
}

/// The right to have `bytes` on their way to a peer. One that does not take what is on
/// its way fills its own budget; who waits for it may `give_up`.
async fn admit<C: Collection>(
    shared: &Shared<C>,
    peer: PeerId,
    bytes: usize,
    give_up: impl Future<Output = ()>,
) -> Result<Held, RequestError> {
    if shared.pool.is_avoided(peer) {
        return Err(RequestError::Unreachable("it failed just before".into()));
    }
    tokio::select! {
        held = shared.outbound.take(peer, bytes) => Ok(held),
        () = give_up => Err(RequestError::Behind),
    }
}

async fn send_to<C: Collection>(
    shared: &Shared<C>,
    contact: &Contact,
    put: Request,
    bytes: Bytes,
    _held: Held,
) -> Result<u64, RequestError> {
    if shared.pool.is_avoided(contact.peer) {
        // It failed while this item waited: a put does not wait as long once more.
        return Err(RequestError::Unreachable("it failed just before".into()));
    }
    let length = bytes.len() as u64;
    match shared.pool.ask(contact, put, bytes).await?.response {
        Response::Stored { version } => {
            shared.counters.items_placed.one();
            shared.counters.bytes_sent.add(length);
            Ok(version)
        }
        _ => Err(RequestError::Nonsense),
    }
}
