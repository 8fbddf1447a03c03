//! A search on its way: it turns off at the first pointer, and goes on where that leads to
//! nobody (L8 to L11; Tapestry, section III-B).

use guid::Guid;

use crate::location::message::{Errand, Location, MAX_PASSED, Search, Task};
use crate::location::state::{MAX_SEARCHES, Purpose, Searching};
use crate::message::Body;
use crate::{Answer, Contact, Message, MessageId, Output, Overlay, Peer, Routed, State, Time};

/// Nodes next to a root that are asked when the root knows nothing: before the root joined
/// one of them was it, and if the one before died one of them has its copies (L11).
const ASIDES: usize = 3;

impl<P: Peer> Overlay<P> {
    /// A search is here: this node may hold the object, or know who does.
    pub(crate) fn search_here(&mut self, now: Time, before: Option<P>, mut routed: Routed<P>) {
        let Body::Search(search) = &mut routed.body else {
            return;
        };
        let room = search.reached.len() < MAX_PASSED;
        if room && self.holds(search.object) && search.is_new(self.me.guid) {
            search.reached.push(self.me.guid);
            search.want = search.want.saturating_sub(1);
            if let Some(errand) = errand_of(&routed) {
                self.run_errand(now, errand);
            }
        }
        self.turn_off(now, before, routed);
    }

    fn holds(&self, object: Guid) -> bool {
        self.state == State::Active && self.location.publications.contains_key(&object)
    }

    /// Sends the nearest holders known here their errands and waits for what they say;
    /// without any, the search goes on.
    fn turn_off(&mut self, now: Time, before: Option<P>, routed: Routed<P>) {
        let Body::Search(search) = &routed.body else {
            return;
        };
        let full = search.reached.len() >= MAX_PASSED || search.silent.len() >= MAX_PASSED;
        if search.want == 0 || full {
            self.end_search(now, routed);
            return;
        }
        let waits = &self.location.searches;
        let busy = waits.len() >= MAX_SEARCHES || waits.contains_key(&routed.id);
        let known = self.location.pointers.nearest(now, search.object);
        let holders: Vec<Contact<P>> = known
            .into_iter()
            .map(|holder| &holder.contact)
            .filter(|holder| holder.guid != self.me.guid && search.is_new(holder.guid))
            .take(usize::from(search.want).min(MAX_PASSED - search.reached.len()))
            .cloned()
            .collect();
        if busy || holders.is_empty() {
            self.stats.dropped += u64::from(busy);
            self.pass_on(now, routed, before, Vec::new(), 0);
            return;
        }
        let id = routed.id;
        let mut open = 0;
        for holder in holders {
            let Some(errand) = errand_of(&routed) else {
                return;
            };
            let asked = self.ask(now, &holder, Purpose::Errand { search: id }, |nonce| {
                Location::Errand(Errand { nonce, ..errand })
            });
            open += usize::from(asked);
        }
        if open == 0 {
            self.pass_on(now, routed, before, Vec::new(), 0);
        } else {
            self.location.searches.insert(
                id,
                Searching {
                    routed,
                    before,
                    open,
                },
            );
        }
    }

    /// A holder has taken its errand, or was silent, or holds the object no more (L10).
    pub(crate) fn note_errand(&mut self, now: Time, id: MessageId, holder: Guid, took: bool) {
        let Some(searching) = self.location.searches.get_mut(&id) else {
            return;
        };
        searching.open -= 1;
        if let Body::Search(search) = &mut searching.routed.body {
            if took {
                search.reached.push(holder);
                search.want = search.want.saturating_sub(1);
            } else if search.silent.len() < MAX_PASSED {
                search.silent.push(holder);
            }
        }
        if searching.open == 0
            && let Some(searching) = self.location.searches.remove(&id)
        {
            self.turn_off(now, searching.before, searching.routed);
        }
    }

    /// A search has turned off to this node.
    pub(crate) fn handle_errand(&mut self, now: Time, from: P, errand: Errand<P>) {
        let holds = self.holds(errand.object);
        // The hop before is connected, so its name is address enough.
        let back = Contact {
            guid: Guid::default(),
            peer: from,
            addrs: crate::Addrs::default(),
        };
        let nonce = errand.nonce;
        let taken = Location::ErrandTaken { nonce, holds };
        self.send(now, &back, Message::Location(taken));
        if holds {
            let hops = errand.hops.saturating_add(1);
            self.run_errand(now, Errand { hops, ..errand });
        }
    }

    pub(crate) fn handle_errand_taken(&mut self, now: Time, from: P, nonce: u64, holds: bool) {
        let Some(ask) = self.end_ask(now, from, nonce) else {
            return;
        };
        let Purpose::Errand { search } = ask.purpose else {
            return;
        };
        if !holds && let Location::Errand(errand) = ask.message {
            self.location.pointers.remove(from, errand.object);
        }
        self.note_errand(now, search, ask.to.guid, holds);
    }

    /// This node holds what was searched for.
    fn run_errand(&mut self, now: Time, errand: Errand<P>) {
        let Errand {
            id,
            origin,
            hops,
            object,
            errand,
            task,
            ..
        } = errand;
        match task {
            Task::Find => self.answer(now, id, origin, hops, None, Answer::Holder),
            Task::Deliver { app, payload } => {
                let served = MessageId {
                    origin: origin.guid,
                    number: errand,
                };
                if self.location.served.note(served) {
                    self.stats.delivered += 1;
                    self.outputs.push_back(Output::DeliverObject {
                        id,
                        object,
                        app,
                        payload,
                        origin,
                        hops,
                    });
                }
                // Else the application has it already, and its answer is on its way.
            }
        }
    }

    /// The search has climbed to the root of its key and was told of too few holders: the
    /// nodes next to the root may know more (L11).
    pub(crate) fn search_beside_root(&mut self, now: Time, mut routed: Routed<P>) {
        let Body::Search(search) = &mut routed.body else {
            return;
        };
        let key = search.object.salted(search.salt);
        let closest = self.leafs.closest(key, &self.me);
        let mut asides: Vec<Guid> = closest
            .into_iter()
            .map(|leaf| leaf.guid)
            .filter(|guid| *guid != self.me.guid && *guid != routed.origin.guid)
            .take(ASIDES)
            .collect();
        asides.reverse();
        search.asides = Some(asides);
        self.search_aside(now, None, routed, 0);
    }

    /// Behind the root a search goes from one neighbour to the next, and then ends.
    pub(crate) fn search_aside(
        &mut self,
        now: Time,
        before: Option<P>,
        mut routed: Routed<P>,
        tries: u32,
    ) {
        loop {
            let Body::Search(search) = &mut routed.body else {
                return;
            };
            let asides = search.asides.get_or_insert_default();
            let Some(guid) = asides.pop() else {
                self.end_search(now, routed);
                return;
            };
            // Others' lists name only whom this node knows as a neighbour as well.
            let mut leafs = self.leafs.smaller().iter().chain(self.leafs.larger());
            if let Some(leaf) = leafs.find(|leaf| leaf.guid == guid).cloned() {
                self.transmit(now, routed, leaf, before, Vec::new(), tries);
                return;
            }
        }
    }

    /// Tells the origin that this search has come to its end. Where everyone wanted was
    /// found, they say so themselves, and at once.
    fn end_search(&mut self, now: Time, routed: Routed<P>) {
        let Routed {
            id,
            origin,
            hops,
            body,
            ..
        } = routed;
        if let Body::Search(search) = body
            && (search.want > 0 || matches!(search.task, Task::Deliver { .. }))
        {
            let answer = Answer::Searched {
                reached: search.reached,
            };
            self.answer(now, id, origin, hops, None, answer);
        }
    }
}

/// What a search wants of a holder, but for the nonce.
fn errand_of<P: Peer>(routed: &Routed<P>) -> Option<Errand<P>> {
    let Body::Search(search) = &routed.body else {
        return None;
    };
    Some(Errand {
        nonce: 0,
        id: routed.id,
        origin: routed.origin.clone(),
        hops: routed.hops,
        object: search.object,
        errand: search.errand,
        task: search.task.clone(),
    })
}

impl Search {
    fn is_new(&self, holder: Guid) -> bool {
        !self.reached.contains(&holder) && !self.silent.contains(&holder)
    }
}
