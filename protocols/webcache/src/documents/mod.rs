//! Index pages of package registries, as clients with a prefix read them: links to files lead back
//! to the proxy, and the digests that the pages name are remembered (Q41 to Q43).

mod digests;
mod learned;
mod links;

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    body::{self, Body, BoxError, Collected},
    digest::Known,
    prefix::Prefix,
};
use learned::Learned;

/// The longest page that is read, as it comes and as it is when it is decoded.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// Pages that are read at a time.
const MAX_READ: usize = 4;

/// Pages whose files are at another host that is the registry's as well.
const FILES_OF: [(&str, &str); 3] = [
    ("pypi.org", "files.pythonhosted.org"),
    ("test.pypi.org", "test-files.pythonhosted.org"),
    ("index.crates.io", "static.crates.io"),
];

/// Whether a page at one host may say what is right at another.
fn speaks_for(page: &str, other: &str) -> bool {
    page == other || FILES_OF.contains(&(page, other))
}

/// What a page is, by its type and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// PEP 503: an anchor for each file.
    Html,
    /// PEP 691.
    Simple,
    /// What npm knows of a package.
    Packument,
    /// `config.json` of a sparse index of cargo.
    CargoConfig,
    /// A crate in such an index: a line for each version. It has no links.
    CargoIndex,
}

/// Reads pages.
#[derive(Debug)]
pub(crate) struct Documents {
    learned: Arc<Learned>,
    reading: Semaphore,
}

impl Default for Documents {
    fn default() -> Documents {
        Documents {
            learned: Arc::default(),
            reading: Semaphore::new(MAX_READ),
        }
    }
}

impl Documents {
    /// The digest that a page has named for a URL.
    pub(crate) fn digest(&self, url: &Uri) -> Option<Known> {
        self.learned.digest(&url.to_string())
    }

    /// An answer as the client with the prefix gets it: a page with its links led here, anything
    /// else as it is.
    ///
    /// # Errors
    /// When the page breaks off while it is read.
    pub(crate) async fn lead(
        &self,
        method: &Method,
        url: &Uri,
        prefix: &Prefix,
        answer: Response<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (mut head, body) = answer.into_parts();
        let page = Url::parse(&url.to_string()).ok();
        let is_whole = head.status == StatusCode::OK && method == Method::GET;
        let (Some(page), true) = (page, is_whole) else {
            return Ok(Response::from_parts(head, body));
        };
        let Some(kind) = self.kind(&page, &head.headers) else {
            return Ok(Response::from_parts(head, body));
        };
        let permit = self.reading.acquire().await;
        let came = match body::collect(body, MAX_PAGE).await? {
            Collected::Whole(came) => came,
            // Its links lead where they did, which is slower, and right.
            Collected::TooLong(body) => return Ok(Response::from_parts(head, body)),
        };
        let coded = is_gzip(&head.headers);
        let (learned, prefix, raw) = (Arc::clone(&self.learned), prefix.clone(), came.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let text = match coded {
                true => decoded(&raw)?,
                false => raw,
            };
            learned.read(kind, &page, &text);
            let html = kind == Kind::Html;
            let links = kind != Kind::CargoIndex;
            links.then(|| Bytes::from(links::lead(&text, &page, prefix.base(), html)))
        });
        let read = reading.await?;
        drop(permit);
        let Some(text) = read else {
            return Ok(Response::from_parts(head, body::bytes(came)));
        };
        // They speak of the page as it was.
        for name in [
            header::CONTENT_ENCODING,
            header::ETAG,
            header::LAST_MODIFIED,
            header::ACCEPT_RANGES,
        ] {
            head.headers.remove(name);
        }
        for name in ["content-digest", "repr-digest"] {
            head.headers.remove(name);
        }
        let length = HeaderValue::from(text.len());
        head.headers.insert(header::CONTENT_LENGTH, length);
        Ok(Response::from_parts(head, body::bytes(text)))
    }

    fn kind(&self, page: &Url, fields: &HeaderMap) -> Option<Kind> {
        let is_read = is_gzip(fields) || !fields.contains_key(header::CONTENT_ENCODING);
        let kind = fields.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next()?.trim().to_ascii_lowercase();
        let kind = match kind.as_str() {
            "text/html" | "application/vnd.pypi.simple.v1+html" => Kind::Html,
            "application/vnd.pypi.simple.v1+json" => Kind::Simple,
            "application/json" if page.path().ends_with("/config.json") => Kind::CargoConfig,
            "application/json" | "application/vnd.npm.install-v1+json" => Kind::Packument,
            "text/plain" | "application/octet-stream" | "binary/octet-stream"
                if self.learned.crates_of(page).is_some() && digests::is_crate(page) =>
            {
                Kind::CargoIndex
            }
            _ => return None,
        };
        is_read.then_some(kind)
    }
}

fn is_gzip(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(header::CONTENT_ENCODING).iter();
    let first = codings.next().and_then(|coding| coding.to_str().ok());
    let is_gzip = first.is_some_and(|coding| matches!(coding.trim(), "gzip" | "x-gzip"));
    is_gzip && codings.next().is_none()
}

/// `None` when it is damaged, or longer than a page may be.
fn decoded(coded: &[u8]) -> Option<Bytes> {
    let mut text = Vec::new();
    let most = MAX_PAGE as u64 + 1;
    MultiGzDecoder::new(coded)
        .take(most)
        .read_to_end(&mut text)
        .ok()?;
    (text.len() <= MAX_PAGE).then(|| Bytes::from(text))
}

/// A page's or file's host, with its port if that does not go without saying.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn prefix() -> Prefix {
        let request = hyper::Request::builder()
            .uri("/https/a.example/")
            .header("host", "127.0.0.1:3128");
        crate::prefix::target(&request.body(()).unwrap()).unwrap().1
    }

    async fn led(documents: &Documents, url: &str, kind: &str, gzip: bool, text: &[u8]) -> Vec<u8> {
        let mut answer = Response::builder()
            .header("content-type", kind)
            .header("etag", "\"x\"");
        let text = match gzip {
            true => {
                answer = answer.header("content-encoding", "gzip");
                let mut coder = GzEncoder::new(Vec::new(), Compression::fast());
                coder.write_all(text).unwrap();
                coder.finish().unwrap()
            }
            false => text.to_vec(),
        };
        let answer = answer.body(body::bytes(text.into())).unwrap();
        let url = url.parse().unwrap();
        let led = documents.lead(&Method::GET, &url, &prefix(), answer).await;
        let (head, body) = led.unwrap().into_parts();
        let Collected::Whole(text) = body::collect(body, usize::MAX).await.unwrap() else {
            panic!("nothing is too long");
        };
        if let Some(length) = head.headers.get("content-length") {
            assert_eq!(length, &text.len().to_string());
            assert!(!head.headers.contains_key("etag"));
            assert!(!head.headers.contains_key("content-encoding"));
        }
        text.to_vec()
    }

    #[tokio::test]
    async fn pages_lead_here_and_what_they_name_is_known() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for gzip in [false, true] {
            let documents = Documents::default();
            let page = format!(
                r#"{{"files":[{{"url":"https://files.pythonhosted.org/a/x-1.whl",
                "hashes":{{"sha256":"{digits}"}},"core-metadata":{{"sha256":"{digits}"}}}}]}}"#
            );
            let here = page.replace("https://files", "http://127.0.0.1:3128/https/files");
            let kind = "application/vnd.pypi.simple.v1+json";
            let url = "https://pypi.org/simple/x/";
            let text = led(&documents, url, kind, gzip, page.as_bytes()).await;
            assert_eq!(String::from_utf8(text).unwrap(), here);
            for file in ["x-1.whl", "x-1.whl.metadata"] {
                let url = format!("https://files.pythonhosted.org/a/{file}");
                assert!(documents.digest(&url.parse().unwrap()).is_some(), "{file}");
            }
        }
    }

    #[tokio::test]
    async fn a_crate_s_index_is_read_and_left_as_it_is() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let documents = Documents::default();
        let line = format!("{{\"name\":\"Serde\",\"vers\":\"1.0.0\",\"cksum\":\"{digits}\"}}\n");
        let url = "https://index.crates.io/se/rd/serde";
        let text = led(&documents, url, "text/plain", false, line.as_bytes()).await;
        assert_eq!(text, line.as_bytes());
        let file = "https://static.crates.io/crates/Serde/1.0.0/download";
        assert!(documents.digest(&file.parse().unwrap()).is_some());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_left_as_it_is() {
        let documents = Documents::default();
        let url = "https://a.example/x";
        let page = b"<a href=\"https://a.example/y\">y</a>";
        let same = led(&documents, url, "image/png", false, page).await;
        assert_eq!(same, page);
        // Longer than it may be: as it comes, and only when it is decoded.
        let mut long = page.to_vec();
        long.resize(MAX_PAGE + 1, b' ');
        assert_eq!(led(&documents, url, "text/html", false, &long).await, long);
        let coded = led(&documents, url, "text/html", true, &long).await;
        assert!(coded.len() < long.len() / 100 && coded.starts_with(&[0x1f, 0x8b]));
    }
}
