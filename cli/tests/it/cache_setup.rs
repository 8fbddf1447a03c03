//! `cache setup` as a person runs it, and what the clients themselves see of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use lab::Lab;
use serde_json::Value;

use crate::{
    net::Net,
    support::{HEDGEROW, stderr},
};

/// Somebody with a home of their own and nothing in it.
struct Person {
    folder: tempfile::TempDir,
}

impl Person {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program with this home, and none of the variables that lead it elsewhere.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let leads_elsewhere = |name: &str| {
            let name = name.to_uppercase();
            let prefixes = [
                "HEDGEROW_",
                "XDG_",
                "PIP_",
                "NPM_CONFIG_",
                "GO",
                "CARGO_SOURCE",
            ];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        for (name, _) in std::env::vars().filter(|(name, _)| leads_elsewhere(name)) {
            command.env_remove(name);
        }
        command
            .env_remove("CARGO_HOME")
            .env("HOME", self.folder.path());
        command.current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(HEDGEROW);
        command.args(["cache", "setup"]).args(args);
        command.arg("--etc").arg(self.path("etc")).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    #[track_caller]
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
        said
    }

    /// What a client says; `None` where it is not on this machine.
    fn asks(&self, program: &str, args: &[&str], variables: &[(&str, &Path)]) -> Option<String> {
        let mut command = self.command(program);
        command.args(args).envs(variables.iter().copied());
        match command.output() {
            Ok(output) => {
                assert!(output.status.success(), "{program}: {}", stderr(&output));
                Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("{program} is not on this machine: it is not asked");
                None
            }
            Err(error) => panic!("{program}: {error}"),
        }
    }
}

const ALL: [&str; 7] = ["pip", "npm", "cargo", "go", "apt", "maven", "oci"];

fn states(person: &Person, args: &[&str]) -> Vec<(String, String)> {
    let rows = person.json(args);
    let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (word(row, "client"), word(row, "state")))
        .collect()
}

fn all(state: &str) -> Vec<(String, String)> {
    ALL.map(|client| (client.to_owned(), state.to_owned()))
        .to_vec()
}

#[test]
fn showing_changes_nothing_and_says_what_writes_it() {
    let person = Person::new();
    for client in ALL {
        let shown = person.json(&[client, "--port", "4000"]);
        assert_eq!(shown["state"], "unset");
        assert_eq!(shown["port"], 4000);
        let text = shown["text"].as_str().unwrap();
        assert!(
            text.contains("127.0.0.1:4000") && !text.contains("begin"),
            "{text}"
        );
        let command = shown["command"].as_str().unwrap();
        let write = format!("cache setup {client} --write --port 4000");
        assert!(command.ends_with(&write), "{command}");
        let told = person.ok(&[client, "--port", "4000"]);
        assert!(told.contains(text) && told.contains(command), "{told}");
        let file = shown["file"].as_str().unwrap();
        assert!(told.contains(file) && !Path::new(file).exists());
    }
    // An image's layers and apt's https sources: what is not kept is said.
    assert!(person.ok(&["oci"]).contains("with a token"));
    assert!(person.ok(&["apt"]).contains("https://"));
    assert_eq!(states(&person, &[]), all("unset"));
    let left: Vec<_> = fs::read_dir(person.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_written_is_there_once_and_goes_again() {
    let person = Person::new();
    for client in ALL {
        let write = [client, "--write", "--port", "4000"];
        assert_eq!(person.json(&write)["changed"], true);
        assert_eq!(person.json(&write)["changed"], false);
        assert!(person.ok(&write).contains("is set already"));
    }
    assert_eq!(states(&person, &["--port", "4000"]), all("set"));
    assert_eq!(states(&person, &["--port", "4001"])[0].1, "other");
    for client in ALL {
        let undone = person.json(&[client, "--undo"]);
        assert_eq!(undone["changed"], true);
        assert!(!Path::new(undone["file"].as_str().unwrap()).exists());
        assert_eq!(person.json(&[client, "--undo"])["changed"], false);
    }
    assert!(!person.path("etc/containerd/certs.d/docker.io").exists());
}

#[test]
fn another_value_is_named_with_its_line_and_comes_back_after_force() {
    let person = Person::new();
    let (file, old) = (".npmrc", "fund=false\nregistry=https://npm.example/");
    person.write(file, old);
    let said = person.fails(6, &["npm", "--write", "--port", "4000"]);
    for word in [".npmrc:2", "https://npm.example/", "--force"] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(person.read(file), old);
    assert!(person.ok(&["npm"]).contains("line 2: https://npm.example/"));
    person.ok(&["npm", "--write", "--force", "--port", "4000"]);
    assert!(
        person
            .read(file)
            .contains("registry=http://127.0.0.1:4000/")
    );
    person.ok(&["npm", "--undo"]);
    assert_eq!(person.read(file), old);
}

#[test]
fn a_file_that_makes_no_sense_is_left_with_words_for_what_to_do() {
    let person = Person::new();
    person.write(".m2/settings.xml", "<settings>\n<mirrors>\n</settings>");
    let said = person.fails(1, &["maven", "--write", "--port", "4000"]);
    for word in ["settings.xml:3", "by hand", "<mirrorOf>central</mirrorOf>"] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(
        person.read(".m2/settings.xml"),
        "<settings>\n<mirrors>\n</settings>"
    );
    let rows = person.json(&[]);
    assert_eq!(rows[5]["state"], "unreadable");
}

#[test]
fn without_a_proxy_it_says_how_to_have_one() {
    let person = Person::new();
    let home = person.path(".local/share/hedgerow");
    let output = person.run(&["pip"]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("--webcache-port 3128"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("127.0.0.1:3128"));
    let said = person.fails(6, &["pip", "--write"]);
    assert!(said.contains("--webcache-port 3128"), "{said}");
    assert!(!person.path(".config").exists());
    // The settings of the node that would be started know its port.
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("config.toml"), "[webcache]\nport = 3333\n").unwrap();
    let output = person.run(&["pip", "--write"]);
    assert!(
        stderr(&output).contains("no node is running"),
        "{}",
        stderr(&output)
    );
    assert!(
        person
            .read(".config/pip/pip.conf")
            .contains("127.0.0.1:3333")
    );
}

#[test]
fn without_the_right_to_write_the_line_for_sudo_is_said() {
    let person = Person::new();
    for change in ["--write", "--undo"] {
        let mut command = person.command(HEDGEROW);
        command.args(["cache", "setup", "apt", change, "--port", "4000"]);
        // Nobody makes folders there, whoever they are.
        let output = command.args(["--etc", "/sys"]).output().unwrap();
        match change {
            "--undo" => assert!(output.status.success()),
            _ => {
                let said = stderr(&output);
                assert_eq!(output.status.code(), Some(6), "{said}");
                assert!(
                    said.contains("sudo ") && said.contains("apt --write --port 4000"),
                    "{said}"
                );
            }
        }
    }
}

#[test]
fn wrong_commands_are_usage_errors() {
    let person = Person::new();
    let said = person.fails(2, &["pipp"]);
    assert!(said.contains("'pip'"), "{said}");
    for args in [
        &["--write"][..],
        &["--undo"],
        &["pip", "--write", "--undo"],
        &["pip", "--force"],
        &["pip", "--port", "0"],
        &["pip", "--port", "70000"],
        &["pip", "npm"],
    ] {
        person.fails(2, args);
    }
    let mut command = person.command(HEDGEROW);
    command.args(["cache", "setup", "go"]).env("GOENV", "off");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn pip_sees_it() {
    let person = Person::new();
    person.write(
        ".config/pip/pip.conf",
        "[global]\n  timeout = 7\n\n  [install]\n  user = no\n",
    );
    let Some(_) = person.asks("pip", &["--version"], &[]) else {
        return;
    };
    person.ok(&["pip", "--write", "--port", "4000"]);
    let index = person.asks("pip", &["config", "get", "global.index-url"], &[]);
    assert_eq!(
        index.unwrap(),
        "http://127.0.0.1:4000/https/pypi.org/simple/"
    );
    let timeout = person.asks("pip", &["config", "get", "global.timeout"], &[]);
    assert_eq!(timeout.unwrap(), "7");
    let user = person.asks("pip", &["config", "get", "install.user"], &[]);
    assert_eq!(user.unwrap(), "no");
}

#[test]
fn npm_sees_it_and_what_npm_rewrote_is_still_found() {
    let person = Person::new();
    person.write(".npmrc", "[section]\nregistry=https://npm.example/\n");
    let Some(_) = person.asks("npm", &["--version"], &[]) else {
        return;
    };
    person.ok(&["npm", "--write", "--port", "4000"]);
    let registry = person.asks("npm", &["config", "get", "registry"], &[]);
    assert_eq!(
        registry.unwrap(),
        "http://127.0.0.1:4000/https/registry.npmjs.org/"
    );
    let omits = ["config", "get", "omit-lockfile-registry-resolved"];
    assert_eq!(person.asks("npm", &omits, &[]).unwrap(), "true");
    // npm writes its file anew, without comments.
    person
        .asks("npm", &["config", "set", "fund=false"], &[])
        .unwrap();
    let said = person.fails(6, &["npm", "--undo"]);
    assert!(
        said.contains(".npmrc:1") && said.contains("--force"),
        "{said}"
    );
    person.ok(&["npm", "--undo", "--force"]);
    let registry = person.asks("npm", &["config", "get", "registry"], &[]);
    assert_eq!(registry.unwrap(), "https://registry.npmjs.org/");
}

#[test]
fn go_sees_it_and_may_sort_its_file() {
    let person = Person::new();
    person.write(".config/go/env", "GOPRIVATE=corp.example\n");
    let Some(_) = person.asks("go", &["version"], &[]) else {
        return;
    };
    person.ok(&["go", "--write", "--port", "4000"]);
    let proxy = person.asks("go", &["env", "GOPROXY"], &[]);
    assert_eq!(
        proxy.unwrap(),
        "http://127.0.0.1:4000/https/proxy.golang.org|https://proxy.golang.org,direct"
    );
    person
        .asks("go", &["env", "-w", "GOFLAGS=-mod=mod"], &[])
        .unwrap();
    person.ok(&["go", "--undo"]);
    assert_eq!(
        person.read(".config/go/env"),
        "GOFLAGS=-mod=mod\nGOPRIVATE=corp.example\n"
    );
}

#[test]
fn apt_sees_it() {
    let person = Person::new();
    person.ok(&["apt", "--write", "--port", "4000"]);
    let parts = person.path("etc/apt/apt.conf.d");
    let first = format!("Dir::Etc::Parts \"{}\";\n", parts.display());
    person.write("apt.conf", &first);
    let variables = [("APT_CONFIG", &*person.path("apt.conf"))];
    let asked = person.asks("apt-config", &["dump", "Acquire::http::Proxy"], &variables);
    if let Some(proxy) = asked {
        assert_eq!(proxy, "Acquire::http::Proxy \"http://127.0.0.1:4000\";");
    }
}

#[test]
fn files_of_apt_that_are_read_later_are_named() {
    let person = Person::new();
    let proxy = |host: &str| format!("# c\nAcquire::http::Proxy \"http://{host}.example\";\n");
    for (file, host) in [
        ("00first", "first"),
        ("95proxies", "parts"),
        ("96old.dpkg-old", "copy"),
        ("../apt.conf", "main"),
    ] {
        person.write(&format!("etc/apt/apt.conf.d/{file}"), &proxy(host));
    }
    let output = person.run(&["apt", "--write", "--port", "4000"]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("95proxies:2 sets http://parts.example"),
        "{said}"
    );
    assert!(
        said.contains("apt.conf:2 sets http://main.example"),
        "{said}"
    );
    assert!(!said.contains("first") && !said.contains("copy"), "{said}");
}

#[test]
fn the_port_is_that_of_the_node_that_runs() {
    if !Lab::available_or_skip("the_port_is_that_of_the_node_that_runs") {
        return;
    }
    let net = Net::start_with(Lab::builder().nodes(1), &["--webcache-port", "3129"]);
    let shown = net.json(0, &["cache", "setup", "pip"]);
    assert_eq!(shown["proxy"], "running");
    assert_eq!(shown["port"], 3129);
    let without = Net::start(Lab::builder().nodes(1));
    assert_eq!(without.json(0, &["cache", "setup", "pip"])["proxy"], "off");
    let output = without.run(0, &["cache", "setup", "pip", "--write"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(
        stderr(&output).contains("has no web cache"),
        "{}",
        stderr(&output)
    );
}
