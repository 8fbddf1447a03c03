//! Many clients of one proxy at a time, in a node's namespace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
};

use super::PROXY;

/// Each client has this of its body before any goes on.
const BEGUN: u64 = 64 * 1024;

/// Longer than anything here takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Clients that ask, one connection each
    #[arg(long, default_value_t = 0)]
    asking: usize,
    /// Clients that connect and say nothing
    #[arg(long, default_value_t = 0)]
    silent: usize,
    /// Bytes of its answer that each takes
    #[arg(long)]
    taken: u64,
    /// Requests on connections of their own, one after the other, while all others stay connected
    #[arg(long, default_value_t = 0)]
    others: usize,
    /// What is asked for, in turn
    urls: Vec<String>,
}

/// What became of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Had what they wanted.
    pub(crate) served: usize,
    /// Were told that there is no place.
    pub(crate) refused: usize,
    /// Were closed without an answer.
    pub(crate) closed: usize,
    /// Had no connection.
    pub(crate) unconnected: usize,
    /// From the moment when all that were to be served had begun.
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
    /// Milliseconds of each of the others, asking anew after a refusal included.
    pub(crate) others: Vec<f64>,
    /// Times that they were refused.
    pub(crate) others_refused: usize,
}

enum End {
    Served(u64),
    Refused,
    Closed,
    Unconnected,
}

/// Prints the outcome.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let count = options.asking + options.silent;
    // All have begun; the others have been served.
    let (begun, over) = (
        Arc::new(Barrier::new(count + 1)),
        Arc::new(Barrier::new(count + 1)),
    );
    let mut clients = JoinSet::new();
    for number in 0..count {
        let url = options.urls.get(number % options.urls.len().max(1));
        let url = (number < options.asking).then_some(url).flatten().cloned();
        let (begun, over, taken) = (Arc::clone(&begun), Arc::clone(&over), options.taken);
        clients.spawn(async move {
            let mut open = begin(url, taken).await;
            begun.wait().await;
            let end = match &mut open {
                Ok((stream, left, whole)) => go_on(stream, *left, *whole).await,
                Err(_) => End::Closed,
            };
            over.wait().await;
            match open {
                Ok((stream, _, 0)) => what_came(&stream),
                Ok(_) => end,
                Err(end) => end,
            }
        });
    }
    begun.wait().await;
    let begin = Instant::now();
    let mut outcome = Outcome::default();
    let url = options.urls.first().context("a URL")?;
    for _ in 0..options.others {
        let asked = Instant::now();
        loop {
            match self::begin(Some(url.clone()), options.taken).await {
                Ok((mut stream, left, whole)) => {
                    go_on(&mut stream, left, whole).await;
                    break;
                }
                Err(End::Refused) => {
                    outcome.others_refused += 1;
                    // As the refusal says.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(_) => outcome.others_refused += 1,
            }
            anyhow::ensure!(asked.elapsed() < PATIENCE, "the others are not served");
        }
        outcome.others.push(asked.elapsed().as_secs_f64() * 1000.0);
    }
    over.wait().await;
    outcome.seconds = begin.elapsed().as_secs_f64();
    while let Some(end) = clients.join_next().await {
        match end? {
            End::Served(bytes) => {
                outcome.served += 1;
                outcome.bytes += bytes;
            }
            End::Refused => outcome.refused += 1,
            End::Closed => outcome.closed += 1,
            End::Unconnected => outcome.unconnected += 1,
        }
    }
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

type Open = (BufReader<TcpStream>, u64, u64);

/// Connects, asks where there is something to ask for, and takes the beginning of what comes. Gives
/// how much is still to be taken, and of how much.
async fn begin(url: Option<String>, taken: u64) -> Result<Open, End> {
    let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect(PROXY)).await;
    let Ok(Ok(stream)) = connecting else {
        return Err(End::Unconnected);
    };
    // Small, so that not much is here that the proxy has given.
    let mut stream = BufReader::with_capacity(16 * 1024, stream);
    let Some(url) = url else {
        return Ok((stream, 0, 0));
    };
    let length = match tokio::time::timeout(PATIENCE, ask(&mut stream, &url)).await {
        Ok(Ok(Some(length))) => length,
        Ok(Ok(None)) => return Err(End::Refused),
        Ok(Err(_)) | Err(_) => return Err(End::Closed),
    };
    let whole = length.min(taken);
    let first = whole.min(BEGUN);
    if !take(&mut stream, first).await {
        return Err(End::Closed);
    }
    Ok((stream, whole - first, whole))
}

/// Asks, and gives the length of the body; `None` where there is no place.
async fn ask(stream: &mut BufReader<TcpStream>, url: &str) -> anyhow::Result<Option<u64>> {
    let host = url.split('/').nth(2).unwrap_or_default();
    let request = format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    if head.starts_with("http/1.1 503 ") {
        return Ok(None);
    }
    anyhow::ensure!(head.starts_with("http/1.1 200 "), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    Ok(Some(length.context("a length")?.trim().parse()?))
}

async fn go_on(stream: &mut BufReader<TcpStream>, left: u64, whole: u64) -> End {
    match tokio::time::timeout(PATIENCE, take(stream, left)).await {
        Ok(true) => End::Served(whole),
        Ok(false) | Err(_) => End::Closed,
    }
}

/// What has become of a connection on which nothing was said.
fn what_came(stream: &BufReader<TcpStream>) -> End {
    let mut answer = [0; 12];
    match stream.get_ref().try_read(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => End::Served(0),
        Ok(12) if answer.ends_with(b" 503") => End::Refused,
        Ok(_) | Err(_) => End::Closed,
    }
}

async fn take(stream: &mut BufReader<TcpStream>, bytes: u64) -> bool {
    let taking = tokio::io::copy(&mut stream.take(bytes), &mut tokio::io::sink()).await;
    taking.is_ok_and(|taken| taken == bytes)
}
