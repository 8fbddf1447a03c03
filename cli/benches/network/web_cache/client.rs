//! A client in a node's namespace: it asks for one object after the other on one connection.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Instant,
};

use clap::Args;
use lab::Lab;
use serde::{Deserialize, Serialize};

use super::PROXY;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    urls: Vec<String>,
}

/// One answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Got {
    /// From the request's first byte to the body's last.
    pub(crate) micros: f64,
    pub(crate) bytes: u64,
    pub(crate) cache_status: String,
}

/// Prints a line for each URL.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(PROXY)?;
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(256 * 1024, stream.try_clone()?);
    for url in &options.urls {
        let got = get(&mut stream, &mut input, url)?;
        println!("{}", serde_json::to_string(&got)?);
    }
    Ok(())
}

fn get(stream: &mut TcpStream, input: &mut BufReader<TcpStream>, url: &str) -> anyhow::Result<Got> {
    let host = url.split('/').nth(2).unwrap_or_default();
    let begin = Instant::now();
    stream.write_all(format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut line = String::new();
    input.read_line(&mut line)?;
    anyhow::ensure!(line.starts_with("HTTP/1.1 200 "), "{url}: {line}");
    let (mut bytes, mut members) = (0, Vec::new());
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => bytes = value.trim().parse()?,
            "cache-status" => members.push(value.trim().to_owned()),
            _ => {}
        }
    }
    let read = std::io::copy(&mut input.by_ref().take(bytes), &mut std::io::sink())?;
    anyhow::ensure!(read == bytes, "{url}: it broke off after {read} bytes");
    Ok(Got {
        micros: begin.elapsed().as_secs_f64() * 1e6,
        bytes,
        cache_status: members.join(", "),
    })
}

/// Asks for these through a node's proxy.
pub(super) fn ask(lab: &Lab, node: usize, urls: &[String]) -> anyhow::Result<Vec<Got>> {
    let args = ["web-client".to_owned()]
        .into_iter()
        .chain(urls.iter().cloned());
    let output = lab.output(node, std::env::current_exe()?, args)?;
    let said = String::from_utf8(output.stdout)?;
    anyhow::ensure!(
        output.status.success(),
        "the client at node {node}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let got = said.lines().map(serde_json::from_str);
    Ok(got.collect::<Result<_, _>>()?)
}
