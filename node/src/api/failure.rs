//! Failures of the API as status, code, message and hint.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::types::Failure;

/// A failure with its HTTP status.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Failure,
}

impl ApiError {
    fn new(status: StatusCode, code: &str, message: impl ToString) -> Self {
        let body = Failure {
            code: code.to_owned(),
            message: message.to_string(),
            hint: None,
            asked: Vec::new(),
        };
        Self { status, body }
    }

    pub(crate) fn bad_request(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn unauthorized(message: impl ToString) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn forbidden(message: impl ToString) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn not_found(message: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Two versions where one is wanted, or a write that another came before.
    pub(crate) fn fork(message: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, "fork", message).with_hint(
            "read one by its VGUID, as in NAME@VGUID; the owner chooses with: hedgerow object restore NAME@VGUID",
        )
    }

    /// A condition of an update that does not hold.
    pub(crate) fn precondition(message: impl ToString) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            message,
        )
    }

    /// Done already.
    pub(crate) fn already(message: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, "already", message)
    }

    pub(crate) fn too_large(message: impl ToString) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn unavailable(message: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(crate) fn timeout(message: impl ToString) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    pub(crate) fn full(message: impl ToString) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", message)
            .with_hint("free some space on the disk of the node's home, or raise store.max_mib where the budget is the bound, then try again; `hedgerow gc` lets go of copies")
    }

    pub(crate) fn no_room(message: impl ToString) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", message)
            .with_hint("unpublish something first, or try again later")
    }

    pub(crate) fn internal(message: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn with_hint(mut self, hint: impl ToString) -> Self {
        self.body.hint = Some(hint.to_string());
        self
    }

    /// Says what it is about.
    pub(crate) fn about(mut self, what: impl std::fmt::Display) -> Self {
        self.body.message = format!("{what}: {}", self.body.message);
        self
    }

    pub(crate) fn with_asked(mut self, asked: impl IntoIterator<Item = impl ToString>) -> Self {
        self.body.asked = asked.into_iter().map(|peer| peer.to_string()).collect();
        self
    }
}

impl ApiError {
    /// What an answer says whose status has been sent already.
    pub(crate) fn into_failure(self) -> Failure {
        self.body
    }

    /// Status, code and message, for a door that says them in another form.
    pub(crate) fn into_parts(self) -> (StatusCode, String, String) {
        (self.status, self.body.code, self.body.message)
    }

    /// The failure as text, for a reader with a browser.
    pub(crate) fn into_text(self) -> Response {
        let mut text = self.body.message;
        if let Some(hint) = self.body.hint {
            text.push('\n');
            text.push_str(&hint);
        }
        text.push('\n');
        (self.status, text).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
