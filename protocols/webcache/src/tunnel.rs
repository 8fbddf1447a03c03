//! `CONNECT` (Q19).

use std::{io, time::Duration};

use http::{StatusCode, uri::Authority};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::{io::copy_bidirectional, net::TcpStream, sync::OwnedSemaphorePermit};

use crate::{
    body::{self, Body},
    resolve,
};

/// Connects to the target and, once the client has been told so, copies both ways until both are
/// done. The permit is that of the client's connection, which lives as long.
///
/// # Errors
/// When the target cannot be reached within `limit`.
pub(crate) async fn open(
    request: Request<Incoming>,
    target: &Authority,
    limit: Duration,
    permit: std::sync::Arc<OwnedSemaphorePermit>,
) -> io::Result<Response<Body>> {
    let host = target.host().trim_start_matches('[').trim_end_matches(']');
    let port = target.port_u16().unwrap_or(443);
    let connecting = async {
        let addresses = resolve::resolve(host, port).await?;
        TcpStream::connect(&addresses[..]).await
    };
    let mut origin = tokio::time::timeout(limit, connecting).await??;
    tokio::spawn(async move {
        let _permit = permit;
        match hyper::upgrade::on(request).await {
            Ok(client) => {
                let mut client = TokioIo::new(client);
                // How a tunnel ends is its two ends' affair.
                if let Err(error) = copy_bidirectional(&mut client, &mut origin).await {
                    tracing::debug!(%error, "tunnel");
                }
            }
            Err(error) => tracing::debug!(%error, "tunnel"),
        }
    });
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
