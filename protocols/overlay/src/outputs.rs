//! From inputs to the core, and from its outputs to messages, upcalls and outcomes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use guid::Guid;
use libp2p_identity::PeerId;
use overlay_core::{Input, Output};
use tokio::time::Instant;

use crate::{
    AppId, Behaviour, Contact, Delivery, Event, Forward, Gate, Responder, Snapshot, State, Upcall,
    addrs,
    error::{NO_APPLICATION, OVERLOADED},
    links::Sent,
    registry::Called,
    upcalls::Asker,
};

/// How long changes other than the leaf set's may wait before the snapshot shows them:
/// every measured round trip is one, and a snapshot copies all tables.
pub(crate) const SNAPSHOT_DELAY: Duration = Duration::from_millis(250);

impl Behaviour {
    /// One input, then a full drain; inputs that arise meanwhile (an application that
    /// has no room, say) follow in order.
    pub(crate) fn input(&mut self, input: Input<PeerId>) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let now = self.clock.now();
            self.core.handle_input(now, input);
            while let Some(output) = self.core.poll_output() {
                self.on_output(output);
            }
        }
        self.publish_at
            .get_or_insert_with(|| Instant::now() + SNAPSHOT_DELAY);
    }

    fn on_output(&mut self, output: Output<PeerId>) {
        match output {
            Output::Send { to, message } => {
                if self.refused.contains(&to.peer) {
                    return;
                }
                tracing::trace!(to = %to.peer, kind = message.kind(), "send");
                let bytes = Bytes::from(wire::encode(&message));
                let addrs = || addrs::decode(to.addrs.as_bytes());
                match self.links.send(to.peer, addrs, bytes) {
                    Sent::Accepted => self.counters.sent += 1,
                    Sent::Dropped => self.counters.dropped += 1,
                }
            }
            Output::Deliver {
                id,
                key,
                app,
                payload,
                origin,
                hops,
                wants_reply,
            } => {
                let asker = Asker { id, origin, hops };
                self.deliver(app, asker, key, payload, wants_reply, Upcall::Deliver);
            }
            Output::DeliverObject {
                id,
                object,
                app,
                payload,
                origin,
                hops,
            } => {
                let asker = Asker { id, origin, hops };
                self.deliver(app, asker, object, payload, true, Upcall::DeliverObject);
            }
            Output::Forward {
                ticket,
                key,
                app,
                payload,
                origin,
                next,
            } => {
                let forward = Forward {
                    key,
                    payload: payload.clone(),
                    origin: Contact::from(&origin),
                    next: Contact::from(&next),
                    gate: Gate::new(ticket, self.handle.commands.clone()),
                };
                let (called, upcall) = self.registry.call(app, Upcall::Forward(forward));
                if called != Called::Queued {
                    // Nobody has seen it, so it goes on as it is.
                    if let Some(Upcall::Forward(mut forward)) = upcall {
                        forward.gate.disarm();
                    }
                    self.inputs.push_back(Input::Resume {
                        ticket,
                        payload: Some(payload),
                    });
                    self.counters.upcalls_dropped += u64::from(called == Called::Full);
                }
            }
            Output::Done { request, outcome } => self.pending.finish(request, outcome),
            Output::StateChanged(state) => {
                self.publish_at = Some(Instant::now());
                self.events.push_back(match state {
                    overlay_core::State::Joining => Event::Joining,
                    overlay_core::State::Active => Event::Active,
                    overlay_core::State::Left => Event::Left,
                });
            }
            Output::LeafSetChanged { joined, left } => {
                self.leaf_set_changed = true;
                self.publish_at = Some(Instant::now());
                let joined: Vec<_> = joined.iter().map(Contact::from).collect();
                let left: Vec<_> = left.iter().map(Contact::from).collect();
                let update = || Upcall::Update {
                    joined: joined.clone(),
                    left: left.clone(),
                };
                self.counters.upcalls_dropped += self.registry.call_all(update);
                if !self.events.contains(&Event::LeafSetChanged) {
                    self.events.push_back(Event::LeafSetChanged);
                }
            }
        }
    }

    /// Hands a message to an application, or answers why there is none to take it (O9).
    fn deliver(
        &mut self,
        app: AppId,
        asker: Asker,
        key: Guid,
        payload: Bytes,
        wants_reply: bool,
        upcall: impl FnOnce(Delivery) -> Upcall,
    ) {
        let responder =
            wants_reply.then(|| Responder::new(asker.clone(), self.handle.commands.clone()));
        let delivery = Delivery {
            key,
            payload,
            origin: Contact::from(&asker.origin),
            hops: asker.hops.into(),
            responder,
        };
        let (called, upcall) = self.registry.call(app, upcall(delivery));
        if let Some(Upcall::Deliver(mut delivery) | Upcall::DeliverObject(mut delivery)) = upcall {
            // The refusal below is the answer.
            if let Some(responder) = &mut delivery.responder {
                responder.disarm();
            }
        }
        let why = match called {
            Called::Queued => return,
            Called::Full => OVERLOADED,
            Called::Nobody => NO_APPLICATION,
        };
        self.counters.upcalls_dropped += 1;
        if wants_reply {
            self.respond(asker, Err(why.to_owned()));
        }
    }

    /// An application's answer, or the refusal in its place.
    pub(crate) fn respond(&mut self, asker: Asker, answer: Result<Bytes, String>) {
        let Asker { id, origin, hops } = asker;
        self.inputs.push_back(Input::Reply {
            id,
            origin,
            hops,
            answer,
        });
    }

    /// Shows the state to handles, and keeps the connections it stands on (O6).
    pub(crate) fn publish(&mut self) {
        self.publish_at = None;
        let mut snapshot = crate::snapshot::take(&self.core);
        snapshot.counters = self.counters;
        let now = self.clock.now().since(overlay_core::Time::ZERO);
        if snapshot.state == State::Active {
            self.active_since.get_or_insert(now);
        }
        let before = Arc::clone(&self.snapshot.borrow());
        snapshot.newcomers = crate::snapshot::newcomers(&before, &snapshot, now, self.active_since);
        let kept: BTreeSet<PeerId> = match snapshot.state {
            State::Left => BTreeSet::new(),
            State::Joining | State::Active => contacts(&snapshot).map(|known| known.peer).collect(),
        };
        self.links.keep(kept);
        self.snapshot.send_replace(Arc::new(snapshot));
        // After the snapshot, so that who wakes up sees the new leaf set.
        if std::mem::take(&mut self.leaf_set_changed) {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

/// Every node of the tables.
pub(crate) fn contacts(snapshot: &Snapshot) -> impl Iterator<Item = &Contact> {
    let table = snapshot.routing_table.iter().map(|cell| &cell.contact);
    let near = snapshot
        .neighbourhood
        .iter()
        .map(|neighbour| &neighbour.contact);
    snapshot.leaf_set.contacts().chain(table).chain(near)
}
