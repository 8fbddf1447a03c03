//! Hits in the own cache, beside Squid on the same machine: each on one core, and `wrk` on another.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;

use super::{Options, PROXY, origin_host};
use crate::{net::Net, report::Series};

const SQUID: &str = "127.0.0.1:3129";

/// The origin beside Squid.
const ORIGIN: &str = "127.0.0.1:8000";

/// Bytes of the objects.
const SIZES: [usize; 3] = [1 << 10, 64 << 10, 1 << 20];

/// Connections of `wrk`.
const CONNECTIONS: &str = "32";

pub(super) fn measure(net: &Net, options: &Options) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        println!("\nBeside Squid: left out, only root can give it a network.");
        return Ok(());
    }
    let missing = ["squid", "wrk", "taskset"].map(|program| (program, find(program)));
    if let Some((program, _)) = missing.iter().find(|(_, found)| !found) {
        println!("\nBeside Squid: left out, {program} is not installed.");
        return Ok(());
    }
    let lab = &net.lab;
    let folder = tempfile::tempdir()?;
    let squid = Squid::start(folder.path())?;
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
        let script = |origin: &str, name: &str| {
            let script = folder.path().join(format!("{size}-{name}.lua"));
            let url = format!("http://{origin}/{size}/wrk");
            let ask = format!(
                "request = function() return wrk.format('GET', '{url}', {{Host = '{origin}'}}) end\n"
            );
            fs::write(&script, ask)?;
            anyhow::Ok(script)
        };
        let (for_us, for_squid) = (script(&origin_host(lab), "ours")?, script(ORIGIN, "squid")?);
        let (mut ours, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let our = wrk(lab.command(0, "taskset")?, PROXY, &for_us, options.seconds)?;
            let other = wrk(squid.command("taskset"), SQUID, &for_squid, options.seconds)?;
            ours.push(our);
            others.push(other);
            ratios.push(our / other);
        }
        let (ours, others, ratios) = (
            Series::new(ours)?,
            Series::new(others)?,
            Series::new(ratios)?,
        );
        println!(
            "| {size} | {:.0} | {:.0} | {:.2} ({:.2}, {:.2}) |",
            ours.quantile(0.5),
            others.quantile(0.5),
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

/// Squid in a network of its own: in the lab's it could not be another user, and so not run.
struct Squid(Child);

impl Squid {
    /// With all objects in memory, and no log: as fast as it can be; and an origin beside it.
    fn start(folder: &Path) -> anyhow::Result<Squid> {
        let config = folder.join("squid.conf");
        fs::write(
            &config,
            format!(
                "http_port {SQUID}\nhttp_access allow all\ncache_mem 512 MB\n\
                 memory_cache_shared off\nmaximum_object_size_in_memory 4 MB\n\
                 maximum_object_size 4 MB\naccess_log none\ncache_log /dev/null\n\
                 cache_store_log none\npid_filename none\ncoredump_dir none\n\
                 visible_hostname squid.example\nworkers 1\nnetdb_filename none\n\
                 pinger_enable off\nshutdown_lifetime 0 seconds\n"
            ),
        )?;
        let script = format!(
            "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up; {} web-origin --listen {ORIGIN} & \
             taskset -c 0 squid -N -n bench -f {}; true",
            env::current_exe()?.display(),
            config.display()
        );
        // All of it ends with the shell, which ends with this process.
        let child = Command::new("unshare")
            .args([
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                &script,
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let squid = Squid(child);
        let url = format!("http://{ORIGIN}/1024/wrk");
        for _ in 0..100 {
            let curl = ["-sSf", "-o", "/dev/null", "--proxy", SQUID, &url];
            if squid.command("curl").args(curl).output()?.status.success() {
                return Ok(squid);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("squid does not answer")
    }

    /// A program in its network.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([&format!("--net=/proc/{}/ns/net", self.0.id()), program]);
        command
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Requests a second.
fn wrk(mut command: Command, proxy: &str, script: &Path, seconds: u64) -> anyhow::Result<f64> {
    command.args(["-c", "1", "wrk", "-t1", "-c", CONNECTIONS]);
    command.arg(format!("-d{seconds}s")).arg("-s").arg(script);
    command.arg(format!("http://{proxy}/"));
    let output = command.output()?;
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
