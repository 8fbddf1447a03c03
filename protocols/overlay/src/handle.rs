//! What applications hold: the overlay as functions.

use std::sync::Arc;

use bytes::Bytes;
use guid::Guid;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    AppConfig, AppId, Contact, Holder, ObjectReply, Published, RouteError, Snapshot, State,
    Upcalls,
    command::{Command, Outcome},
    registry::Registry,
};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The node that answered: the root of the key, or for [`Handle::request_any`] one of
    /// the nodes closest to it.
    pub from: Contact,
    /// What it said.
    pub payload: Bytes,
    /// How many hops the request took.
    pub hops: usize,
}

/// One node on the way to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The node.
    pub contact: Contact,
    /// How many leading digits its GUID shares with the key.
    pub shared_prefix: usize,
    /// The round trip to it as its predecessor on the way has measured it; `None` for
    /// the first node and where there was no measurement.
    pub rtt: Option<std::time::Duration>,
}

/// A way to use the overlay from any task. Cheap to clone; it does not keep the node
/// running, and every method fails with [`RouteError::Stopped`] once it has stopped.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) registry: Arc<Registry>,
}

impl Handle {
    /// This node, with the addresses it tells others.
    pub fn me(&self) -> Contact {
        self.snapshot.borrow().me.clone()
    }

    /// Routes a message to the root of `key` and waits until the next hop has taken it.
    ///
    /// # Errors
    ///
    /// See [`RouteError`]. Success does not say that the root got it: ask for a reply
    /// with [`Handle::request`] to know.
    pub async fn route(&self, key: Guid, app: AppId, payload: Bytes) -> Result<(), RouteError> {
        self.route_any(key, 1, app, payload).await
    }

    /// Routes a message to any of the `k` nodes closest to `key`, from 1 to the size of the
    /// leaf set, and waits until the next hop has taken it. It ends at the first of them that
    /// it reaches, most often the nearest or second nearest to this node. Where acknowledgements
    /// are lost it may reach more than one of them.
    ///
    /// # Errors
    ///
    /// [`RouteError::Invalid`] for a `k` out of that range, and see there.
    pub async fn route_any(
        &self,
        key: Guid,
        k: usize,
        app: AppId,
        payload: Bytes,
    ) -> Result<(), RouteError> {
        self.command(|outcome| Command::Route {
            key,
            k,
            app,
            payload,
            outcome,
        })
        .await
    }

    /// Routes a message to the root of `key` and waits for its answer.
    ///
    /// # Errors
    ///
    /// See [`RouteError`].
    pub async fn request(
        &self,
        key: Guid,
        app: AppId,
        payload: Bytes,
    ) -> Result<Reply, RouteError> {
        self.request_any(key, 1, app, payload).await
    }

    /// Routes a message to any of the `k` nodes closest to `key` as [`Handle::route_any`]
    /// does, and waits for the answer of the one that gets it: for what all of them hold,
    /// such as a replicated object. The first answer counts.
    ///
    /// # Errors
    ///
    /// As for [`Handle::route_any`].
    pub async fn request_any(
        &self,
        key: Guid,
        k: usize,
        app: AppId,
        payload: Bytes,
    ) -> Result<Reply, RouteError> {
        self.command(|outcome| Command::Request {
            key,
            k,
            app,
            payload,
            outcome,
        })
        .await
    }

    /// The `k` nodes numerically closest to `key`, the closest first, as the root of
    /// `key` knows them; fewer if the overlay has fewer. This node may be among them.
    ///
    /// # Errors
    ///
    /// See [`RouteError`].
    pub async fn replica_set(&self, key: Guid, k: usize) -> Result<Vec<Contact>, RouteError> {
        match self.local_replica_set(key, k) {
            Some(set) => Ok(set),
            None => {
                self.command(|outcome| Command::ReplicaSet { key, k, outcome })
                    .await
            }
        }
    }

    /// The same without asking anybody: `Some` only if this node's leaf set decides it.
    pub fn local_replica_set(&self, key: Guid, k: usize) -> Option<Vec<Contact>> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        if snapshot.state != State::Active {
            return None;
        }
        crate::closest::closest(&snapshot.me, &snapshot.leaf_set, snapshot.known_arc, key, k)
    }

    /// How many of the `k` nodes that were closest to `key` were lost together, as far as this
    /// node knows: so shortly after each other that others cannot have made up for them.
    /// Right at the nodes next to the key. `k` at a node that has found nobody but was told
    /// of others.
    pub fn lost_together(&self, key: Guid, k: usize) -> usize {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        crate::closest::lost_together(
            &snapshot.me,
            &snapshot.leaf_set,
            &snapshot.lost,
            &snapshot.newcomers,
            key,
            k,
        )
    }

    /// The nodes a message to `key` passes, from this one to the root.
    ///
    /// # Errors
    ///
    /// See [`RouteError`].
    pub async fn trace(&self, key: Guid) -> Result<Vec<Hop>, RouteError> {
        self.command(|outcome| Command::Trace { key, outcome })
            .await
    }

    /// Says that this node holds an object, until [`Handle::unpublish`] or the end of the
    /// process: others find it by [`Handle::locate`], which is kept so by itself.
    ///
    /// # Errors
    ///
    /// See [`RouteError`]. The object is then not published.
    pub async fn publish(&self, object: Guid) -> Result<Published, RouteError> {
        self.command(|outcome| Command::Publish { object, outcome })
            .await
    }

    /// Says that this node holds an object no more.
    ///
    /// # Errors
    ///
    /// [`RouteError::NotPublished`], and see there.
    pub async fn unpublish(&self, object: Guid) -> Result<(), RouteError> {
        self.command(|outcome| Command::Unpublish { object, outcome })
            .await
    }

    /// At most `count` nodes that hold an object, in the order in which they answered; the
    /// search prefers near ones. This node may be among them.
    ///
    /// # Errors
    ///
    /// [`RouteError::NotFound`] if there is none, and see there.
    pub async fn locate(&self, object: Guid, count: usize) -> Result<Vec<Holder>, RouteError> {
        self.command(|outcome| Command::LocateObject {
            object,
            count,
            outcome,
        })
        .await
    }

    /// Sends a message to at most `count` nodes that hold an object, and waits for what
    /// their applications answer. It reaches each of them once, as
    /// [`Upcall::DeliverObject`](crate::Upcall::DeliverObject); where the network loses
    /// messages it may reach more of them than wanted.
    ///
    /// # Errors
    ///
    /// [`RouteError::NotFound`] if nobody holds it, and see there.
    pub async fn send_to_object(
        &self,
        object: Guid,
        count: usize,
        app: AppId,
        payload: Bytes,
    ) -> Result<Vec<ObjectReply>, RouteError> {
        self.command(|outcome| Command::SendToObject {
            object,
            count,
            app,
            payload,
            outcome,
        })
        .await
    }

    /// The state of this node. Refreshed at once when the leaf set changes, and at most
    /// a few times a second for the rest.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// A number that is counted up at each change of the leaf set.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Waits until this node is an active member; returns at once if it is. Pending for
    /// ever if the node stops before.
    pub async fn active(&self) {
        let mut snapshot = self.snapshot.clone();
        if snapshot
            .wait_for(|snapshot| snapshot.state == State::Active)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Registers an application. Messages for `app` reach this node's application through
    /// the stream returned, until it is dropped. A second registration of the same
    /// application takes the place of the first, whose stream ends.
    pub fn register(&self, app: AppId, config: AppConfig) -> Upcalls {
        let upcalls = self.registry.register(app, config);
        // If the queue is full the behaviour is busy and will look at the registry anyway.
        let _ = self.commands.try_send(Command::Registered);
        upcalls
    }

    /// Says good-bye to the neighbours and leaves the overlay. Returns when the messages
    /// are handed to their connections; keep driving the swarm for a moment.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.commands.send(Command::Leave { done }).await.is_ok() {
            let _ = left.await;
        }
    }

    async fn command<T>(&self, make: impl FnOnce(Outcome<T>) -> Command) -> Result<T, RouteError> {
        let (outcome, result) = oneshot::channel();
        self.commands
            .send(make(outcome))
            .await
            .map_err(|_| RouteError::Stopped)?;
        result.await.map_err(|_| RouteError::Stopped)?
    }
}
