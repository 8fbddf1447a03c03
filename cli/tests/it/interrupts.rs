//! Ctrl-C at any moment, and files that do not hold still.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use lab::Lab;
use nix::sys::signal::Signal;

use crate::{
    net::{Net, random_file, same},
    support::stderr,
};

const MIB: u64 = 1 << 20;

/// How soon a command ends after Ctrl-C, at the latest.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
fn ctrl_c_during_a_get_leaves_a_part_to_go_on_from() {
    if !Lab::available_or_skip("ctrl_c_during_a_get_leaves_a_part_to_go_on_from") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(2));
    net.until_settled(&[0, 1]);
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let size = 400 * MIB;
    random_file(&original, size, 11);
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    let copy = dir.path().join("copy");
    let part = dir.path().join(format!(".{cid}.part"));
    let written = || fs::metadata(&part).map_or(0, |part| part.len());
    let (mut interrupted, mut kept) = (0, 0);
    // Each time it is let go a little further.
    for (round, enough) in [0, 1, 40, 120].into_iter().enumerate() {
        let label = format!("get-{round}");
        let args = ["object", "get", &cid, "-o", copy.to_str().unwrap()];
        let get = net.spawn(1, &label, &args);
        net.until("something is got", || {
            written() >= enough * MIB || get.status().is_some()
        });
        get.signal(Signal::SIGINT).unwrap();
        let status = get.wait_exit(AT_ONCE).unwrap();
        // Before the program handles it, the signal itself ends it.
        if status.success() {
            // Quicker than the signal: nothing was interrupted.
            assert!(same(&original, &copy));
            fs::remove_file(&copy).unwrap();
            continue;
        }
        if status.code().is_some() && part.exists() {
            assert!(
                get.tail(5).contains("goes on from there"),
                "{}",
                get.tail(5)
            );
        }
        assert!(!copy.exists(), "what is not complete does not appear");
        (interrupted, kept) = (interrupted + 1, enough.saturating_sub(20) * MIB);
    }
    let got = net.json(1, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
    if interrupted > 0 {
        assert!(got["kept"].as_u64().unwrap() >= kept, "{got}");
    }
    assert!(same(&original, &copy));
    assert!(!part.exists());
}

#[test]
fn ctrl_c_during_a_put_loses_nothing() {
    if !Lab::available_or_skip("ctrl_c_during_a_put_loses_nothing") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    random_file(&original, 300 * MIB, 12);
    let blocks = || net.json(0, &["node", "status"])["blocks"].as_u64().unwrap();
    let mut before = 0;
    for round in 0..3 {
        let label = format!("put-{round}");
        let put = net.spawn(0, &label, &["object", "put", original.to_str().unwrap()]);
        // It goes through what is there already and gets further each time.
        net.until("blocks are put", || {
            blocks() > before || put.status().is_some()
        });
        put.signal(Signal::SIGINT).unwrap();
        let status = put.wait_exit(AT_ONCE).unwrap();
        if status.success() {
            break;
        }
        before = blocks();
    }
    let cid = net.ok(0, &["object", "put", original.to_str().unwrap()]);
    let copy = dir.path().join("copy");
    net.ok(2, &["object", "get", &cid, "-o", copy.to_str().unwrap()]);
    assert!(same(&original, &copy));
}

#[test]
fn a_file_that_changes_while_it_is_put_is_refused() {
    if !Lab::available_or_skip("a_file_that_changes_while_it_is_put_is_refused") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    random_file(&original, 50 * MIB, 13);
    let done = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            // As a program that keeps writing its log.
            let mut file = OpenOptions::new().append(true).open(&original).unwrap();
            while !done.load(Ordering::Relaxed) {
                file.write_all(b"one line more\n").unwrap();
            }
        });
        let output = net.run(0, &["object", "put", original.to_str().unwrap()]);
        done.store(true, Ordering::Relaxed);
        output
    });
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("original") && said.contains("at rest"),
        "{said}"
    );
    // At rest it is put.
    File::open(&original).unwrap().sync_all().unwrap();
    net.ok(0, &["object", "put", original.to_str().unwrap()]);
}
