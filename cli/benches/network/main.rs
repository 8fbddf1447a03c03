//! What a network of real nodes costs: how soon it stands, how fast a small object is got
//! and a key looked up, how soon a new version is known, how much memory a large one takes, what objects cost by every door, how fast the web cache is, and what nodes use that have
//! nothing to do.
//!
//! `cargo bench -p cli --bench network -- all` measures everything and prints a table for
//! each; `startup`, `latency`, `lookups`, `followers`, `memory`, `objects`, `web-cache`,
//! `web-cache-downloads`, `web-cache-connections` and `idle` measure one thing. Nodes run in
//! the lab, each in a network namespace of its own on one bridge. Run as a test, everything is done
//! once and small, so that the measurements cannot rot.

mod files;
mod followers;
mod idle;
mod latency;
mod lookups;
mod memory;
mod net;
mod objects;
mod report;
mod startup;
mod web_cache;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab::Lab;

// The nodes that lookups are measured on use memory as the product's do.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures a network of real nodes.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Given by `cargo bench`; without it this is a test.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// From the start of all nodes to each having found and joined all others
    Startup(startup::Options),
    /// A small object got from another node
    Latency(latency::Options),
    /// Lookups of the overlay, and of libp2p's Kademlia on the same nodes
    Lookups(lookups::Options),
    /// A new version, until all who follow it know of it
    Followers(followers::Options),
    /// The largest resident memory while a large file is put, replicated and got
    Memory(memory::Options),
    /// Updates of a part, large and small objects by each door, and very many objects
    Objects(objects::Options),
    /// What nodes use that have nothing to do
    Idle(idle::Options),
    /// Hits in the web cache: at another node, and in the own one beside Squid
    WebCache(web_cache::Options),
    /// Memory while many large downloads run through one web cache
    WebCacheDownloads(web_cache::DownloadOptions),
    /// Many connections of clients at one web cache
    WebCacheConnections(web_cache::ConnectionOptions),
    /// All of these, one after the other
    All,
    /// A node that lookups are measured on
    #[command(hide = true)]
    LookupNode(lookups::NodeOptions),
    /// A server behind the web cache
    #[command(hide = true)]
    WebOrigin(web_cache::OriginOptions),
    /// A client of a web cache
    #[command(hide = true)]
    WebClient(web_cache::ClientOptions),
    /// Many clients of a web cache
    #[command(hide = true)]
    WebCrowd(web_cache::CrowdOptions),
}

impl What {
    /// Whether it is one of the programs that are measured, or measure, in a namespace.
    fn is_part(&self) -> bool {
        matches!(
            self,
            What::LookupNode(_) | What::WebOrigin(_) | What::WebClient(_) | What::WebCrowd(_)
        )
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let is_part = args.what.as_ref().is_some_and(What::is_part);
    if !is_part && !Lab::available_or_skip("the network benchmarks") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(async {
        match args.what {
            Some(What::Startup(options)) => startup::measure(&options).await,
            Some(What::Latency(options)) => latency::measure(&options).await,
            Some(What::Lookups(options)) => lookups::measure(&options).await,
            Some(What::LookupNode(options)) => lookups::run_node(options).await,
            Some(What::Followers(options)) => followers::measure(&options).await,
            Some(What::Memory(options)) => memory::measure(&options).await,
            Some(What::Objects(options)) => objects::measure(&options).await,
            Some(What::Idle(options)) => idle::measure(&options).await,
            Some(What::WebCache(options)) => web_cache::measure(&options).await,
            Some(What::WebCacheDownloads(options)) => web_cache::downloads(&options).await,
            Some(What::WebCacheConnections(options)) => web_cache::connections(&options).await,
            Some(What::WebCrowd(options)) => web_cache::run_crowd(options).await,
            Some(What::WebOrigin(options)) => web_cache::run_origin(&options),
            Some(What::WebClient(options)) => web_cache::run_client(&options),
            Some(What::All) => everything().await,
            None if args.bench => everything().await,
            None => smallest().await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn everything() -> anyhow::Result<()> {
    startup::measure(&startup::Options::default()).await?;
    latency::measure(&latency::Options::default()).await?;
    lookups::measure(&lookups::Options::default()).await?;
    followers::measure(&followers::Options::default()).await?;
    idle::measure(&idle::Options::default()).await?;
    web_cache::measure(&web_cache::Options::default()).await?;
    web_cache::downloads(&web_cache::DownloadOptions::default()).await?;
    web_cache::connections(&web_cache::ConnectionOptions::default()).await?;
    objects::measure(&objects::Options::default()).await?;
    memory::measure(&memory::Options::default()).await
}

/// As a test: that each measurement works, not what it says.
async fn smallest() -> anyhow::Result<()> {
    startup::measure(&startup::Options {
        nodes: 3,
        starts: 1,
    })
    .await?;
    latency::measure(&latency::Options {
        nodes: 5,
        objects: 5,
    })
    .await?;
    lookups::measure(&lookups::Options {
        // A leaf set that leaves nodes out, so that there is something to ask.
        nodes: 10,
        leaf_set: 6,
        rounds: 1,
        alone: 3,
        at_once: 2,
        busy: std::time::Duration::from_millis(50),
        records: 8,
        copies: std::num::NonZeroUsize::MIN,
        strict: true,
        ..lookups::Options::default()
    })
    .await?;
    followers::measure(&followers::Options {
        followers: 3,
        versions: 3,
    })
    .await?;
    idle::measure(&idle::Options {
        nodes: 2,
        settle: std::time::Duration::ZERO,
        watch: std::time::Duration::from_millis(200),
    })
    .await?;
    web_cache::measure(&web_cache::Options {
        nodes: 3,
        objects: 12,
        large: 1 << 20,
        rounds: 3,
        // Who builds the project need not have Squid.
        seconds: 0,
    })
    .await?;
    web_cache::downloads(&web_cache::DownloadOptions {
        downloads: 20,
        size: 1 << 20,
        taken: 1 << 19,
    })
    .await?;
    web_cache::connections(&web_cache::ConnectionOptions {
        connections: 100,
        others: 5,
    })
    .await?;
    objects::measure(&objects::Options {
        nodes: 4,
        size: 3 << 20,
        updates: 3,
        rounds: 1,
        files: 5,
        names: 20,
        at_once: 4,
    })
    .await?;
    memory::measure(&memory::Options {
        nodes: 3,
        size: 3 << 20,
    })
    .await
}
