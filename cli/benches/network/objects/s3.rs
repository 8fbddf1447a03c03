//! Small and large files by S3, beside the file system: `rclone` moves both.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::Context;
use serde_json::Value;

use super::Options;
use crate::{
    files::{text, write_file},
    net::Net,
    report::mib,
};

/// Bytes of a small file.
const SMALL: u64 = 10 << 10;

pub(super) fn measure(net: &Net, options: &Options) -> anyhow::Result<()> {
    let version = Command::new("rclone")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if !version.is_ok_and(|status| status.success()) {
        println!("\nBy S3: left out, rclone is not installed.");
        return Ok(());
    }
    let key = net.hedgerow(0, &["--json", "key", "s3", "create", "bench"])?;
    let key: Value = serde_json::from_slice(&key)?;
    let folder = tempfile::tempdir_in(net.lab.logs())?;
    let at = |name: &str| folder.path().join(name);
    for name in ["small", "large"] {
        std::fs::create_dir(at(name))?;
    }
    for number in 0..options.files {
        write_file(&at("small").join(number.to_string()), SMALL, number as u64)?;
    }
    write_file(&at("large").join("one"), options.size, 1)?;
    println!(
        "\nBy S3 and by the file system, both with rclone: {} files of {SMALL} bytes, and one of {:.0} MiB, {} nodes, seconds\n",
        options.files,
        mib(options.size),
        options.nodes
    );
    println!("| what | S3 | file system | S3 takes so many times as long |");
    println!("|---|---|---|---|");
    for what in ["small", "large"] {
        let copied = at(&format!("{what}-copied"));
        let (back, again) = (at(&format!("{what}-back")), at(&format!("{what}-again")));
        let bucket = format!("hedgerow:{what}");
        let from = at(what);
        let put = rclone(net, &key, text(&from)?, &bucket)?;
        let put_file = rclone(net, &key, text(&from)?, text(&copied)?)?;
        let got = rclone(net, &key, &bucket, text(&back)?)?;
        let got_file = rclone(net, &key, text(&copied)?, text(&again)?)?;
        same(&from, &back)?;
        for (way, ours, file) in [("put", put, put_file), ("got", got, got_file)] {
            println!(
                "| {what}, {way} | {ours:.2} | {file:.2} | {:.1} |",
                ours / file
            );
        }
    }
    Ok(())
}

/// Copies a folder; seconds.
fn rclone(net: &Net, key: &Value, from: &str, to: &str) -> anyhow::Result<f64> {
    let mut command = net.lab.command(0, "rclone")?;
    command
        .args(["--config", "/dev/null", "--retries", "1", "copy"])
        .args(["--no-traverse", from, to])
        // The door is plain HTTP, and old versions stumble over it.
        .env_remove("AWS_CA_BUNDLE")
        .env("RCLONE_CONFIG_HEDGEROW_TYPE", "s3")
        .env("RCLONE_CONFIG_HEDGEROW_PROVIDER", "Other")
        .env("RCLONE_CONFIG_HEDGEROW_FORCE_PATH_STYLE", "true");
    for (name, field) in [
        ("RCLONE_CONFIG_HEDGEROW_ACCESS_KEY_ID", "access_key"),
        ("RCLONE_CONFIG_HEDGEROW_SECRET_ACCESS_KEY", "secret_key"),
        ("RCLONE_CONFIG_HEDGEROW_ENDPOINT", "endpoint"),
        ("RCLONE_CONFIG_HEDGEROW_REGION", "region"),
    ] {
        command.env(name, key[field].as_str().context("an access key")?);
    }
    let begin = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let seconds = begin.elapsed().as_secs_f64();
    anyhow::ensure!(
        output.status.success(),
        "rclone copy {from} {to}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(seconds)
}

/// The same files are in both.
fn same(left: &Path, right: &Path) -> anyhow::Result<()> {
    let output = Command::new("diff")
        .arg("-rq")
        .args([left, right])
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "other files came back: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}
