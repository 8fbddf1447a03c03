//! Links of a page, led to the proxy (Q41).

use url::Url;

use super::{authority, speaks_for};

const SCHEME: &[u8] = b"https://";

/// The page with `https` links to the registry's own hosts beginning with `base`. A link stands
/// behind a quotation mark; in a page of HTML one may begin with the path.
pub(super) fn lead(text: &[u8], page: &Url, base: &str, html: bool) -> Vec<u8> {
    let Some(own) = authority(page) else {
        return text.to_vec();
    };
    let mut led = Vec::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| is_quote(*byte)) {
        let (before, behind) = rest.split_at(at + 1);
        led.extend_from_slice(before);
        rest = behind;
        if let Some(tail) = behind.strip_prefix(SCHEME) {
            if host(tail).is_some_and(|host| speaks_for(&own, &host)) {
                led.extend_from_slice(base.as_bytes());
                rest = tail;
            }
        } else if html && is_href(&before[..at]) && is_path(behind) {
            led.extend_from_slice(base.as_bytes());
            led.extend_from_slice(own.as_bytes());
        }
    }
    led.extend_from_slice(rest);
    led
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// The host that a link begins with, behind its scheme, as [`authority`] writes it.
fn host(link: &[u8]) -> Option<String> {
    let end = |byte: &u8| is_quote(*byte) || matches!(byte, b'/' | b'?' | b'#');
    let host = &link[..link.iter().position(end)?];
    let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase();
    let port = host.strip_suffix(":443");
    Some(port.map_or_else(|| host.clone(), str::to_owned))
}

fn is_href(before: &[u8]) -> bool {
    let start = before.len().checked_sub(b"href=".len());
    start.is_some_and(|start| before[start..].eq_ignore_ascii_case(b"href="))
}

fn is_path(link: &[u8]) -> bool {
    link.starts_with(b"/") && !link.starts_with(b"//")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "http://127.0.0.1:3128/https/";

    fn led(page: &str, text: &str, html: bool) -> String {
        let page = Url::parse(page).unwrap();
        String::from_utf8(lead(text.as_bytes(), &page, BASE, html)).unwrap()
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
            assert_eq!(led(page, link, false), here);
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
            assert_eq!(led(page, other, false), other);
        }
        let elsewhere = "\"https://files.pythonhosted.org/z\"";
        assert_eq!(led("https://evil.example/", elsewhere, false), elsewhere);
    }

    #[test]
    fn paths_of_html_lead_here() {
        let page = "https://a.example:8443/simple/";
        let text = "<a HREF='/x'>/y \"/z\"</a> <a href=\"//b.example/\"> <a href=\"../x\">";
        let here = text.replace("'/x", "'http://127.0.0.1:3128/https/a.example:8443/x");
        assert_eq!(led(page, text, true), here);
        assert_eq!(led(page, text, false), text);
    }

    proptest! {
        #[test]
        fn nothing_else_of_a_page_changes(text in "[\"'a-c/:#hrefthps=]{0,80}", html: bool) {
            let here = led("https://a/", &text, html);
            prop_assert_eq!(here.replace(&format!("{BASE}a/"), "/").replace(BASE, "https://")
                .replace("https://a/", "/"), text.replace("https://a/", "/"));
        }

        #[test]
        fn any_bytes_are_a_page(text: Vec<u8>, html: bool) {
            let page = Url::parse("https://a.example/").unwrap();
            prop_assert!(lead(&text, &page, BASE, html).len() >= text.len());
        }
    }
}
