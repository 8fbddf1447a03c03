//! What many clients at a time cost a node: memory, and the time of others.

use std::env;

use clap::Args;

use super::{crowd::Outcome, origin_host, start_origin};
use crate::{
    net::Net,
    report::{Series, heading, mib, row},
};

/// The origin is in the namespace of the first.
const NODES: usize = 2;

/// The goal, MiB of resident memory.
const GOAL: f64 = 256.0;

#[derive(Args, Clone, Debug)]
pub(crate) struct DownloadOptions {
    /// Downloads at a time
    #[arg(long, default_value_t = 1000)]
    pub(crate) downloads: usize,
    /// Bytes of what is downloaded
    #[arg(long, default_value_t = 100 << 20)]
    pub(crate) size: u64,
    /// Bytes of it that each client takes before it goes: all downloads run until then
    #[arg(long, default_value_t = 8 << 20)]
    pub(crate) taken: u64,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        DownloadOptions {
            downloads: 1000,
            size: 100 << 20,
            taken: 8 << 20,
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectionOptions {
    /// Connections at a time
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Requests of others meanwhile
    #[arg(long, default_value_t = 200)]
    pub(crate) others: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        ConnectionOptions {
            connections: 10_000,
            others: 200,
        }
    }
}

async fn net() -> anyhow::Result<Net> {
    let flags = [
        "--webcache-port",
        "3128",
        // One proxy is measured.
        "--webcache-peers",
        "none",
        "--webcache-max-mib",
        "4096",
    ];
    let net = Net::joined_with(NODES, &flags).await?;
    start_origin(&net.lab)?;
    Ok(net)
}

/// Many downloads of one object that the node has, and of as many objects that it has not.
pub(crate) async fn downloads(options: &DownloadOptions) -> anyhow::Result<()> {
    let net = net().await?;
    let peak = |node: usize| Ok::<_, anyhow::Error>(mib(net.lab.usage(node)?.peak_resident));
    let host = origin_host(&net.lab);
    let url = |number: usize| format!("http://{host}/{}/{number}", options.size);
    let joined = peak(0)?;
    super::client::ask(&net.lab, 0, &[url(0)])?;
    let filled = peak(0)?;
    let crowd = |node, urls: &[String]| {
        let flags = ["--asking".to_owned(), options.downloads.to_string()];
        let taken = ["--taken".to_owned(), options.taken.to_string()];
        ask(&net, node, flags.into_iter().chain(taken), urls)
    };
    let hits = crowd(0, &[url(0)])?;
    let hits_peak = peak(0)?;
    let urls: Vec<String> = (1..=options.downloads).map(url).collect();
    let fetched = crowd(1, &urls)?;
    let fetched_peak = peak(1)?;
    println!(
        "\n{} downloads of {:.0} MiB at a time through one node's web cache, {:.0} MiB of each taken; its largest resident memory, goal {GOAL} MiB\n",
        options.downloads,
        mib(options.size),
        mib(options.taken),
    );
    println!("| until | MiB | served | refused | broken off | MiB a second |");
    println!("|---|---|---|---|---|---|");
    println!("| baseline: joined | {joined:.0} | | | | |");
    println!("| the object is in the cache | {filled:.0} | | | | |");
    for (what, peak, outcome) in [
        ("all have it from the cache", hits_peak, &hits),
        ("each has another from the origin", fetched_peak, &fetched),
    ] {
        println!(
            "| {what} | {peak:.0} | {} | {} | {} | {:.0} |",
            outcome.served,
            outcome.refused,
            outcome.closed + outcome.unconnected,
            mib(outcome.bytes) / outcome.seconds
        );
    }
    anyhow::ensure!(hits.served + fetched.served > 0, "nobody was served");
    Ok(())
}

/// Many connections: that ask for something small and stay, and that say nothing.
pub(crate) async fn connections(options: &ConnectionOptions) -> anyhow::Result<()> {
    let net = net().await?;
    let usage = |node: usize| net.lab.usage(node);
    let url = format!("http://{}/4096/0", origin_host(&net.lab));
    let count = options.connections;
    let mut rows = Vec::new();
    let mut others = Vec::new();
    for (node, flag, what) in [
        (0, "--asking", "that ask for 4 KiB and stay"),
        (1, "--silent", "that say nothing"),
    ] {
        super::client::ask(&net.lab, node, std::slice::from_ref(&url))?;
        let before = usage(node)?;
        let flags = [flag, &count.to_string(), "--taken", "4096"].map(str::to_owned);
        let more = ["--others".to_owned(), options.others.to_string()];
        let urls = [url.clone()];
        let outcome = ask(&net, node, flags.into_iter().chain(more), &urls)?;
        let after = usage(node)?;
        let cells = format!(
            "{} | {} | {} | {} | {:.0} | {:.0}",
            outcome.served,
            outcome.refused,
            outcome.closed,
            outcome.unconnected,
            mib(before.peak_resident),
            mib(after.peak_resident)
        );
        rows.push(format!("| {what} | {cells} | {} |", outcome.others_refused));
        others.push((what, outcome.others));
    }
    println!("\n{count} connections of clients at one node's web cache\n");
    println!(
        "| connections | served, or still open | refused | closed | not connected | MiB before | MiB at most | refusals of others |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        println!("{row}");
    }
    heading(
        "What others wait for 4 KiB meanwhile, each on a new connection, milliseconds",
        "beside connections",
    );
    for (what, millis) in others {
        row(what, &Series::new(millis)?);
    }
    Ok(())
}

/// Has a crowd at a node's proxy, and says what became of it.
fn ask(
    net: &Net,
    node: usize,
    flags: impl Iterator<Item = String>,
    urls: &[String],
) -> anyhow::Result<Outcome> {
    let args = ["web-crowd".to_owned()].into_iter().chain(flags);
    let args = args.chain(urls.iter().cloned());
    let output = net.lab.output(node, env::current_exe()?, args)?;
    anyhow::ensure!(
        output.status.success(),
        "the crowd at node {node}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
