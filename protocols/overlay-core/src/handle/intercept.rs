//! Applications that see their messages pass (P29; Dabek et al., "Towards a Common API
//! for Structured Peer-to-Peer Overlays", `forward`).

use std::time::Duration;

use bytes::Bytes;

use crate::handle::route::{MAX_WAITING, Next};
use crate::message::{Body, MAX_PAYLOAD};
use crate::timers::Timer;
use crate::{Output, Overlay, Peer, Routed, Ticket, Time};

/// How long an application may think about a message that passes.
const DECISION_TIME: Duration = Duration::from_secs(2);

/// A message an application decides about.
#[derive(Clone, Debug)]
pub(crate) struct Waiting<P> {
    pub(crate) routed: Routed<P>,
    /// The hop before, unless the message is this node's own.
    pub(crate) before: Option<P>,
}

impl<P: Peer> Overlay<P> {
    /// Sends a message one hop on, or delivers it here; before it goes, its application
    /// may change or stop it. It is asked once, not for each try (P29).
    pub(crate) fn forward(&mut self, now: Time, before: Option<P>, routed: Routed<P>) {
        if let Body::App { app, payload, .. } = &routed.body
            && self.intercepted.contains(app)
            && self.waiting.len() < MAX_WAITING
            && let Next::Hop(next) = self.choose(&routed, &[])
        {
            let (app, payload, next) = (*app, payload.clone(), next.clone());
            let ticket = Ticket(self.next_number());
            let (key, origin) = (routed.key, routed.origin.clone());
            let output = Output::Forward {
                ticket,
                key,
                app,
                payload,
                origin,
                next,
            };
            self.outputs.push_back(output);
            self.timers.set(Timer::Ticket(ticket), now + DECISION_TIME);
            self.waiting.insert(ticket, Waiting { routed, before });
            return;
        }
        self.pass_on(now, routed, before, Vec::new(), 0);
    }

    pub(crate) fn handle_resume(&mut self, now: Time, ticket: Ticket, payload: Option<Bytes>) {
        let Some(Waiting { mut routed, before }) = self.waiting.remove(&ticket) else {
            return;
        };
        self.timers.cancel(Timer::Ticket(ticket));
        let Some(changed) = payload.filter(|changed| changed.len() <= MAX_PAYLOAD) else {
            // The application has it, which is all that a message without reply wants.
            self.note_accepted(routed.id);
            return;
        };
        if let Body::App { payload, .. } = &mut routed.body {
            *payload = changed;
        }
        // Who is next may have changed while the application thought.
        self.pass_on(now, routed, before, Vec::new(), 0);
    }

    /// An application that does not decide lets the message pass.
    pub(crate) fn handle_ticket_timeout(&mut self, now: Time, ticket: Ticket) {
        if let Some(Waiting { routed, before }) = self.waiting.remove(&ticket) {
            self.pass_on(now, routed, before, Vec::new(), 0);
        }
    }
}
