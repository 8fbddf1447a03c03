//! What pages have said (Q42): digests of files, and where cargo's indexes have their crates.

use std::num::NonZeroUsize;

use guid::Guid;
use lru::LruCache;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use url::Url;
use webcache_core::object_id;

use super::{Kind, authority, digests, speaks_for};
use crate::digest::Known;

/// Files whose digests are remembered: those of a thousand packages with a hundred versions each.
const MAX_FILES: NonZeroUsize = NonZeroUsize::new(131_072).expect("not 0");

/// Of one page, so that none drives all others out.
const MAX_OF_PAGE: usize = 16_384;

/// Indexes of cargo.
const MAX_INDEXES: NonZeroUsize = NonZeroUsize::new(256).expect("not 0");

/// Where the crates of the public index are: cargo asks for it once and keeps it.
const CRATES_IO: (&str, &str) = (
    "https://index.crates.io/",
    "https://static.crates.io/crates",
);

#[derive(Debug)]
pub(super) struct Learned {
    files: Mutex<LruCache<Guid, Known>>,
    /// `dl` of an index's `config.json`, by the index's URL.
    crates: Mutex<LruCache<String, String>>,
}

impl Default for Learned {
    fn default() -> Learned {
        Learned {
            files: Mutex::new(LruCache::new(MAX_FILES)),
            crates: Mutex::new(LruCache::new(MAX_INDEXES)),
        }
    }
}

impl Learned {
    pub(super) fn digest(&self, url: &str) -> Option<Known> {
        self.files.lock().get(&key(url)).cloned()
    }

    /// Where the crates are of the index that a crate's page is in.
    pub(super) fn crates_of(&self, page: &Url) -> Option<String> {
        let index = index(page, digests::index(page.path())?);
        match index == CRATES_IO.0 {
            true => Some(CRATES_IO.1.to_owned()),
            false => self.crates.lock().get(&index).cloned(),
        }
    }

    /// Reads a page that is believed.
    pub(super) fn read(&self, kind: Kind, page: &Url, text: &[u8]) {
        let Some(own) = authority(page) else {
            return;
        };
        let mut found = Vec::new();
        // Only of what the registry has: whoever has a page does not say what is right elsewhere.
        let mut learn = |mut file: Url, known| {
            file.set_fragment(None);
            let is_own = authority(&file).is_some_and(|host| speaks_for(&own, &host));
            if is_own && file.scheme() == "https" {
                found.push((key(file.as_str()), known));
            }
        };
        match kind {
            Kind::Html => digests::of_html(page, text, &mut learn),
            Kind::Simple => digests::of_simple(page, text, &mut learn),
            Kind::Packument => digests::of_packument(page, text, &mut learn),
            Kind::CargoIndex => {
                if let Some(crates) = self.crates_of(page) {
                    digests::of_crate(&crates, text, &mut learn);
                }
            }
            Kind::CargoConfig => {
                let folder = page.path().strip_suffix("config.json");
                if let (Some(crates), Some(folder)) = (digests::crates(text), folder) {
                    self.crates.lock().put(index(page, folder), crates);
                }
            }
        }
        // The newest are the last, where there is an order.
        let older = found.len().saturating_sub(MAX_OF_PAGE);
        let mut files = self.files.lock();
        for (file, known) in found.drain(older..) {
            files.put(file, known);
        }
    }
}

/// An index of cargo, by its URL.
fn index(page: &Url, path: &str) -> String {
    let mut index = page.clone();
    index.set_path(path);
    index.set_query(None);
    index.set_fragment(None);
    index.into()
}

/// Clients do not all write a URL as the page does, where one may be written in two ways.
fn key(url: &str) -> Guid {
    object_id(&percent_decode_str(url).decode_utf8_lossy(), [])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn a_page_speaks_for_its_own_registry() {
        let learned = Learned::default();
        let page = |host: &str| Url::parse(&format!("https://{host}/simple/")).unwrap();
        let link = |to: &str| format!("<a href='{to}#sha256={DIGITS}'>");
        for (host, to, is_learned) in [
            ("pypi.org", "https://files.pythonhosted.org/1", true),
            ("evil.example", "https://files.pythonhosted.org/2", false),
            ("a.example", "https://a.example/3", true),
            ("a.example", "../4+x", true),
            ("a.example", "http://a.example/5", false),
            ("a.example", "https://a.example:8443/6", false),
        ] {
            let page = page(host);
            learned.read(Kind::Html, &page, link(to).as_bytes());
            let file = page.join(to).unwrap();
            assert_eq!(learned.digest(file.as_str()).is_some(), is_learned, "{to}");
        }
        assert!(learned.digest("https://a.example/4%2Bx").is_some());
    }

    #[test]
    fn an_index_says_where_its_crates_are() {
        let learned = Learned::default();
        let at = |path: &str| Url::parse(&format!("https://a.example/index/{path}")).unwrap();
        let line = format!(r#"{{"name":"Ab","vers":"1.0.0","cksum":"{DIGITS}"}}"#);
        learned.read(Kind::CargoIndex, &at("2/ab"), line.as_bytes());
        let config = br#"{"dl":"https://a.example/dl/{prefix}/{crate}-{version}.crate"}"#;
        learned.read(Kind::CargoConfig, &at("config.json"), config);
        assert_eq!(learned.files.lock().len(), 0);
        learned.read(Kind::CargoIndex, &at("2/ab"), line.as_bytes());
        assert!(
            learned
                .digest("https://a.example/dl/2/Ab-1.0.0.crate")
                .is_some()
        );
    }
}
