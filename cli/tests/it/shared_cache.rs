//! The web cache that nodes share: real nodes, an origin that writes down what it is asked, and
//! `curl` as the browser.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::Arc,
    thread,
    time::Duration,
};

use guid::Guid;
use lab::{Lab, Process};
use serde_json::Value;

use crate::{net::Net, support::have_or_skip};

/// Where the origin is to listen, and the file for which it waits with paths of `/slow`.
const LISTEN: &str = "SHARED_CACHE_ORIGIN";
const GATE: &str = "SHARED_CACHE_GATE";

const PATIENCE: Duration = Duration::from_secs(60);

/// This program again, in a namespace: an origin, if it is told where to listen. It prints what it
/// is asked for.
#[test]
fn origin() {
    let Ok(listen) = env::var(LISTEN) else {
        return;
    };
    let gate = env::var(GATE).unwrap();
    let listener = TcpListener::bind(listen).unwrap();
    println!("origin listens");
    for stream in listener.incoming() {
        let (mut stream, gate) = (stream.unwrap(), gate.clone());
        thread::spawn(move || {
            let mut input = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while input.read_line(&mut line).is_ok_and(|read| read > 0) {
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                line.clear();
                let mut field = String::new();
                while input.read_line(&mut field).is_ok_and(|read| read > 2) {
                    field.clear();
                }
                println!("asked {path}");
                while path.starts_with("/slow") && !Path::new(&gate).exists() {
                    thread::sleep(Duration::from_millis(5));
                }
                let control = match path.starts_with("/mine") {
                    true => "private, max-age=600",
                    false => "max-age=600",
                };
                let (kind, body) = body_of(&path);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nCache-Control: {control}\r\nContent-Type: {kind}\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
}

/// `/site/N` is a page with a script and a picture.
fn body_of(path: &str) -> (&'static str, String) {
    let mut parts = path.split('/').skip(1);
    let (folder, name) = (parts.next(), parts.next().unwrap_or_default());
    match folder {
        Some("site") => (
            "text/html",
            format!(
                "<!doctype html><title>site</title><script src=\"/code/{name}\"></script>\
                 <img src=\"/picture/{name}\">"
            ),
        ),
        Some("code") => (
            "text/javascript",
            "document.documentElement.dataset.code = 'ran';".to_owned(),
        ),
        Some("picture") => (
            "image/svg+xml",
            "<svg xmlns='http://www.w3.org/2000/svg'/>".to_owned(),
        ),
        _ => ("text/plain", format!("body of {path}")),
    }
}

struct Shared {
    net: Net,
    origin: Arc<Process>,
    files: tempfile::TempDir,
    guids: Vec<Guid>,
}

impl Shared {
    /// Three nodes with proxies, and an origin beside the first of them.
    fn start(scheme: &str) -> Shared {
        let flags = [
            "--webcache-port",
            "3128",
            "--webcache-peers",
            "all",
            "--webcache-peer-networks",
            "10.77.0.0/24",
            "--webcache-scheme",
            scheme,
        ];
        let net = Net::start_with(Lab::builder().nodes(3), &flags);
        net.until_settled(&[0, 1, 2]);
        let files = tempfile::tempdir().unwrap();
        let mut command = net.lab.command(0, env::current_exe().unwrap()).unwrap();
        command
            .args(["shared_cache::origin", "--exact", "--nocapture"])
            .env(LISTEN, format!("{}:8000", net.lab.ipv4(0, 0)))
            .env(GATE, files.path().join("gate"));
        let origin = net.lab.spawn_command("origin", command).unwrap();
        let listens = origin.wait_line("an origin that listens", PATIENCE, |line| {
            line.contains("origin listens")
        });
        listens.unwrap();
        let guids = (0..3).map(|node| net.guid(node)).collect();
        Shared {
            net,
            origin,
            files,
            guids,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}:8000{path}", self.net.lab.ipv4(0, 0))
    }

    /// A path in a folder whose home is that node (Q1 of the specification).
    fn path_at(&self, folder: &str, home: usize) -> String {
        let guids = &self.guids;
        let mut paths = (0..1000).map(|number| format!("{folder}/{number}"));
        let at_home = |path: &String| {
            let url = self.url(path);
            let mut hashed = (url.len() as u64).to_be_bytes().to_vec();
            hashed.extend_from_slice(url.as_bytes());
            let object = Guid::hash(&hashed);
            let closest = (0..3).min_by(|a, b| object.cmp_distance(guids[*a], guids[*b]));
            closest == Some(home)
        };
        paths.find(at_home).unwrap()
    }

    fn curl(&self, node: usize, path: &str, fields: &[&str]) -> std::process::Command {
        let mut curl = self.net.lab.command(node, "curl").unwrap();
        curl.args(["-sS", "-i", "--proxy", "http://127.0.0.1:3128"]);
        for field in fields {
            curl.args(["-H", field]);
        }
        curl.arg(self.url(path)).stdin(Stdio::null());
        curl
    }

    /// What a node's proxy answers: the values of `Cache-Status`. The body must be the right one.
    fn get(&self, node: usize, path: &str, fields: &[&str]) -> Vec<String> {
        let output = self.curl(node, path, fields).output().unwrap();
        check(&output, path)
    }

    /// How often the origin was asked for a path.
    fn trips(&self, path: &str) -> usize {
        let asked = fs::read_to_string(self.origin.stdout_log()).unwrap();
        let wanted = format!("asked {path}");
        asked.lines().filter(|line| *line == wanted).count()
    }
}

fn check(output: &std::process::Output, path: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "curl: {output:?}");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.ends_with(&format!("body of {path}")), "{text}");
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let values = lines.filter(|(name, _)| name.eq_ignore_ascii_case("cache-status"));
    values.map(|(_, value)| value.to_owned()).collect()
}

fn of_both_schemes(test: &str, check: impl Fn(&str, Shared)) {
    if !Lab::available_or_skip(test) {
        return;
    }
    for scheme in ["home-store", "directory"] {
        check(scheme, Shared::start(scheme));
    }
}

#[test]
fn the_second_node_has_it_from_the_first() {
    of_both_schemes("the_second_node_has_it_from_the_first", |scheme, shared| {
        let path = shared.path_at("/page", 0);
        let first = shared.get(1, &path, &[]);
        let own = |said: &[String]| said.last().cloned().unwrap_or_default();
        assert!(
            own(&first).contains("; fwd=uri-miss; fwd-status=200; stored"),
            "{first:?}"
        );
        let second = shared.get(2, &path, &[]);
        assert!(
            second[0].starts_with("hedgerow-peer; hit; ttl="),
            "{scheme}: {second:?}"
        );
        assert!(
            own(&second).contains("; fwd=uri-miss; fwd-status=200; stored"),
            "{second:?}"
        );
        assert_eq!(shared.trips(&path), 1, "{scheme}");
        // And then by itself.
        let again = shared.get(2, &path, &[]);
        assert_eq!(again.len(), 1, "{again:?}");
        assert!(again[0].contains("; hit; ttl="), "{again:?}");

        // What is private, or asked for with a cookie, is nobody else's.
        let mine = shared.path_at("/mine", 0);
        for node in [1, 2] {
            assert_eq!(shared.get(node, &mine, &[]).len(), 1, "{scheme}");
        }
        let path = shared.path_at("/cookie", 0);
        for node in [1, 2] {
            let said = shared.get(node, &path, &["Cookie: who=me"]);
            assert_eq!(said.len(), 1, "{scheme}: {said:?}");
        }
        assert_eq!(shared.trips(&path), 2, "{scheme}");
    });
}

#[test]
fn all_nodes_together_ask_once() {
    of_both_schemes("all_nodes_together_ask_once", |scheme, shared| {
        let path = shared.path_at("/slow", 0);
        let asking = [0, 1, 2, 1, 2].map(|node| {
            let mut curl = shared.curl(node, &path, &[]);
            curl.stdout(Stdio::piped()).stderr(Stdio::piped());
            curl.spawn().unwrap()
        });
        let asked = format!("asked {path}");
        let wanted = |line: &str| line == asked;
        shared
            .origin
            .wait_line("a request", PATIENCE, wanted)
            .unwrap();
        fs::write(shared.files.path().join("gate"), "").unwrap();
        for curl in asking {
            check(&curl.wait_with_output().unwrap(), &path);
        }
        assert_eq!(shared.trips(&path), 1, "{scheme}");
    });
}

#[test]
fn a_home_that_is_killed_costs_one_trip() {
    of_both_schemes("a_home_that_is_killed_costs_one_trip", |scheme, shared| {
        let path = shared.path_at("/gone", 0);
        shared.get(1, &path, &[]);
        shared.net.lab.kill(0).unwrap();
        shared.get(2, &path, &[]);
        shared.get(2, &path, &[]);
        assert!(
            shared.trips(&path) <= 2,
            "{scheme}: {}",
            shared.trips(&path)
        );
        // Those that are left are homes for each other.
        shared.net.until_settled(&[1, 2]);
        let path = shared.path_at("/after", 0);
        shared.get(1, &path, &[]);
        let said = shared.get(2, &path, &[]);
        assert_eq!(shared.trips(&path), 1, "{scheme}: {said:?}");
    });
}

#[test]
fn what_a_browser_has_seen_another_browser_has_from_that_node() {
    let test = "what_a_browser_has_seen_another_browser_has_from_that_node";
    if !Lab::available_or_skip(test) || !have_or_skip(test, &["chromium"]) {
        return;
    }
    let shared = Shared::start("home-store");
    let site = shared.path_at("/site", 0);
    let name = site.rsplit('/').next().unwrap();
    for node in [1, 2] {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = shared.net.lab.command(node, "chromium").unwrap();
        browser
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--proxy-server=http://127.0.0.1:3128", &shared.url(&site)])
            .env("HOME", profile.path())
            .stdin(Stdio::null());
        let output = browser.output().unwrap();
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(page.contains("data-code=\"ran\""), "{output:?}");
    }
    for path in [
        site.clone(),
        format!("/code/{name}"),
        format!("/picture/{name}"),
    ] {
        assert_eq!(shared.trips(&path), 1, "{path}");
    }
    let stats = shared.net.run(2, &["--json", "cache", "stats"]);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    // What has its home at this node itself it had already.
    assert!(
        stats["shared"]["peer_hits"].as_u64().unwrap() >= 1,
        "{stats}"
    );
}
