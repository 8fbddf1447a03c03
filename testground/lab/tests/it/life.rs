//! Nodes start, die and come back.

use lab::{Lab, LabError};
use std::os::unix::process::ExitStatusExt;

use crate::{PATIENCE, PROBE, echoes, reaches, started};

#[test]
fn killed_nodes_come_back_in_their_home() {
    if !Lab::available_or_skip("killed_nodes_come_back_in_their_home") {
        return;
    }
    let lab = started(echoes(2).args(["--home", "{home}"]));
    assert!(
        lab.home(1).join("started").exists(),
        "the home was filled in"
    );
    std::fs::write(lab.home(1).join("kept"), "precious").unwrap();

    assert_eq!(lab.kill(1).unwrap().signal(), Some(9));
    assert!(!reaches(&lab, 0, "tcp", lab.ipv4(1, 0)));
    assert!(matches!(lab.usage(1), Err(LabError::NotRunning(1))));

    lab.start(1).unwrap();
    lab.wait_ready(1, PATIENCE).unwrap();
    assert!(reaches(&lab, 0, "tcp", lab.ipv4(1, 0)));
    assert!(lab.home(1).join("kept").exists());
    assert!(matches!(lab.start(1), Err(LabError::AlreadyRunning(1))));

    assert_eq!(
        lab.stop(1).unwrap().signal(),
        Some(15),
        "the probe handles no SIGTERM"
    );
}

#[test]
fn usage_is_read() {
    if !Lab::available_or_skip("usage_is_read") {
        return;
    }
    let lab = started(echoes(1));
    let usage = lab.usage(0).unwrap();
    assert!(usage.resident > 0 && usage.peak_resident >= usage.resident);
    assert!(usage.threads >= 1 && usage.files >= 4, "{usage:?}");
}

#[test]
fn a_node_that_fails_shows_its_output() {
    if !Lab::available_or_skip("a_node_that_fails_shows_its_output") {
        return;
    }
    let lab = Lab::builder()
        .nodes(1)
        .binary(PROBE)
        .args(["fail", "no such luck"])
        .build()
        .unwrap();
    lab.start(0).unwrap();
    let error = lab.wait_ready(0, PATIENCE).unwrap_err();
    assert!(matches!(error, LabError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("no such luck"), "{error}");
}

#[test]
fn commands_run_in_the_namespace() {
    if !Lab::available_or_skip("commands_run_in_the_namespace") {
        return;
    }
    let lab = Lab::builder().nodes(2).build().unwrap();
    let output = lab
        .output(1, "sh", ["-c", "ip -4 -o addr show dev eth0; exit 3"])
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("10.77.0.2/24"), "{text}");
}

#[test]
fn a_disk_can_be_full() {
    if !Lab::available_or_skip("a_disk_can_be_full") {
        return;
    }
    let lab = Lab::builder().nodes(2).disk(1 << 20).build().unwrap();
    let fill = |bytes: usize| {
        let script = format!("head -c {bytes} /dev/zero > {}/x", lab.home(0).display());
        lab.output(0, "sh", ["-c", &script]).unwrap()
    };
    assert!(fill(500_000).status.success());
    assert!(!fill(2 << 20).status.success());
    // The others have room, and outside there is nothing.
    let script = format!("head -c 500000 /dev/zero > {}/x", lab.home(1).display());
    assert!(
        lab.output(1, "sh", ["-c", &script])
            .unwrap()
            .status
            .success()
    );
    assert!(!lab.home(0).join("x").exists());
}

#[test]
fn nonsense_is_refused() {
    assert!(matches!(
        Lab::builder().nodes(0).build(),
        Err(LabError::Invalid(_))
    ));
    assert!(matches!(
        Lab::builder().nodes(251).build(),
        Err(LabError::Invalid(_))
    ));
    assert!(matches!(
        Lab::builder().bridges(9).build(),
        Err(LabError::Invalid(_))
    ));
}
