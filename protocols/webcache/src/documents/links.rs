//! Links of a page, led to the proxy (Q41).

use url::Url;

use super::{
    authority,
    html::{self, MAX_TAG},
    speaks_for,
};

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
/// makes it longer than `most`. A link stands behind a quotation mark, or in HTML behind `href=`.
pub(super) fn lead(
    text: &[u8],
    page: &Url,
    base: &str,
    link: Link,
    most: usize,
) -> Option<Vec<u8>> {
    let own = authority(page)?;
    let is_html = link == Link::Href;
    // What the page says that its links are reckoned from.
    let said = is_html.then(|| html::base(page, text)).flatten();
    let mut tag = Tag::default();
    let mut led = Vec::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    let is_sign = |byte: u8| is_quote(byte) || (is_html && matches!(byte, b'<' | b'=' | b'>'));
    while let Some(at) = rest.iter().position(|byte| is_sign(*byte)) {
        let (before, behind) = rest.split_at(at + 1);
        led.extend_from_slice(before);
        rest = behind;
        let sign = before[at];
        let place = text.len() - rest.len();
        tag.goes_on(sign, behind, place);
        if !is_quote(sign) {
            let blanks = behind.len() - behind.trim_ascii_start().len();
            let value = &behind[blanks..];
            let is_value = value.first().is_some_and(|byte| !is_quote(*byte));
            if sign != b'=' || !tag.is_open(place) || !is_value || !link.is_at(&led) {
                continue;
            }
            led.extend_from_slice(&behind[..blanks]);
            rest = value;
        }
        let is_quoted = is_quote(sign);
        let is_own =
            |tail: &[u8]| host(tail, is_quoted).is_some_and(|host| speaks_for(&own, &host));
        let scheme = SCHEMES.iter().find(|scheme| rest.starts_with(scheme));
        if let Some(scheme) = scheme {
            let tail = &rest[scheme.len()..];
            if is_own(tail) {
                led.extend_from_slice(base.as_bytes());
                rest = tail;
            }
        } else if rest.starts_with(b"/") && (!is_quoted || link.is_at(&led[..led.len() - 1])) {
            let said = said.as_ref().filter(|said| !said.tag.contains(&place));
            let from = said.map_or(page, |said| &said.url);
            match rest.strip_prefix(b"//") {
                // Of the scheme of what it is reckoned from. Of another than https the client
                // reckons right by itself.
                _ if from.scheme() != "https" => {}
                Some(tail) if is_own(tail) => {
                    led.extend_from_slice(base.as_bytes());
                    rest = tail;
                }
                Some(_) => led.extend_from_slice(b"https:"),
                // And so it does where the page leads elsewhere with all of its links.
                None => {
                    let host = authority(from).filter(|host| speaks_for(&own, host));
                    if let Some(host) = host {
                        led.extend_from_slice(base.as_bytes());
                        led.extend_from_slice(host.as_bytes());
                    }
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

/// The tag of HTML that is being read.
#[derive(Debug, Default)]
struct Tag {
    /// Where it began.
    open: Option<usize>,
    quote: Option<u8>,
}

impl Tag {
    /// A sign of HTML stands before `place`.
    fn goes_on(&mut self, sign: u8, behind: &[u8], place: usize) {
        let is_name = behind.first().is_some_and(u8::is_ascii_alphabetic);
        match (sign, self.quote) {
            _ if !self.is_within(place) => {
                self.quote = None;
                self.open = (sign == b'<' && is_name).then_some(place);
            }
            (_, Some(quote)) if sign == quote => self.quote = None,
            (_, Some(_)) => {}
            (b'"' | b'\'', None) => self.quote = Some(sign),
            (b'>', None) => self.open = None,
            (_, None) => {}
        }
    }

    /// What is longer than tags are is none.
    fn is_within(&self, place: usize) -> bool {
        self.open.is_some_and(|open| place - open <= MAX_TAG)
    }

    /// Whether an attribute may be here.
    fn is_open(&self, place: usize) -> bool {
        self.is_within(place) && self.quote.is_none()
    }
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
            start.is_some_and(|start| {
                before[start..].eq_ignore_ascii_case(name) && !before[..start].ends_with(b"-")
            })
        })
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// The host that a link begins with, behind its scheme, as [`authority`] writes it.
fn host(link: &[u8], is_quoted: bool) -> Option<String> {
    let end = |byte: &u8| {
        is_quote(*byte)
            || matches!(byte, b'/' | b'?' | b'#')
            || (!is_quoted && (*byte == b'>' || byte.is_ascii_whitespace()))
    };
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
    fn links_without_quotation_marks_lead_here_too() {
        let page = "https://a.example/simple/";
        let here = format!("{BASE}a.example");
        for (text, led_to) in [
            ("<a href=/x>", format!("<a href={here}/x>")),
            (
                "<a id='1' HREF = /x>",
                format!("<a id='1' HREF = {here}/x>"),
            ),
            (
                "<a title='<b>'\nhref=https://a.example>",
                format!("<a title='<b>'\nhref={here}>"),
            ),
            (
                "<a href=https://a.example/x?y=/z target=_top>",
                format!("<a href={here}/x?y=/z target=_top>"),
            ),
            (
                "<a href=//a.example class=x>",
                format!("<a href={here} class=x>"),
            ),
            (
                "<a href=//b.example/>",
                "<a href=https://b.example/>".to_owned(),
            ),
        ] {
            assert_eq!(led(page, text, Link::Href), led_to);
            assert_eq!(led(page, text, Link::Url), text);
        }
        let long = format!("<a {}href=/x>", "x ".repeat(MAX_TAG));
        for other in [
            "href=/x",
            "a < b href=/x",
            "<a>href=/x</a>",
            "<a title=\"b href=/x\">",
            "<a title=\"b href=/x",
            "<a href=x>",
            "<a href=https://b.example/x>",
            "<a data-href=/x>",
            "<a src=/x>",
            "<a href=",
            "<a href= >",
            &long,
        ] {
            assert_eq!(led(page, other, Link::Href), other);
        }
    }

    #[test]
    fn links_lead_where_the_base_of_a_page_says() {
        let page = "https://pypi.org/simple/x/";
        let files = format!("{BASE}files.pythonhosted.org");
        let links = "<a href='/1'><a href=/2><a href='3'><a href='//pypi.org/4'>";
        for (base, base_here, links_here) in [
            // Of the page's own server, and of the one that has its files.
            (
                "/y/",
                format!("{BASE}pypi.org/y/"),
                format!(
                    "<a href='{BASE}pypi.org/1'><a href={BASE}pypi.org/2><a href='3'>\
                     <a href='{BASE}pypi.org/4'>"
                ),
            ),
            (
                "https://files.pythonhosted.org/y/",
                format!("{files}/y/"),
                format!(
                    "<a href='{files}/1'><a href={files}/2><a href='3'>\
                     <a href='{BASE}pypi.org/4'>"
                ),
            ),
            // Elsewhere: the client finds it as it would without the prefix.
            (
                "//b.example/y/",
                "https://b.example/y/".to_owned(),
                format!("<a href='/1'><a href=/2><a href='3'><a href='{BASE}pypi.org/4'>"),
            ),
            (
                "http://pypi.org/y/",
                "http://pypi.org/y/".to_owned(),
                links.to_owned(),
            ),
        ] {
            for (first, second) in [("", links), (links, "")] {
                let text = format!("{first}<base href=\"{base}\">{second}");
                let (first, second) = match first {
                    "" => ("", links_here.as_str()),
                    _ => (links_here.as_str(), ""),
                };
                let here = format!("{first}<base href=\"{base_here}\">{second}");
                assert_eq!(led(page, &text, Link::Href), here);
            }
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
            "<a ",
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
