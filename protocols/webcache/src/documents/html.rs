//! As much of HTML as index pages have.

use std::ops::Range;

use url::Url;

/// The longest tag that is read.
pub(super) const MAX_TAG: usize = 4096;

/// Tags without an end after which a page is read no further: each may be looked for as far.
const MAX_ENDLESS: usize = 1024;

/// What links of a page without a scheme or a host are reckoned from, if it says so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) url: Url,
    /// Where it says so: that link is reckoned from the page.
    pub(super) tag: Range<usize>,
}

/// The first `<base href>`, which counts for all of the page. One of another scheme than the web's
/// counts for nothing.
pub(super) fn base(page: &Url, text: &[u8]) -> Option<Base> {
    let (tag, href) = tags(text).find_map(|tag| {
        let words = String::from_utf8_lossy(&text[tag.clone()]);
        let href = is_named(&words, "base").then(|| attribute(&words, "href"))?;
        href.map(|href| (tag, href))
    })?;
    let url = page.join(href.trim()).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(Base { url, tag })
}

/// Where tags are, without their angle brackets. What does not end is none, and nor is what stands
/// in a comment.
pub(super) fn tags(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let (mut from, mut endless) = (0, 0);
    std::iter::from_fn(move || {
        while endless < MAX_ENDLESS {
            let start = from + text[from..].iter().position(|byte| *byte == b'<')? + 1;
            if text[start..].starts_with(b"!--") {
                from = start + comment_end(&text[start..])?;
                continue;
            }
            from = start;
            if let Some(length) = tag_end(&text[start..]) {
                from = start + length;
                return Some(start..from);
            }
            endless += 1;
        }
        None
    })
}

/// Where a comment ends; one that does not is all of the rest.
fn comment_end(text: &[u8]) -> Option<usize> {
    let end = text.windows(3).skip(1).position(|three| three == b"-->");
    end.map(|end| end + 1)
}

/// Where a tag ends: a `>` that is not in quotation marks.
fn tag_end(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in tag.iter().enumerate().take(MAX_TAG) {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at),
            (None, _) => {}
        }
    }
    None
}

/// Whether a tag has a name and something behind it.
pub(super) fn is_named(tag: &str, name: &str) -> bool {
    let said = tag.get(..name.len());
    said.is_some_and(|said| said.eq_ignore_ascii_case(name))
        && tag[name.len()..].starts_with(|next: char| next.is_ascii_whitespace())
}

/// What a tag says of an attribute, in quotation marks or not.
pub(super) fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let (before, behind) = rest.split_once('=')?;
        let behind = behind.trim_ascii_start();
        let (value, after) = match behind.chars().next()? {
            quote @ ('"' | '\'') => behind[1..].split_once(quote)?,
            _ => behind
                .split_once(char::is_whitespace)
                .unwrap_or((behind, "")),
        };
        let said = before.trim_ascii_end().rsplit(char::is_whitespace).next()?;
        if said.eq_ignore_ascii_case(name) {
            return Some(value.replace("&amp;", "&"));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base_of(text: &str) -> Option<String> {
        let page = Url::parse("https://a.example/simple/x/").unwrap();
        base(&page, text.as_bytes()).map(|base| base.url.to_string())
    }

    #[test]
    fn the_first_base_counts() {
        for (text, url) in [
            ("<base href='/y/'>", "https://a.example/y/"),
            ("<BASE target=x HREF = /y>", "https://a.example/y"),
            ("<base href=\"../z/\">", "https://a.example/simple/z/"),
            ("<base href=//b.example/>", "https://b.example/"),
            ("<base href=http://b.example/>", "http://b.example/"),
            (
                "<base target=x><base href=/1><base href=/2>",
                "https://a.example/1",
            ),
            (
                "<!-- <base href=/1> --><base href=/2>",
                "https://a.example/2",
            ),
            ("<!--><base href=/1>", "https://a.example/1"),
        ] {
            assert_eq!(base_of(text).as_deref(), Some(url), "{text}");
        }
        for text in [
            "",
            "<base>",
            "<base target=x>",
            "<basefont href=/x>",
            "<base href=/x",
            "base href=/x>",
            "<base href=data:,x>",
            "<!-- <base href=/1> -->",
            "<!-- <base href=/1>",
        ] {
            assert_eq!(base_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_work_of_a_tag_is_bounded() {
        let open = "<\">\"".repeat(1000) + &"x".repeat(10 * MAX_TAG);
        assert_eq!(tag_end(open.as_bytes()), None);
        let long = format!("a href='{}'>", "x".repeat(MAX_TAG));
        assert_eq!(tag_end(long.as_bytes()), None);
        assert_eq!(tag_end(b"a title='>'>"), Some(11));
        let endless = |count: usize| {
            let text = "<".repeat(count) + &" ".repeat(MAX_TAG) + "<base href=/x>";
            base_of(&text)
        };
        assert!(endless(MAX_ENDLESS - 1).is_some());
        assert!(endless(MAX_ENDLESS).is_none());
    }

    proptest! {
        #[test]
        fn tags_are_between_brackets(text in "[<>!\"' a-]{0,40}") {
            for tag in tags(text.as_bytes()) {
                prop_assert_eq!(&text[tag.start - 1..tag.start], "<");
                prop_assert_eq!(&text[tag.end..=tag.end], ">");
            }
        }
    }
}
