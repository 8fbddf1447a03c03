//! A publisher takes an object back (L3).

use guid::Guid;

use crate::location::message::Location;
use crate::location::state::{MAX_SEEKS, Purpose};
use crate::{Outcome, Overlay, Peer, RequestId, RouteFailure, State, Time};

impl<P: Peer> Overlay<P> {
    pub(crate) fn handle_unpublish_command(&mut self, now: Time, request: RequestId, object: Guid) {
        if self.state == State::Left {
            self.end(request, Err(RouteFailure::Left));
            return;
        }
        if self.location.seeks.len() + self.location.withdrawals.len() >= MAX_SEEKS {
            self.end(request, Err(RouteFailure::Busy));
            return;
        }
        let asked = self.asked_about(object);
        let Some(mut publication) = self.forget_publication(now, object) else {
            self.end(request, Err(RouteFailure::NotPublished));
            return;
        };
        // Whoever has not answered may have the pointer all the same.
        for contact in asked {
            publication.placed.insert(contact.peer, (contact, now));
        }
        for (waiting, _) in publication.waiting {
            self.end(waiting, Err(RouteFailure::NotPublished));
        }
        let mut open = 0;
        for (contact, _) in publication.placed.into_values() {
            let purpose = Purpose::Withdraw { request };
            let asked = self.ask(now, &contact, purpose, |nonce| Location::Unpublish {
                nonce,
                object,
            });
            open += usize::from(asked);
        }
        if open == 0 {
            self.end(request, Ok(Outcome::Unpublished));
        } else {
            self.location.withdrawals.insert(request, open);
        }
    }

    pub(crate) fn handle_unpublished(&mut self, now: Time, from: P, nonce: u64) {
        if let Some(ask) = self.end_ask(now, from, nonce)
            && let Purpose::Withdraw { request } = ask.purpose
        {
            self.note_withdrawn(request);
        }
    }

    /// A node has dropped its pointer, or is silent: then the pointer expires, and until
    /// then misleads a search by one message.
    pub(crate) fn note_withdrawn(&mut self, request: RequestId) {
        let Some(open) = self.location.withdrawals.get_mut(&request) else {
            return;
        };
        *open -= 1;
        if *open == 0 {
            self.location.withdrawals.remove(&request);
            self.end(request, Ok(Outcome::Unpublished));
        }
    }
}
