//! HTTP to the node over the socket in its home.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use node::{api::types, home::Home};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, sync::Mutex};

use crate::exit::{Code, Failure};

/// Idle connections kept: as many as there are blocks in flight at most.
const MAX_IDLE: usize = 64;

/// Longest answer that is read into memory: the largest block, and far more than any
/// list the node gives.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Talks to a node.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: Home,
    socket: PathBuf,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client of the node in `home`, whether it runs or not.
    pub fn new(home: Home) -> Self {
        let socket = home.socket();
        Self(Arc::new(Inner {
            home,
            socket,
            idle: Mutex::new(Vec::new()),
        }))
    }

    pub(crate) fn home(&self) -> &Home {
        &self.0.home
    }

    /// GET, answered by JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        from_json(&self.call(Method::GET, path, Bytes::new(), None).await?)
    }

    /// POST or PUT of JSON, answered by JSON.
    pub async fn send_json<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::other)?;
        from_json(
            &self
                .call(method, path, body.into(), Some("application/json"))
                .await?,
        )
    }

    /// Bytes there, JSON back.
    pub async fn send_bytes<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        from_json(
            &self
                .call(method, path, body, Some("application/octet-stream"))
                .await?,
        )
    }

    /// GET, answered line by line for as long as the node has something to say.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        self.lines_of(Request::builder().uri(path), Bytes::new())
            .await
    }

    /// POST without a body, answered line by line until it is done.
    pub(crate) async fn post_lines(&self, path: &str) -> Result<Lines, Failure> {
        let request = Request::builder().method(Method::POST).uri(path);
        self.lines_of(request, Bytes::new()).await
    }

    /// POST of JSON, answered line by line until it is done.
    pub(crate) async fn post_json_lines<B: Serialize>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<Lines, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::other)?;
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header("content-type", "application/json");
        self.lines_of(request, body.into()).await
    }

    /// GET, answered by server-sent events; those behind the one whose id is `last`.
    pub async fn events(&self, path: &str, last: Option<&str>) -> Result<Events, Failure> {
        let mut request = Request::builder().uri(path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Ok(Events(self.lines_of(request, Bytes::new()).await?))
    }

    async fn lines_of(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Lines, Failure> {
        let request = request.header("host", "localhost");
        let request = request.body(Full::new(body)).map_err(Failure::usage)?;
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let mut lines = Lines {
            body: response.into_body(),
            rest: BytesMut::new(),
            _connection: connection,
        };
        if status.is_success() {
            return Ok(lines);
        }
        let body = Limited::new(&mut lines.body, MAX_ANSWER).collect().await;
        let body = body.map_err(Failure::other)?.to_bytes();
        Err(refusal(status, &body))
    }

    /// One request; the body of a good answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        content_type: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Full::new(body)).map_err(Failure::usage)?;
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| {
                Failure::new(
                    Code::TryAgain,
                    format!("the node's answer broke off: {error}"),
                )
            })?
            .to_bytes();
        let mut idle = self.0.idle.lock().await;
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        drop(idle);
        if status.is_success() {
            Ok(body)
        } else {
            Err(refusal(status, &body))
        }
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        loop {
            let Some(mut connection) = self.0.idle.lock().await.pop() else {
                break;
            };
            // The node closes connections when it stops.
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = UnixStream::connect(&self.0.socket)
            .await
            .map_err(|error| self.no_node(&error))?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "connection to the node");
            }
        });
        Ok(connection)
    }

    fn no_node(&self, error: &io::Error) -> Failure {
        let home = self.0.home.root().display();
        match error.kind() {
            // Reset: the node closed its door while this connection waited at it.
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset => {
                Failure::new(Code::NotRunning, format!("no node is running in {home}"))
                    .with_hint(format!("start one with: hedgerow --home {home} node start"))
            }
            io::ErrorKind::PermissionDenied => Failure::new(
                Code::Refused,
                format!("{}: {error}", self.0.socket.display()),
            )
            .with_hint("run this as the user who runs the node"),
            _ => Failure::other(format!("{}: {error}", self.0.socket.display())),
        }
    }

    /// Waits until no node holds the home any more.
    pub(crate) async fn wait_stopped(&self) {
        // The lock has no way to tell when it is released but to ask again.
        while self.0.home.is_locked() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An answer that comes line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    rest: BytesMut,
    /// Closed with the last of its handles.
    _connection: SendRequest<Full<Bytes>>,
}

impl Lines {
    /// The next line, read as JSON; `None` once the node has ended the answer.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        match self.line().await? {
            Some(line) => from_json(&line).map(Some),
            None => Ok(None),
        }
    }

    /// The next line with its end.
    async fn line(&mut self) -> Result<Option<BytesMut>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.rest.split_to(end + 1)));
            }
            if self.rest.len() > MAX_ANSWER {
                return Err(Failure::other("the node's answer has no end"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.rest.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(lost(error)),
            }
        }
    }
}

/// Server-sent events, each of which the node gives one line of data.
#[derive(Debug)]
pub struct Events(Lines);

impl Events {
    /// The next event, read as JSON, and its id; `None` once the node has ended the answer.
    pub async fn next<T: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<(Option<String>, T)>, Failure> {
        let (mut id, mut data) = (None, None);
        while let Some(line) = self.0.line().await? {
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            // A line without a name before the colon is there to keep the connection.
            match line.split_once(':').unwrap_or((line, "")) {
                ("id", value) => id = Some(value.trim_start().to_owned()),
                ("data", value) => data = Some(value.trim_start().to_owned()),
                ("", "") => {
                    if let Some(data) = data.take() {
                        return Ok(Some((id, from_json(data.as_bytes())?)));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

fn lost(error: hyper::Error) -> Failure {
    Failure::new(
        Code::TryAgain,
        format!("the connection to the node was lost: {error}"),
    )
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::other(format!("the node's answer is not understood: {error}")))
}

fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<types::Failure>(body) {
        Ok(failure) => failure.into(),
        Err(_) => Failure::other(format!("the node answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_is_closed_or_being_closed_is_that_of_no_node() {
        let client = Client::new(Home::at("/nowhere"));
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
        ] {
            let failure = client.no_node(&kind.into());
            assert_eq!(failure.code, Code::NotRunning, "{kind}");
        }
        let failure = client.no_node(&io::ErrorKind::PermissionDenied.into());
        assert_eq!(failure.code, Code::Refused);
    }
}
