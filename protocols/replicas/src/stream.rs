//! Our end of a stream to a peer: many requests under way, answers in any order (R3).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use crate::message::{
    Request, RequestHeader, Response, ResponseHeader, StreamError, read_body, read_header,
    write_message,
};
use crate::moving::{Moving, PATIENT_TIMES, Progress};
use crate::server::READ_AHEAD;

/// Requests that wait to be written on one stream.
const QUEUE: usize = 16;

/// Bytes a second at which what the transport has taken is thought to reach a peer, at least. QUIC takes
/// up to 10 MB at once, and nothing is seen of how they get on until an answer comes.
const SLOWEST: usize = 64 * 1024;

/// Answers are read for so long after the last request that could be written.
const LINGER: Duration = Duration::from_secs(240);

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
    /// Told when it is its turn to be written: how many were without an answer then.
    turn: oneshot::Sender<usize>,
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
    /// When the last answer was complete.
    answered: Mutex<Instant>,
    stop: Notify,
    pending: Mutex<Pending>,
}

/// Requests that were written, or are being, and have no answer.
#[derive(Default)]
struct Pending {
    replies: HashMap<u64, Unanswering>,
    /// Bytes of items that the transport has taken with them.
    taken: usize,
}

struct Unanswering {
    reply: oneshot::Sender<Reply>,
    /// Bytes of its item, once the transport has taken them all.
    taken: usize,
}

impl Pending {
    /// The transport has taken the item of a request whole.
    fn took(&mut self, seq: u64, bytes: usize) {
        // It may have been answered already, by one who knew without reading it.
        if let Some(request) = self.replies.get_mut(&seq) {
            request.taken = bytes;
            self.taken += bytes;
        }
    }

    fn remove(&mut self, seq: u64) -> Option<oneshot::Sender<Reply>> {
        let request = self.replies.remove(&seq)?;
        self.taken -= request.taken;
        Some(request.reply)
    }
}

impl State {
    fn new() -> State {
        State {
            closed: AtomicBool::new(false),
            progress: Arc::default(),
            answered: Mutex::new(Instant::now()),
            stop: Notify::new(),
            pending: Mutex::default(),
        }
    }

    /// Waits until nothing has moved since `begin`: no bytes and no answer for `patience`, and for the
    /// time that what the transport holds may be on its way.
    async fn still(&self, begin: Instant, patience: Duration) {
        loop {
            let moved = self.progress.at().max(*self.answered.lock()).max(begin);
            let on_its_way = self.pending.lock().taken.div_ceil(SLOWEST);
            let due = moved + patience + Duration::from_secs(on_its_way as u64);
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// No request is written any more; answers are still read while any are due.
    fn ask_no_more(&self) {
        self.closed.store(true, Ordering::Release);
        if self.pending.lock().replies.is_empty() {
            self.close();
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop.notify_waiters();
        self.stop.notify_one();
        // Whoever waits for an answer learns now that none will come.
        *self.pending.lock() = Pending::default();
    }
}

/// Why no answer came.
pub(crate) enum Unanswered {
    /// The stream ended.
    Ended,
    /// It took too long (R6).
    Overdue,
}

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
                // What was asked before may still be on its way.
                state.ask_no_more();
                let _ = timeout(LINGER, state.stop.notified()).await;
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

    /// Sends a request that was begun at `begin`, maybe on another stream, and waits for its
    /// answer. One that is overdue ends the stream: whatever is behind it would wait as long.
    pub(crate) async fn ask(
        &self,
        request: Request,
        body: Bytes,
        begin: Instant,
        patience: Duration,
    ) -> Result<Reply, Unanswered> {
        struct Loaded<'a>(&'a AtomicUsize);
        impl Drop for Loaded<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.load.fetch_add(1, Ordering::Relaxed);
        let _loaded = Loaded(&self.load);
        let (reply, answer) = oneshot::channel();
        let (turn, its_turn) = oneshot::channel();
        let asked = Asked {
            request,
            body,
            reply,
            turn,
        };
        let exchange = async {
            self.queue.send(asked).await.ok()?;
            answer.await.ok()
        };
        tokio::select! {
            reply = exchange => return reply.ok_or(Unanswered::Ended),
            // A stream on which bytes move may only be slow, as many are where the way out is.
            () = self.state.still(begin, patience) => {}
            () = self.out_of_turn(its_turn, patience * PATIENT_TIMES) => {}
        }
        self.state.close();
        Err(Unanswered::Overdue)
    }

    /// Waits until a request has had its time. That begins with its turn, and again with each
    /// answer, for answers go over the stream one after the other as requests do; but it has
    /// no more times than there were requests before it.
    async fn out_of_turn(&self, its_turn: oneshot::Receiver<usize>, time: Duration) {
        let Ok(before) = its_turn.await else {
            return std::future::pending().await;
        };
        let turn = Instant::now();
        let times = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        let latest = turn + time.saturating_mul(times);
        loop {
            let answered = *self.state.answered.lock();
            let due = (answered.max(turn) + time).min(latest);
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
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
            Err(_) if !state.pending.lock().replies.is_empty() => continue,
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
            if pending.replies.len() >= MAX_PENDING {
                // It answers some and never the others.
                break;
            }
            // Nobody waits any more, where this is not taken.
            let _ = next.turn.send(pending.replies.len());
            let request = Unanswering {
                reply: next.reply,
                taken: 0,
            };
            pending.replies.insert(seq, request);
        }
        let header = RequestHeader {
            seq,
            body: next.body.len() as u32,
            request: next.request,
        };
        let written = write_message(&mut writer, &header, &next.body).await;
        if written.is_err() {
            // It did not get there whole.
            state.pending.lock().remove(seq);
        }
        written?;
        state.pending.lock().took(seq, next.body.len());
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
        let Some(reply) = state.pending.lock().remove(seq) else {
            return Err(StreamError::Frame(format!("answer to no request: {seq}")));
        };
        let allowed = match response {
            Response::Item | Response::Unsettled => max_item,
            _ => 0,
        };
        let body = read_body(&mut reader, body, allowed).await?;
        *state.answered.lock() = Instant::now();
        let _ = reply.send(Reply { response, body });
        let is_last = state.pending.lock().replies.is_empty();
        if is_last && state.closed.load(Ordering::Acquire) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures::future::join_all;
    use tokio_util::compat::TokioAsyncReadCompatExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);
    /// What the far end reads at a time.
    const PIECE: usize = 16 * 1024;
    const ITEM: usize = 32 * PIECE;

    /// A stream whose far end needs `pause` for each piece that it reads, and answers an item
    /// when it has it whole, but the item `never`.
    fn to_a_slow_peer(pause: Duration, never: Option<u64>) -> Arc<Stream> {
        through(PIECE, pause, never)
    }

    async fn answer_slowly(far: tokio::io::DuplexStream, pause: Duration, never: Option<u64>) {
        let (mut reader, mut writer) = far.compat().split();
        while let Ok(header) = read_header::<RequestHeader, _>(&mut reader).await {
            let mut piece = vec![0; PIECE];
            for _ in 0..header.body as usize / PIECE {
                tokio::time::sleep(pause).await;
                if reader.read_exact(&mut piece).await.is_err() {
                    return;
                }
            }
            let answer = ResponseHeader {
                seq: header.seq,
                body: 0,
                response: Response::Stored { version: 1 },
            };
            if never != Some(header.seq) {
                write_message(&mut writer, &answer, &[]).await.unwrap();
                writer.flush().await.unwrap();
            }
        }
    }

    /// The same, over a transport that takes `holds` bytes before it is full.
    fn through(holds: usize, pause: Duration, never: Option<u64>) -> Arc<Stream> {
        let (near, far) = tokio::io::duplex(holds);
        tokio::spawn(answer_slowly(far, pause, never));
        let outdone = wire::Outdone::default();
        Stream::start(near.compat(), outdone, ITEM, Duration::from_secs(600))
    }

    /// A way on which writing fails behind so many bytes, and reading goes on.
    struct OneWay<S> {
        stream: S,
        left: usize,
    }

    impl<S: AsyncRead + Unpin> AsyncRead for OneWay<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            into: &mut [u8],
        ) -> Poll<std::io::Result<usize>> {
            Pin::new(&mut self.stream).poll_read(cx, into)
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for OneWay<S> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            from: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            if self.left == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into()));
            }
            let from = &from[..from.len().min(self.left)];
            let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, from))?;
            self.left -= written;
            Poll::Ready(Ok(written))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Pin::new(&mut self.stream).poll_close(cx)
        }
    }

    /// As where the far end has stopped reading: QUIC says so at once, and what was asked before is
    /// on its way.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_cannot_be_written_costs_no_other_its_answer() {
        let (near, far) = tokio::io::duplex(16 * ITEM);
        tokio::spawn(answer_slowly(far, Duration::from_millis(100), None));
        let stream = OneWay {
            stream: near.compat(),
            left: 5 * ITEM / 2,
        };
        let outdone = wire::Outdone::default();
        let stream = Stream::start(stream, outdone, ITEM, Duration::from_secs(600));
        let answered = put_all(&stream, 3).await;
        assert!(answered[..2].iter().all(Result::is_ok));
        assert!(matches!(answered[2], Err(Unanswered::Ended)));
        assert!(stream.is_closed());
        // Nothing is due any more, so nobody reads on.
        assert_eq!(Arc::strong_count(&stream.state), 1);
    }

    async fn put_all(stream: &Stream, items: usize) -> Vec<Result<Reply, Unanswered>> {
        let begin = Instant::now();
        let put = |_| {
            let request = Request::Put {
                id: Bytes::new(),
                moved: false,
            };
            stream.ask(request, vec![7; ITEM].into(), begin, PATIENCE)
        };
        join_all((0..items).map(put)).await
    }

    /// Eight items of three minutes each: the last comes after 25.
    #[tokio::test(start_paused = true)]
    async fn a_request_behind_others_has_time_of_its_own() {
        let stream = to_a_slow_peer(Duration::from_secs(6), None);
        let begin = Instant::now();
        let answered = put_all(&stream, 8).await;
        assert!(answered.iter().all(Result::is_ok));
        assert!(begin.elapsed() > PATIENCE * PATIENT_TIMES * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_next_to_nothing_holds_a_request_for_its_time_and_no_longer() {
        let stream = to_a_slow_peer(PATIENCE - Duration::from_secs(1), None);
        let begin = Instant::now();
        let answered = put_all(&stream, 8).await;
        assert!(answered.iter().all(Result::is_err));
        assert!(stream.is_closed());
        assert!(begin.elapsed() < PATIENCE * (PATIENT_TIMES + 1));
    }

    /// As QUIC does: for the 18 s that an item takes nothing is seen of how it gets on.
    #[tokio::test(start_paused = true)]
    async fn what_the_transport_has_taken_has_time_to_get_there() {
        let stream = through(16 * ITEM, Duration::from_millis(550), None);
        let begin = Instant::now();
        let answered = put_all(&stream, 8).await;
        assert!(answered.iter().all(Result::is_ok));
        assert!(begin.elapsed() > PATIENCE * 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transport_that_takes_everything_does_not_hide_who_is_silent() {
        let stream = through(16 * ITEM, Duration::from_secs(3600), None);
        let begin = Instant::now();
        let answered = put_all(&stream, 8).await;
        assert!(answered.iter().all(Result::is_err));
        let on_its_way = Duration::from_secs((8 * ITEM / SLOWEST) as u64);
        assert!(begin.elapsed() <= PATIENCE + on_its_way + Duration::from_secs(1));
    }

    /// Others' answers do not keep one waiting that never gets its own.
    #[tokio::test(start_paused = true)]
    async fn who_answers_all_but_one_loses_the_stream() {
        let stream = to_a_slow_peer(Duration::from_secs(1), Some(1));
        let begin = Instant::now();
        let answered = put_all(&stream, 12).await;
        assert!(matches!(answered[0], Err(Unanswered::Overdue)));
        assert!(begin.elapsed() < PATIENCE * (PATIENT_TIMES + 1));
    }
}
