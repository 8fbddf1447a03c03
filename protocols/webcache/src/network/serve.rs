//! A stream that a peer opened: one question of its, and our answer (Q33, Q34).

use std::{sync::Arc, time::Duration};

use futures::AsyncReadExt as _;
use libp2p_identity::PeerId;
use libp2p_swarm::Stream;
use tokio::time::timeout;
use webcache_core::{Copied, Input, Message, Offered, Scheme};

use super::{
    body,
    exchange::{Unanswered, write},
    message::{self, Answer, Head, MAX_ANSWER, MAX_QUESTION, Question, Target, decode},
    node::{Node, Question as Open},
    state::Reply,
};
use crate::{
    answer,
    body::BoxError,
    keeper::{self, Copy},
    stats::Counters,
    wanted::Wanted,
};

/// How long a question may take to come.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the core may take for an answer: an origin's time to connect and to answer, and that
/// of an asker who was sent there first, many times over.
const REPLY_TIMEOUT: Duration = Duration::from_secs(600);

pub(super) async fn serve(node: Arc<Node>, peer: PeerId, stream: Stream) {
    if let Err(error) = answer(&node, peer, stream).await {
        tracing::debug!(%peer, %error, "web cache: a peer's question");
    }
}

async fn answer(node: &Arc<Node>, peer: PeerId, mut stream: Stream) -> Result<(), BoxError> {
    let frame = timeout(
        QUESTION_TIMEOUT,
        wire::read_frame(&mut stream, MAX_QUESTION),
    )
    .await?;
    let frame = match frame {
        // It wanted to know whether this node takes part.
        Err(wire::FrameError::Closed) => return Ok(()),
        frame => frame?,
    };
    let question: Question = decode(&frame)?;
    Counters::add(&node.keeper.counters.asked);
    let limit = node.config.connect_timeout;
    let (wanted, open) = match question {
        Question::Get {
            target,
            version,
            without,
            addrs,
        } => {
            let wanted = may_be_asked(&target)?;
            let object = wanted.plain_object();
            // Names and addresses of a network of one's own, whoever asks for them (Q36).
            let refused = !node.keeper.networks.allows_url(&wanted.url);
            if refused {
                Counters::add(&node.keeper.counters.not_public);
            }
            if refused || !node.may_be_home(object) {
                let answer = Answer::Origin { tell: false };
                return Ok(write(&mut stream, &answer, MAX_ANSWER, limit).await?);
            }
            node.remember_addresses(peer, addrs);
            let get = |ask| Message::Get {
                ask,
                object,
                version,
                without,
            };
            let open = Node::question(node, peer, Some(Arc::clone(&wanted)), object, get);
            (Some(wanted), open)
        }
        Question::Fetch { target, version } => {
            let wanted = may_be_asked(&target)?;
            let object = wanted.plain_object();
            // In home-store nobody is sent here.
            let refused = !node.keeper.networks.allows_url(&wanted.url);
            if refused || node.settings.scheme != Scheme::Directory {
                return Ok(write(&mut stream, &Answer::Gone, MAX_ANSWER, limit).await?);
            }
            let fetch = |ask| Message::Fetch {
                ask,
                object,
                version,
            };
            let open = Node::question(node, peer, Some(Arc::clone(&wanted)), object, fetch);
            (Some(wanted), open)
        }
        Question::Take { object } => {
            // Only who may be the home now is given what this node offered.
            if !node.is_near(object, peer) {
                return Ok(write(&mut stream, &Answer::Gone, MAX_ANSWER, limit).await?);
            }
            let version = None;
            let fetch = |ask| Message::Fetch {
                ask,
                object,
                version,
            };
            (None, Node::question(node, peer, None, object, fetch))
        }
        Question::Told { object, outcome } => {
            node.received(peer, Message::Told { object, outcome });
            return Ok(write(&mut stream, &Answer::Done, MAX_ANSWER, limit).await?);
        }
        Question::Offer { objects } => {
            offered(node, peer, objects);
            return Ok(write(&mut stream, &Answer::Done, MAX_ANSWER, limit).await?);
        }
    };
    reply(node, stream, wanted, open).await
}

/// What a peer may ask of this node.
fn may_be_asked(target: &Target) -> Result<Arc<Wanted>, Unanswered> {
    let wanted = target.wanted();
    let wanted = wanted.ok_or_else(|| Unanswered::Nonsense("what no peer asks for".to_owned()))?;
    Ok(Arc::new(wanted))
}

/// What a neighbour hands over: those objects whose homes both may be (Q12).
fn offered(node: &Arc<Node>, from: PeerId, offers: Vec<message::Offer>) {
    let near =
        |offer: &message::Offer| node.may_be_home(offer.object) && node.is_near(offer.object, from);
    let mut objects = Vec::new();
    for offer in offers.into_iter().filter(near) {
        let delegates = offer.delegates.into_iter().map(|delegate| {
            node.remember_addresses(delegate.peer, delegate.addrs);
            delegate.peer
        });
        objects.push(Offered {
            object: offer.object,
            copy: offer.copy,
            delegates: delegates.collect(),
        });
    }
    if !objects.is_empty() {
        Node::input(node, Input::Offered { from, objects });
    }
}

/// Writes what the core answers, and the body where there is one.
async fn reply(
    node: &Arc<Node>,
    mut stream: Stream,
    wanted: Option<Arc<Wanted>>,
    mut open: Open,
) -> Result<(), BoxError> {
    let limit = node.config.connect_timeout;
    loop {
        let mut byte = [0];
        let reply = tokio::select! {
            biased;
            reply = timeout(REPLY_TIMEOUT, open.replies.recv()) => reply?,
            // Nothing more comes on it but its end.
            _ = stream.read(&mut byte) => return Err("nobody waits for the answer".into()),
        };
        let reply = reply.ok_or("it has been asked anew, or the node is stopping")?;
        let answer = match reply {
            Reply::Wait => {
                write(&mut stream, &Answer::Wait, MAX_ANSWER, limit).await?;
                continue;
            }
            Reply::Current(copy, here) => Answer::Current {
                copy,
                head: head_of(here, wanted.as_deref()),
            },
            Reply::Redirect(delegate) => Answer::Redirect { delegate },
            Reply::Origin { tell } => Answer::Origin { tell },
            Reply::Gone => Answer::Gone,
            Reply::Object { copied, hit, copy } => {
                return give(node, stream, wanted, copied, hit, copy).await;
            }
        };
        return Ok(write(&mut stream, &answer, MAX_ANSWER, limit).await?);
    }
}

/// The head of what is here, for who has the body already; empty where only its freshness is
/// known.
fn head_of(here: Option<Copy>, wanted: Option<&Wanted>) -> Head {
    let fields = match (here, wanted) {
        (Some(Copy::Stored(stored)), Some(wanted)) => keeper::fresh_head(&stored, wanted),
        _ => None,
    };
    let fields = fields.map(|head| head.headers).unwrap_or_default();
    Head::new(http::StatusCode::NOT_MODIFIED, &fields, None)
}

async fn give(
    node: &Arc<Node>,
    mut stream: Stream,
    wanted: Option<Arc<Wanted>>,
    copied: Copied,
    hit: bool,
    copy: Copy,
) -> Result<(), BoxError> {
    let url = wanted.is_none().then(|| copy.meta().url.clone());
    let (head, body) = match copy {
        Copy::Arriving(reading) => {
            let arriving = &reading.arriving;
            let (status, fields) = &arriving.head;
            let head = Head::new(*status, fields, arriving.length);
            (Some(head), arriving.body())
        }
        Copy::Stored(stored) => {
            let wanted = match &wanted {
                Some(wanted) => Some((**wanted).clone()),
                None => {
                    let (url, fields) = (stored.meta.url.clone(), Vec::new());
                    Target { url, fields }.wanted()
                }
            };
            let fresh = wanted.and_then(|wanted| keeper::fresh_head(&stored, &wanted));
            let head = fresh.and_then(|head| Head::of_stored(&stored.meta, head.headers));
            (head, answer::whole(&stored).await?)
        }
    };
    let limit = node.config.stall_timeout;
    let Some(head) = head else {
        // It has become stale just now.
        let answer = Answer::Origin { tell: false };
        return Ok(write(&mut stream, &answer, MAX_ANSWER, limit).await?);
    };
    let answer = Answer::Object {
        copy: copied,
        hit,
        url,
        head,
    };
    write(&mut stream, &answer, MAX_ANSWER, limit).await?;
    let sent = body::send(&mut stream, body, limit, node.serving.as_ref()).await?;
    Counters::add_bytes(&node.keeper.counters.served_bytes, sent);
    Ok(())
}
