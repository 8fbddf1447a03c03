//! A client of the sync service, for plans written in Rust.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use super::limits::Limits;
use super::message::{
    BarrierRequest, PublishRequest, Request, Response, SignalEntryRequest, SubscribeRequest,
};
use crate::environment::Environment;
use crate::event::Event;

/// How long the service may take to answer the first time: instances may start before it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait after the service refused.
const CONNECT_REST: Duration = Duration::from_millis(100);

/// Requests not yet sent.
const COMMANDS: usize = 64;

/// Payloads of one subscription that were not taken yet: more than the service keeps for
/// any run of ours. Who leaves more unread loses the subscription, not the connection.
const UNREAD: usize = 65_536;

/// The sync service did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// No connection within 30 s.
    #[error("no sync service at {address}")]
    Connect {
        /// Where it should be.
        address: String,
        /// Why not.
        #[source]
        source: tungstenite::Error,
    },
    /// The connection is over.
    #[error("the sync service is gone")]
    Gone,
    /// The service refused.
    #[error("the sync service refused: {0}")]
    Refused(String),
    /// A payload is not of the type that was asked for.
    #[error("unexpected payload")]
    Payload(#[from] serde_json::Error),
}

/// A connection to the sync service. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    prefix: String,
    local: Option<SocketAddr>,
}

#[derive(Debug)]
struct Command {
    request: Request,
    answers: Answers,
}

#[derive(Debug)]
enum Answers {
    One(oneshot::Sender<Response>),
    Many(mpsc::Sender<Response>),
}

/// The payloads of a topic. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription<T> {
    answers: mpsc::Receiver<Response>,
    payload: PhantomData<fn() -> T>,
}

impl Client {
    /// Connects to the service that an instance's environment names. Names of states and
    /// topics are the run's own.
    pub async fn connect(environment: &Environment) -> Result<Client, SyncError> {
        let address = format!("{}:{}", environment.sync_host, environment.sync_port);
        let prefix = prefix(&environment.run, &environment.plan, &environment.case);
        Client::connect_to(&address, prefix).await
    }

    /// Connects to the service on a unix socket, where it listens already; `prefix` comes
    /// before all names.
    pub async fn connect_socket(path: &Path, prefix: String) -> Result<Client, SyncError> {
        let failed = |source| SyncError::Connect {
            address: path.display().to_string(),
            source,
        };
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| failed(error.into()))?;
        let socket = upgrade(stream, "localhost").await.map_err(failed)?;
        Ok(Client::over(socket, prefix, None))
    }

    /// Connects to the service at `HOST:PORT`; `prefix` comes before all names.
    pub async fn connect_to(address: &str, prefix: String) -> Result<Client, SyncError> {
        let deadline = tokio::time::Instant::now() + CONNECT_PATIENCE;
        let (socket, local) = loop {
            match open(address).await {
                Ok(opened) => break opened,
                Err(_) if tokio::time::Instant::now() + CONNECT_REST < deadline => {
                    tokio::time::sleep(CONNECT_REST).await;
                }
                Err(source) => {
                    let address = address.to_owned();
                    return Err(SyncError::Connect { address, source });
                }
            }
        };
        Ok(Client::over(socket, prefix, Some(local)))
    }

    fn over<S>(socket: WebSocketStream<S>, prefix: String, local: Option<SocketAddr>) -> Client
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (commands, queue) = mpsc::channel(COMMANDS);
        tokio::spawn(run(socket, queue));
        Client {
            commands,
            prefix,
            local,
        }
    }

    /// This end's address, which differs between the instances of a run; none on a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Enters a state; the entry's number, from 1.
    pub async fn signal_entry(&self, state: &str) -> Result<i64, SyncError> {
        let response = self
            .ask(Request {
                signal_entry: Some(SignalEntryRequest {
                    state: self.state(state),
                }),
                ..Request::default()
            })
            .await?;
        let sequence = response.signal_entry.ok_or_else(unanswered)?;
        Ok(sequence.seq)
    }

    /// Waits until a state was entered `target` times.
    pub async fn barrier(&self, state: &str, target: usize) -> Result<(), SyncError> {
        self.ask(Request {
            barrier: Some(BarrierRequest {
                state: self.state(state),
                target: i64::try_from(target).unwrap_or(i64::MAX),
            }),
            ..Request::default()
        })
        .await
        .map(drop)
    }

    /// Enters a state and waits for the others; the entry's number.
    pub async fn signal_and_wait(&self, state: &str, target: usize) -> Result<i64, SyncError> {
        let number = self.signal_entry(state).await?;
        self.barrier(state, target).await?;
        Ok(number)
    }

    /// Adds to a topic; the payload's number, from 1.
    pub async fn publish<T: Serialize>(&self, topic: &str, payload: &T) -> Result<i64, SyncError> {
        self.publish_to(format!("{}:topics:{topic}", self.prefix), payload)
            .await
    }

    /// Tells the service what the instance says of itself, as Testground's SDKs do.
    pub async fn signal_event(&self, event: &Event) -> Result<i64, SyncError> {
        self.publish_to(format!("{}:run_events", self.prefix), event)
            .await
    }

    /// The payloads of a topic, from the first.
    pub async fn subscribe<T: DeserializeOwned>(
        &self,
        topic: &str,
    ) -> Result<Subscription<T>, SyncError> {
        let (sender, answers) = mpsc::channel(UNREAD);
        let request = Request {
            subscribe: Some(SubscribeRequest {
                topic: format!("{}:topics:{topic}", self.prefix),
            }),
            ..Request::default()
        };
        self.send(request, Answers::Many(sender)).await?;
        Ok(Subscription {
            answers,
            payload: PhantomData,
        })
    }

    /// Publishes, and collects the first `count` payloads of the topic, in one order for all.
    pub async fn exchange<T: Serialize + DeserializeOwned>(
        &self,
        topic: &str,
        payload: &T,
        count: usize,
    ) -> Result<Vec<T>, SyncError> {
        self.publish(topic, payload).await?;
        let mut subscription = self.subscribe(topic).await?;
        let mut payloads = Vec::with_capacity(count);
        while payloads.len() < count {
            payloads.push(subscription.next().await?);
        }
        Ok(payloads)
    }

    async fn publish_to<T: Serialize>(&self, topic: String, payload: &T) -> Result<i64, SyncError> {
        let payload = serde_json::to_value(payload)?;
        let response = self
            .ask(Request {
                publish: Some(PublishRequest { topic, payload }),
                ..Request::default()
            })
            .await?;
        let sequence = response.publish.ok_or_else(unanswered)?;
        Ok(sequence.seq)
    }

    async fn ask(&self, request: Request) -> Result<Response, SyncError> {
        let (sender, answer) = oneshot::channel();
        self.send(request, Answers::One(sender)).await?;
        checked(answer.await.map_err(|_| SyncError::Gone)?)
    }

    async fn send(&self, request: Request, answers: Answers) -> Result<(), SyncError> {
        self.commands
            .send(Command { request, answers })
            .await
            .map_err(|_| SyncError::Gone)
    }

    fn state(&self, state: &str) -> String {
        format!("{}:states:{state}", self.prefix)
    }
}

impl<T: DeserializeOwned> Subscription<T> {
    /// The next payload; waits for it.
    pub async fn next(&mut self) -> Result<T, SyncError> {
        let response = checked(self.answers.recv().await.ok_or(SyncError::Gone)?)?;
        Ok(serde_json::from_str(&response.subscribe)?)
    }
}

/// What comes before the names of a run (Y10).
pub fn prefix(run: &str, plan: &str, case: &str) -> String {
    format!("run:{run}:plan:{plan}:case:{case}")
}

fn checked(response: Response) -> Result<Response, SyncError> {
    if response.error.is_empty() {
        Ok(response)
    } else {
        Err(SyncError::Refused(response.error))
    }
}

fn unanswered() -> SyncError {
    SyncError::Refused("an answer to something else".to_owned())
}

async fn open(
    address: &str,
) -> Result<(WebSocketStream<TcpStream>, SocketAddr), tungstenite::Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok((upgrade(stream, address).await?, local))
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
) -> Result<WebSocketStream<S>, tungstenite::Error> {
    let config = tungstenite::protocol::WebSocketConfig::default()
        .max_message_size(Some(2 * Limits::default().message_bytes));
    let url = format!("ws://{host}/");
    let (socket, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await?;
    Ok(socket)
}

/// Sends requests and hands answers to who waits for them, until either side is gone.
async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    mut commands: mpsc::Receiver<Command>,
) {
    let (mut sink, mut source) = socket.split();
    let mut waiting: HashMap<String, Answers> = HashMap::new();
    let mut next_id = 0u64;
    loop {
        let request = tokio::select! {
            command = commands.recv() => {
                // All clients were dropped.
                let Some(Command { mut request, answers }) = command else {
                    let _ = sink.close().await;
                    return;
                };
                request.id = next_id.to_string();
                next_id += 1;
                waiting.insert(request.id.clone(), answers);
                request
            }
            message = source.next() => {
                let response = match message {
                    Some(Ok(Message::Text(text))) => serde_json::from_str(text.as_str()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    _ => return,
                };
                let Ok(response) = response else { return };
                match deliver(&mut waiting, response) {
                    Some(cancel) => cancel,
                    None => continue,
                }
            }
        };
        let text = serde_json::to_string(&request).expect("a request has text as keys");
        if sink.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

/// Hands an answer over; a subscription that nobody reads any more is to be cancelled.
fn deliver(waiting: &mut HashMap<String, Answers>, response: Response) -> Option<Request> {
    let id = response.id.clone();
    match waiting.remove(&id)? {
        Answers::One(sender) => {
            // Who asked may have stopped waiting.
            let _ = sender.send(response);
            None
        }
        Answers::Many(sender) => {
            let failed = !response.error.is_empty();
            if sender.try_send(response).is_err() {
                return Some(Request {
                    id,
                    is_cancel: true,
                    ..Request::default()
                });
            }
            if !failed {
                waiting.insert(id, Answers::Many(sender));
            }
            None
        }
    }
}
