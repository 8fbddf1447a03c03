//! Programs that speak S3, as people have them, against a node's door.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lab::Lab;

use crate::net::{Net, random_file, same, text};
use crate::support::{HEDGEROW, skip};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/s3");
const GUIDE: &str = include_str!("../../../docs/guide/s3.md");

/// An environment of Python with boto3 and s3cmd in it, made once below cargo's folder; none
/// where it cannot be made.
fn python(test: &str) -> Option<PathBuf> {
    let list = fs::read(Path::new(SOURCES).join("requirements.txt")).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3-python");
    fs::create_dir_all(&folder).unwrap();
    // Tests of one run may be several processes.
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (stamp, venv) = (folder.join("installed"), folder.join("venv"));
    if fs::read(&stamp).is_ok_and(|found| found == list) {
        return Some(venv.join("bin"));
    }
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    let made = run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))
    .and_then(|()| {
        run(Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--no-deps", "--requirement"])
            .arg(Path::new(SOURCES).join("requirements.txt")))
    });
    match made {
        Ok(()) => {
            fs::write(stamp, list).unwrap();
            Some(venv.join("bin"))
        }
        Err(error) => {
            let reason = error.lines().last().unwrap_or_default().to_owned();
            skip(
                test,
                &format!("boto3 and s3cmd cannot be installed: {reason}"),
            );
            None
        }
    }
}

fn has_rclone(test: &str) -> bool {
    let there = Command::new("rclone").arg("version").output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        skip(test, "there is no rclone");
    }
    there
}

/// Runs a program beside a node with an access key in its environment; what it printed.
fn beside(net: &Net, key: &serde_json::Value, program: &Path, args: &[&str]) -> String {
    let output = net
        .lab
        .command(0, program.to_str().unwrap())
        .unwrap()
        .args(args)
        .envs(environment(key))
        // The door is plain HTTP, and old programs stumble over it.
        .env_remove("AWS_CA_BUNDLE")
        .current_dir(net.lab.home(0))
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(
        output.status.success(),
        "{args:?}: {}\n{out}\n{err}",
        output.status
    );
    out
}

fn environment(key: &serde_json::Value) -> Vec<(String, String)> {
    let (id, secret) = (text(&key["access_key"]), text(&key["secret_key"]));
    let (endpoint, region) = (text(&key["endpoint"]), text(&key["region"]));
    [
        ("AWS_ACCESS_KEY_ID", &id),
        ("AWS_SECRET_ACCESS_KEY", &secret),
        ("AWS_ENDPOINT_URL_S3", &endpoint),
        ("AWS_DEFAULT_REGION", &region),
        ("AWS_CONFIG_FILE", &"/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", &"/dev/null".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .to_vec()
}

/// The lines that `key s3 create` prints for a program, from its heading to the next one.
fn lines_for(printed: &str, program: &str) -> String {
    let from = printed.find(&format!("# {program}")).expect("lines for it");
    let lines = printed[from..].lines().skip(1);
    let lines = lines.take_while(|line| !line.starts_with("# "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn boto3_does_its_work() {
    let test = "boto3_does_its_work";
    if !Lab::available_or_skip(test) {
        return;
    }
    let Some(python) = python(test) else { return };
    let net = Net::start(Lab::builder().nodes(3));
    net.until_settled(&[0, 1, 2]);
    let key = net.json(0, &["key", "s3", "create", "boto3"]);
    let work = format!("{SOURCES}/work.py");
    let done = beside(&net, &key, &python.join("python"), &["-B", &work]);
    assert!(done.ends_with("links\n"), "{done}");
    // Another node reads what S3 has put, by its name.
    let owner = net.peer_id(0);
    let read = net.ok(
        1,
        &["object", "get", &format!("{owner}:work/link"), "-o", "-"],
    );
    assert_eq!(read, "by link");
    let keys = net.ok(0, &["key", "s3", "ls"]);
    assert_eq!(keys, format!("{}  boto3", text(&key["access_key"])));
    net.ok(0, &["key", "s3", "rm", &text(&key["access_key"])]);
    assert_eq!(net.ok(0, &["key", "s3", "ls"]), "");
}

#[test]
fn s3cmd_does_its_work() {
    let test = "s3cmd_does_its_work";
    if !Lab::available_or_skip(test) {
        return;
    }
    let Some(python) = python(test) else { return };
    let net = Net::start(Lab::builder().nodes(1));
    let key = net.json(0, &["key", "s3", "create", "s3cmd"]);
    // The lines as they are printed make a configuration.
    let printed = net.ok(0, &["key", "s3", "create", "more"]);
    let home = net.lab.home(0).to_owned();
    fs::write(home.join("s3cfg"), lines_for(&printed, "s3cmd")).unwrap();
    let s3cmd = |args: &[&str]| {
        let program = python.join("s3cmd");
        let program = program.to_str().unwrap();
        let args = [&[program, "-c", "s3cfg", "--no-progress"], args].concat();
        beside(&net, &key, &python.join("python"), &args)
    };
    fs::create_dir_all(home.join("pictures/more")).unwrap();
    random_file(&home.join("pictures/large.bin"), 17 << 20, 1);
    fs::write(home.join("pictures/ü b.txt"), "small").unwrap();
    fs::write(home.join("pictures/more/empty"), "").unwrap();
    s3cmd(&["mb", "s3://pictures"]);
    // 17 MiB go in two parts.
    s3cmd(&["sync", "pictures/", "s3://pictures/all/"]);
    let again = s3cmd(&["sync", "pictures/", "s3://pictures/all/"]);
    assert!(!again.contains("upload:"), "{again}");
    let listed = s3cmd(&["ls", "--recursive", "s3://pictures"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    s3cmd(&["info", "s3://pictures/all/large.bin"]);
    s3cmd(&[
        "cp",
        "s3://pictures/all/large.bin",
        "s3://pictures/copy.bin",
    ]);
    s3cmd(&["mv", "s3://pictures/copy.bin", "s3://pictures/moved.bin"]);
    s3cmd(&["get", "s3://pictures/moved.bin", "back.bin"]);
    assert!(same(
        &home.join("back.bin"),
        &home.join("pictures/large.bin")
    ));
    s3cmd(&["sync", "s3://pictures/all/", "restored/"]);
    assert_eq!(
        fs::read_to_string(home.join("restored/ü b.txt")).unwrap(),
        "small"
    );
    s3cmd(&["del", "--recursive", "--force", "s3://pictures"]);
    s3cmd(&["rb", "s3://pictures"]);
}

#[test]
fn rclone_does_its_work() {
    let test = "rclone_does_its_work";
    if !Lab::available_or_skip(test) || !has_rclone(test) {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let key = net.json(0, &["key", "s3", "create", "rclone"]);
    let printed = net.ok(0, &["key", "s3", "create", "more"]);
    let home = net.lab.home(0).to_owned();
    fs::write(home.join("rclone.conf"), lines_for(&printed, "rclone")).unwrap();
    let rclone = |args: &[&str]| {
        let args = [&["--config", "rclone.conf", "--retries", "1"], args].concat();
        beside(&net, &key, Path::new("rclone"), &args)
    };
    fs::create_dir_all(home.join("pictures/a/b")).unwrap();
    random_file(&home.join("pictures/large.bin"), 17 << 20, 2);
    for name in ["ü 猫.txt", "a/b/deep", "a/percent%41", "a/empty"] {
        fs::write(home.join("pictures").join(name), name).unwrap();
    }
    let cutoff = ["--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M"];
    rclone(&[&["sync", "pictures", "hedgerow:pictures/all"], &cutoff[..]].concat());
    rclone(&["check", "--download", "pictures", "hedgerow:pictures/all"]);
    rclone(&["check", "pictures", "hedgerow:pictures/all"]);
    let listed = rclone(&["lsf", "--recursive", "--files-only", "hedgerow:pictures"]);
    assert_eq!(listed.lines().count(), 5, "{listed}");
    rclone(&["touch", "hedgerow:pictures/all/a/empty"]);
    rclone(&["move", "hedgerow:pictures/all/a", "hedgerow:pictures/moved"]);
    assert_eq!(
        rclone(&["cat", "hedgerow:pictures/moved/percent%41"]),
        "a/percent%41"
    );
    let part = rclone(&[
        "cat",
        "--offset",
        "2",
        "--count",
        "3",
        "hedgerow:pictures/moved/b/deep",
    ]);
    assert_eq!(part, "b/d");
    rclone(&["copy", "hedgerow:pictures/all/large.bin", "back"]);
    assert!(same(
        &home.join("back/large.bin"),
        &home.join("pictures/large.bin")
    ));
    rclone(&["purge", "hedgerow:pictures"]);
    assert!(!rclone(&["lsd", "hedgerow:"]).contains("pictures"));
}

#[test]
fn the_walk_through_s3_works_as_written() {
    let test = "the_walk_through_s3_works_as_written";
    if !Lab::available_or_skip(test) || !has_rclone(test) {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let home = net.lab.home(0).to_owned();
    let printed = net.ok(0, &["key", "s3", "create", "walk"]);
    fs::write(home.join("rclone.conf"), lines_for(&printed, "rclone")).unwrap();
    fs::create_dir(home.join("pictures")).unwrap();
    fs::write(home.join("pictures/cat.txt"), "purr\n").unwrap();
    let mut script = format!(
        "set -eux\ncd {}\nexport HEDGEROW_HOME=$PWD RCLONE_CONFIG=$PWD/rclone.conf\nhedgerow() {{ {HEDGEROW} \"$@\"; }}\n",
        home.display()
    );
    let mut inside = false;
    for line in GUIDE.lines() {
        if line.starts_with("```") {
            inside = !inside && line.starts_with("```sh s3");
        } else if inside {
            script.push_str(line);
            script.push('\n');
        }
    }
    let bash = &mut net.lab.command(0, "bash").unwrap();
    let output = bash
        .args(["-c", &script])
        .env_remove("AWS_CA_BUNDLE")
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    for said in ["endpoint", "2026/cat.txt", "by name", "purr"] {
        assert!(out.contains(said), "{said}: {out}\n{err}");
    }
}
