//! Every file of every corpus through its target, on stable Rust.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fuzz_targets::TARGETS;

/// Runs a target's corpus, and names the files that fail.
fn replay(target: &str) {
    let (_, run) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target of this name");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = fs::read_dir(&corpus).expect("each target has a corpus");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", corpus.display());
    let mut failed = Vec::new();
    for file in &files {
        let data = fs::read(file).expect("readable");
        if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            failed.push(file.display().to_string());
        }
    }
    assert!(failed.is_empty(), "fails: {failed:#?}");
}

#[cfg(feature = "decoders")]
#[test]
fn frame() {
    replay("frame");
}

#[cfg(feature = "decoders")]
#[test]
fn message() {
    replay("message");
}

#[cfg(feature = "decoders")]
#[test]
fn contact() {
    replay("contact");
}

#[cfg(feature = "decoders")]
#[test]
fn record() {
    replay("record");
}

#[cfg(feature = "decoders")]
#[test]
fn claim() {
    replay("claim");
}

#[cfg(feature = "decoders")]
#[test]
fn version() {
    replay("version");
}

#[cfg(feature = "decoders")]
#[test]
fn bitswap() {
    replay("bitswap");
}

#[test]
fn hostile() {
    replay("hostile");
}

#[test]
fn network() {
    replay("network");
}

#[cfg(feature = "decoders")]
#[test]
fn every_corpus_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(root).expect("readable") {
        let name = entry.expect("readable").file_name();
        let known = TARGETS.iter().any(|(target, _)| name == **target);
        assert!(known, "{} is the corpus of no target", name.display());
    }
}
