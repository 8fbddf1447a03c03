//! Answers a peer's requests, one task a stream (R4).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use libp2p_identity::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::budget::Held;
use crate::collection::{Collection, MAX_ID, PutRefused, StoreError};
use crate::config::{MAX_LIST, MAX_REQUESTS_PER_STREAM, MAX_SPANS};
use crate::digest::digest_of;
use crate::message::{
    Refusal, Request, RequestHeader, Response, ResponseHeader, StreamError, read_body, read_header,
    write_message,
};
use crate::moving::{Moving, Progress};
use crate::shared::Shared;

/// A peer may leave its stream open without a request for so long: as long as it may wait for an
/// answer, since it may be reading one that the transport took from here long ago. Ours close
/// theirs far earlier.
const IDLE: Duration = Duration::from_secs(240);

/// Bytes read ahead: a header comes in one read, an item of more bypasses the buffer.
pub(crate) const READ_AHEAD: usize = 16 * 1024;

struct Answer {
    header: ResponseHeader,
    body: Bytes,
    _held: Option<Held>,
    _slot: OwnedSemaphorePermit,
}

/// Serves one inbound stream until the peer closes it or breaks a rule.
pub(crate) async fn serve<C, S>(shared: Arc<Shared<C>>, peer: PeerId, stream: S)
where
    C: Collection,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Each way for itself: who sends and does not read is not waited for.
    let (came, went) = (Arc::<Progress>::default(), Arc::<Progress>::default());
    let (reader, writer) = stream.split();
    let reader = Moving::new(reader, Arc::clone(&came));
    let writer = Moving::new(writer, Arc::clone(&went));
    let (answers, queue) = mpsc::channel(MAX_REQUESTS_PER_STREAM);
    // Reading goes on while answers are written: two sides that only write would wait
    // for each other forever.
    let writing = tokio::spawn(write_answers(writer, queue, went, Arc::clone(&shared)));
    let read = read_requests(&shared, peer, reader, &came, &answers);
    let outcome = tokio::select! {
        outcome = read => outcome,
        () = answers.closed() => Ok(()),
    };
    match outcome {
        Ok(()) | Err(StreamError::Closed) => {}
        Err(StreamError::Io(error)) => tracing::debug!(%peer, %error, "stream ended"),
        Err(error) => {
            shared.counters.bad_streams.one();
            tracing::debug!(%peer, %error, "stream refused");
            // What breaks the framing is not worth an answer: the stream is reset.
            writing.abort();
        }
    }
}

async fn read_requests<C, R>(
    shared: &Arc<Shared<C>>,
    peer: PeerId,
    reader: R,
    came: &Progress,
    answers: &mpsc::Sender<Answer>,
) -> Result<(), StreamError>
where
    C: Collection,
    R: AsyncRead + Unpin,
{
    let mut reader = BufReader::with_capacity(READ_AHEAD, reader);
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS_PER_STREAM));
    loop {
        let slot = Arc::clone(&slots)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let Ok(header) = timeout(IDLE, read_header::<RequestHeader, _>(&mut reader)).await else {
            return Ok(());
        };
        let RequestHeader { seq, body, request } = header?;
        let allowed = match request {
            Request::Put { .. } => C::MAX_ITEM,
            _ => 0,
        };
        if body as usize > allowed {
            return Err(StreamError::Oversized(body));
        }
        let held = match request {
            Request::Put { .. } => Some(shared.inbound.take(peer, body as usize).await),
            Request::Get { .. } => Some(shared.inbound.take(peer, C::MAX_ITEM).await),
            _ => None,
        };
        let body = read_body(&mut reader, body, allowed);
        let body = came.within(shared.config.request_timeout, body).await;
        let body = body.ok_or(StreamError::Io(std::io::ErrorKind::TimedOut.into()))??;
        shared.counters.bytes_received.add(body.len() as u64);

        let (shared, answers) = (Arc::clone(shared), answers.clone());
        tokio::spawn(async move {
            let (response, body) = answer(&shared, request, body).await;
            match response {
                Response::Refused { .. } => shared.counters.requests_refused.one(),
                _ => shared.counters.requests_served.one(),
            }
            let mut held = held;
            if let Some(held) = &mut held {
                held.shrink_to(body.len());
            }
            let header = ResponseHeader {
                seq,
                body: body.len() as u32,
                response,
            };
            // The peer is gone when nobody takes the answer.
            let _ = answers
                .send(Answer {
                    header,
                    body,
                    _held: held,
                    _slot: slot,
                })
                .await;
        });
    }
}

async fn write_answers<C, W>(
    mut writer: W,
    mut queue: mpsc::Receiver<Answer>,
    went: Arc<Progress>,
    shared: Arc<Shared<C>>,
) where
    C: Collection,
    W: AsyncWrite + Unpin,
{
    let patience = shared.config.request_timeout;
    while let Some(answer) = queue.recv().await {
        let write = async {
            write_message(&mut writer, &answer.header, &answer.body).await?;
            if queue.is_empty() {
                writer.flush().await?;
            }
            Ok::<(), std::io::Error>(())
        };
        // A peer that asks and does not read holds memory: it loses its stream.
        match went.within(patience, write).await {
            Some(Ok(())) => shared.counters.bytes_sent.add(answer.body.len() as u64),
            Some(Err(_)) | None => return,
        }
    }
    let _ = timeout(patience, writer.close()).await;
}

async fn answer<C: Collection>(
    shared: &Shared<C>,
    request: Request,
    body: Bytes,
) -> (Response, Bytes) {
    let collection = &shared.collection;
    let response = match request {
        Request::Get { id } | Request::Put { id, .. } | Request::Has { id }
            if id.len() > MAX_ID || collection.key_of(&id).is_none() =>
        {
            invalid("no name of an item")
        }
        Request::Get { id } => match collection.get(&id).await {
            Ok(Some(item)) => {
                if let Some(copies) = &shared.copies {
                    copies.used_again(&id);
                }
                let key = collection.key_of(&id);
                let response = match key.is_some_and(|key| shared.duty.is_settled(key)) {
                    true => Response::Item,
                    false => Response::Unsettled,
                };
                return (response, item);
            }
            Ok(None) => {
                // Whoever came for a published copy has found that it is gone (R20).
                shared.lost(&id);
                match shared.may_be_lost(&id) {
                    true => Response::PerhapsLost,
                    false => Response::Missing,
                }
            }
            Err(error) => {
                if matches!(error, StoreError::Corrupt(_)) {
                    shared.found_corrupt(&id).await;
                }
                failed(&error)
            }
        },
        Request::Put { id, moved } => {
            let kept = match moved {
                true => collection.put_moved(&id, body, false).await,
                false => collection.put(&id, body).await,
            };
            match kept {
                Ok(stored) => Response::Stored {
                    version: stored.version,
                },
                Err(PutRefused::Invalid(reason)) => {
                    shared.counters.mismatches.one();
                    invalid(&reason)
                }
                Err(PutRefused::Store(error)) => failed(&error),
            }
        }
        Request::Has { id } => match collection.version(&id).await {
            Ok(version) => Response::Held { version },
            Err(error) => failed(&error),
        },
        Request::Digest { spans } if spans.len() > MAX_SPANS => invalid("too many arcs"),
        Request::Digest { spans } => {
            // Adding up reads many names: one at a time leaves the disk to the others.
            let _turn = shared
                .digesting
                .acquire()
                .await
                .expect("the semaphore is never closed");
            let mut digests = Vec::with_capacity(spans.len());
            for span in spans {
                match digest_of(&**collection, span).await {
                    Ok(digest) => digests.push(digest),
                    Err(error) => return (failed(&error), Bytes::new()),
                }
            }
            Response::Digests { digests }
        }
        Request::List { after, .. }
            if after
                .as_ref()
                .is_some_and(|id| id.len() > MAX_ID || collection.key_of(id).is_none()) =>
        {
            invalid("no name of an item to go on behind")
        }
        Request::List { span, after, limit } => {
            let limit = (limit as usize).clamp(1, MAX_LIST);
            match collection.list(span, after, limit).await {
                Ok(entries) => Response::Entries {
                    more: entries.len() == limit,
                    entries,
                },
                Err(error) => failed(&error),
            }
        }
    };
    (response, Bytes::new())
}

fn invalid(text: &str) -> Response {
    Response::Refused {
        why: Refusal::Invalid,
        text: text.into(),
    }
}

fn failed(error: &StoreError) -> Response {
    let why = match error {
        StoreError::Full(_) => Refusal::Full,
        _ => Refusal::Failed,
    };
    // Paths and the like of this machine are no peer's business: the kind says enough.
    let text = match error {
        StoreError::Full(_) => "the store is full",
        StoreError::Corrupt(_) => "the copy kept here is corrupted",
        _ => "the store failed",
    };
    Response::Refused {
        why,
        text: text.into(),
    }
}
