//! What a core must and must not do, said in sets and counts: a reference model that knows
//! nothing of how the core decides.

use std::collections::{BTreeMap, BTreeSet};

use guid::Guid;
use overlay_core::{
    Answer, Config, Contact, Input, Location, Message, Outcome, Output, Overlay, RequestId, State,
    Time,
};

use super::message::named_sender;
use crate::bounds::assert_bounded;
use crate::places::{ME, Peer, place};

/// A command that has not ended.
struct Open {
    /// When it has to have ended; `None` where that depends on when others are late.
    deadline: Option<Time>,
    /// What it may bring.
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Route,
    Locate { k: usize, trace: bool },
    Publish,
    Unpublish,
    Seek { count: usize },
}

pub(super) struct Model {
    config: Config,
    state: State,
    open: BTreeMap<RequestId, Open>,
    /// Peers that have spoken for themselves.
    heard: BTreeSet<Peer>,
    /// Pointers that their own holders asked for.
    wished: BTreeSet<(Guid, Peer)>,
    /// The leaf set by what was said of its changes.
    leafs: BTreeSet<Peer>,
}

impl Model {
    pub(super) fn new(config: &Config) -> Model {
        Model {
            config: config.clone(),
            state: State::Joining,
            open: BTreeMap::new(),
            heard: BTreeSet::new(),
            wished: BTreeSet::new(),
            leafs: BTreeSet::new(),
        }
    }

    pub(super) fn received(&mut self, from: Peer, message: &Message<Peer>) {
        self.heard.insert(from);
        match message {
            Message::Location(Location::Publish(publish)) => {
                self.wished.insert((publish.object, from));
            }
            Message::Location(Location::Unpublish { object, .. }) => {
                self.wished.remove(&(*object, from));
            }
            _ => {}
        }
    }

    pub(super) fn commanded(&mut self, now: Time, request: RequestId, input: &Input<Peer>) {
        let kind = match input {
            Input::Route { .. } => Kind::Route,
            Input::Locate { k, trace, .. } => Kind::Locate {
                k: *k,
                trace: *trace,
            },
            Input::Publish { .. } => Kind::Publish,
            Input::Unpublish { .. } => Kind::Unpublish,
            Input::LocateObject { count, .. } | Input::SendToObject { count, .. } => {
                Kind::Seek { count: *count }
            }
            other => unreachable!("{other:?} is no command"),
        };
        // Taking back ends when everyone was asked twice, whenever that is.
        let timed = !matches!(kind, Kind::Unpublish);
        let deadline = timed.then(|| now + self.config.request_timeout);
        self.open.insert(request, Open { deadline, kind });
    }

    pub(super) fn put_out(&mut self, core: &Overlay<Peer>, output: &Output<Peer>) {
        match output {
            Output::Send { to, message } => self.assert_sendable(to, message),
            Output::Deliver { key, .. } => {
                assert_eq!(self.state, State::Active, "delivered while not active");
                let mut leafs = core.smaller_leafs().iter().chain(core.larger_leafs());
                let closer = leafs.find(|leaf| key.cmp_distance(leaf.guid, place(ME)).is_lt());
                assert_eq!(closer, None, "a neighbour is closer to {key}");
            }
            Output::DeliverObject { object, .. } => {
                assert_eq!(self.state, State::Active, "delivered while not active");
                assert!(
                    core.published().any(|held| held == *object),
                    "a message to an object that is not here"
                );
            }
            Output::Forward { next, .. } => {
                assert_eq!(self.state, State::Active, "passed on while not active");
                assert_ne!(next.peer, ME, "passed on to itself");
            }
            Output::Done { request, outcome } => {
                let open = self.open.remove(request);
                let open = open.expect("a request ends once, and was made before");
                if let Ok(outcome) = outcome {
                    assert_fits(open.kind, outcome);
                }
            }
            Output::StateChanged(state) => {
                assert!(self.state < *state, "{:?} after {:?}", state, self.state);
                self.state = *state;
            }
            Output::LeafSetChanged { joined, left } => {
                for leaf in left {
                    assert!(self.leafs.remove(&leaf.peer), "{leaf:?} was no leaf");
                }
                for leaf in joined {
                    assert!(self.leafs.insert(leaf.peer), "{leaf:?} was a leaf");
                }
            }
        }
    }

    /// What is sent must be what others take (P26, O2), or they refuse its sender.
    fn assert_sendable(&self, to: &Contact<Peer>, message: &Message<Peer>) {
        assert_ne!(to.peer, ME, "to itself: {message:?}");
        let valid = message.validate(&self.config);
        assert_eq!(valid, Ok(()), "sent what others refuse");
        assert_bounded(message, &self.config);
        assert!(
            named_sender(message).is_none_or(|sender| sender == ME),
            "sent in another's name"
        );
        for named in message.contacts() {
            assert_eq!(named.guid, place(named.peer), "sent a forged contact");
        }
    }

    /// What the core shows of itself agrees with what it said and heard.
    pub(super) fn assert_agrees(&self, core: &Overlay<Peer>) {
        assert_eq!(core.state(), self.state, "a change of state was not told");
        let leafs = core.smaller_leafs().iter().chain(core.larger_leafs());
        let leafs: BTreeSet<Peer> = leafs.map(|leaf| leaf.peer).collect();
        assert_eq!(leafs, self.leafs, "the leaf set is not what was told of it");
        let half = self.config.leaf_set / 2;
        assert!(core.smaller_leafs().len() <= half, "too many leafs");
        assert!(core.larger_leafs().len() <= half, "too many leafs");
        let near: Vec<Peer> = core.neighbourhood().map(|near| near.peer).collect();
        assert!(near.len() <= self.config.neighbourhood, "too many near");
        let table = core.table().map(|(_, _, entry)| entry.peer);
        for peer in table.chain(near).chain(leafs) {
            assert!(self.heard.contains(&peer), "{peer} never spoke (P13)");
            assert!(core.keeps(peer), "{peer} is a member and not kept");
        }
        for pointer in core.pointers() {
            assert!(self.wished.contains(&pointer), "nobody asked for it (L4)");
        }
    }

    pub(super) fn assert_none_overdue(&self, now: Time) {
        for (request, open) in &self.open {
            assert!(
                open.deadline.is_none_or(|deadline| deadline > now),
                "{request:?}, a {:?}, should have ended",
                open.kind
            );
        }
    }

    pub(super) fn assert_all_done(&self) {
        let open = self.open.keys().next();
        assert_eq!(open, None, "a request never ends");
    }
}

/// A request brings what was asked for.
fn assert_fits(kind: Kind, outcome: &Outcome<Peer>) {
    match (kind, outcome) {
        (Kind::Route, Outcome::Accepted)
        | (Kind::Publish, Outcome::Published(_))
        | (Kind::Unpublish, Outcome::Unpublished) => {}
        (Kind::Route, Outcome::Replied { answer, .. }) => {
            assert!(matches!(answer, Answer::App(_)), "an answer {answer:?}");
        }
        (Kind::Locate { k, trace: asked }, Outcome::Replied { answer, trace, .. }) => {
            let Answer::ReplicaSet(closest) = answer else {
                panic!("an answer {answer:?}");
            };
            assert!(closest.len() <= k, "{} of {k} nodes", closest.len());
            assert!(asked || trace.is_none(), "a trace nobody asked for");
        }
        (Kind::Seek { count }, Outcome::Found(found)) => {
            assert!(!found.is_empty() && found.len() <= count, "found {found:?}");
            let holders: BTreeSet<Peer> = found.iter().map(|one| one.holder.peer).collect();
            assert_eq!(holders.len(), found.len(), "a holder twice");
        }
        (kind, outcome) => panic!("a {kind:?} brought {outcome:?}"),
    }
}
