//! What form content is asked for in (V9, V10).

use axum::http::{HeaderMap, header};

use crate::api::failure::ApiError;

/// A form of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As a browser shows it.
    Content,
    /// The block itself.
    Raw,
    /// All blocks below it.
    Car,
}

impl Format {
    /// As the query says, or else the first that `Accept` names and this node has.
    pub(super) fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Format, ApiError> {
        match query {
            Some("raw") => return Ok(Format::Raw),
            Some("car") => return Ok(Format::Car),
            Some(other) => {
                let error = format!("there is no format {other:?}");
                return Err(ApiError::bad_request(error).with_hint("use format=raw or format=car"));
            }
            None => {}
        }
        let accept = headers.get_all(header::ACCEPT).iter();
        let accept = accept.filter_map(|value| value.to_str().ok());
        for wanted in accept.flat_map(|list| list.split(',')) {
            let mut parts = wanted.split(';').map(str::trim);
            match parts.next() {
                Some("application/vnd.ipld.raw") => return Ok(Format::Raw),
                Some("application/vnd.ipld.car") => {
                    let version = parts.find_map(|part| part.strip_prefix("version="));
                    if version.is_some_and(|version| version != "1") {
                        return Err(ApiError::bad_request("only version 1 of CAR is written"));
                    }
                    return Ok(Format::Car);
                }
                _ => {}
            }
        }
        Ok(Format::Content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(query: Option<&str>, accept: &'static str) -> Option<Format> {
        let headers = [(header::ACCEPT, accept.parse().unwrap())];
        Format::of(query, &headers.into_iter().collect()).ok()
    }

    #[test]
    fn the_query_goes_before_the_header() {
        let html = "text/html,application/xhtml+xml,*/*;q=0.8";
        assert_eq!(format(None, html), Some(Format::Content));
        assert_eq!(format(Some("car"), html), Some(Format::Car));
        assert_eq!(format(Some("tar"), html), None);
        let car = "application/vnd.ipld.car; version=1; order=dfs; dups=n";
        assert_eq!(format(None, car), Some(Format::Car));
        assert_eq!(format(Some("raw"), car), Some(Format::Raw));
        assert_eq!(format(None, "application/vnd.ipld.car;version=2"), None);
        assert_eq!(format(None, "application/vnd.ipld.raw"), Some(Format::Raw));
    }
}
