//! Leaving, and seeing others leave (P19).

use crate::location::state::LocationState;
use crate::{Message, Output, Overlay, Peer, RouteFailure, State, Time};

impl<P: Peer> Overlay<P> {
    pub(crate) fn handle_leave_command(&mut self, now: Time) {
        if self.state == State::Left {
            return;
        }
        for contact in self.members() {
            self.send(now, &contact, Message::Leave);
        }
        self.state = State::Left;
        self.timers.clear();
        self.hops.clear();
        self.waiting.clear();
        self.leave_location();
        self.sent_for.clear();
        for (request, _) in std::mem::take(&mut self.requests) {
            self.outputs.push_back(Output::Done {
                request,
                outcome: Err(RouteFailure::Left),
            });
        }
        self.outputs.push_back(Output::StateChanged(State::Left));
    }

    /// Pointers kept here are gone; those that lead here are dropped by who next follows one.
    fn leave_location(&mut self) {
        let location = std::mem::replace(&mut self.location, LocationState::new());
        let publications = location.publications.into_values();
        let waiting = publications.flat_map(|publication| publication.waiting);
        let waiting = waiting.map(|(request, _)| request);
        let requests = location
            .seeks
            .into_keys()
            .chain(location.withdrawals.into_keys());
        for request in waiting.chain(requests) {
            self.outputs.push_back(Output::Done {
                request,
                outcome: Err(RouteFailure::Left),
            });
        }
    }

    /// A neighbour said goodbye: all of its neighbours were told, so nobody is told again.
    pub(crate) fn handle_leave(&mut self, now: Time, from: P) {
        if let Some(peer) = self.peers.get(&from) {
            self.note_left(now, peer.contact.clone());
            self.remove_peer(now, from, true);
        }
    }
}
