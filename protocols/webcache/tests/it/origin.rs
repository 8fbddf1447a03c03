//! An origin that answers what a test says, a proxy before it, and a client of bare sockets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::CertifiedKey;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use webcache::{Config, Proxy, Roots, Store};

/// Room of a test's store.
pub(crate) const ROOM: u64 = 64 * 1024 * 1024;

/// So long a test waits for what must come, before it fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Behind a path: what is answered to requests for parts.
const OF_PARTS: &str = " of parts";

/// What the origin answers for a path: the bytes, and whether it closes then.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body after which it waits for [`Origin::go_on`]; `None` does not wait.
    pub(crate) pause_after: Option<usize>,
    /// Whether the connection is closed behind the body.
    pub(crate) close: bool,
}

impl Script {
    /// 200 with these fields, one a line, and a length.
    pub(crate) fn ok(fields: &str, body: &str) -> Script {
        Script::status("200 OK", fields, body)
    }

    pub(crate) fn status(status: &str, fields: &str, body: &str) -> Script {
        let length = format!("Content-Length: {}", body.len());
        Script::raw(status, &[fields, &length].join("\n"), body.as_bytes())
    }

    /// Just these fields.
    pub(crate) fn raw(status: &str, fields: &str, body: &[u8]) -> Script {
        let fields = fields.lines().filter(|line| !line.trim().is_empty());
        let fields: String = fields.map(|line| format!("{}\r\n", line.trim())).collect();
        Script {
            head: format!("HTTP/1.1 {status}\r\n{fields}\r\n"),
            body: body.to_vec(),
            pause_after: None,
            close: false,
        }
    }
}

/// A server on a socket of its own.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// Of one of `https`.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    scripts: Arc<Mutex<HashMap<String, Script>>>,
    requests: Arc<Mutex<Vec<String>>>,
    seen: watch::Receiver<usize>,
    gate: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Origin {
    pub(crate) async fn start() -> Origin {
        Origin::start_with(None).await
    }

    /// One of `https`, with the authority that vouches for it.
    pub(crate) async fn start_tls() -> (Origin, Roots) {
        let authority = Authority::new();
        let mut origin = Origin::start_with(Some(authority.acceptor())).await;
        origin.certificate = Some(authority.0.cert.der().clone());
        (origin, authority.roots())
    }

    async fn start_with(secure: Option<TlsAcceptor>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scripts = Arc::new(Mutex::new(HashMap::<String, Script>::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counted, seen) = watch::channel(0);
        let counted = Arc::new(counted);
        let gate = Arc::new(Semaphore::new(0));
        let (of_task, log, waits) = (scripts.clone(), requests.clone(), gate.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let talk = Talk {
                    scripts: of_task.clone(),
                    requests: log.clone(),
                    counted: counted.clone(),
                    gate: waits.clone(),
                };
                let secure = secure.clone();
                tokio::spawn(async move {
                    match secure {
                        None => talk.run(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                talk.run(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Origin {
            address,
            certificate: None,
            scripts,
            requests,
            seen,
            gate,
            task,
        }
    }

    pub(crate) fn says(&self, path: &str, script: Script) {
        self.scripts.lock().unwrap().insert(path.to_owned(), script);
    }

    /// What it answers to a request with a `Range`.
    pub(crate) fn says_of_parts(&self, path: &str, script: Script) {
        self.says(&format!("{path}{OF_PARTS}"), script);
    }

    pub(crate) fn go_on(&self) {
        self.gate.add_permits(1);
    }

    /// Heads of the requests that it has had.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests().len()
    }

    /// Waits until it has had so many requests.
    pub(crate) async fn until(&self, count: usize) {
        let mut seen = self.seen.clone();
        seen.wait_for(|seen| *seen >= count).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A path at the proxy that leads here, by a name.
    pub(crate) fn behind(&self, path: &str) -> String {
        format!("/https/localhost:{}{path}", self.address.port())
    }

    /// Listens no more, and answers nobody.
    pub(crate) fn stop(&self) {
        self.task.abort();
        self.scripts.lock().unwrap().clear();
    }
}

/// What the connections of an origin share.
struct Talk {
    scripts: Arc<Mutex<HashMap<String, Script>>>,
    requests: Arc<Mutex<Vec<String>>>,
    counted: Arc<watch::Sender<usize>>,
    gate: Arc<Semaphore>,
}

impl Talk {
    async fn run(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some((head, _)) = read_message(&mut stream, false).await {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let is_of_part = head.to_ascii_lowercase().contains("\r\nrange:");
            let of_parts = format!("{path}{OF_PARTS}");
            let is_head = head.starts_with("HEAD ");
            self.requests.lock().unwrap().push(head);
            self.counted.send_modify(|count| *count += 1);
            let of_parts = self.scripts.lock().unwrap().get(&of_parts).cloned();
            let script = self.scripts.lock().unwrap().get(&path).cloned();
            let mut script = of_parts.filter(|_| is_of_part).or(script);
            if let Some(script) = script.as_mut().filter(|_| is_head) {
                script.body.clear();
            }
            let script = script.unwrap_or_else(|| Script::status("404 Not Found", "", ""));
            if stream.write_all(script.head.as_bytes()).await.is_err() {
                return;
            }
            let pause = script.pause_after.unwrap_or(script.body.len());
            let (first, rest) = script.body.split_at(pause);
            if stream.write_all(first).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            if script.pause_after.is_some() {
                self.gate.acquire().await.unwrap().forget();
            }
            let written = stream.write_all(rest).await.is_ok() && stream.flush().await.is_ok();
            if !written || script.close {
                let _ = stream.shutdown().await;
                return;
            }
        }
    }
}

/// An authority for the names that lead to this machine.
struct Authority(CertifiedKey);

impl Authority {
    fn new() -> Authority {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        Authority(rcgen::generate_simple_self_signed(names).unwrap())
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivatePkcs8KeyDer::from(self.0.key_pair.serialize_der());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.0.cert.der().clone()], key.into());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }

    fn roots(&self) -> Roots {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, self.0.cert.pem()).unwrap();
        Roots::with_file(&path).unwrap()
    }
}

/// Reads a head and, of an answer, what its fields say comes behind. `None` when the connection
/// ended before.
async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    body: bool,
) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut content = Vec::new();
    if body {
        stream.read_to_end(&mut content).await.ok()?;
    }
    Some((head, content))
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let start = format!("{}:", name.to_ascii_lowercase());
        let line = |line: &&str| line.to_ascii_lowercase().starts_with(&start);
        let line = self.head.lines().find(line)?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }

    pub(crate) fn cache_status(&self) -> String {
        self.field("cache-status")
            .unwrap_or_else(|| panic!("no Cache-Status in\n{}", self.head))
    }

    /// The values of all fields of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let values = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.trim().to_owned()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A proxy with a store of its own.
pub(crate) struct Client {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) store: Arc<Store>,
    pub(crate) folder: Option<TempDir>,
    stop: CancellationToken,
}

impl Client {
    pub(crate) async fn start() -> Client {
        Client::with(Config::default(), ROOM).await
    }

    pub(crate) async fn with(config: Config, room: u64) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let mut client = Client::open(folder.path(), config, room).await;
        client.folder = Some(folder);
        client
    }

    pub(crate) async fn open(folder: &Path, config: Config, room: u64) -> Client {
        let store = Arc::new(Store::open(folder, room).unwrap());
        let listen = "127.0.0.1:0".parse().unwrap();
        let proxy = Proxy::bind(listen, config, store.clone()).await.unwrap();
        Client::run(proxy, store)
    }

    /// A proxy that is bound already.
    pub(crate) fn serve(proxy: Proxy, store: Arc<Store>, folder: TempDir) -> Client {
        let mut client = Client::run(proxy, store);
        client.folder = Some(folder);
        client
    }

    fn run(proxy: Proxy, store: Arc<Store>) -> Client {
        let (proxy, stop) = (Arc::new(proxy), CancellationToken::new());
        let (serving, until) = (proxy.clone(), stop.clone());
        tokio::spawn(async move { serving.serve(until).await });
        Client {
            proxy,
            store,
            folder: None,
            stop,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy.address().unwrap())
            .await
            .unwrap()
    }

    /// Sends these bytes and reads until the proxy closes.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // A connection that is cut off may end in a reset, before or behind the answer.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    pub(crate) async fn ask(&self, method: &str, url: &str, fields: &[&str]) -> Reply {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let host = url.split('/').nth(2).unwrap_or_default();
        let request =
            format!("{method} {url} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n");
        parse(&self.send(request.as_bytes()).await)
    }

    pub(crate) async fn get(&self, url: &str) -> Reply {
        self.ask("GET", url, &[]).await
    }

    /// Asks for a path of the proxy itself, as a program does that is pointed at it.
    pub(crate) async fn get_path(&self, path: &str, fields: &[&str]) -> Reply {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let here = self.proxy.address().unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {here}\r\n{fields}Connection: close\r\n\r\n");
        parse(&self.send(request.as_bytes()).await)
    }

    pub(crate) async fn get_with(&self, url: &str, field: &str) -> Reply {
        self.ask("GET", url, &[field]).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes[end + 4..].to_vec();
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        body = unchunk(&body);
    }
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Reply {
        status: status.unwrap_or_else(|| panic!("no status: {head}")),
        head,
        body,
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}

/// Waits for what happens beside the answers: an event of the proxy's own tasks.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let holding = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, holding)
        .await
        .expect("what is waited for does not come");
}

/// Files in a folder, and their bytes.
pub(crate) fn files(folder: &Path) -> (usize, u64) {
    let mut found = (0, 0);
    for file in std::fs::read_dir(folder).unwrap() {
        // One that goes meanwhile is none.
        if let Ok(about) = file.unwrap().metadata() {
            found = (found.0 + 1, found.1 + about.len());
        }
    }
    found
}
