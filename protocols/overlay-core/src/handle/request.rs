//! What applications ask for, what is delivered to them, and answers (P14, P20).

use bytes::Bytes;
use guid::Guid;

use crate::handle::redundant::Lookup;
use crate::message::{Body, MAX_PAYLOAD, TraceHop};
use crate::timers::Timer;
use crate::{
    Answer, Contact, Message, MessageId, Outcome, Output, Overlay, Peer, RandomisedRouting,
    RequestId, RouteFailure, Routed, State, Time,
};

/// Most requests of this node under way.
pub(crate) const MAX_REQUESTS: usize = 4096;

/// A request this node waits for.
#[derive(Clone, Debug)]
pub(crate) struct Request<P> {
    pub(crate) id: MessageId,
    pub(crate) deadline: Time,
    /// Not sent yet, because the node has not joined.
    held: Option<Routed<P>>,
    /// What is sent again when no answer comes: only what does no harm twice.
    again: Option<Routed<P>>,
    wants_reply: bool,
    /// First hops of the tries so far, from the second try on (P34).
    tried: Vec<P>,
    /// What is known of a lookup whose answer is not taken on trust (P35).
    pub(crate) lookup: Option<Box<Lookup<P>>>,
}

impl<P: Peer> Overlay<P> {
    pub(crate) fn handle_route_command(
        &mut self,
        now: Time,
        request: RequestId,
        key: Guid,
        k: usize,
        body: Body<P>,
    ) {
        let Body::App { payload, .. } = &body else {
            return;
        };
        if k == 0 || k > self.config.leaf_set {
            let most = self.config.leaf_set;
            let reason = format!("one of {k} nodes asked for: from 1 to {most} are possible");
            self.end(request, Err(RouteFailure::Invalid(reason)));
            return;
        }
        if payload.len() > MAX_PAYLOAD {
            let reason = format!(
                "a message of {} bytes where {MAX_PAYLOAD} is the most",
                payload.len()
            );
            self.end(request, Err(RouteFailure::Invalid(reason)));
            return;
        }
        self.start_request(now, request, key, body, None, None);
    }

    pub(crate) fn handle_locate(
        &mut self,
        now: Time,
        request: RequestId,
        key: Guid,
        k: usize,
        trace: bool,
    ) {
        if k == 0 || k > self.config.leaf_set / 2 {
            let most = self.config.leaf_set / 2;
            let reason = format!("{k} nodes asked for: from 1 to {most} are possible");
            self.end(request, Err(RouteFailure::Invalid(reason)));
            return;
        }
        if !trace && let Some(closest) = self.replica_set(key, k) {
            let from = self.me.clone();
            let answer = Answer::ReplicaSet(closest);
            self.end(
                request,
                Ok(Outcome::Replied {
                    from,
                    answer,
                    hops: 0,
                    trace: None,
                }),
            );
            return;
        }
        let trace = trace.then(|| {
            vec![TraceHop {
                contact: self.me.clone(),
                rtt_micros: None,
            }]
        });
        let lookup = (trace.is_none() && self.config.security.redundant_routes > 0)
            .then(|| Box::new(Lookup::new(key, k)));
        // How densely the root's neighbours stand says whether it is the root.
        let asked = if lookup.is_some() {
            self.config.leaf_set + 1
        } else {
            k
        };
        let k = u8::try_from(asked).unwrap_or(u8::MAX);
        self.start_request(now, request, key, Body::ReplicaSet { k }, trace, lookup);
    }

    fn start_request(
        &mut self,
        now: Time,
        request: RequestId,
        key: Guid,
        body: Body<P>,
        trace: Option<Vec<TraceHop<P>>>,
        lookup: Option<Box<Lookup<P>>>,
    ) {
        if self.state == State::Left {
            self.end(request, Err(RouteFailure::Left));
            return;
        }
        if self.requests.len() >= MAX_REQUESTS || self.requests.contains_key(&request) {
            self.end(request, Err(RouteFailure::Busy));
            return;
        }
        let id = MessageId {
            origin: self.me.guid,
            number: self.next_number(),
        };
        let again = matches!(body, Body::ReplicaSet { .. });
        let wants_reply = !matches!(
            body,
            Body::App {
                wants_reply: false,
                ..
            }
        );
        let routed = Routed {
            id,
            key,
            origin: self.me.clone(),
            hops: 0,
            trace,
            body,
        };
        let deadline = now + self.config.request_timeout;
        let joined = self.state == State::Active;
        self.sent_for.insert(id.number, request);
        self.requests.insert(
            request,
            Request {
                id,
                deadline,
                held: (!joined).then(|| routed.clone()),
                again: again.then(|| routed.clone()),
                wants_reply,
                tried: Vec::new(),
                lookup,
            },
        );
        let wait = if again {
            self.config.request_timeout / 5
        } else {
            self.config.request_timeout
        };
        self.timers.set(Timer::Request(request), now + wait);
        if joined {
            self.forward(now, None, routed);
        }
    }

    /// The node has joined: what was asked of it meanwhile goes out.
    pub(crate) fn release_held(&mut self, now: Time) {
        let held: Vec<Routed<P>> = self
            .requests
            .values_mut()
            .filter_map(|request| request.held.take())
            .collect();
        for routed in held {
            self.forward(now, None, routed);
        }
    }

    pub(crate) fn handle_request_timeout(&mut self, now: Time, request: RequestId) {
        let Some(state) = self.requests.get(&request) else {
            return;
        };
        let again = state
            .again
            .clone()
            .filter(|_| now < state.deadline && state.held.is_none());
        if state.lookup.is_some() && state.held.is_none() {
            self.handle_lookup_timeout(now, request);
            return;
        }
        if now >= state.deadline {
            let id = state.id;
            self.forget_hop(id);
            self.end(
                request,
                Err(RouteFailure::TimedOut(self.config.request_timeout)),
            );
            return;
        }
        let next = (now + self.config.request_timeout / 5).min(state.deadline);
        self.timers.set(Timer::Request(request), next);
        if let Some(mut routed) = again {
            // A name of its own, or the hops that have seen it would drop it.
            let old = routed.id;
            routed.id.number = self.next_number();
            self.forget_hop(old);
            self.sent_for.remove(&old.number);
            self.sent_for.insert(routed.id.number, request);
            let mut tried = Vec::new();
            if let Some(state) = self.requests.get_mut(&request) {
                state.id = routed.id;
                state.again = Some(routed.clone());
                tried = std::mem::take(&mut state.tried);
            }
            let other = match self.config.security.randomised {
                RandomisedRouting::Never => None,
                RandomisedRouting::Retries | RandomisedRouting::Always => {
                    self.another_first_hop(routed.key, &mut tried)
                }
            };
            if let Some(state) = self.requests.get_mut(&request) {
                state.tried = tried;
            }
            match other {
                Some(next) => self.transmit(now, routed, next, None, Vec::new(), 0),
                None => self.forward(now, None, routed),
            }
        }
    }

    /// This node is the root of the message's key, or may take it besides (P33).
    pub(crate) fn deliver(&mut self, now: Time, routed: Routed<P>) {
        self.stats.delivered += 1;
        let Routed {
            id,
            key,
            origin,
            hops,
            trace,
            body,
        } = routed;
        match body {
            Body::App {
                app,
                payload,
                wants_reply,
                any_of: _,
            } => {
                let output = Output::Deliver {
                    id,
                    key,
                    app,
                    payload,
                    origin,
                    hops,
                    wants_reply,
                };
                self.outputs.push_back(output);
                self.note_accepted(id);
            }
            Body::Join { rows, near } => {
                let leafs = self.leafs.members();
                self.answer(
                    now,
                    id,
                    origin,
                    hops,
                    trace,
                    Answer::Join { rows, near, leafs },
                );
            }
            Body::ReplicaSet { k } | Body::NeighbourSet { k } => {
                let mut closest = self.leafs.closest(key, &self.me);
                closest.truncate(usize::from(k).clamp(1, self.config.leaf_set + 1));
                self.answer(now, id, origin, hops, trace, Answer::ReplicaSet(closest));
            }
            Body::Search(search) => {
                let body = Body::Search(search);
                self.search_beside_root(
                    now,
                    Routed {
                        id,
                        key,
                        origin,
                        hops,
                        trace,
                        body,
                    },
                );
            }
        }
    }

    pub(crate) fn handle_app_reply(
        &mut self,
        now: Time,
        id: MessageId,
        origin: Contact<P>,
        hops: u8,
        answer: Result<Bytes, String>,
    ) {
        let answer = match answer {
            Ok(payload) if payload.len() > MAX_PAYLOAD => Answer::Refused(format!(
                "an answer of {} bytes where {MAX_PAYLOAD} is the most",
                payload.len()
            )),
            Ok(payload) => Answer::App(payload),
            Err(reason) => Answer::Refused(reason.chars().take(256).collect()),
        };
        self.answer(now, id, origin, hops, None, answer);
    }

    pub(crate) fn answer(
        &mut self,
        now: Time,
        id: MessageId,
        origin: Contact<P>,
        hops: u8,
        trace: Option<Vec<TraceHop<P>>>,
        answer: Answer<P>,
    ) {
        let from = self.me.clone();
        if origin.guid == self.me.guid {
            self.handle_reply(now, id, hops, trace, from, answer);
        } else {
            self.send(
                now,
                &origin,
                Message::Reply {
                    id,
                    hops,
                    trace,
                    from,
                    answer,
                },
            );
        }
    }

    pub(crate) fn handle_reply(
        &mut self,
        now: Time,
        id: MessageId,
        hops: u8,
        trace: Option<Vec<TraceHop<P>>>,
        from: Contact<P>,
        answer: Answer<P>,
    ) {
        if matches!(answer, Answer::Join { .. }) {
            self.handle_join_answer(now, id, from, answer);
            return;
        }
        if let Some(request) = self.location.seek_of(self.me.guid, id) {
            self.handle_seek_answer(now, request, id, from, hops, answer);
            return;
        }
        let Some(request) = self.request_of(id).filter(|_| id.origin == self.me.guid) else {
            return;
        };
        if self
            .requests
            .get(&request)
            .is_some_and(|state| state.lookup.is_some())
        {
            self.handle_lookup_answer(now, request, id, from, hops, answer);
            return;
        }
        let asked = self.requests.get(&request);
        let asked = asked.and_then(|asked| asked.again.as_ref());
        let Some(answer) = fit_for(asked, answer) else {
            return;
        };
        let trace = trace.filter(|_| asked.is_some_and(|asked| asked.trace.is_some()));
        // A root that answers has the message, whether its acknowledgement came or not.
        self.forget_hop(id);
        let outcome = match answer {
            Answer::Refused(reason) => Err(RouteFailure::Refused(reason)),
            answer => Ok(Outcome::Replied {
                from,
                answer,
                hops,
                trace,
            }),
        };
        self.end(request, outcome);
    }

    /// A message of this node is with its next hop, or delivered here.
    pub(crate) fn note_accepted(&mut self, id: MessageId) {
        let Some(request) = self.request_of(id) else {
            return;
        };
        if self
            .requests
            .get(&request)
            .is_some_and(|request| !request.wants_reply)
        {
            self.end(request, Ok(Outcome::Accepted));
        }
    }

    /// A message was given up. If it was this node's, its request fails, unless it is
    /// tried again by and by.
    pub(crate) fn note_dropped(&mut self, id: MessageId) {
        let Some(request) = self.request_of(id) else {
            return;
        };
        if self
            .requests
            .get(&request)
            .is_some_and(|request| request.again.is_none())
        {
            self.end(
                request,
                Err(RouteFailure::TimedOut(self.config.request_timeout)),
            );
        }
    }

    pub(crate) fn request_of(&self, id: MessageId) -> Option<RequestId> {
        if id.origin != self.me.guid {
            return None;
        }
        self.sent_for.get(&id.number).copied()
    }

    pub(crate) fn end(&mut self, request: RequestId, outcome: Result<Outcome<P>, RouteFailure>) {
        if let Some(ended) = self.requests.remove(&request) {
            let questions = ended.lookup.iter().flat_map(|lookup| lookup.numbers());
            for number in questions.chain([ended.id.number]) {
                self.sent_for.remove(&number);
            }
        }
        self.timers.cancel(Timer::Request(request));
        self.timers.cancel(Timer::Seek(request));
        self.outputs.push_back(Output::Done { request, outcome });
    }
}

/// What of an answer is one to the question asked: an application's where there is none
/// that can be put again. One of another kind is no answer; of more nodes than were asked
/// for the first are taken (P38).
fn fit_for<P>(asked: Option<&Routed<P>>, answer: Answer<P>) -> Option<Answer<P>> {
    match (asked.map(|asked| &asked.body), answer) {
        (None, answer @ (Answer::App(_) | Answer::Refused(_))) => Some(answer),
        (Some(Body::ReplicaSet { k }), Answer::ReplicaSet(mut closest)) => {
            closest.truncate((*k).into());
            Some(Answer::ReplicaSet(closest))
        }
        _ => None,
    }
}
