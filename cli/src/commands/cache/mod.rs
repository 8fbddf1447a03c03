//! `hedgerow cache`.

mod ca;
mod setup;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use node::api::types::{
    WebCacheObjects, WebCachePurged, WebCacheStatus, WebCacheUrl, WebCacheWarmed,
};

use super::segment;
use crate::{
    args::{Cache, CachePurge},
    client::Client,
    exit::{Code, Failure},
    output::{Output, size},
};

const OBJECTS: &str = "/api/v1/webcache/objects";

pub(crate) async fn run(command: Cache, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Cache::Stats => {
            let status: WebCacheStatus = client.get("/api/v1/webcache").await?;
            output.result(&status, |out| write!(out, "{}", lines(&status)))
        }
        Cache::Ls { prefix } => {
            let path = match &prefix {
                Some(prefix) => format!("{OBJECTS}?prefix={}", segment(prefix)),
                None => OBJECTS.to_owned(),
            };
            let kept: WebCacheObjects = client.get(&path).await?;
            if kept.more {
                output.say("there are more: name how their URLs begin to see fewer");
            }
            output.result(&kept, |out| {
                for object in &kept.objects {
                    let fresh = match object.fresh_seconds {
                        0 => "stale".to_owned(),
                        left => {
                            let left = humantime::format_duration(Duration::from_secs(left));
                            format!("fresh for {left}")
                        }
                    };
                    let (status, url) = (object.status, &object.url);
                    writeln!(
                        out,
                        "{status}  {:>10}  {fresh}  {url}",
                        size(object.size).to_string()
                    )?;
                }
                Ok(())
            })
        }
        Cache::Purge(CachePurge { urls, all }) => {
            let mut removed = 0;
            let paths = match all {
                true => vec![format!("{OBJECTS}?all=true")],
                false => urls
                    .iter()
                    .map(|url| format!("{OBJECTS}?url={}", segment(url)))
                    .collect(),
            };
            for path in paths {
                let purged: WebCachePurged = client
                    .send_bytes(Method::DELETE, &path, Bytes::new())
                    .await?;
                removed += purged.removed;
            }
            output.result(&WebCachePurged { removed }, |out| {
                writeln!(out, "{removed} removed")
            })
        }
        Cache::Warm { urls } => warm(urls, client, output).await,
        Cache::Ca => ca::run(client, output).await,
        Cache::Setup(options) => setup::run(options, client, output).await,
    }
}

/// Asks for one after the other; those that fail do not keep the others from their turn.
async fn warm(urls: Vec<String>, client: &Client, output: &Output) -> Result<(), Failure> {
    let mut failed = 0;
    let all = urls.len();
    for url in urls {
        let request = WebCacheUrl { url };
        let warmed: WebCacheWarmed = client
            .send_json(Method::POST, "/api/v1/webcache/warm", &request)
            .await?;
        let is_right = (200..300).contains(&warmed.status) && warmed.broken.is_none();
        failed += usize::from(!is_right);
        output.event(&warmed, |out| {
            let WebCacheWarmed {
                url,
                status,
                bytes,
                cache_status,
                broken,
            } = &warmed;
            write!(
                out,
                "{status}  {:>10}  {url}  {cache_status}",
                size(*bytes).to_string()
            )?;
            match broken {
                Some(why) => writeln!(out, "  broke off: {why}"),
                None => writeln!(out),
            }
        })?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(
            Code::Error,
            format!("{failed} of {all} were not got"),
        )),
    }
}

fn lines(status: &WebCacheStatus) -> String {
    let WebCacheStatus {
        proxy,
        offline,
        room,
        bytes,
        objects,
        requests,
        hits,
        validated,
        collapsed,
        misses,
        failed,
        stored,
        shared,
        intercepted,
    } = status;
    let read = match intercepted.hosts.is_empty() {
        true => String::new(),
        false => format!(
            "\nhttps read here (webcache.intercept)\nhosts      {}\nconnections {}, and {} without \
             TLS, of clients that do not trust it (hedgerow cache ca)\n",
            intercepted.hosts.join(" "),
            intercepted.connections,
            intercepted.failed
        ),
    };
    let offline = if *offline { ", offline" } else { "" };
    format!(
        "\
proxy      {proxy}{offline}
kept       {objects} answers, {} of {}
requests   {requests} since the node started
hits       {hits}
validated  {validated}
collapsed  {collapsed}
misses     {misses}, of which {stored} were kept
failed     {failed}

with other nodes
hits       {}, and {} that another node got from the origin
validated  {}
silent     {} questions without an answer, {} answers of no use, {} wrong digests
served     {} bodies, {}, to {} questions; {} got from origins for others, {} not, as they are not public
taken over {} objects
{read}",
        size(*bytes),
        size(*room),
        shared.peer_hits,
        shared.peer_misses,
        shared.peer_validated,
        shared.peers_silent,
        shared.peers_wrong,
        shared.wrong_digests,
        shared.served,
        size(shared.served_bytes),
        shared.asked,
        shared.fetched_for_peers,
        shared.not_public,
        shared.taken_over,
    )
}
