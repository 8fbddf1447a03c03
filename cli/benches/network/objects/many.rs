//! A node that has very many objects.

use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use node::api::types::{MAX_LISTED, ObjectWritten};

use super::Options;
use crate::{net::Net, report::mib};

/// Names that are listed at once.
const PART: usize = 10_000;
const _: () = assert!(PART <= MAX_LISTED);

pub(super) async fn measure(net: &Net, options: &Options) -> anyhow::Result<()> {
    let client = &net.clients[0];
    let begin = Instant::now();
    // When each was acknowledged: the list of names grows meanwhile.
    let acknowledged: Vec<f64> = stream::iter(0..options.names)
        .map(async |number| {
            let path = format!("/api/v1/named/me:{}{number}", prefix(number / PART));
            let content = Bytes::from(format!("content {number}"));
            let _: ObjectWritten = client.send_bytes(Method::PUT, &path, content).await?;
            anyhow::Ok(begin.elapsed().as_secs_f64())
        })
        .buffer_unordered(options.at_once)
        .try_collect()
        .await?;
    let put = begin.elapsed().as_secs_f64();
    let tenth = options.names.div_ceil(10);
    let first_tenth = acknowledged[tenth - 1];
    let last_tenth = put - acknowledged[options.names - tenth];

    let begin = Instant::now();
    let lists = stream::iter(0..options.names.div_ceil(PART)).then(async |part| {
        let path = format!("/api/v1/named?prefix=me:{}", prefix(part));
        anyhow::Ok(client.get::<Vec<String>>(&path).await?.len())
    });
    let listed: usize = lists.try_fold(0, async |sum, more| Ok(sum + more)).await?;
    let list = begin.elapsed().as_secs_f64();
    anyhow::ensure!(
        listed == options.names,
        "{listed} of {} names were listed",
        options.names
    );
    let full = net.lab.usage(0)?;

    net.lab.stop(0)?;
    let begin = Instant::now();
    net.lab.start(0)?;
    net.until_joined(0).await?;
    let joined = begin.elapsed().as_secs_f64();
    let last = options.names - 1;
    let path = format!("/api/v1/named/me:{}{last}", prefix(last / PART));
    let got = client.call(Method::GET, &path, Bytes::new(), None).await?;
    let read = begin.elapsed().as_secs_f64();
    anyhow::ensure!(
        got == format!("content {last}").as_bytes(),
        "other bytes came back"
    );
    let restarted = net.lab.usage(0)?;
    let others = (1..options.nodes).map(|node| net.lab.usage(node));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    let most = others.iter().map(|usage| usage.resident).max();
    let most = most.context("a node beside the first")?;

    println!(
        "\nA node with {} objects among {} nodes\n",
        options.names, options.nodes
    );
    println!("| what | |\n|---|---|");
    println!("| put, {} at once | {put:.1} s |", options.at_once);
    println!("| of that the first tenth of them | {first_tenth:.2} s |");
    println!("| the last tenth | {last_tenth:.2} s |");
    println!("| all names listed | {list:.2} s |");
    println!("| its resident memory | {:.0} MiB |", mib(full.resident));
    println!("| started again, until it has joined | {joined:.2} s |");
    println!("| the same, until it has given an object | {read:.2} s |");
    println!(
        "| its resident memory then | {:.0} MiB |",
        mib(restarted.resident)
    );
    println!("| the most of the other nodes | {:.0} MiB |", mib(most));
    Ok(())
}

fn prefix(part: usize) -> String {
    format!("many-{part}-")
}
