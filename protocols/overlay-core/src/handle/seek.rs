//! A node's own searches: one root after the other, until enough holders have answered
//! (L12).

use std::collections::BTreeSet;
use std::time::Duration;

use guid::Guid;

use crate::handle::route::Next;
use crate::location::message::{MAX_PASSED, MAX_WANTED, Search, Task};
use crate::location::state::{MAX_SEEKS, Seek};
use crate::message::{Body, MAX_PAYLOAD};
use crate::timers::Timer;
use crate::{
    Answer, Contact, Found, MessageId, Outcome, Overlay, Peer, RequestId, RouteFailure, Routed,
    State, Time,
};

impl<P: Peer> Overlay<P> {
    /// An application wants to know who holds an object, or to tell its holders something.
    pub(crate) fn handle_seek_command(
        &mut self,
        now: Time,
        request: RequestId,
        object: Guid,
        want: usize,
        task: Task,
    ) {
        if !(1..=MAX_WANTED).contains(&want) {
            let reason = format!("{want} holders asked for: from 1 to {MAX_WANTED} are possible");
            self.end(request, Err(RouteFailure::Invalid(reason)));
            return;
        }
        if let Task::Deliver { payload, .. } = &task
            && payload.len() > MAX_PAYLOAD
        {
            let length = payload.len();
            let reason = format!("a message of {length} bytes where {MAX_PAYLOAD} is the most");
            self.end(request, Err(RouteFailure::Invalid(reason)));
            return;
        }
        if self.state == State::Left {
            self.end(request, Err(RouteFailure::Left));
            return;
        }
        let busy = self.location.seeks.len() + self.location.withdrawals.len() >= MAX_SEEKS;
        if busy || self.location.seeks.contains_key(&request) {
            self.end(request, Err(RouteFailure::Busy));
            return;
        }
        let errand = self.next_number();
        let deadline = now + self.config.request_timeout;
        let seek = Seek {
            object,
            want,
            task,
            errand,
            tries: Vec::new(),
            salts: Vec::new(),
            ended: false,
            searched: BTreeSet::new(),
            promised: BTreeSet::new(),
            found: Vec::new(),
            deadline,
        };
        self.location.seeks.insert(request, seek);
        self.timers.set(Timer::Seek(request), deadline);
        if self.state == State::Active {
            self.seek_on(now, request);
        }
    }

    /// The node has joined: what was asked of it meanwhile begins.
    pub(crate) fn release_location(&mut self, now: Time) {
        for request in self.location.seeks.keys().copied().collect::<Vec<_>>() {
            self.seek_on(now, request);
        }
        self.pump_walks(now);
    }

    /// Searches by the next root.
    fn seek_on(&mut self, now: Time, request: RequestId) {
        let Some(seek) = self.location.seeks.get(&request) else {
            return;
        };
        if seek.salts.is_empty() {
            let salts = self.salts_by_way(seek.object);
            if let Some(seek) = self.location.seeks.get_mut(&request) {
                seek.salts = salts;
            }
        }
        let number = self.next_number();
        let me = self.me.clone();
        let Some(seek) = self.location.seeks.get_mut(&request) else {
            return;
        };
        let salt = seek.salts[seek.tries.len() % seek.salts.len()];
        seek.tries.push(number);
        seek.ended = false;
        let passed = seek.found.iter().map(|found| found.holder.guid);
        let passed = passed.chain(seek.promised.iter().copied());
        let mut reached: Vec<Guid> = passed.collect::<BTreeSet<_>>().into_iter().collect();
        reached.truncate(MAX_PASSED - 1);
        let want = seek.want.saturating_sub(reached.len()).max(1);
        let search = Search {
            object: seek.object,
            salt,
            want: u8::try_from(want).unwrap_or(u8::MAX),
            errand: seek.errand,
            task: seek.task.clone(),
            reached,
            silent: Vec::new(),
            asides: None,
        };
        let routed = Routed {
            id: MessageId {
                origin: me.guid,
                number,
            },
            key: seek.object.salted(salt),
            origin: me,
            hops: 0,
            trace: None,
            body: Body::Search(Box::new(search)),
        };
        let wait = now + self.config.request_timeout / 5;
        let wait = wait.min(seek.deadline);
        self.timers.set(Timer::Seek(request), wait);
        self.search_here(now, None, routed);
    }

    /// An object's roots in the order in which they are searched: those first whose ways
    /// promise to be short, so that a pointer is met soon. Where that decides nothing each
    /// node has an order of its own, so that all roots of an object that many want share
    /// the work (L12).
    fn salts_by_way(&self, object: Guid) -> Vec<u8> {
        let roots = self.config.location.roots;
        let own = ((self.me.guid.as_u128() ^ object.as_u128()) % u128::from(roots)) as u8;
        let mut salts: Vec<u8> = (0..roots).map(|at| (own + at) % roots).collect();
        let rows = self.hops_by_row();
        salts.sort_by_cached_key(|salt| {
            let key = object.salted(*salt);
            match self.choose_next(key, &[], None) {
                Next::Here => (false, Duration::ZERO),
                Next::Hop(next) => {
                    let shared = next.guid.shared_prefix(key, self.base);
                    let rtt = self.rtt(next.peer);
                    let ahead: Duration = rows.iter().skip(shared).sum();
                    (rtt.is_none(), rtt.unwrap_or_default() + ahead)
                }
                Next::Nowhere => (true, Duration::MAX),
            }
        });
        salts
    }

    /// What a hop by each row costs on average, by this node's own table: the mean time to
    /// the row's entries, less where the row has gaps, because then there may be no such hop.
    fn hops_by_row(&self) -> Vec<Duration> {
        let mut sums: Vec<Duration> = Vec::new();
        for (row, _, contact) in self.table() {
            if sums.len() <= row {
                sums.resize(row + 1, Duration::ZERO);
            }
            sums[row] += self.rtt(contact.peer).unwrap_or_default();
        }
        let cells = (self.base.fanout() - 1) as u32;
        sums.into_iter().map(|sum| sum / cells).collect()
    }

    /// A holder answers, or a search says that it has ended.
    pub(crate) fn handle_seek_answer(
        &mut self,
        now: Time,
        request: RequestId,
        id: MessageId,
        from: Contact<P>,
        hops: u8,
        answer: Answer<P>,
    ) {
        let Some(seek) = self.location.seeks.get_mut(&request) else {
            return;
        };
        let reply = match answer {
            Answer::Holder => None,
            Answer::App(payload) => Some(Ok(payload)),
            Answer::Refused(reason) => Some(Err(reason)),
            Answer::Searched { reached } => {
                if seek.tries.last() != Some(&id.number) || seek.ended {
                    return;
                }
                seek.ended = true;
                for holder in reached.into_iter().take(MAX_PASSED) {
                    if seek.promised.len() < MAX_PASSED {
                        seek.promised.insert(holder);
                    }
                }
                let at = (seek.tries.len() - 1) % seek.salts.len().max(1);
                seek.searched.extend(seek.salts.get(at));
                self.note_search_ended(now, request);
                return;
            }
            Answer::Join { .. } | Answer::ReplicaSet(_) => return,
        };
        if seek.found.iter().any(|one| one.holder.guid == from.guid) {
            return;
        }
        let holder = from;
        seek.found.push(Found {
            holder,
            hops,
            reply,
        });
        if seek.found.len() >= seek.want || self.has_all_promised(request) {
            self.end_seek(request);
        }
    }

    /// One root has nothing more: the next is asked, and after the last whoever was reached
    /// has only to answer.
    fn note_search_ended(&mut self, now: Time, request: RequestId) {
        let Some(seek) = self.location.seeks.get(&request) else {
            return;
        };
        let everywhere = seek.searched.len() >= usize::from(self.config.location.roots);
        let promised = seek.promised.len() >= seek.want;
        if everywhere && seek.promised.is_empty() && seek.found.is_empty() {
            self.end_seek(request);
        } else if !everywhere && !promised {
            self.seek_on(now, request);
        } else if self.has_all_promised(request) {
            self.end_seek(request);
        } else {
            // Only a holder that looks up nothing answers at once.
            let wait = match seek.task {
                Task::Find => now + self.config.request_timeout / 5,
                Task::Deliver { .. } => seek.deadline,
            };
            self.timers
                .set(Timer::Seek(request), wait.min(seek.deadline));
        }
    }

    /// Whether every root was searched and everyone who was reached has answered.
    fn has_all_promised(&self, request: RequestId) -> bool {
        self.location.seeks.get(&request).is_some_and(|seek| {
            let answered = |guid: &Guid| seek.found.iter().any(|one| one.holder.guid == *guid);
            seek.ended
                && seek.searched.len() >= usize::from(self.config.location.roots)
                && seek.promised.iter().all(answered)
        })
    }

    pub(crate) fn handle_seek_timeout(&mut self, now: Time, request: RequestId) {
        let Some(seek) = self.location.seeks.get_mut(&request) else {
            return;
        };
        if now >= seek.deadline {
            self.end_seek(request);
        } else if self.state == State::Active {
            // Who was reached and does not answer is asked once more: its word was lost.
            seek.promised.clear();
            seek.searched.clear();
            self.seek_on(now, request);
        }
    }

    fn end_seek(&mut self, request: RequestId) {
        let Some(seek) = self.location.seeks.remove(&request) else {
            return;
        };
        for number in seek.tries {
            self.forget_hop(MessageId {
                origin: self.me.guid,
                number,
            });
        }
        let everywhere = seek.searched.len() >= usize::from(self.config.location.roots);
        let outcome = if !seek.found.is_empty() {
            Ok(Outcome::Found(seek.found))
        } else if everywhere && seek.promised.is_empty() {
            Err(RouteFailure::NotFound)
        } else {
            Err(RouteFailure::TimedOut(self.config.request_timeout))
        };
        self.end(request, outcome);
    }
}
