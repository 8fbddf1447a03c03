//! A client of a web cache.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::HOST;
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer that came whole.
pub(super) struct Fetched {
    pub(super) body: Bytes,
    /// Whether another node had part in it.
    pub(super) by_peer: bool,
}

/// Fetches a URL by a proxy, over a connection of its own.
///
/// # Errors
/// If there is no answer, it is no success, or its body is not whole.
pub(super) async fn fetch(proxy: SocketAddr, url: &str) -> anyhow::Result<Fetched> {
    let stream = TcpStream::connect(proxy).await.context("the proxy")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer, and what is wrong with it the answer says.
    tokio::spawn(connection);
    let host = url.split('/').nth(2).unwrap_or_default();
    let request = Request::get(url)
        .header(HOST, host)
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await.context("no answer")?;
    let (head, body) = answer.into_parts();
    ensure!(
        head.status == StatusCode::OK,
        "the answer was {}: {:?}",
        head.status,
        head.headers
    );
    let lines = head.headers.get_all("cache-status");
    let by_peer = lines.iter().any(|line| {
        let line = String::from_utf8_lossy(line.as_bytes());
        line.contains("hedgerow-peer")
    });
    let body = body.collect().await.context("the body broke off")?;
    let body = body.to_bytes();
    Ok(Fetched { body, by_peer })
}
