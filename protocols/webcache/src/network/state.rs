//! Who waits for what the core says.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    sync::Arc,
};

use guid::Guid;
use libp2p_identity::PeerId;
use lru::LruCache;
use serde_bytes::ByteBuf;
use tokio::sync::{mpsc, oneshot};
use webcache_core::{Copied, Message, Offered, Source, Ticket, Webcache};

use super::{message, node::Node, owed::Owed};
use crate::{keeper::Copy, wanted::Wanted};

/// Peers of which it is remembered where they said that they can be dialled: those who asked
/// lately, and so may be delegates.
const MAX_ADDRESSES: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("it is not 0");

pub(super) struct State {
    pub(super) core: Webcache<PeerId>,
    pub(super) clients: BTreeMap<Ticket, Client>,
    pub(super) next_ticket: u64,
    pub(super) questions: HashMap<(PeerId, u64), Asked>,
    pub(super) next_question: u64,
    pub(super) addresses: LruCache<PeerId, ByteBuf>,
}

/// A request of a client of this node's.
pub(super) struct Client {
    pub(super) object: Guid,
    pub(super) wanted: Arc<Wanted>,
    pub(super) turn: Option<oneshot::Sender<Turn>>,
}

/// What a client's request is to do.
pub(super) enum Turn {
    /// Ask the origin, for all that wait.
    Fetch(Owed),
    /// Give this.
    Answer(Source<PeerId>, Option<Copy>),
}

/// A question that this node has been asked.
pub(super) struct Asked {
    pub(super) object: Guid,
    /// What for; not where a new home takes over.
    pub(super) wanted: Option<Arc<Wanted>>,
    /// `None` where this node asks itself.
    pub(super) replies: Option<mpsc::Sender<Reply>>,
}

/// An answer of the core to a question.
pub(super) enum Reply {
    Wait,
    Current(Copied, Option<Copy>),
    Object {
        copied: Copied,
        hit: bool,
        copy: Copy,
    },
    Redirect(message::Node),
    Origin {
        tell: bool,
    },
    Gone,
}

impl State {
    pub(super) fn new(core: Webcache<PeerId>) -> State {
        State {
            core,
            clients: BTreeMap::new(),
            next_ticket: 0,
            questions: HashMap::new(),
            next_question: 0,
            addresses: LruCache::new(MAX_ADDRESSES),
        }
    }

    /// What a client wants of an object.
    pub(super) fn wanted(&self, object: Guid) -> Option<Arc<Wanted>> {
        let mut clients = self.clients.values();
        let client = clients.find(|client| client.object == object)?;
        Some(Arc::clone(&client.wanted))
    }

    /// What one of those who wait at this home wants.
    pub(super) fn wanted_by_others(&self, object: Guid) -> Option<(PeerId, Arc<Wanted>)> {
        let mut questions = self.questions.iter();
        questions.find_map(|((peer, _), asked)| {
            let wanted = asked.wanted.as_ref().filter(|_| asked.object == object)?;
            Some((*peer, Arc::clone(wanted)))
        })
    }

    /// Who asks for an object anew waits for the earlier answer no more: the core has one place for
    /// it, and who holds the stream of the earlier question ends with its sender.
    pub(super) fn replace(&mut self, from: PeerId, object: Guid) {
        let same = |peer: PeerId, asked: &Asked| peer == from && asked.object == object;
        self.questions
            .retain(|(peer, _), asked| !same(*peer, asked));
    }

    /// Gives the first client that is still there the turn to ask the origin.
    pub(super) fn send_to_origin(&mut self, object: Guid, node: &Arc<Node>) -> bool {
        for client in self.clients.values_mut() {
            if client.object != object {
                continue;
            }
            let Some(turn) = client.turn.take_if(|turn| !turn.is_closed()) else {
                continue;
            };
            let owed = Owed::new(Arc::clone(node), object);
            match turn.send(Turn::Fetch(owed)) {
                Ok(()) => return true,
                // Here the state is locked: it is told another way.
                Err(Turn::Fetch(owed)) => owed.forgive(),
                Err(Turn::Answer(..)) => {}
            }
        }
        false
    }

    pub(super) fn node(&mut self, peer: PeerId) -> message::Node {
        let addrs = self.addresses.get(&peer).cloned().unwrap_or_default();
        message::Node { peer, addrs }
    }

    /// The objects of an offer, with where their delegates are.
    pub(super) fn with_addresses(&mut self, message: &Message<PeerId>) -> Vec<message::Offer> {
        let Message::Offer { objects } = message else {
            return Vec::new();
        };
        let with = |offered: &Offered<PeerId>| message::Offer {
            object: offered.object,
            copy: offered.copy,
            delegates: offered
                .delegates
                .iter()
                .map(|delegate| self.node(*delegate))
                .collect(),
        };
        objects.iter().map(with).collect()
    }
}
