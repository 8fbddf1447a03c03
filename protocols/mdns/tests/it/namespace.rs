//! A network namespace for one test.

use std::process::Command;

/// Set in the test program that runs inside.
const INSIDE: &str = "MDNS_TEST_INSIDE";

/// Set where a test must not be skipped, as for the lab.
const REQUIRED: &str = "LAB_REQUIRED";

/// Runs `inside` in a namespace of its own: starts this program again for the
/// test `name` alone.
pub(crate) fn run(name: &str, inside: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    if let Some(reason) = unavailable() {
        assert!(
            std::env::var_os(REQUIRED).is_none(),
            "{name} needs a namespace ({REQUIRED} is set): {reason}"
        );
        eprintln!("skipped: {name}: {reason}");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(
        stdout.contains("1 passed"),
        "no such test: {name}\n{stdout}"
    );
}

fn unavailable() -> Option<String> {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .args("ip link add v0 type veth peer name v1".split(' '))
        .output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

/// Runs `ip` with these arguments.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {stderr}");
}

/// Adds an interface `name` with these addresses; its other end has none.
pub(crate) fn interface(name: &str, addresses: &[&str]) {
    ip(&format!("link add {name} type veth peer name {name}x"));
    ip(&format!("link set {name}x addrgenmode none up"));
    ip(&format!("link set {name} up"));
    for address in addresses {
        let flags = if address.contains(':') { " nodad" } else { "" };
        ip(&format!("address add {address} dev {name}{flags}"));
    }
}
