//! What the service keeps: counts of states and payloads of topics (Y4 to Y7).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::limits::Limits;

/// Something would grow beyond its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("the service keeps {0} topics and states, no more")]
    Names(usize),
    #[error("the service keeps {0} payloads, no more")]
    Payloads(usize),
    #[error("the service keeps {0} bytes of payloads, no more")]
    Bytes(usize),
}

#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    states: HashMap<String, watch::Sender<i64>>,
    topics: HashMap<String, Topic>,
    payloads: usize,
    bytes: usize,
}

/// Payloads in the order they came, and their number for those who wait for more.
#[derive(Debug)]
struct Topic {
    payloads: Vec<Arc<str>>,
    count: watch::Sender<usize>,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Store {
        Store {
            limits,
            kept: Mutex::default(),
        }
    }

    /// Enters a state; how often it was entered by now.
    pub(super) fn signal(&self, state: String) -> Result<i64, Full> {
        let mut kept = self.kept();
        let count = kept.state(state, self.limits.names)?;
        count.send_modify(|count| *count += 1);
        Ok(*count.borrow())
    }

    /// The count of a state, to be waited on.
    pub(super) fn watch(&self, state: String) -> Result<watch::Receiver<i64>, Full> {
        let mut kept = self.kept();
        Ok(kept.state(state, self.limits.names)?.subscribe())
    }

    /// Adds a payload to a topic; its number.
    pub(super) fn publish(&self, topic: String, payload: String) -> Result<i64, Full> {
        let mut kept = self.kept();
        if kept.payloads == self.limits.payloads {
            return Err(Full::Payloads(self.limits.payloads));
        }
        if kept.bytes + payload.len() > self.limits.payload_bytes {
            return Err(Full::Bytes(self.limits.payload_bytes));
        }
        let length = payload.len();
        let topic = kept.topic(topic, self.limits.names)?;
        topic.payloads.push(payload.into());
        let count = topic.payloads.len();
        topic.count.send_replace(count);
        kept.payloads += 1;
        kept.bytes += length;
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The number of payloads of a topic, to be waited on.
    pub(super) fn follow(&self, topic: String) -> Result<watch::Receiver<usize>, Full> {
        let mut kept = self.kept();
        Ok(kept.topic(topic, self.limits.names)?.count.subscribe())
    }

    /// One payload of a topic, counted from 0.
    pub(super) fn payload(&self, topic: &str, number: usize) -> Option<Arc<str>> {
        let kept = self.kept();
        kept.topics.get(topic)?.payloads.get(number).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Plain data that is never left half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn state(&mut self, name: String, names: usize) -> Result<&watch::Sender<i64>, Full> {
        if !self.states.contains_key(&name) && self.states.len() + self.topics.len() >= names {
            return Err(Full::Names(names));
        }
        Ok(self
            .states
            .entry(name)
            .or_insert_with(|| watch::channel(0).0))
    }

    fn topic(&mut self, name: String, names: usize) -> Result<&mut Topic, Full> {
        if !self.topics.contains_key(&name) && self.states.len() + self.topics.len() >= names {
            return Err(Full::Names(names));
        }
        Ok(self.topics.entry(name).or_insert_with(|| Topic {
            payloads: Vec::new(),
            count: watch::channel(0).0,
        }))
    }
}
