//! The origin: a web server that counts what it is asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use testground::history::now;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, spawn};

use super::page::Pages;

/// Answers until it is dropped.
#[derive(Debug)]
pub(super) struct Origin {
    requests: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Origin {
    pub(super) async fn listen(at: SocketAddr, pages: Pages) -> anyhow::Result<Origin> {
        let listener = TcpListener::bind(at)
            .await
            .with_context(|| format!("the origin cannot listen at {at}"))?;
        let requests = Arc::new(AtomicU64::new(0));
        let count = requests.clone();
        let task = spawn(async move {
            // A connection that could not be taken is the asker's failure.
            while let Ok((stream, _)) = listener.accept().await {
                let (pages, count) = (pages.clone(), count.clone());
                spawn(async move {
                    let service = service_fn(move |request| {
                        count.fetch_add(1, Ordering::Relaxed);
                        let answer = answer(&pages, &request);
                        async { Ok::<_, Infallible>(answer) }
                    });
                    // Who is killed leaves its connections broken.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let task = task.abort_handle();
        Ok(Origin { requests, task })
    }

    /// How many requests have come so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(pages: &Pages, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let page = request.uri().path().trim_start_matches('/').parse();
    let (status, version, body) = match page {
        Ok(page) if page < pages.count => {
            let version = pages.version_at(now());
            let known = request.headers().get(IF_NONE_MATCH);
            if known.is_some_and(|known| known.as_bytes() == tag(version).as_bytes()) {
                (StatusCode::NOT_MODIFIED, version, Vec::new())
            } else {
                (StatusCode::OK, version, pages.body(page, version))
            }
        }
        _ => (StatusCode::NOT_FOUND, 0, Vec::new()),
    };
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    let control = format!("max-age={}", pages.fresh.as_secs());
    for (name, value) in [(CACHE_CONTROL, control), (ETAG, tag(version))] {
        let value = value.parse().expect("digits and letters are a field");
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}
