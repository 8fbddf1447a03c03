//! A lab of nodes and the command that talks to them.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::{Lab, Process};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::support::HEDGEROW;

/// Longer than any step takes on a loaded machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes on one bridge.
pub(crate) struct Net {
    pub(crate) lab: Lab,
}

impl Net {
    /// Starts every node of `builder`, with no flag but `--home`, and waits until each
    /// has joined.
    pub(crate) fn start(builder: lab::Builder) -> Net {
        Net::start_with(builder, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(builder: lab::Builder, flags: &[&str]) -> Net {
        let lab = builder
            .binary(HEDGEROW)
            .args(["--home", "{home}", "node", "start"])
            .args(flags.iter().copied())
            .build()
            .expect("a lab");
        lab.start_all().expect("nodes start");
        let net = Net { lab };
        for node in 0..net.lab.len() {
            net.lab
                .wait_ready(node, PATIENCE)
                .expect("a node becomes ready");
        }
        net
    }

    /// Runs `hedgerow` beside a node and returns how it ended.
    pub(crate) fn run(&self, node: usize, args: &[&str]) -> Output {
        let home = self
            .lab
            .home(node)
            .to_str()
            .expect("a lab's paths are text");
        let patience: &[&str] = match args.contains(&"--timeout") {
            true => &[],
            false => &["--timeout", "2min"],
        };
        let args = ["--home", home, "--no-progress"]
            .into_iter()
            .chain(patience.iter().copied())
            .chain(args.iter().copied());
        self.lab
            .output(node, HEDGEROW, args)
            .expect("the command runs")
    }

    /// Starts `hedgerow` beside a node and returns while it runs.
    pub(crate) fn spawn(&self, node: usize, label: &str, args: &[&str]) -> Arc<Process> {
        let home = self
            .lab
            .home(node)
            .to_str()
            .expect("a lab's paths are text");
        let args = ["--home", home, "--no-progress"]
            .into_iter()
            .chain(args.iter().copied());
        self.lab
            .spawn(node, label, HEDGEROW, args)
            .expect("the command starts")
    }

    /// Runs `hedgerow`, which has to succeed, and returns what it printed.
    pub(crate) fn ok(&self, node: usize, args: &[&str]) -> String {
        let output = self.run(node, args);
        assert!(
            output.status.success(),
            "hedgerow {} on node {node}: {}\n{}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .expect("text")
            .trim_end()
            .to_owned()
    }

    /// Runs `hedgerow --json`, which has to succeed.
    pub(crate) fn json(&self, node: usize, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(node, &args)).expect("JSON")
    }

    /// Puts a file under a name; its CID.
    pub(crate) fn put(&self, node: usize, name: &str, file: &Path) -> String {
        let put = self.json(node, &["object", "put", file.to_str().unwrap(), name]);
        text(&put["cid"])
    }

    /// Whether a node reads all of a file.
    pub(crate) fn reads(&self, node: usize, reference: &str, original: &Path) -> bool {
        let copy = self.lab.home(node).with_extension("copy");
        let _ = std::fs::remove_file(&copy);
        let to = copy.to_str().unwrap();
        let got = self.run(
            node,
            &["object", "get", reference, "-o", to, "--timeout", "20s"],
        );
        got.status.success() && same(original, &copy)
    }

    /// The PeerId of a running node.
    pub(crate) fn peer_id(&self, node: usize) -> String {
        text(&self.json(node, &["node", "id"])["peer_id"])
    }

    /// The GUID of a running node.
    pub(crate) fn guid(&self, node: usize) -> guid::Guid {
        text(&self.json(node, &["node", "id"])["guid"])
            .parse()
            .expect("a GUID")
    }

    /// Asks again until `done` says so; fails, saying what was waited for, after a
    /// minute.
    pub(crate) fn until(&self, what: &str, mut done: impl FnMut() -> bool) -> Duration {
        let begin = Instant::now();
        while !done() {
            assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
            // The state of another process can only be asked for.
            std::thread::sleep(Duration::from_millis(50));
        }
        begin.elapsed()
    }

    /// Waits until each of `nodes` has every other of them in its leaf set and nobody
    /// else. Leaf sets hold 16, so this is for 17 nodes at most.
    pub(crate) fn until_settled(&self, nodes: &[usize]) {
        let mut ids: Vec<String> = nodes.iter().map(|node| self.peer_id(*node)).collect();
        ids.sort();
        for node in nodes {
            self.until("leaf sets that agree", || {
                let set = self.json(*node, &["overlay", "leafset"]);
                let mut seen = vec![text(&set["me"]["peer_id"])];
                for side in ["smaller", "larger"] {
                    let side = set[side].as_array().expect("a side").iter();
                    seen.extend(side.map(|contact| text(&contact["peer_id"])));
                }
                seen.sort();
                seen.dedup();
                seen == ids && set["state"] == "active"
            });
        }
    }
}

/// A JSON string.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a string, not {value}"))
        .to_owned()
}

/// Writes `size` bytes that no compression and no earlier test has seen.
pub(crate) fn random_file(path: &Path, size: u64, seed: u64) {
    use std::io::Write;

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    let mut chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let part = left.min(chunk.len() as u64) as usize;
        rng.fill_bytes(&mut chunk[..part]);
        file.write_all(&chunk[..part]).expect("space on the disk");
        left -= part as u64;
    }
    file.flush().expect("space on the disk");
}

/// Whether two files have the same bytes.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    use std::io::Read;

    let open = |path: &Path| std::fs::File::open(path).expect("the file is there");
    let (mut one, mut other) = (open(one), open(other));
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = one.read(&mut left).expect("readable");
        if count == 0 {
            return other.read(&mut right).expect("readable") == 0;
        }
        if other.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return false;
        }
    }
}
