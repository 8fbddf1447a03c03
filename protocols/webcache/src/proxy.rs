//! The proxy: who is answered how.

mod fetch;
mod intercept;
mod peers;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts,
    uri::Authority,
};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Stats, Store, addresses, answer,
    body::{self, Body},
    documents::Documents,
    flights::Flights,
    forward::{Failure, Origins},
    headers::{self, CacheStatus},
    keeper::Keeper,
    network::Peers,
    places::{self, Admission, Places, Stay},
    prefix,
    request::{self, Refusal},
    stats::Counters,
    tunnel, wanted,
    warm::{self, BadUrl, Warmed},
};

/// Longest head of a request, and most fields of it. So much of an answer waits for its client, too.
const MAX_HEAD: usize = 32 * 1024;
const MAX_FIELDS: usize = 100;

/// After an error of the listener, which is one of this machine's limits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What an idle connection has left to give way, once it is asked to: its last answer may still be
/// on its way.
const LEAVING: Duration = Duration::from_secs(5);

/// An HTTP/1.1 forward proxy with a store.
#[derive(Debug)]
pub struct Proxy {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    config: Config,
    store: Arc<Store>,
    origins: Origins,
    flights: Flights,
    counters: Arc<Counters>,
    keeper: Arc<Keeper>,
    peers: Option<Peers>,
    documents: Documents,
    places: Arc<Places>,
    /// A permit for each handshake of TLS.
    handshakes: Semaphore,
    /// Where it listens.
    port: u16,
    /// Whether it serves nobody any more.
    over: CancellationToken,
}

impl Proxy {
    /// Listens at an address, which is to be a loopback one: a proxy reaches what its machine
    /// reaches.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(listen: SocketAddr, config: Config, store: Arc<Store>) -> io::Result<Proxy> {
        let stall = config.stall_timeout;
        let keeper = Keeper::new(store, Arc::default(), Arc::default(), stall);
        Proxy::build(listen, config, Arc::new(keeper), None).await
    }

    /// The same, for a cache that is shared with peers: it has their store and settings.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind_shared(listen: SocketAddr, peers: Peers) -> io::Result<Proxy> {
        let (config, keeper) = (peers.config().clone(), peers.keeper());
        Proxy::build(listen, config, keeper, Some(peers)).await
    }

    async fn build(
        listen: SocketAddr,
        config: Config,
        keeper: Arc<Keeper>,
        peers: Option<Peers>,
    ) -> io::Result<Proxy> {
        let listener = TcpListener::bind(listen).await?;
        let shared = Shared {
            origins: Origins::new(&config),
            documents: Documents::new(&config.registries),
            places: Places::new(&config),
            config,
            store: Arc::clone(&keeper.store),
            flights: Flights::default(),
            counters: Arc::clone(&keeper.counters),
            keeper,
            peers,
            handshakes: Semaphore::new(intercept::MAX_HANDSHAKES),
            port: listener.local_addr()?.port(),
            over: CancellationToken::new(),
        };
        Ok(Proxy {
            listener,
            shared: Arc::new(shared),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        let taken_over = self.shared.peers.as_ref().map_or(0, Peers::taken_over);
        Stats {
            taken_over,
            ..self.shared.counters.stats()
        }
    }

    /// What it keeps.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Who vouches here for the hosts whose `https` is read; `None` where nobody's is.
    pub fn authority(&self) -> Option<&crate::Authority> {
        self.shared.config.authority.as_deref()
    }

    /// Whether it asks no origin.
    pub fn is_offline(&self) -> bool {
        self.shared.config.offline
    }

    /// Asks for a URL as a client does, and reads the answer to its end.
    ///
    /// # Errors
    /// When the proxy does not take such a URL. An origin that fails is an answer.
    pub async fn warm(&self, url: &str) -> Result<Warmed, BadUrl> {
        let url = spelt(url)?;
        let mut request = Request::new(());
        *request.uri_mut() = url.clone();
        let (parts, ()) = request.into_parts();
        let response = Arc::clone(&self.shared).look_up(url, parts).await;
        Ok(warm::read(response).await)
    }

    /// Removes all answers of a URL, and says how many there were.
    ///
    /// # Errors
    /// When the proxy does not take such a URL.
    pub fn purge(&self, url: &str) -> Result<usize, BadUrl> {
        Ok(self.shared.store.purge(&spelt(url)?.to_string()))
    }

    /// Serves until `stop`; requests under way are cut off then.
    pub async fn serve(&self, stop: CancellationToken) {
        let _over = self.shared.over.clone().drop_guard();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "web cache: no connection accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let admission = tokio::select! {
                () = stop.cancelled() => return,
                admission = self.shared.places.admit() => admission,
            };
            let (shared, stop) = (Arc::clone(&self.shared), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = shared.receive(stream, admission) => {}
                }
            });
        }
    }
}

impl Shared {
    /// A connection of a client, which may have a place or not.
    async fn receive(self: Arc<Self>, stream: TcpStream, admission: Admission) {
        let place = match admission {
            Admission::Place(place) => place,
            Admission::Wait(waiting) => match self.places.wait().await {
                Some(place) => {
                    drop(waiting);
                    place
                }
                None => {
                    Counters::add(&self.counters.refused);
                    return places::refuse(stream, &self.config.name).await;
                }
            },
            Admission::Refused(_permit) => {
                Counters::add(&self.counters.refused);
                return places::refuse(stream, &self.config.name).await;
            }
        };
        // In a box: what serves is large, and those who wait are many.
        Box::pin(self.serve(stream, Arc::new(place))).await;
    }

    /// One connection of a client.
    async fn serve(self: Arc<Self>, stream: TcpStream, place: Arc<OwnedSemaphorePermit>) {
        // Answers are written in parts that should not wait for each other.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.config.stall_timeout));
        self.talk(Box::pin(stream), place, None).await;
    }

    /// The requests of a connection: of one to a host whose TLS ended here, if there is a host.
    // In a box, since a request may be one for such a connection.
    fn talk<S>(
        self: Arc<Self>,
        stream: S,
        place: Arc<OwnedSemaphorePermit>,
        host: Option<Arc<Authority>>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Box::pin(self.talk_http(stream, place, host))
    }

    async fn talk_http<S>(
        self: Arc<Self>,
        stream: S,
        place: Arc<OwnedSemaphorePermit>,
        host: Option<Arc<Authority>>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let header_timeout = self.config.header_timeout;
        let stay = self.places.stay();
        let service = service_fn(|request| {
            stay.work();
            let (shared, stay) = (Arc::clone(&self), Arc::clone(&stay));
            let (place, host) = (Arc::clone(&place), host.clone());
            async move {
                let waits = request.headers().contains_key(header::EXPECT);
                let is_tunnel = request.method() == Method::CONNECT;
                let mut response = shared.answer(request, place, host).await;
                if waits && !response.status().is_success() {
                    // Its body may never come (RFC 9110, 10.1.1): what comes would be taken for it.
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                // A tunnel is never idle.
                if !is_tunnel {
                    let rest = move || stay.rest_again();
                    response = response.map(|body| body::with_end(body, rest));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = stay.must_leave() => {
                // What has begun is finished, and nothing new begins.
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut serving => ended,
                    () = left_idle(&stay) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        permit: Arc<OwnedSemaphorePermit>,
        host: Option<Arc<Authority>>,
    ) -> Response<Body> {
        Counters::add(&self.counters.requests);
        if headers::size(request.headers()) > MAX_HEAD {
            // hyper's own bound is that of a buffer, which may be larger.
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return self.refuse(status, "the fields of the request are longer than 32 KiB");
        }
        if headers::has_passed(request.headers(), &self.config.name) {
            let why = "the request has been here before: a loop of proxies";
            return self.refuse(StatusCode::LOOP_DETECTED, why);
        }
        if let Some(host) = host {
            return self.answer_within(request, &host).await;
        }
        if request.method() == Method::CONNECT {
            return self.connect(request, permit).await;
        }
        if prefix::is_asked(request.uri(), self.port) {
            return self.answer_behind(request).await;
        }
        let url = match request::target(&request) {
            Ok(url) => canonical(url),
            Err(refusal) => return self.refusal(&refusal),
        };
        let (parts, body) = request.into_parts();
        self.get(url, parts, body).await
    }

    /// What is asked with the prefix (Q39).
    async fn answer_behind(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (url, prefix) = match prefix::target(&request) {
            Ok((url, prefix)) => (canonical(url), prefix),
            Err(refusal) => return self.refusal(&refusal),
        };
        let (mut parts, body) = request.into_parts();
        prefix::prepare(&mut parts.headers, &url);
        let method = parts.method.clone();
        // Keys of registries have fields of their own.
        let secret = !wanted::is_anybodys(&parts.headers);
        let is_bare = hyper::body::Body::is_end_stream(&body);
        let part = (method == Method::GET && is_bare && parts.headers.contains_key(header::RANGE))
            .then(|| parts.clone());
        let mut answer = match secret && method.is_safe() {
            true => {
                let body = body::of_client(body);
                self.pass(url.clone(), parts, body, "bypass").await
            }
            false => Arc::clone(&self).get(url.clone(), parts, body).await,
        };
        if let Some(mut whole) = part
            && self
                .is_part_of_page(&url, &whole, secret, answer.status(), answer.headers())
                .await
        {
            // Which part of it is meant, only who has all of it knows (RFC 9110, 14.2).
            whole.headers.remove(header::RANGE);
            whole.headers.remove(header::IF_RANGE);
            answer = Arc::clone(&self).read(url.clone(), whole, secret).await;
        }
        prefix::remap(answer.headers_mut(), &url, &prefix, secret);
        let led = self
            .documents
            .lead(&method, &url, Some(&prefix), answer)
            .await;
        led.unwrap_or_else(|error| {
            self.failed(&url.to_string(), &Failure::Broken(error.to_string()))
        })
    }

    /// Whether an answer to a request for a part is one of a page that is led here (Q41).
    async fn is_part_of_page(
        self: &Arc<Self>,
        url: &Uri,
        asked: &Parts,
        secret: bool,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> bool {
        let kind = fields.get(header::CONTENT_TYPE);
        let has_several = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
        match status {
            StatusCode::PARTIAL_CONTENT if !has_several => self.documents.is_led(url, fields),
            // These do not say of what they are a part, or would be.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                let mut asked = asked.clone();
                asked.method = Method::HEAD;
                asked.headers.remove(header::RANGE);
                asked.headers.remove(header::IF_RANGE);
                let whole = Arc::clone(self).read(url.clone(), asked, secret).await;
                whole.status() == StatusCode::OK && self.documents.is_led(url, whole.headers())
            }
            _ => false,
        }
    }

    /// `GET` and `HEAD` without a body: of what is anybody's, from the store too.
    async fn read(self: Arc<Self>, url: Uri, parts: Parts, secret: bool) -> Response<Body> {
        match secret {
            true => self.pass(url, parts, body::empty(), "bypass").await,
            false => self.look_up(url, parts).await,
        }
    }

    async fn get(self: Arc<Self>, url: Uri, mut parts: Parts, body: Incoming) -> Response<Body> {
        if parts.method == Method::OPTIONS && !headers::count_down(&mut parts.headers) {
            return Response::new(body::empty());
        }
        match parts.method {
            Method::GET | Method::HEAD if hyper::body::Body::is_end_stream(&body) => {
                self.look_up(url, parts).await
            }
            _ => self.pass(url, parts, body::of_client(body), "method").await,
        }
    }

    async fn connect(
        self: Arc<Self>,
        request: Request<Incoming>,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        let target = match request::tunnel_target(&request) {
            Ok(target) => target,
            Err(refusal) => return self.refusal(&refusal),
        };
        if prefix::is_here(&target, self.port) {
            let why = "a connection of the proxy to itself";
            return self.refuse(StatusCode::LOOP_DETECTED, why);
        }
        match self.config.authority.clone() {
            Some(authority) if intercept::is_meant(&authority, &target) => {
                self.intercept(request, target, &authority, permit)
            }
            _ => self.tunnel(request, &target, permit).await,
        }
    }

    async fn tunnel(
        &self,
        request: Request<Incoming>,
        target: &Authority,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        if self.config.offline {
            let why = "offline: nothing is asked for";
            return self.refuse(StatusCode::GATEWAY_TIMEOUT, why);
        }
        match tunnel::open(request, target, self.config.connect_timeout, permit).await {
            Ok(response) => response,
            Err(error) => {
                let failure = match error.kind() {
                    io::ErrorKind::TimedOut => Failure::Timeout(self.config.connect_timeout),
                    _ => Failure::Broken(error.to_string()),
                };
                self.failed(target.as_str(), &failure)
            }
        }
    }

    /// Sends a request on and its answer back, and keeps nothing of it.
    async fn pass(&self, url: Uri, parts: Parts, body: Body, why: &'static str) -> Response<Body> {
        if self.config.offline {
            let why = "offline, and this is not in the web cache";
            return self.refuse(StatusCode::GATEWAY_TIMEOUT, why);
        }
        let method = parts.method.clone();
        let mut fields = parts.headers.clone();
        // As the variants of answers are told apart.
        headers::strip(&mut fields);
        fields.remove(header::HOST);
        let asked = fields.clone();
        let sent = self.origins.send(method, &url, parts.version, fields, body);
        let response = match sent.await {
            Ok(answer) => answer.response,
            Err(failure) => return self.failed(&url.to_string(), &failure),
        };
        Counters::add(&self.counters.misses);
        let status = response.status();
        if !parts.method.is_safe() && !status.is_client_error() && !status.is_server_error() {
            self.store.invalidate(&url.to_string(), &asked);
        }
        let cache_status = CacheStatus::Forwarded {
            why,
            status: Some(status),
            stored: false,
            collapsed: false,
            detail: None,
        };
        let stall = self.config.stall_timeout;
        let mut response = response.map(|body| body::of_origin(body, stall));
        cache_status.add_to(response.headers_mut(), &self.config.name);
        response
    }

    fn refusal(&self, refusal: &Refusal) -> Response<Body> {
        self.refuse(refusal.status, refusal.why)
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Response<Body> {
        Counters::add(&self.counters.failed);
        answer::failure(status, why)
    }

    fn failed(&self, what: &str, failure: &Failure) -> Response<Body> {
        let mut response = self.refuse(failure.status(), &format!("{what}: {failure}"));
        let text = format!("{}; error={}", self.config.name, failure.proxy_status());
        if let Ok(value) = HeaderValue::from_str(&text) {
            let name = HeaderName::from_static("proxy-status");
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// A failure of this machine's disk.
    fn broken(&self, error: &io::Error) -> Response<Body> {
        tracing::warn!(%error, "web cache");
        let why = format!("the web cache's disk: {error}");
        self.refuse(StatusCode::INTERNAL_SERVER_ERROR, &why)
    }
}

/// Comes when a connection that is to end has no request and takes too long for what is left.
async fn left_idle(stay: &Stay) {
    loop {
        tokio::time::sleep(LEAVING).await;
        if stay.is_idle() {
            return;
        }
    }
}

/// A URL that somebody typed, as it stands in the store.
fn spelt(url: &str) -> Result<Uri, BadUrl> {
    match request::url(&warm::parse(url)?) {
        Ok(url) => Ok(canonical(url)),
        Err(refusal) => Err(BadUrl {
            url: url.to_owned(),
            why: refusal.why.to_owned(),
        }),
    }
}

/// One spelling of one URL: the host in lower case, no port that goes without saying.
pub(crate) fn canonical(url: Uri) -> Uri {
    let Some(authority) = url.authority() else {
        return url;
    };
    let host = authority.host().to_ascii_lowercase();
    let authority = match authority.port_u16() {
        Some(port) if port != addresses::default_port(&url) => format!("{host}:{port}"),
        None | Some(_) => host,
    };
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.is_empty() { "/" } else { path };
    let path = if path.starts_with('?') {
        format!("/{path}")
    } else {
        path.to_owned()
    };
    let canonical = Uri::builder()
        .scheme(url.scheme_str().unwrap_or("http"))
        .authority(authority)
        .path_and_query(path);
    canonical.build().unwrap_or(url)
}

/// Whether a request asks for a part, or on conditions: what comes is then not the whole.
fn is_partial(fields: &HeaderMap) -> bool {
    [
        header::RANGE,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
    ]
    .iter()
    .any(|name| fields.contains_key(name))
}
