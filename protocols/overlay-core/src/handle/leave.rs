//! Leaving, and seeing others leave (P19).

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
        for (request, _) in std::mem::take(&mut self.requests) {
            self.outputs.push_back(Output::Done {
                request,
                outcome: Err(RouteFailure::Left),
            });
        }
        self.outputs.push_back(Output::StateChanged(State::Left));
    }

    /// A neighbour said goodbye: all of its neighbours were told, so nobody is told again.
    pub(crate) fn handle_leave(&mut self, now: Time, from: P) {
        if self.peers.contains_key(&from) {
            self.remove_peer(now, from, true);
        }
    }
}
