//! Traces from access logs in common log format (Q14).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use thiserror::Error;
use webcache_core::object_id;

use super::{Item, Request, Trace};

/// Longest line that is read: a request line has 8 KiB at most nearly everywhere.
const MAX_LINE: usize = 64 * 1024;

/// A log cannot be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is none of the format.
    #[error("{}:{line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// There is nothing to cache in it.
    #[error("{}: no request that can be cached", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    host: &'a str,
    /// Seconds since 1970.
    at: i64,
    method: &'a str,
    url: &'a str,
    status: u16,
    bytes: Option<u64>,
}

/// Reads a log: one line a request, `host ident user [day/month/year:h:m:s zone] "request"
/// status bytes`; what follows on a line (the combined format) is passed over.
///
/// # Errors
/// When the file cannot be read, a line is none of the format, or nothing can be cached.
pub fn read_log(path: &Path) -> Result<Trace, LogError> {
    let read = |source| LogError::Read {
        path: path.to_owned(),
        source,
    };
    let mut input = BufReader::new(File::open(path).map_err(read)?);
    let mut trace = Trace::default();
    let (mut clients, mut items, mut newest) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut requests: Vec<(i64, u32, u32)> = Vec::new();
    let (mut text, mut number) = (Vec::new(), 0);
    loop {
        text.clear();
        if io::Read::take(&mut input, MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut text)
            .map_err(read)?
            == 0
        {
            break;
        }
        number += 1;
        let bad = |why| LogError::Line {
            path: path.to_owned(),
            line: number,
            why,
        };
        if text.len() > MAX_LINE {
            return Err(bad("a line of more than 64 KiB"));
        }
        let whole = String::from_utf8_lossy(&text);
        if whole.trim().is_empty() {
            continue;
        }
        let line = parse(whole.trim_end()).map_err(bad)?;
        let next = clients.len() as u32;
        let client = *clients.entry(line.host.to_owned()).or_insert(next);
        let cacheable = line.method == "GET" && !line.url.contains('?');
        // A version is a URL with a size; what was not sent again is the newest there was.
        let size = match line.status {
            200 => line.bytes,
            304 => newest.get(line.url).copied(),
            _ => None,
        };
        let Some(size) = size.filter(|_| cacheable) else {
            trace.uncacheable += 1;
            trace.uncacheable_bytes += line.bytes.unwrap_or_default();
            continue;
        };
        newest.insert(line.url.to_owned(), size);
        let next = items.len() as u32;
        let item = *items.entry((line.url.to_owned(), size)).or_insert(next);
        if item == next {
            let version = size.to_be_bytes();
            trace.items.push(Item {
                object: object_id(line.url, [("size", version.as_slice())]),
                size: u32::try_from(size).unwrap_or(u32::MAX),
            });
        }
        requests.push((line.at, client, item));
    }
    // Logs are written when answers end, so not quite in the order of requests.
    requests.sort_by_key(|(at, ..)| *at);
    let (Some((first, ..)), Some((last, ..))) = (requests.first(), requests.last()) else {
        return Err(LogError::Empty {
            path: path.to_owned(),
        });
    };
    trace.clients = clients.len() as u32;
    trace.length = micros(*last - *first + 1);
    trace.requests = requests
        .iter()
        .map(|(at, client, item)| Request {
            at: micros(at - first),
            client: *client,
            item: *item,
        })
        .collect();
    Ok(trace)
}

fn micros(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or_default() * 1_000_000
}

fn parse(line: &str) -> Result<Line<'_>, &'static str> {
    let (host, rest) = line.split_once(' ').ok_or("no host")?;
    let (_, rest) = rest.split_once('[').ok_or("no time in brackets")?;
    let (time, rest) = rest.split_once(']').ok_or("no time in brackets")?;
    let rest = rest
        .trim_start()
        .strip_prefix('"')
        .ok_or("no request in quotes")?;
    // The last quote before the status: a URL may contain one.
    let end = end_of_request(rest).ok_or("no status behind the request")?;
    let (request, rest) = (&rest[..end], &rest[end + 1..]);
    let mut words = rest.split_ascii_whitespace();
    let status = words.next().and_then(|word| word.parse().ok());
    let bytes = words.next().ok_or("no size")?;
    let bytes = match bytes {
        "-" => None,
        digits => Some(digits.parse().map_err(|_| "a size that is no number")?),
    };
    let mut words = request.split(' ');
    Ok(Line {
        host,
        at: seconds(time).ok_or("a time that is none")?,
        method: words.next().unwrap_or_default(),
        url: words.next().unwrap_or_default(),
        status: status.ok_or("a status that is no number")?,
        bytes,
    })
}

/// The first quote that three digits follow.
fn end_of_request(text: &str) -> Option<usize> {
    text.match_indices('"').map(|(at, _)| at).find(|at| {
        let rest = text[at + 1..].trim_start().as_bytes();
        rest.len() >= 3 && rest[..3].iter().all(u8::is_ascii_digit)
    })
}

/// `day/month/year:hour:minute:second zone` as seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (time, zone) = time.split_once(' ').unwrap_or((time, "+0000"));
    let mut parts = time.split(['/', ':']);
    let mut number = |most: i64| {
        let value: i64 = parts.next()?.parse().ok()?;
        (0..=most).contains(&value).then_some(value)
    };
    let day = number(31)?;
    let month = MONTHS
        .iter()
        .position(|name| Some(*name) == time.split('/').nth(1))? as i64
        + 1;
    let mut parts = time.split(['/', ':']).skip(2);
    let mut number = |most: i64| {
        let value: i64 = parts.next()?.parse().ok()?;
        (0..=most).contains(&value).then_some(value)
    };
    let (year, hour, minute, second) = (number(9999)?, number(23)?, number(59)?, number(60)?);
    let (hours, minutes) = (
        zone.get(1..3)?.parse::<i64>().ok()?,
        zone.get(3..5)?.parse::<i64>().ok()?,
    );
    let ahead = (hours * 60 + minutes) * if zone.starts_with('-') { -60 } else { 60 };
    // Days since 1970 of a date in the Gregorian calendar, years beginning in March.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days =
        year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = r#"10.0.0.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326 "-" "agent""#;
        let wanted = Line {
            host: "10.0.0.7",
            at: 971_211_336,
            method: "GET",
            url: "/a.gif",
            status: 200,
            bytes: Some(2326),
        };
        assert_eq!(parse(line), Ok(wanted));
        let odd = r#"h - - [01/Jan/1970:00:00:00 +0000] "GET /a"b HTTP/1.0" 304 -"#;
        let odd = parse(odd).expect("a quote in the URL");
        assert_eq!((odd.at, odd.url, odd.bytes), (0, "/a\"b", None));
        assert_eq!(seconds("29/Feb/2024:12:00:00 +0100"), Some(1_709_204_400));
        for bad in [
            "",
            "h",
            "h - - [x] \"GET / HTTP/1.0\" 200 1",
            "h - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" abc 1",
            "h - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 x",
            "h - - [99/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
