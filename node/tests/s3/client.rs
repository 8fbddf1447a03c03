//! Requests to S3, signed by hand so that each part of them can be wrong.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// A request, and what is wrong with it.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    /// Encoded.
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(&'a str, String)>,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Vec<u8>,
    /// `x-amz-content-sha256`; the hash of the body unless given.
    pub(crate) hash: Option<&'a str>,
    /// Seconds that the clock is off.
    pub(crate) skew: i64,
    /// `content-length`; that of the body unless given.
    pub(crate) length: Option<usize>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]);
        write!(f, "{} {:?} {text}", self.status, self.headers)
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Answer {
        assert!((200..300).contains(&self.status), "{self:?}");
        self
    }

    /// The answer is this failure.
    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Answer {
        let wanted = format!("<Code>{code}</Code>");
        assert!(
            self.status == status && self.text().contains(&wanted),
            "{status} {code}, not {self:?}"
        );
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What stands between the tags of this name.
    pub(crate) fn all(&self, tag: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let parts = text.split(&open).skip(1);
        parts
            .map(|part| part.split(&close).next().unwrap().to_owned())
            .collect()
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str, body: &[u8]) -> Ask<'a> {
        Ask {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: body.to_vec(),
            hash: None,
            skew: 0,
            length: None,
        }
    }

    pub(crate) fn with(mut self, name: &'a str, value: impl ToString) -> Ask<'a> {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn query(mut self, name: &'a str, value: impl ToString) -> Ask<'a> {
        self.query.push((name, value.to_string()));
        self
    }
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Ask::new("GET", path, b"")).await
    }

    pub(crate) async fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.ask(Ask::new("PUT", path, body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Ask::new("DELETE", path, b"")).await
    }

    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Answer {
        let (target, headers, _) = self.sign(&ask);
        plain(self.address, ask.method, &target, &headers, &ask.body).await
    }

    /// Sends a request that is shorter than it says, and goes when the node has seen that.
    pub(crate) async fn break_off(&self, ask: Ask<'_>) {
        let (target, headers, _) = self.sign(&ask);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let sent = [head_of(ask.method, &target, &headers).as_bytes(), &ask.body].concat();
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        // The node's end of the connection closes when it is done with the request.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }

    /// The target, the headers and the signature of a request.
    pub(crate) fn sign<'a>(&self, ask: &Ask<'a>) -> (String, Vec<(&'a str, String)>, String) {
        let date = date(ask.skew);
        let hash = match ask.hash {
            Some(hash) => hash.to_owned(),
            None => HEXLOWER.encode(&Sha256::digest(&ask.body)),
        };
        let mut headers = ask.headers.clone();
        headers.push(("host", self.address.to_string()));
        headers.push(("x-amz-date", date.clone()));
        headers.push(("x-amz-content-sha256", hash.clone()));
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let query = canonical_query(&ask.query);
        let request = format!(
            "{}\n{}\n{query}\n{canonical}\n{names}\n{hash}",
            ask.method, ask.path
        );
        let signature = self.signature(&date, &request);
        let scope = scope(&date);
        headers.push((
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
                self.access_key
            ),
        ));
        let length = ask.length.unwrap_or(ask.body.len());
        headers.push(("content-length", length.to_string()));
        let target = match query.is_empty() {
            true => ask.path.to_owned(),
            false => format!("{}?{query}", ask.path),
        };
        (target, headers, signature)
    }

    /// A link that is good for so many seconds from `skew` on.
    pub(crate) fn presigned(&self, method: &str, path: &str, seconds: u32, skew: i64) -> String {
        let date = date(skew);
        let query = canonical_query(&[
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            (
                "X-Amz-Credential",
                format!("{}/{}", self.access_key, scope(&date)),
            ),
            ("X-Amz-Date", date.clone()),
            ("X-Amz-Expires", seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ]);
        let request = format!(
            "{method}\n{path}\n{query}\nhost:{}\n\nhost\n{UNSIGNED}",
            self.address
        );
        format!(
            "{path}?{query}&X-Amz-Signature={}",
            self.signature(&date, &request)
        )
    }

    fn signature(&self, date: &str, request: &str) -> String {
        let hash = HEXLOWER.encode(&Sha256::digest(request));
        self.sign_text(
            date,
            &format!("AWS4-HMAC-SHA256\n{date}\n{}\n{hash}", scope(date)),
        )
    }

    pub(crate) fn sign_text(&self, date: &str, text: &str) -> String {
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for step in [&date[..8], "us-east-1", "s3", "aws4_request"] {
            key = hmac(&key, step);
        }
        HEXLOWER.encode(&hmac(&key, text))
    }
}

pub(crate) fn scope(date: &str) -> String {
    format!("{}/us-east-1/s3/aws4_request", &date[..8])
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn date(skew: i64) -> String {
    let now = SystemTime::now();
    let by = Duration::from_secs(skew.unsigned_abs());
    let time = if skew < 0 { now - by } else { now + by };
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace(['-', ':'], "")
}

/// A key as it stands in a path.
pub(crate) fn encoded(text: &str) -> String {
    escape(text, b"-_.~/")
}

fn escape(text: &str, kept: &[u8]) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(byte.into());
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

fn canonical_query(query: &[(&str, String)]) -> String {
    let pairs = query
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name, b"-_.~"), escape(value, b"-_.~")));
    let mut pairs: Vec<String> = pairs.collect();
    pairs.sort();
    pairs.join("&")
}

fn head_of(method: &str, target: &str, headers: &[(&str, String)]) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    head
}

/// One request on a connection of its own.
pub(crate) async fn plain(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Answer {
    let head = head_of(method, target, headers);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sent = [head.as_bytes(), body].concat();
    // Who is refused may be told so before all was sent.
    let sending = tokio::spawn(async move {
        let _ = writer.write_all(&sent).await;
        // A client that has said all it had to say still listens.
        std::future::pending::<()>().await;
    });
    let mut bytes = Vec::new();
    // The same; what was said before the connection was cut stands.
    let _ = reader.read_to_end(&mut bytes).await;
    sending.abort();
    let end = bytes.windows(4).position(|at| at == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer to {method} {target}: {bytes:?}"));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let body = bytes[end + 4..].to_vec();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        headers,
        body: if chunked { unchunked(&body) } else { body },
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|at| at == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
}
