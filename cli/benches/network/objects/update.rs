//! 4 KiB in the middle of a large object.

use std::time::Instant;

use data_encoding::BASE64;
use http::Method;
use node::api::types::{ObjectWritten, UpdateAction, UpdateClause, UpdateInsert, UpdateRequest};

use super::Options;
use crate::{
    files::{text, write_file},
    net::Net,
    report::{Series, mib},
};

/// Bytes that are replaced.
const PART: usize = 4096;

pub(super) async fn measure(net: &Net, options: &Options) -> anyhow::Result<()> {
    let original = net.lab.home(0).with_extension("original");
    write_file(&original, options.size, 1)?;
    net.hedgerow(0, &["object", "put", text(&original)?, "large"])?;
    std::fs::remove_file(&original)?;
    let sent = || -> u64 {
        let nodes = 0..options.nodes;
        nodes.map(|node| net.lab.traffic(node, 0).sent_bytes).sum()
    };
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for number in 0..options.updates {
        let request = replace(options.size / 2, number);
        let (before, begin) = (sent(), Instant::now());
        let _: ObjectWritten = net.clients[0]
            .send_json(Method::POST, "/api/v1/named/me:large/updates", &request)
            .await?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        bytes.push(mib(sent() - before));
    }
    let (times, bytes) = (Series::new(times)?, Series::new(bytes)?);
    println!(
        "\n{PART} bytes replaced in the middle of an object of {:.0} MiB, {} nodes, {} updates\n",
        mib(options.size),
        options.nodes,
        options.updates
    );
    println!("| what | median | p95 | p99 | max |");
    println!("|---|---|---|---|---|");
    for (what, series) in [
        ("until it is acknowledged, milliseconds", times),
        ("sent by all nodes meanwhile, MiB", bytes),
    ] {
        let cells = [0.5, 0.95, 0.99, 1.0].map(|share| format!("{:.2}", series.quantile(share)));
        println!("| {what} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// Bytes that differ from update to update.
fn replace(offset: u64, number: u64) -> UpdateRequest {
    let mut part = vec![0x5a; PART];
    part[..8].copy_from_slice(&number.to_le_bytes());
    UpdateRequest {
        clauses: vec![UpdateClause {
            predicates: Vec::new(),
            actions: vec![UpdateAction::Splice {
                offset: Some(offset),
                delete: PART as u64,
                insert: Some(UpdateInsert::Bytes(BASE64.encode(&part))),
            }],
        }],
    }
}
