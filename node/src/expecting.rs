//! Clients that wait for `100 Continue` before they send a body (RFC 9110, 10.1.1).

use axum::{extract::Request, http::header, middleware::Next, response::Response};
use http::HeaderValue;

/// Closes the connection of who is refused while its body is still to come: it may never come, and
/// what the client sends next would be taken for it.
pub(crate) async fn close_where_refused(request: Request, next: Next) -> Response {
    let waits = request.headers().contains_key(header::EXPECT);
    let mut response = next.run(request).await;
    if waits && !response.status().is_success() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
