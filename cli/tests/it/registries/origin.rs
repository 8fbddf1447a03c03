//! The registries' servers, all in one: this program again, in a namespace.

use std::{
    collections::HashMap,
    env,
    fs::{self, File},
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

/// The folder of the site that is to be served.
pub(crate) const FOLDER: &str = "REGISTRIES_FOLDER";

/// What its files are called.
pub(crate) const AUTHORITY: &str = "authority.pem";
pub(crate) const SITE: &str = "site.json";
const CERTIFICATE: &str = "certificate.der";
const KEY: &str = "key.der";
const ASKED: &str = "asked";

/// One answer of the site, as `packages.py` writes it.
#[derive(Debug, Deserialize)]
struct Entry {
    host: String,
    path: String,
    #[serde(rename = "type")]
    kind: String,
    control: String,
    vary: Option<String>,
    body: PathBuf,
    gzip: Option<PathBuf>,
}

/// A request that was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) bytes: u64,
}

/// Makes an authority of this test's own, and the certificate that it gives the origin for these names.
pub(crate) fn certify(folder: &Path, hosts: &[&str]) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "an authority of this test");
    let authority = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.signed_by(&key, &authority, &authority_key);
    fs::write(folder.join(AUTHORITY), authority.pem()).unwrap();
    fs::write(folder.join(CERTIFICATE), certificate.unwrap().der()).unwrap();
    fs::write(folder.join(KEY), key.serialize_der()).unwrap();
}

/// What the origin of this folder has answered so far, in order.
pub(crate) fn asked(folder: &Path) -> Vec<Asked> {
    let text = fs::read_to_string(folder.join(ASKED)).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// This program again: the origin, if it is told what to serve.
#[test]
fn serves() {
    let Ok(folder) = env::var(FOLDER) else {
        return;
    };
    Runtime::new().unwrap().block_on(serve(Path::new(&folder)));
}

async fn serve(folder: &Path) {
    let site = Arc::new(Site::read(folder));
    let acceptor = acceptor(folder);
    let bind = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    let (secure, plain) = (bind(443).await.unwrap(), bind(80).await.unwrap());
    println!("origin listens");
    loop {
        let site = Arc::clone(&site);
        tokio::select! {
            accepted = secure.accept() => {
                let (stream, _): (_, SocketAddr) = accepted.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        Ok(stream) => site.talk(stream).await,
                        Err(error) => eprintln!("no TLS: {error}"),
                    }
                });
            }
            accepted = plain.accept() => {
                let (stream, _) = accepted.unwrap();
                tokio::spawn(async move { site.talk(stream).await });
            }
        }
    }
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let read = |name| fs::read(folder.join(name)).unwrap();
    let certificate = CertificateDer::from(read(CERTIFICATE));
    let key = PrivateKeyDer::try_from(read(KEY)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

struct Site {
    folder: PathBuf,
    entries: HashMap<(String, String), Vec<Entry>>,
    asked: Mutex<File>,
}

impl Site {
    fn read(folder: &Path) -> Site {
        let text = fs::read(folder.join(SITE)).unwrap();
        let all: Vec<Entry> = serde_json::from_slice(&text).unwrap();
        let mut entries = HashMap::<_, Vec<Entry>>::new();
        for entry in all {
            let place = (entry.host.clone(), entry.path.clone());
            entries.entry(place).or_default().push(entry);
        }
        Site {
            folder: folder.to_owned(),
            entries,
            asked: Mutex::new(File::create(folder.join(ASKED)).unwrap()),
        }
    }

    async fn talk(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| {
            let site = Arc::clone(&self);
            async move { Ok::<_, hyper::Error>(site.answer(&request)) }
        });
        let talk = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        if let Err(error) = talk.await {
            eprintln!("a connection: {error}");
        }
    }

    /// Writes down what it answers before anybody has the answer.
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let fields = request.headers();
        let host = field(fields, header::HOST).to_owned();
        let path = request.uri().path().to_owned();
        let (response, bytes) = match self.entries.get(&(host.clone(), path.clone())) {
            Some(variants) => self.found(fields, variants),
            None => (
                Response::builder().status(StatusCode::NOT_FOUND),
                Bytes::new(),
            ),
        };
        let response = response.body(Full::new(bytes.clone())).unwrap();
        let asked = Asked {
            host,
            path,
            status: response.status().as_u16(),
            bytes: bytes.len() as u64,
        };
        let line = serde_json::to_string(&asked).unwrap() + "\n";
        self.asked
            .lock()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        response
    }

    fn found(&self, fields: &HeaderMap, variants: &[Entry]) -> (http::response::Builder, Bytes) {
        let accepted = field(fields, header::ACCEPT);
        let variant = variants.iter().find(|entry| accepted.contains(&entry.kind));
        let variant = variant.or(variants.last()).expect("one at least");
        let takes_gzip = field(fields, header::ACCEPT_ENCODING).contains("gzip");
        let gzip = variant.gzip.as_ref().filter(|_| takes_gzip);
        let body = fs::read(self.folder.join(gzip.unwrap_or(&variant.body))).unwrap();
        let tag = format!(
            "\"{}\"",
            data_encoding::HEXLOWER.encode(&Sha256::digest(&body))
        );
        let mut response = Response::builder()
            .header(header::CACHE_CONTROL, &variant.control)
            .header(header::ETAG, &tag)
            .header(header::LAST_MODIFIED, "Mon, 01 Jan 2024 00:00:00 GMT");
        if let Some(vary) = &variant.vary {
            response = response.header(header::VARY, vary);
        }
        if field(fields, header::IF_NONE_MATCH) == tag {
            return (response.status(StatusCode::NOT_MODIFIED), Bytes::new());
        }
        if gzip.is_some() {
            response = response.header(header::CONTENT_ENCODING, "gzip");
        }
        let response = response.header(header::CONTENT_TYPE, &variant.kind);
        (response, body.into())
    }
}

fn field(fields: &HeaderMap, name: header::HeaderName) -> &str {
    let value = fields.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
