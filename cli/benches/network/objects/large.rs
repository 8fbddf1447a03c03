//! A large object put, on as many nodes as keep it, and got by another.

use std::time::Instant;

use super::Options;
use crate::{
    files::{text, write_file},
    net::Net,
    report::{Series, heading, mib, row},
};

pub(super) fn measure(net: &Net, options: &Options) -> anyhow::Result<()> {
    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let (writer, reader) = (round % options.nodes, (round + 1) % options.nodes);
        let original = net.lab.home(writer).with_extension("original");
        let copy = net.lab.home(reader).with_extension("copy");
        write_file(&original, options.size, round as u64)?;
        let begin = Instant::now();
        let printed = net.hedgerow(writer, &["object", "put", text(&original)?])?;
        puts.push(rate(options, begin));
        let cid = std::str::from_utf8(&printed)?.trim_end();
        let begin = Instant::now();
        net.hedgerow(reader, &["object", "get", cid, "-o", text(&copy)?])?;
        gets.push(rate(options, begin));
        anyhow::ensure!(
            std::fs::metadata(&copy)?.len() == options.size,
            "the copy has another length"
        );
        std::fs::remove_file(&original)?;
        std::fs::remove_file(&copy)?;
    }
    let raw = Series::new(net.raw_stream("tcp", options.size, options.rounds)?)?;
    let (puts, gets) = (Series::new(puts)?, Series::new(gets)?);
    heading(
        format_args!(
            "An object of {:.0} MiB by the command, {} nodes, {} rounds, MiB a second",
            mib(options.size),
            options.nodes,
            options.rounds
        ),
        "what",
    );
    row("put, with all its replicas", &puts);
    row("got by another node", &gets);
    row(
        "baseline: one stream of libp2p over TCP, in one process over loopback",
        &raw,
    );
    let ratio = |series: &Series| series.quantile(0.5) / raw.quantile(0.5);
    println!(
        "\nRatios of the medians: put {:.2}, got {:.2}.",
        ratio(&puts),
        ratio(&gets)
    );
    Ok(())
}

fn rate(options: &Options, begin: Instant) -> f64 {
    mib(options.size) / begin.elapsed().as_secs_f64()
}
