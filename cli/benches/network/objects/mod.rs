//! What objects cost: a part of a large one changed, large ones moved, small and large ones by S3,
//! and a node that has very many.

mod large;
mod many;
mod s3;
mod update;

use clap::Args;

use crate::net::Net;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge
    #[arg(long, default_value_t = 8)]
    pub(crate) nodes: usize,
    /// Bytes of a large object
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) size: u64,
    /// Updates of 4 KiB in the middle of one; 0 leaves them out
    #[arg(long, default_value_t = 500)]
    pub(crate) updates: u64,
    /// Large objects that are put and got; 0 leaves them out
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Files of 10 KiB that are put and got by S3, and a large one; 0 leaves them out
    #[arg(long, default_value_t = 10_000)]
    pub(crate) files: usize,
    /// Objects of a node that is listed and started again; 0 leaves them out
    #[arg(long, default_value_t = 100_000)]
    pub(crate) names: usize,
    /// How many of these are put at a time
    #[arg(long, default_value_t = 32)]
    pub(crate) at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodes: 8,
            size: 1 << 30,
            updates: 500,
            rounds: 3,
            files: 10_000,
            names: 100_000,
            at_once: 32,
        }
    }
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    // Each has a network of its own, so that none finds what another has left.
    if options.updates > 0 {
        update::measure(&Net::joined(options.nodes).await?, options).await?;
    }
    if options.rounds > 0 {
        large::measure(&Net::joined(options.nodes).await?, options)?;
    }
    if options.files > 0 {
        s3::measure(&Net::joined(options.nodes).await?, options)?;
    }
    if options.names > 0 {
        many::measure(&Net::joined(options.nodes).await?, options).await?;
    }
    Ok(())
}
