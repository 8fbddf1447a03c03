//! The files themselves, and where they are.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::super::{
    file::{read, remove, replace},
    presets::Places,
};
use crate::args::CacheClient;

fn names(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("dotfiles"), folder.path().join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("dotfiles", &link).unwrap();
    assert_eq!(read(&link).unwrap().as_deref(), Some("old"));
    replace(&link, "new", 0o600).unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    remove(&link).unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    // Nothing is left lying about.
    assert_eq!(names(folder.path()), ["dotfiles", "link"]);
}

#[test]
fn a_new_file_has_its_folder_and_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/settings");
    assert_eq!(read(&file).unwrap(), None);
    replace(&file, "new", 0o600).unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    remove(&file).unwrap();
    assert!(names(&folder.path().join("a/b")).is_empty());
}

#[test]
fn what_is_no_file_of_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("latin"), b"caf\xe9").unwrap();
    fs::write(path("marked"), "\u{feff}[global]").unwrap();
    fs::write(path("large"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    let cases = [
        (path("latin"), "UTF-8"),
        (path("marked"), "byte order mark"),
        (path("large"), "larger"),
        (path("dangling"), "nowhere"),
        (folder.path().to_owned(), "not a file"),
        (PathBuf::from("/dev/null"), "not a file"),
    ];
    for (path, word) in cases {
        let said = read(&path).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
    assert!(replace(&path("dangling"), "x", 0o600).is_err());
}

/// The files of all clients, given these variables.
fn files(home: &Path, variables: &[(&str, &str)]) -> Vec<String> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let places = Places {
        variable: &variable,
        home: home.to_owned(),
        etc: "/etc".into(),
    };
    use CacheClient::{Apt, Cargo, Go, Maven, Npm, Oci, Pip};
    [Pip, Npm, Cargo, Go, Apt, Maven, Oci]
        .iter()
        .map(|client| match client.preset(&places) {
            Ok(preset) => preset.file.display().to_string(),
            Err(failure) => failure.message,
        })
        .collect()
}

#[test]
fn files_are_where_the_clients_look() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path).display().to_string();
    let usual = [
        at(".config/pip/pip.conf"),
        at(".npmrc"),
        at(".cargo/config.toml"),
        at(".config/go/env"),
        "/etc/apt/apt.conf.d/01hedgerow".to_owned(),
        at(".m2/settings.xml"),
        "/etc/containerd/certs.d/docker.io/hosts.toml".to_owned(),
    ];
    assert_eq!(files(home.path(), &[]), usual);
    // Empty and relative ones mean nothing.
    assert_eq!(
        files(home.path(), &[("XDG_CONFIG_HOME", "config"), ("GOENV", "")]),
        usual
    );
    fs::create_dir(home.path().join(".cargo")).unwrap();
    fs::write(home.path().join(".cargo/config"), "").unwrap();
    let named = files(
        home.path(),
        &[("XDG_CONFIG_HOME", "/x"), ("NPM_CONFIG_USERCONFIG", "/n")],
    );
    assert_eq!(
        named[..4],
        ["/x/pip/pip.conf", "/n", &at(".cargo/config"), "/x/go/env"]
    );
    let named = files(
        home.path(),
        &[
            ("PIP_CONFIG_FILE", "/p"),
            ("CARGO_HOME", "/c"),
            ("GOENV", "off"),
        ],
    );
    assert_eq!(named[0], "/p");
    assert_eq!(named[2], "/c/config.toml");
    assert!(named[3].contains("GOENV=off"), "{}", named[3]);
}
