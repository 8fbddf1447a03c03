//! What is installed is pinned, and from nowhere in particular.

use std::{fs, path::Path};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn npm_packages_are_pinned_and_have_no_address() {
    let lock: serde_json::Value = serde_json::from_str(&read("js/package-lock.json")).unwrap();
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

#[test]
fn python_packages_are_pinned() {
    let list = read("py/requirements.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let (name, version) = line.split_once("==").unwrap();
        let plain = |text: &str| !text.is_empty() && !text.contains([' ', ';', '@', '/', '*']);
        assert!(plain(name) && plain(version), "{line}");
    }
    assert!(list.contains("\nlibp2p==0.8.1\n"));
}

#[test]
fn go_modules_replace_nothing() {
    let module = read("go/go.mod");
    assert!(!module.contains("replace") && module.contains("go-libp2p v0.51.0"));
    let module = read("kubo/go.mod");
    assert!(!module.contains("replace") && module.contains("ipfs/kubo v0.43.1"));
}
