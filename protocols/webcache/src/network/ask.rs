//! A question to the home (Q3, Q34).

use std::sync::Arc;

use guid::Guid;
use libp2p_identity::PeerId;
use tokio::time::{Instant, timeout_at};
use webcache_core::{Input, Message};

use super::{
    exchange::{self, Asking},
    homes::CANDIDATES,
    message::{Question, Target},
    node::Node,
};
use crate::{stats::Counters, wanted::Wanted};

/// A question to whoever is the home.
pub(super) struct Get {
    pub(super) ask: u64,
    pub(super) object: Guid,
    pub(super) wanted: Arc<Wanted>,
    pub(super) version: Option<u64>,
    pub(super) without: Option<PeerId>,
}

/// Asks the closest node that takes part, which may be this one.
pub(super) async fn home(node: Arc<Node>, get: Get) {
    let (ask, object) = (get.ask, get.object);
    // Later the asker is at the origin already (Q5), and nobody is to be asked for it any more.
    let deadline = Instant::now() + node.patience[0];
    let set = node.overlay.replica_set(object, CANDIDATES);
    let set = match timeout_at(deadline, set).await {
        Ok(Ok(set)) => set,
        Ok(Err(error)) => {
            tracing::debug!(%error, "web cache: no home found");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    for contact in set {
        let peer = contact.peer;
        if peer == node.me {
            let message = Message::Get {
                ask,
                object,
                version: get.version,
                without: get.without,
            };
            return Node::question_to_self(&node, ask, object, get.wanted, message);
        }
        if node.homes.is_left_out(peer) {
            continue;
        }
        let stream = match timeout_at(deadline, exchange::open(&node, contact)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(why)) => {
                node.homes.failed(peer, &why);
                continue;
            }
            Err(_) => {
                node.homes.avoid(peer);
                break;
            }
        };
        let question = Question::Get {
            target: Target::new(&get.wanted),
            version: get.version,
            without: get.without,
            addrs: overlay::encode_addrs(&node.overlay.me().addrs).into(),
        };
        let asking = Asking {
            ask,
            object,
            wanted: Some(get.wanted),
        };
        return exchange::converse(node, peer, stream, question, asking).await;
    }
    Counters::add(&node.keeper.counters.peers_silent);
    Node::input(&node, Input::Unreachable { object, ask });
}
