//! The way to origins (Q18).

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode, Uri, Version};
use hyper::{Request, Response, body::Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, HttpInfo},
    },
    rt::{TokioExecutor, TokioTimer},
};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    Config,
    addresses::{self, Networks},
    body::{Body, Watched},
    headers,
    resolve::{NotPublic, Resolver},
    tls::Timely,
};

/// Connections to an origin that wait for the next request.
const IDLE_PER_HOST: usize = 8;

/// How long they wait.
const IDLE: Duration = Duration::from_secs(30);

/// Longest head of an answer. Bodies come in pieces of as much, and each that is on its way keeps
/// several of these.
const MAX_HEAD: usize = 16 * 1024;

/// Why an origin gave no answer.
#[derive(Clone, Debug, Error)]
pub(crate) enum Failure {
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The request's body did not move.
    #[error("nothing of the request's body has moved for {} s", .0.as_secs())]
    Stalled(Duration),
    /// It is not shown to be who it should be.
    #[error("its certificate does not count here: {0}")]
    Certificate(String),
    /// It could not be reached, or did not speak HTTP.
    #[error("{0}")]
    Broken(String),
    /// It is not asked on behalf of others.
    #[error("not asked on behalf of others")]
    NotPublic,
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Failure::Timeout(_) | Failure::Stalled(_) => StatusCode::GATEWAY_TIMEOUT,
            Failure::Broken(_) | Failure::Certificate(_) | Failure::NotPublic => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// RFC 9209's word for it.
    pub(crate) fn proxy_status(&self) -> &'static str {
        match self {
            Failure::Timeout(_) => "connection_timeout",
            Failure::Stalled(_) => "connection_write_timeout",
            Failure::Broken(_) => "destination_unavailable",
            Failure::Certificate(_) => "tls_certificate_error",
            Failure::NotPublic => "destination_ip_prohibited",
        }
    }
}

type Connections = Client<Timely<HttpsConnector<HttpConnector<Resolver>>>, Watched>;

/// Asks origins.
#[derive(Debug)]
pub(crate) struct Origins {
    client: Connections,
    /// For ports that are none of web servers; `None` where all are the same.
    named: Option<Connections>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    stall_timeout: Duration,
    name: String,
    /// Where only what is public is asked.
    public: Option<Arc<Networks>>,
}

impl Origins {
    /// For this machine's own clients.
    pub(crate) fn new(config: &Config) -> Origins {
        Origins::build(config, client(config, Resolver::Own), None, None)
    }

    /// On behalf of peers: public addresses and web servers' ports only. Connections are not those
    /// of [`Origins::new`], which may lead elsewhere.
    pub(crate) fn public(config: &Config, networks: Arc<Networks>) -> Origins {
        let public = client(config, Resolver::Public(Arc::clone(&networks)));
        let named = client(config, Resolver::Named(Arc::clone(&networks)));
        Origins::build(config, public, Some(named), Some(networks))
    }

    fn build(
        config: &Config,
        client: Connections,
        named: Option<Connections>,
        public: Option<Arc<Networks>>,
    ) -> Origins {
        Origins {
            client,
            named,
            connect_timeout: config.connect_timeout,
            answer_timeout: config.answer_timeout,
            stall_timeout: config.stall_timeout,
            name: config.name.clone(),
            public,
        }
    }

    /// Sends a request on, without what is for the client's hop alone, and waits for the head of
    /// the answer, which has nothing of the origin's hop either.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Uri,
        version: Version,
        mut fields: HeaderMap,
        body: Body,
    ) -> Result<Answer, Failure> {
        if !self.may_ask(url) {
            return Err(Failure::NotPublic);
        }
        headers::strip(&mut fields);
        // Both follow from the URL and the body, whatever the client said of them.
        fields.remove(http::header::HOST);
        fields.remove(http::header::CONTENT_LENGTH);
        headers::add_via(&mut fields, version, &self.name);
        let (body, moves) = Watched::new(body);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = fields;
        let port = addresses::port(url);
        let client = match &self.named {
            Some(named) if !addresses::is_web_port(port) => named,
            _ => &self.client,
        };
        let sent = tokio::select! {
            sent = client.request(request) => sent,
            failure = self.too_long(moves) => return Err(failure),
        };
        let mut response = sent.map_err(|error| self.failure(&error))?;
        let info = response.extensions().get::<HttpInfo>();
        let remote = info.map(HttpInfo::remote_addr);
        if let Some(networks) = &self.public
            && !remote.is_some_and(|at| networks.allows_at(at.ip(), at.port()))
        {
            return Err(Failure::NotPublic);
        }
        let framed = framed(response.headers_mut());
        let version = response.version();
        headers::strip(response.headers_mut());
        headers::add_via(response.headers_mut(), version, &self.name);
        Ok(Answer {
            response,
            framed,
            remote,
        })
    }

    /// Whether it may be asked here, as far as the URL says. Addresses of names are looked at when
    /// they are resolved; one that stands in the URL is not resolved.
    fn may_ask(&self, url: &Uri) -> bool {
        let networks = self.public.as_ref();
        networks.is_none_or(|networks| networks.allows_url(url))
    }
}

impl Origins {
    /// Comes when nothing of a request's body has moved for too long, or too much time has gone
    /// by since all of it was sent.
    async fn too_long(&self, mut moves: watch::Receiver<()>) -> Failure {
        loop {
            match tokio::time::timeout(self.stall_timeout, moves.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => return Failure::Stalled(self.stall_timeout),
            }
        }
        tokio::time::sleep(self.answer_timeout).await;
        Failure::Timeout(self.answer_timeout)
    }

    fn failure(&self, error: &(dyn Error + 'static)) -> Failure {
        let mut next = Some(error);
        while let Some(cause) = next {
            let inner = unwrapped(cause);
            if inner.is::<NotPublic>() {
                return Failure::NotPublic;
            }
            if let Some(rustls::Error::InvalidCertificate(why)) = inner.downcast_ref() {
                return Failure::Certificate(why.to_string());
            }
            let io = inner.downcast_ref::<std::io::Error>();
            if io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
                return Failure::Timeout(self.connect_timeout);
            }
            next = cause.source();
        }
        Failure::Broken(causes(error))
    }
}

/// An origin's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    /// Whether its end can be told from its breaking off.
    pub(crate) framed: bool,
    /// Whom it came from.
    pub(crate) remote: Option<SocketAddr>,
}

fn client(config: &Config, resolver: Resolver) -> Connections {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.set_connect_timeout(Some(config.connect_timeout));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_buf_size(MAX_HEAD)
        .build(config.roots.secure(connector, config.connect_timeout))
}

/// Whether the end of an answer's body can be told from its breaking off. A length beside
/// `Transfer-Encoding` says nothing, and is removed (RFC 9112, 6.3).
fn framed(fields: &mut HeaderMap) -> bool {
    let mut codings = fields.get_all(http::header::TRANSFER_ENCODING).iter();
    let Some(last) = codings.next_back() else {
        return fields.contains_key(http::header::CONTENT_LENGTH);
    };
    let last = last.to_str().ok().and_then(|text| text.rsplit(',').next());
    let framed = last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    fields.remove(http::header::CONTENT_LENGTH);
    framed
}

/// What resolvers and TLS say is wrapped in errors of input and output, which are not its effects.
fn unwrapped<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let io = error.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(inner) => unwrapped(inner),
        None => error,
    }
}

/// An error with what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}
