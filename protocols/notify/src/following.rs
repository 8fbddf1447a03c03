//! What a follower is told, however slowly it listens (E9).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use guid::Guid;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::channel::Statement;

/// What waits for one follower: of each subject the newest alone.
#[derive(Default)]
pub(crate) struct Slot {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Guid>,
    newest: HashMap<Guid, Statement>,
    closed: bool,
}

impl Slot {
    pub(crate) fn push(&self, statement: Statement) {
        let mut waiting = self.waiting.lock();
        let subject = statement.subject;
        if waiting.newest.insert(subject, statement).is_none() {
            waiting.order.push_back(subject);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }
}

/// Yields what is new of some subjects. They are followed for as long as it lives.
pub struct Following {
    slot: Arc<Slot>,
}

impl Following {
    pub(crate) fn new(slot: Arc<Slot>) -> Following {
        Following { slot }
    }

    /// The next statement: of the subject that has waited longest the newest one. Those in
    /// between are passed over. None when the node stops. Nothing is lost where this is
    /// dropped before it is done.
    pub async fn next(&mut self) -> Option<Statement> {
        loop {
            {
                let mut waiting = self.slot.waiting.lock();
                if let Some(subject) = waiting.order.pop_front() {
                    return waiting.newest.remove(&subject);
                }
                if waiting.closed {
                    return None;
                }
            }
            // One that was told between the two is kept for who waits next.
            self.slot.changed.notified().await;
        }
    }
}
