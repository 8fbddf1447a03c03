//! Our end of a stream: a question, and what comes back (Q33).

use std::{sync::Arc, time::Duration};

use futures::AsyncWriteExt;
use guid::Guid;
use libp2p_identity::PeerId;
use libp2p_swarm::Stream;
use overlay::Contact;
use serde::Serialize;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};
use webcache_core::{Duty, Input, Message};

use super::{
    behaviour::{NoStream, Open},
    message::{self, Answer, MAX_ANSWER, MAX_QUESTION, Question, Target, decode},
    node::Node,
};
use crate::{
    arriving::{Arriving, End},
    stats::Counters,
    wanted::Wanted,
};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("no stream: {0}")]
    NoStream(#[from] NoStream),
    #[error("it is silent")]
    Silent,
    #[error("the stream: {0}")]
    Stream(#[from] wire::FrameError),
    #[error("nonsense: {0}")]
    Nonsense(String),
    /// It may be right, but is of no use here.
    #[error("of no use: {0}")]
    Useless(&'static str),
}

/// What is asked of a peer, and of what.
pub(super) struct Asking {
    pub(super) ask: u64,
    pub(super) object: Guid,
    /// `None` where a former home is asked for what it offered.
    pub(super) wanted: Option<Arc<Wanted>>,
}

/// A stream to a peer.
pub(super) async fn open(node: &Node, contact: Contact) -> Result<Stream, NoStream> {
    let stopping = || NoStream::Unreachable("the node is stopping".to_owned());
    let (reply, opened) = oneshot::channel();
    let open = Open {
        peer: contact.peer,
        addrs: contact.addrs,
        reply,
    };
    let opening = async {
        node.opens.send(open).await.map_err(|_| stopping())?;
        opened.await.map_err(|_| stopping())?
    };
    match timeout(node.config.connect_timeout, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(NoStream::Unreachable("no connection in time".to_owned())),
    }
}

/// Writes one frame and all of it.
pub(super) async fn write<T: Serialize>(
    stream: &mut Stream,
    value: &T,
    most: usize,
    limit: Duration,
) -> Result<(), Unanswered> {
    let frame = wire::encode(value);
    let writing = async {
        wire::write_frame(stream, &frame, most).await?;
        stream.flush().await.map_err(wire::FrameError::from)
    };
    Ok(timeout(limit, writing)
        .await
        .map_err(|_| Unanswered::Silent)??)
}

async fn read(stream: &mut Stream) -> Result<Answer, Unanswered> {
    let frame = wire::read_frame(stream, MAX_ANSWER).await?;
    decode(&frame).map_err(|error| Unanswered::Nonsense(error.to_string()))
}

/// Puts a question whose answer the core waits for, on a stream that is open, and tells the core
/// what comes of it.
pub(super) async fn converse(
    node: Arc<Node>,
    peer: PeerId,
    stream: Stream,
    question: Question,
    asking: Asking,
) {
    let (ask, object) = (asking.ask, asking.object);
    match answered(&node, peer, stream, question, asking).await {
        Ok(arriving) => {
            node.homes.takes_part(peer);
            if let Some(arriving) = arriving {
                see_end(&node, peer, &arriving).await;
            }
        }
        Err(error) => failed(&node, peer, ask, object, &error),
    }
}

pub(super) fn failed(node: &Arc<Node>, peer: PeerId, ask: u64, object: Guid, error: &Unanswered) {
    tracing::debug!(%peer, %error, "web cache: a peer gave no answer");
    let counters = &node.keeper.counters;
    match error {
        Unanswered::NoStream(why) => {
            node.homes.failed(peer, why);
            Counters::add(&counters.peers_silent);
        }
        Unanswered::Silent | Unanswered::Stream(_) => {
            node.homes.avoid(peer);
            Counters::add(&counters.peers_silent);
        }
        Unanswered::Nonsense(_) => {
            node.homes.avoid(peer);
            Counters::add(&counters.peers_wrong);
        }
        Unanswered::Useless(_) => Counters::add(&counters.peers_wrong),
    }
    Node::input(node, Input::Unreachable { object, ask });
}

async fn answered(
    node: &Arc<Node>,
    peer: PeerId,
    mut stream: Stream,
    question: Question,
    asking: Asking,
) -> Result<Option<Arc<Arriving>>, Unanswered> {
    let [first, later] = node.patience;
    let Asking { ask, object, .. } = asking;
    let start = Instant::now();
    write(&mut stream, &question, MAX_QUESTION, first).await?;
    let mut limit = start + first;
    let nonsense = |why: &str| Unanswered::Nonsense(why.to_owned());
    loop {
        let answer = timeout_at(limit, read(&mut stream)).await;
        let message = match answer.map_err(|_| Unanswered::Silent)?? {
            Answer::Wait => {
                node.received(peer, Message::Wait { ask, object });
                limit = start + first + later;
                continue;
            }
            Answer::Current { copy, head } => {
                let wanted = asking.wanted.ok_or(nonsense("nothing was current"))?;
                if !super::origin::renew(node, &wanted, &head, copy).await {
                    return Err(nonsense("what it calls current is not"));
                }
                Message::Current { ask, object, copy }
            }
            Answer::Object {
                copy,
                hit,
                url,
                head,
            } => {
                let version = copy.version;
                let reading = super::take::body(node, stream, &asking, url, &head, version).await?;
                // Nobody else reads what was offered: it is here when all of it is (Q12).
                if asking.wanted.is_none() {
                    let end = timeout(later, reading.arriving.end()).await;
                    if end.map_err(|_| Unanswered::Silent)? != End::Whole {
                        return Err(Unanswered::Useless("a body that is not whole"));
                    }
                }
                let message = Message::Object {
                    ask,
                    object,
                    copy,
                    hit,
                };
                node.received(peer, message);
                // Whoever wants it reads it by now.
                return Ok(Some(Arc::clone(&reading.arriving)));
            }
            Answer::Redirect { delegate } => {
                node.remember_addresses(delegate.peer, delegate.addrs);
                let delegate = delegate.peer;
                Message::Redirect {
                    ask,
                    object,
                    delegate,
                }
            }
            Answer::Origin { tell } => {
                let duty = match tell {
                    true => Duty::Tell,
                    false => Duty::None,
                };
                Message::Origin { ask, object, duty }
            }
            Answer::Gone => Message::Gone { ask, object },
            Answer::Done => return Err(nonsense("no answer to this")),
        };
        node.received(peer, message);
        return Ok(None);
    }
}

/// Sees how a body ends, of which the core has been told, and remembers what that says of a peer.
async fn see_end(node: &Node, peer: PeerId, arriving: &Arriving) {
    let done = arriving.done.cancelled();
    let in_time = match arriving.held {
        true => timeout(arriving.patience(), done).await.is_ok(),
        false => {
            done.await;
            true
        }
    };
    if !in_time {
        node.homes.avoid(peer);
    } else if arriving.ended() == Some(End::Wrong) {
        node.homes.has_lied(peer);
    }
}

/// Says what the core wants to be said to a peer beside its questions to homes.
pub(super) async fn say(
    node: Arc<Node>,
    peer: PeerId,
    message: Message<PeerId>,
    wanted: Option<Arc<Wanted>>,
    offered: Vec<message::Offer>,
) {
    let contact = node.contact(peer);
    let (question, asking) = match message {
        Message::Fetch {
            ask,
            object,
            version,
        } => {
            let question = match &wanted {
                Some(wanted) => Question::Fetch {
                    target: Target::new(wanted),
                    version,
                },
                None => Question::Take { object },
            };
            let asking = Asking {
                ask,
                object,
                wanted,
            };
            match open(&node, contact).await {
                Ok(stream) => converse(node, peer, stream, question, asking).await,
                Err(why) => failed(&node, peer, ask, object, &why.into()),
            }
            return;
        }
        Message::Told { object, outcome } => (Question::Told { object, outcome }, "told"),
        Message::Offer { .. } => (Question::Offer { objects: offered }, "offer"),
        // Answers, and what goes to homes, go another way.
        _ => return,
    };
    let said = async {
        let mut stream = open(&node, contact).await?;
        let limit = node.config.connect_timeout;
        write(&mut stream, &question, MAX_QUESTION, limit).await?;
        let answer = timeout(limit, read(&mut stream)).await;
        answer.map_err(|_| Unanswered::Silent)?
    };
    // It is for the peer's good: it does without.
    if let Err(error) = said.await {
        tracing::debug!(%peer, %error, what = asking, "web cache: not told");
    }
}
