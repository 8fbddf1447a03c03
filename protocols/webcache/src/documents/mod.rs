//! Index pages of package registries, as clients with a prefix read them: links to files lead back
//! to the proxy, and the digests that the pages name are remembered (Q41 to Q43).

mod digests;
mod html;
mod learned;
mod links;

use std::{io::Read, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    body::{self, Body, BoxError, Collected},
    digest::Known,
    keeper,
    prefix::Prefix,
};
use learned::Learned;
use links::Link;

pub(crate) use digests::is_crate;

/// The longest page that is read, as it comes and as it is when it is decoded.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// The longest that links may make one.
const MAX_LED: usize = 2 * MAX_PAGE;

/// Bytes of pages that are read at a time.
const MAX_READ: usize = 8 * MAX_PAGE;

/// How long a page may take to come. One that takes longer is given as it comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Registries that anybody uses, and the hosts that have their files. Their pages are their own
/// word, but for what a project writes of itself at the first two.
const PUBLIC: [(&str, &[&str]); 5] = [
    ("pypi.org", &["files.pythonhosted.org"]),
    ("test.pypi.org", &["test-files.pythonhosted.org"]),
    ("registry.npmjs.org", &[]),
    ("registry.yarnpkg.com", &[]),
    ("index.crates.io", &["static.crates.io"]),
];

/// Whether a page at one host may say where files are at another.
fn speaks_for(page: &str, other: &str) -> bool {
    let files = PUBLIC.iter().find(|(host, _)| *host == page);
    page == other || files.is_some_and(|(_, files)| files.contains(&other))
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
    /// A permit for each KiB.
    reading: Arc<Semaphore>,
    registries: Vec<String>,
}

impl Documents {
    /// Believes index pages of these registries, and of the public ones.
    pub(crate) fn new(registries: &[String]) -> Documents {
        let lower = registries.iter().map(|host| host.to_ascii_lowercase());
        Documents {
            learned: Arc::default(),
            reading: Arc::new(Semaphore::new(MAX_READ / 1024)),
            registries: lower.collect(),
        }
    }

    /// The digest that a page has named for a URL.
    pub(crate) fn digest(&self, url: &Uri) -> Option<Known> {
        self.learned.digest(&url.to_string())
    }

    /// An answer as the client with the prefix gets it: a page with its links led here, anything
    /// else as it is. Without a prefix a page that is believed is read, and nothing is changed.
    ///
    /// # Errors
    /// When the page breaks off while it is read.
    pub(crate) async fn lead(
        &self,
        method: &Method,
        url: &Uri,
        prefix: Option<&Prefix>,
        answer: Response<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (mut head, body) = answer.into_parts();
        let page = Url::parse(&url.to_string()).ok();
        // What has a digest is a file, whatever its type.
        let is_file = Known::of_url(url).is_some() || self.digest(url).is_some();
        let kind = page.as_ref().filter(|_| !is_file);
        let kind = kind.and_then(|page| self.kind(page, &head.headers));
        let (Some(page), Some(kind), StatusCode::OK) = (page, kind, head.status) else {
            return Ok(Response::from_parts(head, body));
        };
        let believed = self.is_believed(&page);
        if prefix.is_none() && !believed {
            return Ok(Response::from_parts(head, body));
        }
        if method == Method::HEAD && prefix.is_some() && kind != Kind::CargoIndex {
            head.headers.remove(header::CONTENT_LENGTH);
            as_led(&mut head.headers);
        }
        if method != Method::GET {
            return Ok(Response::from_parts(head, body));
        }
        let room = keeper::content_length(&head.headers).map_or(MAX_PAGE, |length| length as usize);
        if room > MAX_PAGE {
            return Ok(Response::from_parts(head, body));
        }
        let permits = room.div_ceil(1024) as u32;
        let permit = Arc::clone(&self.reading)
            .acquire_many_owned(permits)
            .await?;
        let came = match body::collect(body, MAX_PAGE, PATIENCE).await? {
            Collected::Whole(came) => came,
            // Its links lead where they did, which is slower, and right.
            Collected::Rest(body) => return Ok(Response::from_parts(head, body)),
        };
        let (learned, prefix, raw) = (Arc::clone(&self.learned), prefix.cloned(), came.clone());
        let coded = is_gzip(&head.headers);
        let reading = tokio::task::spawn_blocking(move || {
            // Who has gone meanwhile does not end it.
            let _permit = permit;
            let text = match coded {
                true => decoded(&raw)?,
                false => raw,
            };
            if believed {
                learned.read(kind, &page, &text);
            }
            let prefix = prefix?;
            let link = match kind {
                Kind::CargoIndex => return None,
                Kind::Html => Link::Href,
                Kind::Simple => Link::Url,
                Kind::Packument | Kind::CargoConfig => Link::Whole,
            };
            links::lead(&text, &page, prefix.base(), link, MAX_LED)
        });
        let Some(text) = reading.await? else {
            return Ok(Response::from_parts(head, body::bytes(came)));
        };
        as_led(&mut head.headers);
        let length = HeaderValue::from(text.len());
        head.headers.insert(header::CONTENT_LENGTH, length);
        Ok(Response::from_parts(head, body::bytes(text.into())))
    }

    /// Whether a part of what is at a URL would be one of a page that is led here as a whole: no part
    /// of it as it was, behind or before what a client has of it as it is here. What it is say the
    /// fields of an answer.
    pub(crate) fn is_led(&self, url: &Uri, fields: &HeaderMap) -> bool {
        if Known::of_url(url).is_some() || self.digest(url).is_some() {
            return false;
        }
        let page = Url::parse(&url.to_string()).ok();
        let kind = page.and_then(|page| self.kind(&page, fields));
        kind.is_some_and(|kind| kind != Kind::CargoIndex)
            && length(fields).is_none_or(|length| length <= MAX_PAGE as u64)
    }

    /// Whether what a page says of files is the registry's own word.
    fn is_believed(&self, page: &Url) -> bool {
        let Some(own) = authority(page) else {
            return false;
        };
        let is_public = PUBLIC.iter().any(|(host, _)| *host == own);
        // What a project says of itself is elsewhere.
        let is_index = !own.ends_with("pypi.org") || page.path().starts_with("/simple/");
        (is_public && is_index) || self.registries.contains(&own)
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
                if self.learned.crates_of(page).is_some() =>
            {
                Kind::CargoIndex
            }
            _ => return None,
        };
        is_read.then_some(kind)
    }
}

/// The length of the whole, as an answer says that has it, or a part of it.
fn length(fields: &HeaderMap) -> Option<u64> {
    match fields.get(header::CONTENT_RANGE) {
        Some(range) => range.to_str().ok()?.rsplit_once('/')?.1.parse().ok(),
        None => keeper::content_length(fields),
    }
}

/// Removes what speaks of a page as it was.
fn as_led(fields: &mut HeaderMap) {
    for name in [
        header::CONTENT_ENCODING,
        header::ETAG,
        header::LAST_MODIFIED,
        header::ACCEPT_RANGES,
    ] {
        fields.remove(name);
    }
    for name in ["content-digest", "repr-digest"] {
        fields.remove(name);
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

    /// What becomes of a page, and whether it has become another.
    async fn led(
        documents: &Documents,
        url: &str,
        kind: &str,
        gzip: bool,
        text: &[u8],
    ) -> (Vec<u8>, bool) {
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
        let prefix = Some(prefix());
        let led = documents.lead(&Method::GET, &url, prefix.as_ref(), answer);
        let (head, body) = led.await.unwrap().into_parts();
        let Collected::Whole(text) = body::collect(body, usize::MAX, PATIENCE).await.unwrap()
        else {
            panic!("nothing is too long");
        };
        let is_led = !head.headers.contains_key("etag");
        if is_led {
            assert_eq!(head.headers["content-length"], text.len().to_string());
            assert!(!head.headers.contains_key("content-encoding"));
        }
        (text.to_vec(), is_led)
    }

    #[tokio::test]
    async fn pages_lead_here_and_what_they_name_is_known() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for gzip in [false, true] {
            let documents = Documents::new(&[]);
            let page = format!(
                r#"{{"files":[{{"url":"https://files.pythonhosted.org/a/x-1.whl",
                "hashes":{{"sha256":"{digits}"}},"core-metadata":{{"sha256":"{digits}"}}}}]}}"#
            );
            let here = page.replace("https://files", "http://127.0.0.1:3128/https/files");
            let kind = "application/vnd.pypi.simple.v1+json";
            let url = "https://pypi.org/simple/x/";
            let text = led(&documents, url, kind, gzip, page.as_bytes()).await;
            assert_eq!((String::from_utf8(text.0).unwrap(), text.1), (here, true));
            for file in ["x-1.whl", "x-1.whl.metadata"] {
                let url = format!("https://files.pythonhosted.org/a/{file}");
                assert!(documents.digest(&url.parse().unwrap()).is_some(), "{file}");
            }
        }
    }

    #[tokio::test]
    async fn without_a_prefix_pages_are_read_and_left_as_they_are() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let documents = Documents::new(&[]);
        for (page, file, is_learned) in [
            (
                "https://pypi.org/simple/x/",
                "https://files.pythonhosted.org/1",
                true,
            ),
            ("https://other.example/x", "https://other.example/2", false),
        ] {
            let link = format!("<a href='{file}#sha256={digits}'>");
            for method in [Method::HEAD, Method::GET] {
                let answer = Response::builder()
                    .header("content-type", "text/html")
                    .header("etag", "\"x\"");
                let answer = answer.body(body::bytes(link.clone().into())).unwrap();
                let page = page.parse().unwrap();
                let same = documents.lead(&method, &page, None, answer);
                let (head, body) = same.await.unwrap().into_parts();
                assert_eq!(head.headers["etag"], "\"x\"");
                let Collected::Whole(text) =
                    body::collect(body, usize::MAX, PATIENCE).await.unwrap()
                else {
                    panic!("nothing is too long");
                };
                assert_eq!(text, link);
            }
            let known = documents.digest(&file.parse().unwrap());
            assert_eq!(known.is_some(), is_learned, "{page}");
        }
    }

    #[tokio::test]
    async fn a_crate_s_index_is_read_and_left_as_it_is() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let documents = Documents::new(&[]);
        let line = format!("{{\"name\":\"Serde\",\"vers\":\"1.0.0\",\"cksum\":\"{digits}\"}}\n");
        let url = "https://index.crates.io/se/rd/serde";
        let text = led(&documents, url, "text/plain", false, line.as_bytes()).await;
        assert_eq!(text, (line.clone().into_bytes(), false));
        let file = "https://static.crates.io/crates/Serde/1.0.0/download";
        assert!(documents.digest(&file.parse().unwrap()).is_some());
    }

    #[tokio::test]
    async fn only_registries_say_what_is_right() {
        let digits = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let documents = Documents::new(&["Own.example:8443".to_owned()]);
        for (page, file, is_learned) in [
            (
                "https://own.example:8443/x",
                "https://own.example:8443/1",
                true,
            ),
            ("https://own.example/x", "https://own.example/2", false),
            ("https://other.example/x", "https://other.example/3", false),
            (
                "https://pypi.org/project/x/",
                "https://files.pythonhosted.org/4",
                false,
            ),
            (
                "https://pypi.org/simple/x/",
                "https://files.pythonhosted.org/5",
                true,
            ),
        ] {
            let link = format!("<a href='{file}#sha256={digits}'>");
            led(&documents, page, "text/html", false, link.as_bytes()).await;
            let known = documents.digest(&file.parse().unwrap());
            assert_eq!(known.is_some(), is_learned, "{page}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_left_as_it_is() {
        let documents = Documents::new(&[]);
        let url = "https://a.example/x";
        let page = b"<a href=\"https://a.example/y\">y</a>";
        let same = led(&documents, url, "image/png", false, page).await;
        assert_eq!(same, (page.to_vec(), false));
        let digest = format!("https://a.example/v2/x/manifests/sha256:{}", "0".repeat(64));
        let same = led(&documents, &digest, "application/json", false, page).await;
        assert_eq!(same, (page.to_vec(), false));
        // Links that make more of a page than it is worth.
        let many = "<a href='/".repeat(MAX_PAGE / 10);
        let url_of_many = format!("https://{}.example/", "a".repeat(60));
        let same = led(&documents, &url_of_many, "text/html", true, many.as_bytes()).await;
        assert!(!same.1);
        // Longer than it may be: as it comes, and only when it is decoded.
        let mut long = page.to_vec();
        long.resize(MAX_PAGE + 1, b' ');
        let same = led(&documents, url, "text/html", false, &long).await;
        assert_eq!(same, (long.clone(), false));
        let (coded, _) = led(&documents, url, "text/html", true, &long).await;
        assert!(coded.len() < long.len() / 100 && coded.starts_with(&[0x1f, 0x8b]));
    }
}
