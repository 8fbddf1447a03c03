//! Our end of a stream to a peer: many requests under way, answers in any order (R3).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::message::{
    Request, RequestHeader, Response, ResponseHeader, StreamError, read_body, read_header,
    write_message,
};
use crate::moving::{Moving, Progress};
use crate::server::READ_AHEAD;

/// Requests that wait to be written on one stream.
const QUEUE: usize = 16;

/// Requests without an answer, those that nobody waits for any more among them: more than
/// a peer works on at a time.
const MAX_PENDING: usize = 256;

pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) body: Bytes,
}

struct Asked {
    request: Request,
    body: Bytes,
    reply: oneshot::Sender<Reply>,
}

/// A stream to a peer. Dropping the last reference closes it.
pub(crate) struct Stream {
    queue: mpsc::Sender<Asked>,
    /// Requests written or waiting to be, without an answer yet.
    load: AtomicUsize,
    state: Arc<State>,
    outdone: wire::Outdone,
}

struct State {
    closed: AtomicBool,
    /// When bytes last went either way.
    progress: Arc<Progress>,
    stop: Notify,
    pending: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
}

impl State {
    fn new() -> State {
        State {
            closed: AtomicBool::new(false),
            progress: Arc::default(),
            stop: Notify::new(),
            pending: Mutex::default(),
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop.notify_waiters();
        self.stop.notify_one();
        // Whoever waits for an answer learns now that none will come.
        self.pending.lock().clear();
    }
}

/// The stream ended before the answer came.
pub(crate) struct Ended;

impl Stream {
    /// Runs a freshly opened stream in tasks of its own; `outdone` is its connection's.
    pub(crate) fn start<S>(
        stream: S,
        outdone: wire::Outdone,
        max_item: usize,
        idle: Duration,
    ) -> Arc<Stream>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let state = Arc::new(State::new());
        let (reader, writer) = Moving::new(stream, Arc::clone(&state.progress)).split();
        let (queue, asked) = mpsc::channel(QUEUE);
        tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                tokio::select! {
                    outcome = read_answers(reader, &state, max_item) => {
                        if let Err(error) = outcome {
                            tracing::debug!(%error, "stream to a peer ended");
                        }
                    }
                    () = state.stop.notified() => {}
                }
                state.close();
            }
        });
        tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                tokio::select! {
                    _ = write_requests(writer, asked, &state, idle) => {}
                    () = closed(&state) => {}
                }
                state.close();
            }
        });
        Arc::new(Stream {
            queue,
            load: AtomicUsize::new(0),
            state,
            outdone,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Acquire)
    }

    /// Whether there is a better connection to the peer than the one it is on.
    pub(crate) fn is_outdone(&self) -> bool {
        self.outdone.is_set()
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Tells whether bytes move, either way.
    pub(crate) fn progress(&self) -> &Progress {
        &self.state.progress
    }

    /// Ends the stream; what waits on it fails.
    pub(crate) fn close(&self) {
        self.state.close();
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, request: Request, body: Bytes) -> Result<Reply, Ended> {
        struct Loaded<'a>(&'a AtomicUsize);
        impl Drop for Loaded<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.load.fetch_add(1, Ordering::Relaxed);
        let _loaded = Loaded(&self.load);
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            request,
            body,
            reply,
        };
        self.queue.send(asked).await.map_err(|_| Ended)?;
        answer.await.map_err(|_| Ended)
    }
}

async fn closed(state: &State) {
    loop {
        let notified = state.stop.notified();
        if state.closed.load(Ordering::Acquire) {
            return;
        }
        notified.await;
    }
}

async fn write_requests<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut asked: mpsc::Receiver<Asked>,
    state: &State,
    idle: Duration,
) -> std::io::Result<()> {
    let mut seq = 0;
    loop {
        let next = match timeout(idle, asked.recv()).await {
            Ok(Some(next)) => next,
            Err(_) if !state.pending.lock().is_empty() => continue,
            // Unused for long, or nobody is left to use it.
            Err(_) | Ok(None) => break,
        };
        if next.reply.is_closed() {
            continue;
        }
        seq += 1;
        {
            let mut pending = state.pending.lock();
            if state.closed.load(Ordering::Acquire) {
                break;
            }
            if pending.len() >= MAX_PENDING {
                // It answers some and never the others.
                break;
            }
            pending.insert(seq, next.reply);
        }
        let header = RequestHeader {
            seq,
            body: next.body.len() as u32,
            request: next.request,
        };
        write_message(&mut writer, &header, &next.body).await?;
        if asked.is_empty() {
            writer.flush().await?;
        }
    }
    asked.close();
    writer.close().await
}

async fn read_answers<R: AsyncRead + Unpin>(
    reader: R,
    state: &State,
    max_item: usize,
) -> Result<(), StreamError> {
    let mut reader = BufReader::with_capacity(READ_AHEAD, reader);
    loop {
        let ResponseHeader {
            seq,
            body,
            response,
        } = read_header(&mut reader).await?;
        // An answer nobody asked for breaks the protocol. One that nobody waits for any
        // more is read all the same.
        let Some(reply) = state.pending.lock().remove(&seq) else {
            return Err(StreamError::Frame(format!("answer to no request: {seq}")));
        };
        let allowed = match response {
            Response::Item | Response::Unsettled => max_item,
            _ => 0,
        };
        let body = read_body(&mut reader, body, allowed).await?;
        let _ = reply.send(Reply { response, body });
    }
}
