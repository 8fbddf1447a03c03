//! What no node is needed for: mistakes, and their exit codes.

use std::{fs, net::TcpListener};

use crate::support::{alone, stderr};

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn without_a_node_the_message_says_how_to_start_one() {
    let home = home();
    for args in [
        &["peers", "ls"][..],
        &["node", "status"],
        &["node", "stop"],
        &["overlay", "leafset"],
        &["dht", "get", "name"],
        &["object", "put", "-"],
    ] {
        let output = alone(home.path(), args);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains("node start"),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn failures_are_json_where_results_are() {
    let home = home();
    let output = alone(home.path(), &["--json", "peers", "ls"]);
    let failure: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(failure["code"], "not_running");
    assert_eq!(failure["exit"], 3);
}

#[test]
fn malformed_words_are_usage_errors() {
    let home = home();
    for args in [
        &["object", "get", "bafnonsense"][..],
        &["object", "stat", "/ipfs/nonsense"],
        &["object", "get", "a/../b"],
        &["object", "put", "-", "a//b"],
        &["object", "restore", "name"],
        &["object", "rm", "bob:name"],
        &["object", "write", "name"],
        &["peers", "connect", "ip4/10.0.0.1"],
        &["peers", "ping", "nobody"],
        &["peers", "dance"],
        &["--timeout", "soon", "peers", "ls"],
        &["bench", "transfer", "--size", "much"],
        &["node", "start", "--bootstrap", "10.0.0.1"],
        &["node", "start", "--listen-port", "70000"],
    ] {
        let output = alone(home.path(), args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_mistake_in_the_settings_has_its_line() {
    let home = home();
    fs::write(
        home.path().join("config.toml"),
        "[network]\nmdns = true\nmdsn = true\n",
    )
    .unwrap();
    for args in [&["node", "start"][..], &["config", "show"]] {
        let output = alone(home.path(), args);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(
            text.contains("config.toml:3") && text.contains("mdsn"),
            "{text}"
        );
    }
}

#[test]
fn settings_show_their_origin() {
    let home = home();
    fs::write(home.path().join("config.toml"), "[api]\nport = 5000\n").unwrap();
    let output = alone(home.path(), &["--json", "config", "show"]);
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |key: &str| {
        settings
            .as_array()
            .unwrap()
            .iter()
            .find(|setting| setting["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(of("api.port")["value"], "5000");
    assert!(
        of("api.port")["origin"]
            .as_str()
            .unwrap()
            .contains("config.toml")
    );
    assert_eq!(of("network.listen_port")["origin"], "default");
}

#[test]
fn a_home_in_use_names_its_holder() {
    let home = home();
    let lock = fs::File::create(home.path().join("lock")).unwrap();
    lock.try_lock().unwrap();
    fs::write(home.path().join("lock"), "4242\n").unwrap();
    let output = alone(home.path(), &["node", "start"]);
    assert_eq!(output.status.code(), Some(6));
    let text = stderr(&output);
    assert!(
        text.contains("4242") && text.contains("another node"),
        "{text}"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = alone(
        home.path(),
        &["node", "start", "--listen-port", "0", "--api-port", &port],
    );
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains(&port) && stderr(&output).contains("--api-port"));

    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = alone(home.path(), &["node", "start", "--listen-port", &port]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains(&port) && stderr(&output).contains("--listen-port"));
}

#[test]
fn a_home_of_another_format_or_with_a_broken_key_is_left_alone() {
    let home = home();
    fs::write(home.path().join("version"), "99\n").unwrap();
    let output = alone(home.path(), &["node", "start"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("99"));

    fs::write(home.path().join("version"), "1\n").unwrap();
    fs::write(home.path().join("identity.key"), "garbage").unwrap();
    let output = alone(home.path(), &["node", "start"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("identity.key"));
    assert_eq!(
        fs::read(home.path().join("identity.key")).unwrap(),
        b"garbage"
    );
}

#[test]
fn completions_and_version_need_nothing() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let output = alone(home.path(), &["completions", shell]);
        assert!(output.status.success());
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("hedgerow")
        );
    }
    let output = alone(home.path(), &["version"]);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("hedgerow ")
    );
}
