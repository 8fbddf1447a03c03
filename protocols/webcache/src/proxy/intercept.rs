//! Hosts whose TLS ends here, since a person has listed them (Q46 to Q49).

use std::{io, sync::Arc};

use http::{Method, StatusCode, uri::Authority as Target};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Shared, canonical};
use crate::{
    Authority,
    body::{self, Body},
    forward::Failure,
    headers, request,
    stats::Counters,
    wanted,
};

/// Handshakes at a time: each is some work for a processor.
pub(super) const MAX_HANDSHAKES: usize = 64;

/// Whether the authority vouches for what a `CONNECT` asks for.
pub(super) fn is_meant(authority: &Authority, target: &Target) -> bool {
    let host = target.host().to_ascii_lowercase();
    let port = target.port_u16().unwrap_or_default();
    authority.hosts().cover(&host, port)
}

impl Shared {
    /// Answers a `CONNECT` in the host's stead.
    pub(super) fn intercept(
        self: Arc<Self>,
        request: Request<Incoming>,
        target: Target,
        authority: &Authority,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        let host = target.host().to_ascii_lowercase();
        let config = match authority.answers_for(&host) {
            Ok(config) => config,
            Err(error) => {
                tracing::warn!(host, %error, "web cache");
                let why = format!("{target}: {error}");
                return self.refuse(StatusCode::INTERNAL_SERVER_ERROR, &why);
            }
        };
        tokio::spawn(async move {
            let over = self.over.clone();
            tokio::select! {
                () = over.cancelled() => {}
                () = self.stand_in(request, target, config, place) => {}
            }
        });
        let mut response = Response::new(body::empty());
        *response.status_mut() = StatusCode::OK;
        response
    }

    async fn stand_in(
        self: Arc<Self>,
        request: Request<Incoming>,
        target: Target,
        config: Arc<ServerConfig>,
        place: Arc<OwnedSemaphorePermit>,
    ) {
        match self.shake_hands(request, config).await {
            Ok(stream) => {
                Counters::add(&self.counters.intercepted);
                self.talk(stream, place, Some(Arc::new(target))).await;
            }
            Err(error) => {
                Counters::add(&self.counters.not_intercepted);
                tracing::debug!(
                    %target, %error,
                    "no TLS with a client: it may not trust the authority (hedgerow cache ca)"
                );
            }
        }
    }

    async fn shake_hands(
        &self,
        request: Request<Incoming>,
        config: Arc<ServerConfig>,
    ) -> io::Result<TlsStream<TokioIo<hyper::upgrade::Upgraded>>> {
        let shaking = async {
            let stream = hyper::upgrade::on(request).await;
            let stream = TokioIo::new(stream.map_err(io::Error::other)?);
            let turn = self.handshakes.acquire().await;
            let _turn = turn.expect("the semaphore is never closed");
            TlsAcceptor::from(config).accept(stream).await
        };
        tokio::time::timeout(self.config.handshake_timeout, shaking).await?
    }

    /// A request on a connection to a host: as the host would be asked with the prefix (Q39), with
    /// nothing changed in it or in its answer.
    pub(super) async fn answer_within(
        self: Arc<Self>,
        request: Request<Incoming>,
        host: &Target,
    ) -> Response<Body> {
        let url = match request::within(&request, host) {
            Ok(url) => canonical(url),
            Err(refusal) => return self.refusal(&refusal),
        };
        let (mut parts, body) = request.into_parts();
        headers::strip(&mut parts.headers);
        let method = parts.method.clone();
        // Of https, what was asked for with a cookie or a key of somebody's is for who asks: no
        // server expects a cache for all on the way.
        let is_read = matches!(method, Method::GET | Method::HEAD);
        let answer = match is_read && !wanted::is_anybodys(&parts.headers) {
            true => {
                let body = body::of_client(body);
                self.pass(url.clone(), parts, body, "bypass").await
            }
            false => Arc::clone(&self).get(url.clone(), parts, body).await,
        };
        let read = self.documents.lead(&method, &url, None, answer).await;
        read.unwrap_or_else(|error| {
            self.failed(&url.to_string(), &Failure::Broken(error.to_string()))
        })
    }
}
