//! Conditions and ranges of a client, against what the store has (Q20).

use std::time::SystemTime;

use http::{HeaderMap, header};

/// Whether the client has what the store has (RFC 9110, 13.1.2 and 13.1.3).
pub(crate) fn is_known(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let tag = answer.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if request.contains_key(header::IF_NONE_MATCH) {
        let values = request.get_all(header::IF_NONE_MATCH).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
        return tags.any(|known| known == "*" || tag.is_some_and(|tag| weak(known) == weak(tag)));
    }
    let date = |headers: &HeaderMap, name| -> Option<SystemTime> {
        httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
    };
    let since = date(request, header::IF_MODIFIED_SINCE);
    let changed = date(answer, header::LAST_MODIFIED);
    matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
}

fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// What part of a body is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// From the first byte to before the second.
    Range(u64, u64),
    /// Behind the end.
    Unsatisfiable,
}

/// The part of a body of `size` bytes that a request asks for. Several ranges, other units and an
/// `If-Range` that names something else are the whole (RFC 9110, 14.2).
pub(crate) fn part(request: &HeaderMap, answer: &HeaderMap, size: u64) -> Part {
    let text = |headers: &HeaderMap, name| -> Option<String> {
        Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
    };
    let Some(range) = text(request, header::RANGE) else {
        return Part::Whole;
    };
    if let Some(wanted) = text(request, header::IF_RANGE) {
        let tag = text(answer, header::ETAG).filter(|tag| !tag.starts_with("W/"));
        let date = text(answer, header::LAST_MODIFIED);
        if Some(&wanted) != tag.as_ref() && Some(&wanted) != date.as_ref() {
            return Part::Whole;
        }
    }
    let Some(("bytes", spec)) = range.split_once('=') else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-').filter(|_| !spec.contains(',')) else {
        return Part::Whole;
    };
    let number = |text: &str| match text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        true => None,
        // Beyond what a number can be is beyond every end.
        false => Some(text.parse().unwrap_or(u64::MAX)),
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Part::Whole,
        (Some(first), _) if first >= size => Part::Unsatisfiable,
        (Some(first), Some(last)) => Part::Range(first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => Part::Range(first, size),
        (None, Some(0)) if first.is_empty() => Part::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && size == 0 => Part::Unsatisfiable,
        (None, Some(count)) if first.is_empty() => Part::Range(size.saturating_sub(count), size),
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(fields: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let value = |(name, value): &(header::HeaderName, &'static str)| {
            (name.clone(), HeaderValue::from_static(value))
        };
        fields.iter().map(value).collect()
    }

    #[test]
    fn ranges_are_read() {
        let none = HeaderMap::new();
        let of = |range| part(&headers(&[(header::RANGE, range)]), &none, 100);
        for (range, wanted) in [
            ("bytes=0-9", Part::Range(0, 10)),
            ("bytes=90-", Part::Range(90, 100)),
            ("bytes=90-99999999999999999999999", Part::Range(90, 100)),
            ("bytes=-10", Part::Range(90, 100)),
            ("bytes=-1000", Part::Range(0, 100)),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-x", Part::Whole),
        ] {
            assert_eq!(of(range), wanted, "{range}");
        }
        assert_eq!(
            part(&headers(&[(header::RANGE, "bytes=-5")]), &none, 0),
            Part::Unsatisfiable
        );
    }

    #[test]
    fn a_range_of_something_else_is_the_whole() {
        let of = |tag: &'static str, wanted: &'static str| {
            let request = headers(&[(header::RANGE, "bytes=0-0"), (header::IF_RANGE, wanted)]);
            part(&request, &headers(&[(header::ETAG, tag)]), 10)
        };
        assert_eq!(of("\"a\"", "\"a\""), Part::Range(0, 1));
        assert_eq!(of("\"a\"", "\"b\""), Part::Whole);
        assert_eq!(
            of("W/\"a\"", "W/\"a\""),
            Part::Whole,
            "weak tags name no bytes"
        );
    }

    #[test]
    fn what_the_client_has_is_known() {
        let answer = headers(&[
            (header::ETAG, "\"a\""),
            (header::LAST_MODIFIED, "Tue, 15 Nov 1994 12:45:26 GMT"),
        ]);
        let known = |name, value| is_known(&headers(&[(name, value)]), &answer);
        assert!(known(header::IF_NONE_MATCH, "\"b\", W/\"a\""));
        assert!(known(header::IF_NONE_MATCH, "*"));
        assert!(!known(header::IF_NONE_MATCH, "\"b\""));
        assert!(known(
            header::IF_MODIFIED_SINCE,
            "Tue, 15 Nov 1994 12:45:26 GMT"
        ));
        assert!(!known(
            header::IF_MODIFIED_SINCE,
            "Tue, 15 Nov 1994 12:45:25 GMT"
        ));
        assert!(!known(header::IF_MODIFIED_SINCE, "yesterday"));
    }
}
