//! Links of a page, led to the proxy (Q41).

use url::Url;

use super::{authority, speaks_for};

/// How a link begins; the second as some write it in JSON.
const SCHEMES: [&[u8]; 2] = [b"https://", br"https:\/\/"];

/// Where a page has links that begin otherwise than with `https://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nowhere.
    Whole,
    /// In the attribute `href`.
    Href,
    /// In the member `url`.
    Url,
}

/// The page with `https` links to the registry's own hosts beginning with `base`; `None` if that
/// makes it longer than `most`. A link stands behind a quotation mark.
pub(super) fn lead(
    text: &[u8],
    page: &Url,
    base: &str,
    link: Link,
    most: usize,
) -> Option<Vec<u8>> {
    let own = authority(page)?;
    let mut led = Vec::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| is_quote(*byte)) {
        let (before, behind) = rest.split_at(at + 1);
        led.extend_from_slice(before);
        rest = behind;
        let scheme = SCHEMES.iter().find(|scheme| behind.starts_with(scheme));
        if let Some(scheme) = scheme {
            let tail = &behind[scheme.len()..];
            if host(tail).is_some_and(|host| speaks_for(&own, &host)) {
                led.extend_from_slice(base.as_bytes());
                rest = tail;
            }
        } else if behind.starts_with(b"/") && link.is_at(&led[..led.len() - 1]) {
            match behind.strip_prefix(b"//") {
                // Of the page's scheme, which is not the proxy's.
                Some(tail) if host(tail).is_some_and(|host| speaks_for(&own, &host)) => {
                    led.extend_from_slice(base.as_bytes());
                    rest = tail;
                }
                Some(_) => led.extend_from_slice(b"https:"),
                None => {
                    led.extend_from_slice(base.as_bytes());
                    led.extend_from_slice(own.as_bytes());
                }
            }
        }
        if led.len() + rest.len() > most {
            return None;
        }
    }
    led.extend_from_slice(rest);
    Some(led)
}

impl Link {
    /// Whether what stands behind this is a link.
    fn is_at(self, before: &[u8]) -> bool {
        let (name, sign) = match self {
            Link::Whole => return false,
            Link::Href => (&b"href"[..], b'='),
            Link::Url => (&b"\"url\""[..], b':'),
        };
        let before = before.trim_ascii_end();
        let before = before.strip_suffix(&[sign]).map(<[u8]>::trim_ascii_end);
        before.is_some_and(|before| {
            let start = before.len().checked_sub(name.len());
            start.is_some_and(|start| before[start..].eq_ignore_ascii_case(name))
        })
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// The host that a link begins with, behind its scheme, as [`authority`] writes it.
fn host(link: &[u8]) -> Option<String> {
    let end = |byte: &u8| is_quote(*byte) || matches!(byte, b'/' | b'?' | b'#');
    let at = link.iter().position(end)?;
    let host = match link[at] {
        // The slash may be written as JSON writes it.
        b'/' => link[..at].strip_suffix(b"\\").unwrap_or(&link[..at]),
        _ => &link[..at],
    };
    let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase();
    let port = host.strip_suffix(":443");
    Some(port.map_or_else(|| host.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "http://127.0.0.1:3128/https/";

    fn led(page: &str, text: &str, link: Link) -> String {
        let page = Url::parse(page).unwrap();
        let led = lead(text.as_bytes(), &page, BASE, link, usize::MAX);
        String::from_utf8(led.unwrap()).unwrap()
    }

    #[test]
    fn links_of_the_registry_lead_here_and_others_do_not() {
        let page = "https://pypi.org/simple/x/";
        for (link, here) in [
            (
                "\"https://pypi.org/y\"",
                "\"http://127.0.0.1:3128/https/pypi.org/y\"",
            ),
            (
                r#""https:\/\/pypi.org\/y""#,
                r#""http://127.0.0.1:3128/https/pypi.org\/y""#,
            ),
            (
                r#""https:\/\/elsewhere.example\/y""#,
                r#""https:\/\/elsewhere.example\/y""#,
            ),
            (
                "'https://PyPI.org:443/y'",
                "'http://127.0.0.1:3128/https/PyPI.org:443/y'",
            ),
            (
                "\"https://pypi.org\"",
                "\"http://127.0.0.1:3128/https/pypi.org\"",
            ),
            (
                "\"https://files.pythonhosted.org/z#sha256=1\"",
                "\"http://127.0.0.1:3128/https/files.pythonhosted.org/z#sha256=1\"",
            ),
        ] {
            assert_eq!(led(page, link, Link::Whole), here);
        }
        for other in [
            "\"https://pypi.org.evil.example/\"",
            "\"https://pypi.org:8443/\"",
            "\"https://me@pypi.org/\"",
            "\"git+https://pypi.org/x\"",
            "\"http://pypi.org/\"",
            "see https://pypi.org/",
            "\"https://",
            "\"/y\"",
            "\"",
        ] {
            assert_eq!(led(page, other, Link::Whole), other);
        }
        let elsewhere = "\"https://files.pythonhosted.org/z\"";
        assert_eq!(
            led("https://evil.example/", elsewhere, Link::Href),
            elsewhere
        );
    }

    #[test]
    fn links_without_a_scheme_lead_where_the_page_means() {
        let page = "https://a.example:8443/simple/";
        let here = format!("{BASE}a.example:8443");
        for (link, text, led_to) in [
            (Link::Href, "<a HREF='/x'>", format!("<a HREF='{here}/x'>")),
            (
                Link::Href,
                "<a href = \"/x\">",
                format!("<a href = \"{here}/x\">"),
            ),
            (
                Link::Href,
                "href='//A.example:8443/x'",
                format!("href='{BASE}A.example:8443/x'"),
            ),
            (
                Link::Href,
                "href='//b.example/'",
                "href='https://b.example/'".to_owned(),
            ),
            (
                Link::Url,
                "\"url\" : \"/x\"",
                format!("\"url\" : \"{here}/x\""),
            ),
            (
                Link::Url,
                "\"url\":\"//b.example/\"",
                "\"url\":\"https://b.example/\"".to_owned(),
            ),
        ] {
            assert_eq!(led(page, text, link), led_to);
            assert_eq!(led(page, text, Link::Whole), text);
        }
        for (link, other) in [
            (Link::Href, ">/y \"/z\""),
            (Link::Href, "href='../x'"),
            (Link::Href, "\"url\":\"/x\""),
            (Link::Url, "\"curl\":\"/x\""),
            (Link::Url, "href='/x'"),
        ] {
            assert_eq!(led(page, other, link), other);
        }
    }

    #[test]
    fn a_page_that_grows_too_much_is_left() {
        let page = Url::parse("https://a.example/").unwrap();
        let text = b"href='/x' href='/y'";
        let long = lead(text, &page, BASE, Link::Href, usize::MAX)
            .unwrap()
            .len();
        assert!(lead(text, &page, BASE, Link::Href, long).is_some());
        assert!(lead(text, &page, BASE, Link::Href, long - 1).is_none());
    }

    /// Pieces of pages.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "\"",
            "'",
            "https://a/",
            "https://a",
            "https://b/",
            "href=",
            "\"url\":",
            "/x",
            "//a/",
            "//b/",
            " ",
            ">",
            "é",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_but_the_beginnings_of_links_changes(text in text()) {
            let page = "https://a/";
            let whole = led(page, &text, Link::Whole);
            prop_assert_eq!(whole.replace(BASE, "https://"), text.clone());
            let href = led(page, &text, Link::Href);
            let back = |text: &str| text.replace("https://", "//").replace("//a/", "/").replace("//a", "");
            prop_assert_eq!(back(&href.replace(BASE, "https://")), back(&text));
        }

        #[test]
        fn any_bytes_are_a_page(text: Vec<u8>) {
            let page = Url::parse("https://a.example/").unwrap();
            for link in [Link::Whole, Link::Href, Link::Url] {
                prop_assert!(lead(&text, &page, BASE, link, usize::MAX).is_some());
            }
        }
    }
}
