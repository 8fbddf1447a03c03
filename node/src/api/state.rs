//! What every handler has at hand.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::failure::ApiError;
use crate::{
    aliases::Aliases, config::Effective, content::Content, mailbox::Mailbox, network::Network,
    node_blocks::NodeBlocks, provided::Provided,
};

/// Requests handled at a time: a client with many blocks in flight needs dozens, and
/// each may hold a block in memory.
const MAX_REQUESTS: usize = 128;

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
    pub(crate) node_blocks: NodeBlocks,
    pub(crate) aliases: Aliases,
    pub(crate) mailbox: Mailbox,
    pub(crate) effective: Effective,
    pub(crate) home: PathBuf,
    pub(crate) api: SocketAddr,
    pub(crate) started: Instant,
    pub(crate) stop: CancellationToken,
    pub(crate) requests: Semaphore,
}

impl Services {
    /// As many requests as are handled at a time.
    pub(crate) fn permits() -> Semaphore {
        Semaphore::new(MAX_REQUESTS)
    }
}

impl App {
    pub(crate) fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
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
