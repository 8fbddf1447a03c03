//! What every handler has at hand.

use std::{
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{
    io::DuplexStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{io::ReaderStream, sync::CancellationToken};

use super::{failure::ApiError, objects::PIPE};
use crate::{
    aliases::Aliases, archiving::Archiving, config::Effective, content::Content, mailbox::Mailbox,
    network::Network, node_blocks::NodeBlocks, provided::Provided, s3::AccessKeys,
};

/// Requests handled at a time: a client with many blocks in flight needs dozens, and
/// each may hold a block in memory.
const MAX_REQUESTS: usize = 128;

/// Files and CARs on their way to clients of each door at a time: those with the token, and those
/// of the gateway, who need none. Each may have 32 MiB of blocks on their way to it.
const MAX_STREAMS: usize = 64;

/// A client that takes nothing for so long has no stream any more.
const STALLED: Duration = Duration::from_secs(60);

/// Where a file goes to a client.
pub(crate) type Outlet = Pin<Box<TimeoutWriter<DuplexStream>>>;

/// Where it comes from on its way to the client.
pub(crate) type Inlet = ReaderStream<DuplexStream>;

/// The node's services, shared by the handlers.
#[derive(Clone)]
pub(crate) struct App(Arc<Services>);

/// See [`App`].
pub(crate) struct Services {
    pub(crate) network: Network,
    pub(crate) overlay: overlay::Handle,
    pub(crate) blocks: blocks::Handle,
    pub(crate) content: Content,
    pub(crate) provided: Provided,
    pub(crate) dht: dht::Handle,
    pub(crate) objects: objects::Handle,
    pub(crate) archive: archive::Handle,
    pub(crate) archiving: Archiving,
    pub(crate) upkeep: upkeep::Handle,
    pub(crate) versions: notify::Handle,
    pub(crate) node_blocks: NodeBlocks,
    pub(crate) aliases: Aliases,
    pub(crate) s3: SocketAddr,
    pub(crate) s3_keys: AccessKeys,
    pub(crate) s3_streams: Arc<Semaphore>,
    pub(crate) web_cache: Option<Arc<webcache::Proxy>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) effective: Effective,
    pub(crate) home: PathBuf,
    pub(crate) api: SocketAddr,
    pub(crate) started: Instant,
    pub(crate) stop: CancellationToken,
    pub(crate) requests: Semaphore,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) open_streams: Arc<Semaphore>,
}

impl Services {
    /// As many requests as are handled at a time.
    pub(crate) fn permits() -> Semaphore {
        Semaphore::new(MAX_REQUESTS)
    }

    /// As many files as are on their way through a door at a time.
    pub(crate) fn stream_permits() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_STREAMS))
    }
}

impl App {
    pub(crate) fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }

    /// The body of an answer to who has shown the token, and where to write it. It is the
    /// client's for as long as the permit is kept.
    pub(crate) fn stream(&self) -> Result<(Body, Outlet, OwnedSemaphorePermit), ApiError> {
        stream(&self.streams)
    }

    /// The same for the S3 door, as the bytes that come.
    pub(crate) fn s3_stream(&self) -> Result<(Inlet, Outlet, OwnedSemaphorePermit), ApiError> {
        pipe(&self.s3_streams)
    }

    /// The same for who needs none.
    pub(crate) fn open_stream(&self) -> Result<(Body, Outlet, OwnedSemaphorePermit), ApiError> {
        stream(&self.open_streams)
    }
}

fn stream(permits: &Arc<Semaphore>) -> Result<(Body, Outlet, OwnedSemaphorePermit), ApiError> {
    let (inlet, far, permit) = pipe(permits)?;
    Ok((Body::from_stream(inlet), far, permit))
}

fn pipe(permits: &Arc<Semaphore>) -> Result<(Inlet, Outlet, OwnedSemaphorePermit), ApiError> {
    let permit = Arc::clone(permits).try_acquire_owned().map_err(|_| {
        ApiError::unavailable(format!("{MAX_STREAMS} files are on their way to clients"))
            .with_hint("try again when one of them has come to its end")
    })?;
    let (near, far) = tokio::io::duplex(PIPE);
    let mut far = TimeoutWriter::new(far);
    far.set_timeout(Some(STALLED));
    let inlet = ReaderStream::with_capacity(near, PIPE);
    Ok((inlet, Box::pin(far), permit))
}

impl std::ops::Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

/// Lets requests wait while [`MAX_REQUESTS`] others are handled.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.requests.acquire().await {
        Ok(_permit) => next.run(request).await,
        Err(_) => ApiError::unavailable("the node is stopping").into_response(),
    }
}
