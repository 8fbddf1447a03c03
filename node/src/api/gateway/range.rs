//! Parts of a file (V5).

use axum::http::{HeaderMap, header};

/// What part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From the first of these bytes to the last.
    From(u64, u64),
    /// One that does not exist.
    Outside,
}

/// Reads `Range`. One that is not understood, or names several parts, asks for the whole, as
/// does one for another version than `etag`.
pub(super) fn part_of(headers: &HeaderMap, size: u64, etag: &str) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE) else {
        return Part::Whole;
    };
    if text(header::IF_RANGE).is_some_and(|version| version != etag) {
        return Part::Whole;
    }
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => return Part::Whole,
        (Ok(first), Ok(last)) => (first, last),
        (Ok(first), Err(_)) if last.is_empty() => (first, u64::MAX),
        (Err(_), Ok(0)) if first.is_empty() => return Part::Outside,
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), u64::MAX),
        _ => return Part::Whole,
    };
    match part {
        (first, last) if first < size => Part::From(first, last.min(size - 1)),
        _ => Part::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(range: &'static str, size: u64) -> Part {
        let headers = [(header::RANGE, range.parse().unwrap())];
        part_of(&headers.into_iter().collect(), size, "\"x\"")
    }

    #[test]
    fn a_part_is_within_the_file() {
        assert_eq!(part("bytes=0-0", 10), Part::From(0, 0));
        assert_eq!(part("bytes=2-5", 10), Part::From(2, 5));
        assert_eq!(part("bytes=2-", 10), Part::From(2, 9));
        assert_eq!(part("bytes=2-99", 10), Part::From(2, 9));
        assert_eq!(part("bytes=-3", 10), Part::From(7, 9));
        assert_eq!(part("bytes=-30", 10), Part::From(0, 9));
        assert_eq!(part("bytes=10-", 10), Part::Outside);
        assert_eq!(part("bytes=-0", 10), Part::Outside);
        assert_eq!(part("bytes=0-0", 0), Part::Outside);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        for range in [
            "bytes=5-2",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=-",
            "bytes=x-y",
            "bytes",
        ] {
            assert_eq!(part(range, 10), Part::Whole, "{range}");
        }
        let headers = [
            (header::RANGE, "bytes=0-1".parse().unwrap()),
            (header::IF_RANGE, "\"y\"".parse().unwrap()),
        ];
        let other = part_of(&headers.into_iter().collect(), 10, "\"x\"");
        assert_eq!(other, Part::Whole);
    }
}
