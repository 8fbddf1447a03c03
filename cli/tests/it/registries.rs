//! Package managers as they come take what they need over HTTPS through the web cache that two
//! machines share. A registry of this test's own answers under the names of the real ones; only
//! the nodes know where it is.

mod clients;
mod intercepted;
mod machines;
mod origin;

use std::{path::Path, time::Instant};

use clients::Got;
use lab::Lab;
use machines::{A, B, BARK, Machines, Registry};
use origin::Asked;
use serde_json::Value;

use crate::{net::same, support::have_or_skip};

type Client = fn(&Machines, usize, &Path) -> Vec<Got>;

/// A client's run on one machine, which has to give it what the registry has.
fn get(machines: &Machines, node: usize, client: Client) {
    let home = machines.folder(&format!("home-{node}"));
    let all = client(machines, node, &home);
    assert_eq!(all.len(), machines.packages.len());
    for got in all {
        assert!(got.file.exists(), "{} is not there", got.file.display());
        assert!(
            same(&got.file, &got.right),
            "{} is not right",
            got.file.display()
        );
    }
}

/// What the registry was asked for of the files of packages.
fn of_packages(machines: &Machines, asked: &[Asked]) -> Vec<Asked> {
    let is_package = |asked: &&Asked| machines.packages.iter().any(|package| package.is(asked));
    asked.iter().filter(is_package).cloned().collect()
}

fn bytes(asked: &[Asked]) -> u64 {
    asked.iter().map(|asked| asked.bytes).sum()
}

/// Files of packages come from the registry once for both machines.
fn on_both(test: &str, tools: &[&str], registry: Registry, flags: &[&str], client: Client) {
    if !can_run(test, tools) {
        return;
    }
    let machines = Machines::start(registry, flags);
    let begin = Instant::now();
    get(&machines, A, client);
    let of_first = begin.elapsed();
    let first = machines.asked();
    let begin = Instant::now();
    get(&machines, B, client);
    let of_second = begin.elapsed();
    let second = machines.asked().split_off(first.len());
    assert_eq!(of_packages(&machines, &second).len(), 0, "{second:#?}");
    let once = bytes(&of_packages(&machines, &first));
    println!(
        "{registry:?}: {once} bytes of packages came from the registry for the first machine, in \
         {of_first:.1?}; for the second {} bytes in {} answers, in {of_second:.1?}",
        bytes(&second),
        second.len()
    );
    assert!(bytes(&second) * 50 < once, "{second:#?}");

    // Each file is at its home, whichever machine asked for it first.
    let of_home = |node: usize| {
        let packages = machines.packages.iter();
        packages.filter(|package| package.home == node).count() as u64
    };
    let (a, b) = (machines.stats(A), machines.stats(B));
    let counted = |stats: &Value, name: &str| stats["shared"][name].as_u64().unwrap();
    assert!(counted(&a, "peer_misses") >= of_home(B), "{a}");
    assert!(counted(&b, "fetched_for_peers") >= of_home(B), "{b}");
    assert!(counted(&b, "peer_hits") >= of_home(A), "{b}");
    assert!(counted(&a, "served") >= of_home(A), "{a}");
    // And what the other machine gets anew it gets from there.
    for package in &machines.packages {
        let said = machines.cache_status(1 - package.home, package);
        let is_hit = said.starts_with("hedgerow-peer; hit; ");
        assert!(is_hit, "{}: {said}", package.url);
    }
    let all = of_packages(&machines, &machines.asked());
    assert_eq!(all.len(), machines.packages.len(), "{all:#?}");
}

fn can_run(test: &str, tools: &[&str]) -> bool {
    // Packages are made by Python, and names of hosts are hidden with `unshare`.
    let tools = [&["python3", "curl", "unshare"], tools].concat();
    Lab::available_or_skip(test) && have_or_skip(test, &tools)
}

#[test]
fn wheels_come_from_the_registry_once() {
    let test = "wheels_come_from_the_registry_once";
    on_both(test, &["pip"], Registry::Pypi, &[], clients::pip);
}

/// Pages of listed hosts are read as they pass, so that what they name is believed.
#[test]
fn wheels_of_listed_hosts_come_from_the_registry_once() {
    let test = "wheels_of_listed_hosts_come_from_the_registry_once";
    let listed = ["--webcache-intercept", intercepted::LISTED];
    let client = clients::pip_by_proxy;
    on_both(test, &["pip"], Registry::Pypi, &listed, client);
}

#[test]
fn npm_packages_come_from_the_registry_once() {
    let test = "npm_packages_come_from_the_registry_once";
    on_both(test, &["npm"], Registry::Npm, &[], clients::npm);
}

#[test]
fn crates_come_from_the_registry_once() {
    let test = "crates_come_from_the_registry_once";
    on_both(test, &["cargo"], Registry::Cargo, &[], clients::cargo);
}

/// No index names the digest of a Go module's file, so it has to be believed.
#[test]
fn go_modules_come_from_the_registry_once_where_nodes_are_believed() {
    let test = "go_modules_come_from_the_registry_once_where_nodes_are_believed";
    let all = ["--webcache-peers", "all"];
    on_both(test, &["go"], Registry::Go, &all, clients::go);
}

/// Who knows from a lock file where packages are reads no index. So nobody has named their digests,
/// and no other node is believed: a machine has those that it is the home of, and gets the others.
#[test]
fn npm_packages_whose_index_nobody_reads_come_from_the_registry() {
    let test = "npm_packages_whose_index_nobody_reads_come_from_the_registry";
    if !can_run(test, &["npm"]) {
        return;
    }
    let machines = Machines::start(Registry::Npm, &[]);
    get(&machines, A, clients::npm_of_places);
    let first = machines.asked();
    get(&machines, B, clients::npm_of_places);
    let second = machines.asked().split_off(first.len());
    let others = machines.packages.iter().filter(|package| package.home == A);
    let all = of_packages(&machines, &second);
    assert_eq!(all.len(), others.count(), "{second:#?}");
    let b = machines.stats(B);
    assert_eq!(b["shared"]["peer_hits"], 0, "{b}");
}

/// Indexes are files whose names are digests. Those of packages are not, and come from the
/// registry to each machine.
#[test]
fn indexes_of_apt_come_from_the_registry_once() {
    let test = "indexes_of_apt_come_from_the_registry_once";
    if !can_run(test, &["apt-get", "dpkg-deb"]) {
        return;
    }
    let machines = Machines::start(Registry::Apt, &[]);
    get(&machines, A, clients::apt);
    get(&machines, B, clients::apt);
    let index = machines.url_of_index();
    let asked = machines.asked();
    let of_index = |asked: &&Asked| index == format!("http://{}{}", asked.host, asked.path);
    assert_eq!(asked.iter().filter(of_index).count(), 1, "{asked:#?}");
    let b = machines.stats(B);
    assert_eq!(b["shared"]["peer_hits"], 1, "{b}");
}

#[test]
fn a_damaged_wheel_is_not_believed() {
    if !can_run("a_damaged_wheel_is_not_believed", &["pip"]) {
        return;
    }
    let machines = Machines::start(Registry::Pypi, &[]);
    get(&machines, A, clients::pip);
    let bark = machines.package(BARK);
    assert_eq!(bark.home, A);
    machines.damage(A, bark);
    get(&machines, B, clients::pip);
    let b = machines.stats(B);
    assert_eq!(b["shared"]["wrong_digests"], 1, "{b}");
    let asked = machines.asked();
    let trips = asked.iter().filter(|asked| bark.is(asked)).count();
    assert_eq!(trips, 2, "{asked:#?}");
}
