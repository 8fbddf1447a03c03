//! What handles ask the behaviour to do. Each ends in exactly one outcome (O7).

use bytes::Bytes;
use guid::Guid;
use tokio::sync::oneshot;

use crate::{
    AppId, Contact, Holder, Hop, ObjectReply, Published, Reply, RouteError, upcalls::Asker,
};

/// Where an outcome goes. A receiver that has gone away is nobody's concern.
pub(crate) type Outcome<T> = oneshot::Sender<Result<T, RouteError>>;

#[derive(Debug)]
pub(crate) enum Command {
    Route {
        key: Guid,
        /// Any of so many closest nodes may take it.
        k: usize,
        app: AppId,
        payload: Bytes,
        outcome: Outcome<()>,
    },
    Request {
        key: Guid,
        /// Any of so many closest nodes may answer.
        k: usize,
        app: AppId,
        payload: Bytes,
        outcome: Outcome<Reply>,
    },
    ReplicaSet {
        key: Guid,
        k: usize,
        outcome: Outcome<Vec<Contact>>,
    },
    Trace {
        key: Guid,
        outcome: Outcome<Vec<Hop>>,
    },
    Publish {
        object: Guid,
        outcome: Outcome<Published>,
    },
    Unpublish {
        object: Guid,
        outcome: Outcome<()>,
    },
    LocateObject {
        object: Guid,
        count: usize,
        outcome: Outcome<Vec<Holder>>,
    },
    SendToObject {
        object: Guid,
        count: usize,
        app: AppId,
        payload: Bytes,
        outcome: Outcome<Vec<ObjectReply>>,
    },
    /// An application's answer; `None` refuses.
    Respond {
        asker: Asker,
        payload: Option<Bytes>,
    },
    /// An intercepted message goes on, with this payload, or is stopped.
    Resume {
        ticket: overlay_core::Ticket,
        payload: Option<Bytes>,
    },
    /// An application was registered; the behaviour looks the registry up.
    Registered,
    Leave {
        done: oneshot::Sender<()>,
    },
}
