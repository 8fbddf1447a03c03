//! Announcing keys in Kademlia, a few at a time (C6).

use std::collections::{HashMap, VecDeque};

use libp2p::{
    PeerId,
    kad::{
        self, ProviderRecord, QueryId, QueryResult, RecordKey,
        store::{MemoryStore, RecordStore},
    },
};

type Kad = kad::Behaviour<MemoryStore>;

/// Announcements under way at a time.
const MAX_UNDER_WAY: usize = 4;

/// Keys that are to be announced.
#[derive(Debug)]
pub(crate) struct Providing {
    me: PeerId,
    waiting: VecDeque<RecordKey>,
    under_way: HashMap<QueryId, RecordKey>,
}

impl Providing {
    pub(crate) fn new(me: PeerId) -> Self {
        Self {
            me,
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
        }
    }

    /// Provides keys: whoever asks this node hears of them at once, others when it is their
    /// turn. Kademlia repeats it.
    pub(crate) fn add(&mut self, kad: Option<&mut Kad>, keys: Vec<RecordKey>) {
        let Some(kad) = kad else { return };
        for key in keys {
            let record = ProviderRecord::new(key.clone(), self.me, Vec::new());
            match kad.store_mut().add_provider(record) {
                Ok(()) => self.waiting.push_back(key),
                Err(error) => tracing::warn!(%error, "a key is not provided in Kademlia"),
            }
        }
        self.go_on(kad);
    }

    /// Provides a key no more.
    pub(crate) fn remove(&mut self, kad: Option<&mut Kad>, key: &RecordKey) {
        self.waiting.retain(|waiting| waiting != key);
        if let Some(kad) = kad {
            kad.stop_providing(key);
        }
    }

    /// Starts announcements, if there is somebody to tell.
    pub(crate) fn go_on(&mut self, kad: &mut Kad) {
        if self.waiting.is_empty() || kad.kbuckets().all(|bucket| bucket.is_empty()) {
            return;
        }
        while self.under_way.len() < MAX_UNDER_WAY
            && let Some(key) = self.waiting.pop_front()
        {
            match kad.start_providing(key.clone()) {
                Ok(query) => drop(self.under_way.insert(query, key)),
                Err(error) => tracing::warn!(%error, "a key is not announced in Kademlia"),
            }
        }
    }

    /// Takes in the end of an announcement; gives back what is of others.
    pub(crate) fn on_progress(
        &mut self,
        kad: Option<&mut Kad>,
        id: QueryId,
        result: QueryResult,
    ) -> Option<QueryResult> {
        if self.under_way.remove(&id).is_none() {
            return Some(result);
        }
        if let Some(kad) = kad {
            self.go_on(kad);
        }
        None
    }
}
