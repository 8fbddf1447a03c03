//! A directory as a page (V8).

use std::fmt::Write;

use axum::http::Uri;
use unixfs::Child;

/// Entries that are shown; the page of more is of no use to anybody.
const MAX_SHOWN: usize = 10_000;

/// What a page of somebody else is shown in place of what it links to (V3): the same whether
/// there is anything, and a link to it.
pub(super) fn doorstep(uri: &Uri) -> String {
    let place = escape(uri.path_and_query().map_or("/", |place| place.as_str()));
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{place}</title></head>\n\
         <body><p>Another site links to this content of your Hedgerow network:</p>\n\
         <p><a href=\"{place}\">{place}</a></p></body></html>\n"
    )
}

/// The entries of a directory, with links to them.
pub(super) fn page(path: &str, entries: &[Child]) -> String {
    let title = escape(path);
    let mut page = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body><h1>{title}</h1>\n<table>\n\
         <tr><th>name</th><th>bytes of all blocks</th><th>CID</th></tr>\n"
    );
    for entry in entries.iter().take(MAX_SHOWN) {
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{}\">{}</a></td><td>{}</td><td><code>{}</code></td></tr>",
            encode(&entry.name),
            escape(&entry.name),
            entry.cumulative_size,
            entry.cid
        );
    }
    page += "</table>\n";
    if let Some(more) = entries
        .len()
        .checked_sub(MAX_SHOWN)
        .filter(|more| *more > 0)
    {
        let _ = writeln!(page, "<p>and {more} more</p>");
    }
    page += "</body></html>\n";
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A name as a segment of a path.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nothing_but_a_name() {
        let entry = Child {
            name: "<b>\"a b\".html".to_owned(),
            cid: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
                .parse()
                .unwrap(),
            cumulative_size: 3,
        };
        let page = page("/ipfs/x/", std::slice::from_ref(&entry));
        assert!(
            page.contains("href=\"./%3Cb%3E%22a%20b%22.html\""),
            "{page}"
        );
        assert!(page.contains("&lt;b&gt;&quot;a b&quot;.html"), "{page}");
    }
}
