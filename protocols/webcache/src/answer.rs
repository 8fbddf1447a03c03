//! Answers from the store, from what is on its way, and of the proxy itself.

use std::{io, sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, response::Parts};
use hyper::Response;

use crate::{
    arriving::Arriving,
    body::{self, Body},
    conditions::{self, Part},
    headers::CacheStatus,
    store::Stored,
};

/// What the store has, or the part of it that the client asks for (Q20).
pub(crate) async fn of_stored(
    method: &Method,
    request: &HeaderMap,
    head: Parts,
    stored: &Stored,
    status: &CacheStatus,
    name: &str,
) -> io::Result<Response<Body>> {
    let (mut fields, size) = (head.headers, stored.meta.size);
    status.add_to(&mut fields, name);
    // Reckoned anew with `Age`, and in the format of HTTP.
    set(
        &mut fields,
        header::DATE,
        &httpdate::fmt_http_date(SystemTime::now()),
    );
    fields.remove(header::CONTENT_LENGTH);
    let answer = |status, fields, body| {
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, fields);
        response
    };
    if head.status.is_success() && conditions::is_known(request, &fields) {
        return Ok(answer(StatusCode::NOT_MODIFIED, fields, body::empty()));
    }
    let part = match head.status == StatusCode::OK && *method == Method::GET {
        true => conditions::part(request, &fields, size),
        false => Part::Whole,
    };
    if head.status == StatusCode::OK {
        fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let (from, to, status) = match part {
        Part::Whole => (0, size, head.status),
        Part::Range(from, to) => {
            set(
                &mut fields,
                header::CONTENT_RANGE,
                &format!("bytes {from}-{}/{size}", to - 1),
            );
            (from, to, StatusCode::PARTIAL_CONTENT)
        }
        Part::Unsatisfiable => {
            set(
                &mut fields,
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
            (0, 0, StatusCode::RANGE_NOT_SATISFIABLE)
        }
    };
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    let body = match *method == Method::HEAD || from == to {
        true => body::empty(),
        false => body::of_file(Arc::clone(&stored.file), from, to).await?,
    };
    Ok(answer(status, fields, body))
}

/// The body of what the store has.
pub(crate) async fn whole(stored: &Stored) -> io::Result<Body> {
    match stored.meta.size {
        0 => Ok(body::empty()),
        size => body::of_file(Arc::clone(&stored.file), 0, size).await,
    }
}

fn set(fields: &mut HeaderMap, name: HeaderName, text: &str) {
    // Made of digits and letters.
    if let Ok(value) = HeaderValue::from_str(text) {
        fields.insert(name, value);
    }
}

/// What is on its way, with its body from the beginning.
pub(crate) fn of_arriving(
    arriving: &Arriving,
    body: Body,
    status: &CacheStatus,
    name: &str,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = arriving.head.0;
    *response.headers_mut() = arriving.head.1.clone();
    let fields = response.headers_mut();
    if let Some(length) = arriving.length {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    status.add_to(fields, name);
    response
}

/// A failure, in words.
pub(crate) fn failure(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(body::text(format!("{why}\n")));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    fields.insert(header::CONTENT_TYPE, plain);
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
