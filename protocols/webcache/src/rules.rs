//! Messages as the rules of caching look at them (Q28): `http-cache-semantics` compares
//! directives as they are spelt, and keeps one line of a field.

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

/// Most seconds that a number of them stands for (RFC 9111, 1.2.2).
const MAX_SECONDS: u64 = 1 << 31;

/// Fields that are one value: of several the first counts.
const SINGLE: [HeaderName; 7] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LOCATION,
];

/// An answer's status and fields: lines of one field joined, directives in lower case, `Age`
/// within what can be reckoned with.
pub(crate) fn answer<B>(answer: &Response<B>) -> Response<()> {
    let mut fields = answer.headers().clone();
    // What it says where nothing else is said (RFC 9111, 5.4).
    let pragma = fields.get(header::PRAGMA).map(HeaderValue::as_bytes);
    if pragma.is_some_and(|said| said.eq_ignore_ascii_case(b"no-cache"))
        && !fields.contains_key(header::CACHE_CONTROL)
    {
        let no_cache = HeaderValue::from_static("no-cache");
        fields.insert(header::CACHE_CONTROL, no_cache);
    }
    let ages = fields.get_all(header::AGE).iter();
    let age = ages.map(|age| seconds(age).unwrap_or(0)).max();
    join(&mut fields);
    directives(&mut fields);
    if let Some(age) = age {
        fields.insert(header::AGE, HeaderValue::from(age));
    }
    let mut plain = Response::new(());
    (*plain.status_mut(), *plain.headers_mut()) = (answer.status(), fields);
    plain
}

/// Digits, or nothing; more than there can be is the most.
fn seconds(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

/// Writes `Cache-Control` in lower case; what cannot be read might be anything, so it is
/// `no-store`.
pub(crate) fn directives(fields: &mut HeaderMap) {
    let values = fields.get_all(header::CACHE_CONTROL).iter();
    let values: Result<Vec<&str>, _> = values.map(HeaderValue::to_str).collect();
    let text = match values {
        Ok(values) if values.is_empty() => return,
        Ok(values) => values.join(", ").to_ascii_lowercase(),
        Err(_) => "no-store".to_owned(),
    };
    let value = HeaderValue::from_str(&text);
    let value = value.unwrap_or(HeaderValue::from_static("no-store"));
    fields.insert(header::CACHE_CONTROL, value);
}

/// Removes one directive of a request.
pub(crate) fn without_directive(fields: &mut HeaderMap, unwanted: &str) {
    let Some(text) = fields
        .get(header::CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let name = |directive: &str| directive.split('=').next().unwrap_or_default().trim() == unwanted;
    let left: Vec<&str> = text.split(',').filter(|part| !name(part)).collect();
    match HeaderValue::from_str(&left.join(",")) {
        Ok(value) if !left.is_empty() => fields.insert(header::CACHE_CONTROL, value),
        _ => fields.remove(header::CACHE_CONTROL),
    };
}

/// Makes one line of the lines of each field (RFC 9110, 5.3), but of `Set-Cookie`, which cannot
/// be.
pub(crate) fn join(fields: &mut HeaderMap) {
    let repeated = |name: &&HeaderName| fields.get_all(*name).iter().nth(1).is_some();
    let names: Vec<HeaderName> = fields.keys().filter(repeated).cloned().collect();
    for name in names {
        if name == header::SET_COOKIE {
            continue;
        }
        let separator: &[u8] = match name == header::COOKIE {
            true => b"; ",
            false => b", ",
        };
        let lines = fields.get_all(&name).iter().map(HeaderValue::as_bytes);
        let mut lines: Vec<&[u8]> = lines.collect();
        if SINGLE.contains(&name) {
            lines.truncate(1);
        }
        // Of values that were right.
        if let Ok(value) = HeaderValue::from_bytes(&lines.join(separator)) {
            fields.insert(name, value);
        }
    }
}

/// What of a request is kept: what the answer varies with, and what decides whether it may be.
pub(crate) fn kept_of_request<'a>(
    fields: &HeaderMap,
    vary: impl IntoIterator<Item = &'a String>,
) -> HeaderMap {
    let mut kept = HeaderMap::new();
    let always = [header::CACHE_CONTROL, header::PRAGMA];
    let named = vary.into_iter().filter_map(|name| name.parse().ok());
    for name in always.into_iter().chain(named) {
        if let Some(value) = fields.get(&name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &[u8])| {
            let value = HeaderValue::from_bytes(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn directives_are_written_in_one_case() {
        let mut found = fields(&[
            ("cache-control", b"No-Store"),
            ("cache-control", b"Max-Age=5"),
        ]);
        directives(&mut found);
        assert_eq!(found["cache-control"], "no-store, max-age=5");
        let mut unreadable = fields(&[
            ("cache-control", b"max-age=5"),
            ("cache-control", b"x=\xff"),
        ]);
        directives(&mut unreadable);
        assert_eq!(unreadable["cache-control"], "no-store");
        let mut none = HeaderMap::new();
        directives(&mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn one_directive_can_be_removed() {
        let mut found = fields(&[("cache-control", b"max-age=9, max-stale=5")]);
        without_directive(&mut found, "max-stale");
        assert_eq!(found["cache-control"], "max-age=9");
        without_directive(&mut found, "max-age");
        assert!(found.is_empty());
    }

    #[test]
    fn ages_have_a_limit() {
        for (age, seen) in [
            ("18446744073709551615", "2147483648"),
            ("99999999999999999999999", "2147483648"),
            ("12", "12"),
            ("-1", "0"),
        ] {
            let response = Response::builder().header("age", age).body(()).unwrap();
            assert_eq!(answer(&response).headers()["age"], seen);
        }
    }

    #[test]
    fn lines_of_a_field_become_one() {
        let mut found = fields(&[
            ("link", b"<a>"),
            ("link", b"<b>"),
            ("cookie", b"a=b"),
            ("cookie", b"c=d"),
            ("etag", b"\"one\""),
            ("etag", b"\"two\""),
            ("set-cookie", b"a"),
            ("set-cookie", b"b"),
        ]);
        join(&mut found);
        assert_eq!(found["link"], "<a>, <b>");
        assert_eq!(found["cookie"], "a=b; c=d");
        assert_eq!(found["etag"], "\"one\"");
        assert_eq!(found.get_all("set-cookie").iter().count(), 2);
    }
}
