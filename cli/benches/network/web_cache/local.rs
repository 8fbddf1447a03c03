//! Hits in the own cache, beside Squid on the same machine: each on one core, and `wrk` on another.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Context;
use lab::Lab;

use super::{Options, PROXY, origin_host};
use crate::{net::Net, report::Series};

const SQUID: &str = "127.0.0.1:3129";

/// Bytes of the objects.
const SIZES: [usize; 3] = [1 << 10, 64 << 10, 1 << 20];

/// Connections of `wrk`.
const CONNECTIONS: &str = "32";

pub(super) fn measure(net: &Net, options: &Options) -> anyhow::Result<()> {
    let missing = ["squid", "wrk", "taskset"].map(|program| (program, find(program)));
    if let Some((program, _)) = missing.iter().find(|(_, found)| !found) {
        println!("\nBeside Squid: left out, {program} is not installed.");
        return Ok(());
    }
    let lab = &net.lab;
    let folder = tempfile::tempdir()?;
    start_squid(lab, folder.path())?;
    // Each proxy has the first core, whoever asks the second.
    let pid = lab.process(0)?.pid().to_string();
    let pinned = Command::new("taskset").args(["-acp", "0", &pid]).output()?;
    anyhow::ensure!(pinned.status.success(), "taskset: {pinned:?}");
    println!(
        "\nHits in the own cache, {} rounds of {} s each, {CONNECTIONS} connections, requests a second\n",
        options.rounds, options.seconds
    );
    println!("| bytes | ours | Squid | ratio, median (least, most) |");
    println!("|---|---|---|---|");
    for size in SIZES {
        let script = folder.path().join(format!("{size}.lua"));
        let url = format!("http://{}/{size}/wrk", origin_host(lab));
        let ask = format!("request = function() return wrk.format('GET', '{url}') end\n");
        fs::write(&script, ask)?;
        let (mut ours, mut squid, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let rates = [PROXY, SQUID].map(|proxy| wrk(lab, proxy, &script, options.seconds));
            let [our, other] = rates;
            let (our, other) = (our?, other?);
            ours.push(our);
            squid.push(other);
            ratios.push(our / other);
        }
        let (ours, squid, ratios) = (
            Series::new(ours)?,
            Series::new(squid)?,
            Series::new(ratios)?,
        );
        println!(
            "| {size} | {:.0} | {:.0} | {:.2} ({:.2}, {:.2}) |",
            ours.quantile(0.5),
            squid.quantile(0.5),
            ratios.quantile(0.5),
            ratios.quantile(0.0),
            ratios.quantile(1.0)
        );
    }
    Ok(())
}

fn find(program: &str) -> bool {
    let folders = std::env::var("PATH").unwrap_or_default();
    let mut folders = folders.split(':').chain(["/usr/sbin"]);
    folders.any(|folder| Path::new(folder).join(program).exists())
}

/// With all objects in memory, and no log: as fast as it can be.
fn start_squid(lab: &Lab, folder: &Path) -> anyhow::Result<()> {
    let config = folder.join("squid.conf");
    fs::write(
        &config,
        format!(
            "http_port {SQUID}\nhttp_access allow all\ncache_mem 512 MB\nmemory_cache_shared off\n\
             maximum_object_size_in_memory 4 MB\nmaximum_object_size 4 MB\n\
             access_log none\ncache_log /dev/null\ncache_store_log none\npid_filename none\n\
             coredump_dir none\nvisible_hostname squid.example\nworkers 1\nnetdb_filename none\n\
             pinger_enable off\nshutdown_lifetime 0 seconds\n"
        ),
    )?;
    let mut command = lab.command(0, "taskset")?;
    command
        .args(["-c", "0", "squid", "-N", "-n", "bench", "-f"])
        .arg(&config);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    lab.spawn_command("squid", command)?;
    let url = format!("http://{}/1024/wrk", origin_host(lab));
    for _ in 0..100 {
        let curl = ["-sS", "-o", "/dev/null", "--proxy", SQUID, &url];
        if lab.output(0, "curl", curl)?.status.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("squid does not answer")
}

/// Requests a second.
fn wrk(lab: &Lab, proxy: &str, script: &Path, seconds: u64) -> anyhow::Result<f64> {
    let (for_seconds, url) = (format!("-d{seconds}s"), format!("http://{proxy}/"));
    let script = script.to_str().context("the script's path")?;
    let args = [
        "-c",
        "1",
        "wrk",
        "-t1",
        "-c",
        CONNECTIONS,
        &for_seconds,
        "-s",
        script,
        &url,
    ];
    let output = lab.output(0, "taskset", args)?;
    let said = String::from_utf8(output.stdout)?;
    anyhow::ensure!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{proxy}: {said}"
    );
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate
        .with_context(|| format!("wrk: {said}"))?
        .trim()
        .parse()?)
}
