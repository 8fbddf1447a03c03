//! All blocks below a CID as a CAR, version 1 (V10).

use std::collections::{HashMap, HashSet};

use axum::{
    body::Body,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cid::Cid;
use replicas::GetError;
use serde::Serialize;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    task::JoinHandle,
};

use super::{Target, fixed, is_known, names_tag, unchanged};
use crate::api::{App, failure::ApiError};

const KIND: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=n";

/// Blocks on their way: 16 MiB at most.
const AHEAD: usize = 8;

/// Links looked at for those: many may be to what was written.
const LOOK_AHEAD: usize = 64;

/// Different blocks of one CAR: each is remembered, 100 bytes, so that none comes twice.
const MAX_BLOCKS: usize = 262_144;

/// Blocks that wait for their turn: links that were read and not followed.
const MAX_WAITING: usize = 262_144;

#[derive(Serialize)]
struct Head {
    roots: Vec<Cid>,
    version: u64,
}

pub(super) async fn respond(
    app: &App,
    method: &Method,
    target: &Target,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let cid = target.cid;
    let etag = format!("W/\"{cid}.car\"");
    let strong = etag.trim_start_matches("W/");
    if names_tag(headers, strong) {
        return Ok(unchanged(&etag));
    }
    // What cannot be begun is an error and no broken CAR.
    let got = app.content.get(&cid).await;
    let root = got.map_err(|error| ApiError::from(error).about(format_args!("block {cid}")))?;
    if is_known(headers, strong) {
        return Ok(unchanged(&etag));
    }
    let fixed = fixed(target, &etag, KIND);
    let name = [(
        header::CONTENT_DISPOSITION,
        format!("attachment; filename=\"{cid}.car\""),
    )];
    if *method == Method::HEAD {
        return Ok((fixed, name).into_response());
    }
    let (content, mut out, permit) = app.open_stream()?;
    let (stopped, broken) = tokio::sync::oneshot::channel();
    let app = app.clone();
    tokio::spawn(async move {
        let _permit = permit;
        match write(&app, cid, root, &mut out).await {
            Ok(()) => {
                let _ = stopped.send(());
                let _ = out.shutdown().await;
            }
            // The sender is dropped, which breaks the answer off: it has no length that
            // would show what is missing.
            Err(error) => tracing::debug!(%cid, %error, "a CAR broke off"),
        }
    });
    let end = futures::stream::once(async move {
        broken
            .await
            .map(|()| Bytes::new())
            .map_err(|_| axum::Error::new("a block is missing"))
    });
    let content = content.into_data_stream();
    let body = Body::from_stream(futures::StreamExt::chain(content, end));
    Ok((fixed, name, body).into_response())
}

/// Why a CAR is not complete.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("block {0}: {1}")]
    Get(Cid, GetError),
    #[error("it has more blocks than {MAX_BLOCKS}")]
    TooMany,
    #[error(transparent)]
    Write(#[from] std::io::Error),
    #[error("the node is stopping")]
    Stopping,
}

/// Writes the head, and each block once: a block before those it links to, and all that is
/// below one link before the next.
async fn write(
    app: &App,
    root: Cid,
    block: Bytes,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Broken> {
    let head = Head {
        roots: vec![root],
        version: 1,
    };
    section(out, &[&wire::encode(&head)]).await?;
    let mut seen = HashSet::from([root]);
    section(out, &[&root.to_bytes(), &block]).await?;
    let mut waiting = Vec::new();
    append_links(&mut waiting, &root, &block, &seen);
    drop(block);
    let mut ahead = Ahead::default();
    loop {
        // Links may be many and to what was written: others have their turn between them.
        tokio::task::consume_budget().await;
        let near = waiting.iter().rev().take(LOOK_AHEAD);
        ahead.start(app, near.filter(|cid| !seen.contains(cid)));
        let Some(cid) = waiting.pop() else {
            return Ok(());
        };
        // What an identity CID holds needs no block.
        if cid.hash().code() == 0 || !seen.insert(cid) {
            continue;
        }
        if seen.len() > MAX_BLOCKS {
            return Err(Broken::TooMany);
        }
        let block = ahead.take(app, cid).await?;
        section(out, &[&cid.to_bytes(), &block]).await?;
        append_links(&mut waiting, &cid, &block, &seen);
        if waiting.len() > MAX_WAITING {
            return Err(Broken::TooMany);
        }
    }
}

/// Puts the links of a block that are still to be followed on top, the first uppermost, each
/// once.
fn append_links(waiting: &mut Vec<Cid>, cid: &Cid, block: &[u8], seen: &HashSet<Cid>) {
    let mut here = HashSet::new();
    let links = blocks::links(cid, block).unwrap_or_default().into_iter();
    let fresh: Vec<Cid> = links
        .filter(|link| !seen.contains(link) && here.insert(*link))
        .collect();
    waiting.extend(fresh.into_iter().rev());
}

async fn section(out: &mut (impl AsyncWrite + Unpin), parts: &[&[u8]]) -> std::io::Result<()> {
    let length = parts.iter().map(|part| part.len()).sum();
    out.write_all(&wire::frame_header(length)).await?;
    for part in parts {
        out.write_all(part).await?;
    }
    Ok(())
}

/// Blocks that were asked for before their turn.
#[derive(Default)]
struct Ahead(HashMap<Cid, JoinHandle<Result<Bytes, GetError>>>);

impl Ahead {
    fn start<'a>(&mut self, app: &App, next: impl Iterator<Item = &'a Cid>) {
        for cid in next {
            if self.0.len() >= AHEAD {
                return;
            }
            if cid.hash().code() != 0 && !self.0.contains_key(cid) {
                self.0.insert(*cid, get(app, *cid));
            }
        }
    }

    async fn take(&mut self, app: &App, cid: Cid) -> Result<Bytes, Broken> {
        let getting = self.0.remove(&cid).unwrap_or_else(|| get(app, cid));
        match getting.await {
            Ok(got) => got.map_err(|error| Broken::Get(cid, error)),
            Err(_) => Err(Broken::Stopping),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        for getting in self.0.values() {
            getting.abort();
        }
    }
}

fn get(app: &App, cid: Cid) -> JoinHandle<Result<Bytes, GetError>> {
    let app = app.clone();
    tokio::spawn(async move { app.content.get(&cid).await })
}
