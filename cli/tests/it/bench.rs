//! `hedgerow bench`, small.

use crate::support::{alone, stderr};

#[test]
fn transfers_are_measured_against_their_baselines() {
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().to_str().unwrap();
    let args = [
        "bench", "transfer", "--size", "4MiB", "--runs", "2", "--disk", disk, "--json",
    ];
    let output = alone(home.path(), &args);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = report["results"].as_array().unwrap();
    for transport in ["tcp", "quic"] {
        for (what, baseline) in [
            ("blocks_memory", "raw_stream"),
            ("blocks_disk", "disk_one_sync"),
            ("blocks_disk", "disk_sync_each"),
        ] {
            let line = results
                .iter()
                .find(|line| line["transport"] == transport && line["what"] == what)
                .unwrap();
            assert_eq!(line["runs"].as_array().unwrap().len(), 2);
            assert!(line["ratios"][baseline].as_f64().unwrap() > 0.0, "{report}");
        }
    }
    // Nothing is left behind.
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}
