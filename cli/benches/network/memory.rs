//! Memory while a large file is put, replicated and got.

use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};

use crate::files::{text, write_file};
use crate::net::Net;
use crate::report::{Series, heading, mib, row};

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Nodes on the bridge; the last one, which keeps no more than its share, gets the file
    #[arg(long, default_value_t = 4)]
    pub(crate) nodes: usize,
    /// Bytes of the file
    #[arg(long, default_value_t = 4 << 30)]
    pub(crate) size: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 4,
            size: 4 << 30,
        }
    }
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<()> {
    let net = Net::joined(options.nodes).await?;
    let peaks = || {
        (0..options.nodes)
            .map(|node| Ok(mib(net.lab.usage(node)?.peak_resident)))
            .collect::<anyhow::Result<Vec<f64>>>()
    };
    let before = peaks()?;
    let original = net.lab.home(0).with_extension("original");
    write_file(&original, options.size, options.size)?;
    let printed = net.hedgerow(0, &["object", "put", text(&original)?])?;
    let cid = std::str::from_utf8(&printed)?.trim_end();
    let put = peaks()?;
    let copy = net.lab.home(0).with_extension("copy");
    let reader = options.nodes - 1;
    net.hedgerow(reader, &["object", "get", cid, "-o", text(&copy)?])?;
    let got = peaks()?;
    anyhow::ensure!(
        std::fs::metadata(&copy)?.len() == options.size,
        "the copy has another length"
    );
    let command = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();

    heading(
        format_args!(
            "Largest resident memory of each of {} nodes, file of {:.0} MiB, MiB",
            options.nodes,
            mib(options.size)
        ),
        "until",
    );
    row("baseline: joined", &Series::new(before)?);
    row("put and replicated", &Series::new(put)?);
    row("got by the last node", &Series::new(got)?);
    println!(
        "\nThe commands `put` and `get` themselves: {:.0} MiB at most.",
        mib(u64::try_from(command)? * 1024)
    );
    Ok(())
}
