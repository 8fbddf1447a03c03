//! The commands of the README, run as they are written there.

use std::path::Path;

use lab::Lab;

const README: &str = include_str!("../../../README.md");

/// The README's shell blocks with this info string, joined.
fn blocks(info: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in README.lines() {
        if line.starts_with("```") {
            inside = !inside && line == format!("```{info}");
        } else if inside {
            script.push_str(line);
            script.push('\n');
        }
    }
    script
}

#[test]
fn the_two_commands_stand_in_the_readme() {
    let commands = blocks("sh");
    for command in [
        "cargo run --release --bin node -- start",
        "cargo test --workspace",
    ] {
        assert!(commands.lines().any(|line| line == command), "{command}");
    }
}

#[test]
fn the_walk_works_as_written() {
    if !Lab::available_or_skip("the_walk_works_as_written") {
        return;
    }
    let lab = Lab::builder().nodes(1).build().expect("a lab");
    let programs = lab.home(0).join("bin");
    std::fs::create_dir(&programs).expect("a folder");
    let hedgerow = Path::new(env!("CARGO_BIN_EXE_hedgerow"));
    std::os::unix::fs::symlink(hedgerow, programs.join("hedgerow")).expect("a link");
    // `node` and `hedgerow node` are the same code.
    std::fs::write(
        programs.join("node"),
        "#!/bin/sh\nexec hedgerow node \"$@\"\n",
    )
    .expect("file");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(programs.join("node"), executable).expect("permissions");

    let walk = blocks("sh walk");
    // A person reads READY=1 before typing on; a script asks until the answer is yes.
    let ready = "until [ \"$(hedgerow --home second node status --json 2>/dev/null | grep -c '\"leaf_set\": *1')\" = 1 ] \
                 && [ \"$(hedgerow --home first node status --json 2>/dev/null | grep -c '\"leaf_set\": *1')\" = 1 ]; do sleep 0.1; done\n";
    let walk = walk.replacen(
        "hedgerow --home first peers ls",
        &format!("{ready}hedgerow --home first peers ls"),
        1,
    );
    let script = format!("set -eux\ncd {}\n{walk}wait\n", lab.home(0).display());
    let path = format!(
        "{}:{}",
        programs.display(),
        std::env::var("PATH").expect("a PATH")
    );
    let output = lab
        .command(0, "timeout")
        .expect("a command")
        .args(["120", "bash", "-c", &script])
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(
        out.contains("identical") && out.contains("tea at four"),
        "{out}\n{err}"
    );
}
