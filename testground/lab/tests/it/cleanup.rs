//! Nothing outlives the lab.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::Lab;

use crate::{PATIENCE, PROBE, both, echoes};

#[test]
fn dropping_the_lab_ends_everything() {
    if !Lab::available_or_skip("dropping_the_lab_ends_everything") {
        return;
    }
    for lab in both(echoes(2)) {
        let mut pids: Vec<u32> = (0..2)
            .map(|node| lab.process(node).unwrap().pid())
            .collect();
        pids.extend(lab.switch_pid());
        let home = lab.home(0).to_owned();
        drop(lab);
        assert!(pids.iter().all(|pid| !alive(*pid)));
        assert!(!home.exists());
    }
}

/// The lab of a process that dies by SIGKILL, and so runs no destructor.
#[test]
fn killing_the_holder_ends_everything() {
    if !Lab::available_or_skip("killing_the_holder_ends_everything") {
        return;
    }
    kill_the_holder(&[]);
    // The switch is not in the list, but would keep the nodes' interfaces.
    kill_the_holder(&["--latency", "1"]);
}

fn kill_the_holder(more: &[&str]) {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["--nodes", "2", "--binary", PROBE])
        .args(more)
        .args(["--", "serve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = Vec::new();
    let mut home = String::new();
    for line in BufReader::new(holder.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [node, pid, .., last] = fields.as_slice()
            && node.parse::<usize>().is_ok()
            && let Ok(pid) = pid.parse::<u32>()
        {
            pids.push(pid);
            home = (*last).to_owned();
        }
        if pids.len() == 2 {
            break;
        }
    }
    pids.extend(children(holder.id()));
    assert!(
        pids.len() > 2 && pids.iter().all(|pid| alive(*pid)),
        "{pids:?}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    // The processes are not our children: nothing but looking tells us that
    // they have gone.
    let deadline = Instant::now() + PATIENCE;
    while pids.iter().any(|pid| alive(*pid)) {
        assert!(Instant::now() < deadline, "still alive: {pids:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    // Its directory is the one thing a killed process cannot take along.
    let root = Path::new(&home).parent().unwrap();
    std::fs::remove_dir_all(root).unwrap();
}

/// The processes that a process has started itself: holders of namespaces, and the switch.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: String = lists.collect();
    children
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Whether the process runs: a zombie does not, and waits only to be reaped.
fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    })
}
