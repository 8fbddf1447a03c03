//! What is installed is pinned, and from nowhere in particular.

use std::{fs, path::Path};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn npm_packages_are_pinned_and_have_no_address() {
    for lock in ["js/package-lock.json", "helia/package-lock.json"] {
        pinned(&serde_json::from_str(&read(lock)).unwrap());
    }
}

fn pinned(lock: &serde_json::Value) {
    let wanted = lock["packages"][""]["dependencies"].as_object().unwrap();
    for (name, version) in wanted {
        let found = &lock["packages"][format!("node_modules/{name}")];
        assert_eq!(&found["version"], version, "{name}");
    }
    for (name, package) in lock["packages"].as_object().unwrap() {
        assert!(package.get("resolved").is_none(), "{name}");
        assert!(
            name.is_empty() || package["integrity"].is_string(),
            "{name}"
        );
    }
}

/// The two share `peer.js`, so what it loads is the same.
#[test]
fn helia_stands_on_the_js_libp2p_that_is_measured() {
    let of = |name: &str| -> serde_json::Value {
        let package: serde_json::Value = serde_json::from_str(&read(name)).unwrap();
        package["dependencies"].clone()
    };
    let (js, helia) = (of("js/package.json"), of("helia/package.json"));
    for (name, version) in js.as_object().unwrap() {
        // Only an old Node has no WebSocket of its own.
        assert!(name == "ws" || helia[name] == *version, "{name}");
    }
}

#[test]
fn python_packages_are_pinned() {
    for list in ["py/requirements.txt", "helia/requirements.txt"] {
        exact(&read(list));
    }
    assert!(read("py/requirements.txt").contains("\nlibp2p==0.8.1\n"));
}

fn exact(list: &str) {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let (name, version) = line.split_once("==").unwrap();
        let plain = |text: &str| !text.is_empty() && !text.contains([' ', ';', '@', '/', '*']);
        assert!(plain(name) && plain(version), "{line}");
    }
}

#[test]
fn go_modules_replace_nothing() {
    let module = read("go/go.mod");
    assert!(!module.contains("replace") && module.contains("go-libp2p v0.51.0"));
    let module = read("kubo/go.mod");
    assert!(!module.contains("replace") && module.contains("ipfs/kubo v0.43.1"));
}
