//! The service: accepts clients and serves each in a task of its own (Y1, Y9).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, ToSocketAddrs, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::limits::Limits;
use super::message::{Request, Response, Sequence, What};
use super::store::Store;

/// How long a client may take to become a WebSocket: local networks answer at once.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may take to read one answer, as Testground's service has it.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// How long accepting rests after the machine had no descriptor left for a client.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The service cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("the sync service cannot listen")]
pub struct ServerError(#[from] std::io::Error);

/// A sync service that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    socket: Option<UnixListener>,
    store: Arc<Store>,
    limits: Limits,
}

impl Server {
    /// Listens on an address.
    pub async fn bind(address: impl ToSocketAddrs, limits: Limits) -> Result<Server, ServerError> {
        Ok(Server {
            listener: TcpListener::bind(address).await?,
            socket: None,
            store: Arc::new(Store::new(limits.clone())),
            limits,
        })
    }

    /// Listens on a unix socket too, for who is in another network namespace.
    pub fn with_socket(mut self, path: &Path) -> Result<Server, ServerError> {
        self.socket = Some(UnixListener::bind(path)?);
        Ok(self)
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until it is dropped, and all clients with it.
    pub async fn serve(self) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut clients = JoinSet::new();
        loop {
            // Who comes while all places are taken waits in the kernel's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (store, limits) = (Arc::clone(&self.store), self.limits.clone());
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted.map(|(stream, _)| {
                    // Answers are small and someone waits for each.
                    let _ = stream.set_nodelay(true);
                    clients.spawn(async move {
                        serve_client(stream, store, limits).await;
                        drop(place);
                    });
                }),
                accepted = accept(self.socket.as_ref()) => accepted.map(|stream| {
                    clients.spawn(async move {
                        serve_client(stream, store, limits).await;
                        drop(place);
                    });
                }),
                // Ended tasks are let go as they end, not at the next client.
                Some(_) = clients.join_next() => continue,
            };
            if accepted.is_err() {
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// The next client of the socket, if there is one.
async fn accept(socket: Option<&UnixListener>) -> std::io::Result<UnixStream> {
    match socket {
        Some(socket) => Ok(socket.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn serve_client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    store: Arc<Store>,
    limits: Limits,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.message_bytes));
    let accepting = tokio_tungstenite::accept_async_with_config(stream, Some(config));
    let Ok(Ok(socket)) = tokio::time::timeout(HANDSHAKE_PATIENCE, accepting).await else {
        return;
    };
    let (sink, mut source) = socket.split();
    let (answers, queue) = mpsc::channel(limits.answers);
    let mut session = Session {
        store,
        limits,
        answers,
        waiting: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let writer = write_answers(sink, queue);
    let reader = async {
        while let Some(Ok(message)) = source.next().await {
            let answered = match message {
                Message::Text(text) => session.handle(text.as_str()).await,
                Message::Binary(_) => {
                    let error = "requests are JSON in text messages";
                    session
                        .answer(Response::failure(String::new(), error))
                        .await
                }
                Message::Ping(_) | Message::Pong(_) => Ok(()),
                Message::Close(_) | Message::Frame(_) => return,
            };
            if answered.is_err() {
                return;
            }
        }
    };
    // When one half is over, the other has nobody to talk to.
    tokio::select! {
        () = writer => {}
        () = reader => {}
    }
}

async fn write_answers<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Response>,
) {
    while let Some(response) = queue.recv().await {
        let sending = sink.send(Message::text(response.encode()));
        if !matches!(
            tokio::time::timeout(WRITE_PATIENCE, sending).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
}

/// The client is gone.
struct Gone;

/// One client.
struct Session {
    store: Arc<Store>,
    limits: Limits,
    answers: mpsc::Sender<Response>,
    waiting: HashMap<String, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Session {
    async fn handle(&mut self, text: &str) -> Result<(), Gone> {
        let (id_bytes, name_bytes) = (self.limits.id_bytes, self.limits.name_bytes);
        let (id, what) = match Request::decode(text, id_bytes, name_bytes) {
            Ok(request) => request,
            Err((id, error)) => return self.answer(Response::failure(id, error)).await,
        };
        let answer = match what {
            What::Cancel => {
                if let Some(task) = self.waiting.remove(&id) {
                    task.abort();
                }
                return Ok(());
            }
            What::Publish(request) => self
                .store
                .publish(request.topic, request.payload.to_string())
                .map(|seq| Response {
                    publish: Some(Sequence { seq }),
                    ..Response::default()
                }),
            What::SignalEntry(request) => self.store.signal(request.state).map(|seq| Response {
                signal_entry: Some(Sequence { seq }),
                ..Response::default()
            }),
            What::Barrier(request) => match self.store.watch(request.state) {
                Ok(mut count) => {
                    let answers = self.answers.clone();
                    return self
                        .wait(id, |id| async move {
                            // The store outlives its clients, so the count does not end.
                            if count
                                .wait_for(|count| *count >= request.target)
                                .await
                                .is_ok()
                            {
                                let fired = Response {
                                    id,
                                    ..Response::default()
                                };
                                let _ = answers.send(fired).await;
                            }
                        })
                        .await;
                }
                Err(full) => Err(full),
            },
            What::Subscribe(request) => match self.store.follow(request.topic.clone()) {
                Ok(count) => {
                    let (store, answers) = (Arc::clone(&self.store), self.answers.clone());
                    return self
                        .wait(id, |id| async move {
                            follow(&store, &request.topic, count, id, &answers).await;
                        })
                        .await;
                }
                Err(full) => Err(full),
            },
        };
        let answer = match answer {
            Ok(answer) => Response { id, ..answer },
            Err(full) => Response::failure(id, full),
        };
        self.answer(answer).await
    }

    /// Starts what takes time, which can be cancelled under its id.
    async fn wait<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        id: String,
        task: impl FnOnce(String) -> F,
    ) -> Result<(), Gone> {
        while self.tasks.try_join_next().is_some() {}
        self.waiting.retain(|_, task| !task.is_finished());
        if self.waiting.contains_key(&id) {
            let error = "a request of this id is waiting";
            return self.answer(Response::failure(id, error)).await;
        }
        if self.waiting.len() >= self.limits.waiting {
            let error = format!("{} requests are waiting, no more", self.limits.waiting);
            return self.answer(Response::failure(id, error)).await;
        }
        let handle = self.tasks.spawn(task(id.clone()));
        self.waiting.insert(id, handle);
        Ok(())
    }

    async fn answer(&self, response: Response) -> Result<(), Gone> {
        self.answers.send(response).await.map_err(|_| Gone)
    }
}

/// Sends the payloads of a topic, as fast as the client reads them.
async fn follow(
    store: &Store,
    topic: &str,
    mut count: tokio::sync::watch::Receiver<usize>,
    id: String,
    answers: &mpsc::Sender<Response>,
) {
    let mut next = 0;
    loop {
        while let Some(payload) = store.payload(topic, next) {
            next += 1;
            let response = Response {
                id: id.clone(),
                subscribe: payload.to_string(),
                ..Response::default()
            };
            if answers.send(response).await.is_err() {
                return;
            }
        }
        if count.wait_for(|count| *count > next).await.is_err() {
            return;
        }
    }
}
