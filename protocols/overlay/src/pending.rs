//! Commands under way and how the core's outcomes end them (O7).

use std::{collections::BTreeMap, time::Duration};

use guid::Base;
use guid::Guid;
use libp2p_identity::PeerId;
use overlay_core::{Answer, Outcome as Done, RequestId, RouteFailure, TraceHop};

use crate::{Contact, Holder, Hop, ObjectReply, Published, Reply, RouteError, command::Outcome};

/// What a command waits for.
pub(crate) enum Waiting {
    Route(Outcome<()>),
    Request(Outcome<Reply>),
    ReplicaSet(Outcome<Vec<Contact>>),
    Publish(Outcome<Published>),
    LocateObject(Outcome<Vec<Holder>>),
    SendToObject(Outcome<Vec<ObjectReply>>),
    Trace {
        key: Guid,
        outcome: Outcome<Vec<Hop>>,
    },
}

pub(crate) struct Pending {
    base: Base,
    max: usize,
    next: u64,
    waiting: BTreeMap<RequestId, Waiting>,
}

type Finished = Result<Done<PeerId>, RouteFailure>;

impl Pending {
    pub(crate) fn new(base: Base, max: usize) -> Self {
        Self {
            base,
            max,
            next: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// A name for the command; `None`, with the command answered, if there is no room.
    pub(crate) fn add(&mut self, waiting: Waiting) -> Option<RequestId> {
        if self.waiting.len() >= self.max {
            waiting.fail(RouteError::Busy);
            return None;
        }
        let request = RequestId(self.next);
        self.next += 1;
        self.waiting.insert(request, waiting);
        Some(request)
    }

    /// Ends a command. Whoever asked may have gone, which is no concern of ours.
    pub(crate) fn finish(&mut self, request: RequestId, result: Finished) {
        let Some(waiting) = self.waiting.remove(&request) else {
            return;
        };
        let done = match result {
            Ok(done) => done,
            Err(failure) => return waiting.fail(failure.into()),
        };
        match (waiting, done) {
            (Waiting::Route(outcome), _) => drop(outcome.send(Ok(()))),
            (
                Waiting::Request(outcome),
                Done::Replied {
                    from,
                    answer: Answer::App(payload),
                    hops,
                    ..
                },
            ) => {
                let from = Contact::from(&from);
                drop(outcome.send(Ok(Reply {
                    from,
                    payload,
                    hops: hops.into(),
                })));
            }
            (
                Waiting::ReplicaSet(outcome),
                Done::Replied {
                    answer: Answer::ReplicaSet(contacts),
                    ..
                },
            ) => drop(outcome.send(Ok(contacts.iter().map(Contact::from).collect()))),
            (Waiting::Trace { key, outcome }, Done::Replied { from, trace, .. }) => {
                let mut hops: Vec<Hop> = trace
                    .iter()
                    .flatten()
                    .map(|hop| self.hop(key, hop))
                    .collect();
                if hops
                    .last()
                    .is_none_or(|last| last.contact.peer != from.peer)
                {
                    let root = TraceHop {
                        contact: from,
                        rtt_micros: None,
                    };
                    hops.push(self.hop(key, &root));
                }
                drop(outcome.send(Ok(hops)));
            }
            (Waiting::Publish(outcome), Done::Published(published)) => {
                drop(outcome.send(Ok(published.into())));
            }
            (Waiting::LocateObject(outcome), Done::Found(found)) => {
                drop(outcome.send(Ok(found.into_iter().map(Holder::from).collect())));
            }
            (Waiting::SendToObject(outcome), Done::Found(found)) => {
                drop(outcome.send(Ok(found.into_iter().map(ObjectReply::from).collect())));
            }
            // The core matches answers to requests; the rest cannot be told apart there.
            (waiting, _) => {
                waiting.fail(RouteError::Refused("an answer of another kind".to_owned()));
            }
        }
    }

    fn hop(&self, key: Guid, hop: &TraceHop<PeerId>) -> Hop {
        Hop {
            contact: Contact::from(&hop.contact),
            shared_prefix: key.shared_prefix(hop.contact.guid, self.base),
            rtt: hop.rtt_micros.map(Duration::from_micros),
        }
    }
}

impl Waiting {
    pub(crate) fn fail(self, error: RouteError) {
        match self {
            Waiting::Route(outcome) => drop(outcome.send(Err(error))),
            Waiting::Request(outcome) => drop(outcome.send(Err(error))),
            Waiting::ReplicaSet(outcome) => drop(outcome.send(Err(error))),
            Waiting::Trace { outcome, .. } => drop(outcome.send(Err(error))),
            Waiting::Publish(outcome) => drop(outcome.send(Err(error))),
            Waiting::LocateObject(outcome) => drop(outcome.send(Err(error))),
            Waiting::SendToObject(outcome) => drop(outcome.send(Err(error))),
        }
    }
}
