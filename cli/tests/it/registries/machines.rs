//! Two machines with a node each, and the registry.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use guid::Guid;
use lab::{Lab, Uplink};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::origin::{self, Asked};
use crate::{
    net::{Net, random_file},
    support::HEDGEROW,
};

/// Machines with a node and clients.
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
/// The machine of the registry, which has no node.
const REGISTRY: usize = 2;

/// What a node's proxy takes `https://` for.
const PREFIX: &str = "http://127.0.0.1:3128/https/";

/// Names under which the registry is known to the nodes.
const HOSTS: [&str; 7] = [
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "index.crates.io",
    "static.crates.io",
    "proxy.golang.org",
    "deb.debian.org",
];

/// Runs a program that finds names in the file `$1`, and trusts the authorities of `SSL_CERT_FILE`
/// alone.
const WITH_HOSTS: &str =
    "mount --bind \"$1\" /etc/hosts && shift && unset SSL_CERT_DIR && exec \"$@\"";

const MAKE_PACKAGES: &str = include_str!("packages.py");

const KIB: u64 = 1024;

const PATIENCE: Duration = Duration::from_secs(60);

/// What there is: names, what they need, bytes, and which node shall be the home of their file.
const PACKAGES: [(&str, &[&str], u64, usize); 4] = [
    ("hedge-seed", &[], 50 * KIB, A),
    ("hedge-leaf", &["hedge-seed"], 600 * KIB, B),
    ("hedge-bark", &[], 4096 * KIB, A),
    ("hedge-tree", &["hedge-bark", "hedge-leaf"], 40 * KIB, B),
];

/// The package that needs all others, and the largest.
pub(crate) const TREE: &str = "hedge-tree";
/// For a measurement: Mbit a second at which the registry sends, and how many times as large
/// packages are.
const UPLINK: &str = "REGISTRIES_UPLINK_MBIT";
const TIMES: &str = "REGISTRIES_TIMES";

fn number(variable: &str) -> Option<u64> {
    let said = env::var(variable).ok()?;
    Some(
        said.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
    )
}

pub(crate) const BARK: &str = "hedge-bark";

/// A version of all packages that nobody wants, and its bytes.
const OLD: &str = "0.1.0";
const OLD_SIZE: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registry {
    Pypi,
    Npm,
    Cargo,
    Go,
    Apt,
}

impl Registry {
    fn name(self) -> &'static str {
        match self {
            Registry::Pypi => "pypi",
            Registry::Npm => "npm",
            Registry::Cargo => "cargo",
            Registry::Go => "go",
            Registry::Apt => "apt",
        }
    }

    /// How a package is called there.
    fn spell(self, name: &str) -> String {
        match (self, name) {
            // One with a slash in its name, which npm writes as `%2f`.
            (Registry::Npm, "hedge-seed") => "@hedge/seed".to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Host and path of a package's file.
    fn place(self, name: &str, version: &str) -> (&'static str, String) {
        match self {
            Registry::Pypi => {
                let digest = Sha256::digest(format!("{name} {version}"));
                let digest = data_encoding::HEXLOWER.encode(&digest);
                let folder = format!("{}/{}/{}", &digest[..2], &digest[2..4], &digest[4..]);
                let name = name.replace('-', "_");
                let path = format!("/packages/{folder}/{name}-{version}-py3-none-any.whl");
                ("files.pythonhosted.org", path)
            }
            Registry::Npm => {
                let last = name.rsplit('/').next().unwrap_or(name);
                let path = format!("/{name}/-/{last}-{version}.tgz");
                ("registry.npmjs.org", path)
            }
            Registry::Cargo => {
                let path = format!("/crates/{name}/{version}/download");
                ("static.crates.io", path)
            }
            Registry::Go => {
                let path = format!("/example.org/{name}/@v/v{version}.zip");
                ("proxy.golang.org", path)
            }
            Registry::Apt => {
                let path = format!("/debian/pool/main/h/{name}/{name}_{version}_all.deb");
                ("deb.debian.org", path)
            }
        }
    }

    fn url(self, name: &str, version: &str) -> String {
        let (host, path) = self.place(name, version);
        let scheme = match self {
            Registry::Apt => "http",
            _ => "https",
        };
        format!("{scheme}://{host}{path}")
    }
}

/// A version of a package, as `packages.py` reads it too.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Names and versions.
    needs: Vec<(String, String)>,
    host: &'static str,
    path: String,
    pub(crate) url: String,
    /// What is in it beside what its kind asks for, and what it is packed in.
    pub(crate) payload: PathBuf,
    pub(crate) file: PathBuf,
    /// The node that is its home.
    pub(crate) home: usize,
}

impl Package {
    /// Whether that was a request for its file.
    pub(crate) fn is(&self, asked: &Asked) -> bool {
        (asked.host.as_str(), &asked.path) == (self.host, &self.path)
    }
}

/// Two machines with nodes whose proxies are on, and otherwise as they come.
pub(crate) struct Machines {
    net: Net,
    // After the lab, whose processes use it.
    folder: tempfile::TempDir,
    guids: [Guid; 2],
    /// Without the old ones.
    pub(crate) packages: Vec<Package>,
}

impl Machines {
    pub(crate) fn start(registry: Registry, flags: &[&str]) -> Machines {
        let folder = tempfile::tempdir().unwrap();
        origin::certify(folder.path(), &HOSTS);
        let within = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let hosts = within("hosts");
        let lab = Lab::builder().nodes(3);
        let uplink = number(UPLINK);
        let lab = match uplink {
            Some(_) => lab.switched(1),
            None => lab,
        };
        let lab = lab
            .binary("unshare")
            .args(["--mount", "sh", "-c", WITH_HOSTS, "sh", &hosts, HEDGEROW])
            .args(["--home", "{home}", "node", "start"])
            .args(["--webcache-port", "3128"])
            .args(["--webcache-peer-networks", "10.77.0.0/24"])
            .args(flags.iter().copied())
            .env("SSL_CERT_FILE", within(origin::AUTHORITY))
            .build()
            .unwrap();
        if let Some(mbit) = uplink {
            let uplink = Uplink {
                up: Some(mbit * 1_000_000),
                ..Uplink::default()
            };
            lab.set_uplink(REGISTRY, 0, uplink).unwrap();
        }
        let at = lab.ipv4(REGISTRY, 0);
        let known = format!("127.0.0.1 localhost\n{at} {}\n", HOSTS.join(" "));
        fs::write(hosts, known).unwrap();
        for node in [A, B] {
            lab.start(node).unwrap();
        }
        for node in [A, B] {
            lab.wait_ready(node, PATIENCE).unwrap();
        }
        let net = Net { lab };
        net.until_settled(&[A, B]);
        let guids = [A, B].map(|node| net.guid(node));
        let mut machines = Machines {
            net,
            folder,
            guids,
            packages: Vec::new(),
        };
        machines.open(registry);
        machines.check_ways();
        machines
    }

    /// Makes packages and serves them.
    fn open(&mut self, registry: Registry) {
        self.packages = self.choose(registry);
        let old = self.packages.iter().map(|package| {
            let needs = Vec::new();
            self.describe(registry, &package.name, OLD, needs, OLD_SIZE)
        });
        let all: Vec<Package> = old.chain(self.packages.iter().cloned()).collect();
        let is_made = (0..1000).any(|label| {
            self.make(&json!({
                "registry": registry.name(),
                "packages": all,
                "label": format!("another-{label}"),
            }));
            // Of a file whose name is its digest the home cannot be chosen.
            registry != Registry::Apt || self.home_of(&self.url_of_index()) == A
        });
        assert!(is_made, "an index at its home");
        self.serve();
    }

    /// Packages with such versions that their files have the homes that they shall have.
    fn choose(&self, registry: Registry) -> Vec<Package> {
        let mut chosen: Vec<Package> = Vec::new();
        for (name, needs, size, home) in PACKAGES {
            let size = size * number(TIMES).unwrap_or(1);
            let name = registry.spell(name);
            let newest = |need: &&str| {
                let need = registry.spell(need);
                let found = chosen.iter().find(|package| package.name == need);
                (need, found.expect("it comes first").version.clone())
            };
            let needs: Vec<_> = needs.iter().map(newest).collect();
            let mut versions = (0..1000).map(|patch| format!("1.0.{patch}"));
            let at_home = |version: &String| self.home_of(&registry.url(&name, version)) == home;
            let version = versions.find(at_home).unwrap();
            chosen.push(self.describe(registry, &name, &version, needs, size));
        }
        chosen
    }

    fn serve(&self) {
        let program = env::current_exe().unwrap();
        let mut command = self.net.lab.command(REGISTRY, program).unwrap();
        command
            .args(["registries::origin::serves", "--exact", "--nocapture"])
            .env(origin::FOLDER, self.folder.path());
        let origin = self.net.lab.spawn_command("registry", command).unwrap();
        let listens = |line: &str| line.contains("origin listens");
        origin
            .wait_line("a registry that listens", PATIENCE, listens)
            .unwrap();
    }

    /// Clients have no way to the registry but the proxy.
    fn check_ways(&self) {
        for node in [A, B] {
            let mut curl = self.client(node, "curl", self.folder.path());
            curl.args(["--insecure", &format!("https://{}/", HOSTS[0])]);
            assert!(!curl.output().unwrap().status.success());
        }
        assert_eq!(self.asked().len(), 0);
    }

    fn describe(
        &self,
        registry: Registry,
        name: &str,
        version: &str,
        needs: Vec<(String, String)>,
        size: u64,
    ) -> Package {
        let (host, path) = registry.place(name, version);
        let url = registry.url(name, version);
        let label = format!("{}-{version}", name.replace('/', "-"));
        let payload = self.folder.path().join(format!("{label}.payload"));
        random_file(&payload, size, size);
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            needs,
            host,
            path,
            home: self.home_of(&url),
            url,
            payload,
            file: self.folder.path().join(format!("{label}.file")),
        }
    }

    fn make(&self, asked: &Value) {
        let mut python = Command::new("python3")
            .args(["-c", MAKE_PACKAGES])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = python.stdin.take().unwrap();
        input.write_all(asked.to_string().as_bytes()).unwrap();
        drop(input);
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "packages could not be made");
        fs::write(self.folder.path().join(origin::SITE), output.stdout).unwrap();
    }

    /// Where apt finds what packages there are, in its small form.
    pub(crate) fn url_of_index(&self) -> String {
        let site = fs::read(self.folder.path().join(origin::SITE)).unwrap();
        let site: Vec<Value> = serde_json::from_slice(&site).unwrap();
        let paths = site.iter().filter_map(|entry| entry["path"].as_str());
        let mut indexes = paths.filter(|path| path.contains("/by-hash/"));
        format!("http://deb.debian.org{}", indexes.next_back().unwrap())
    }

    /// The node that is a URL's home (Q1 of the specification).
    fn home_of(&self, url: &str) -> usize {
        let mut hashed = (url.len() as u64).to_be_bytes().to_vec();
        hashed.extend_from_slice(url.as_bytes());
        let object = Guid::hash(&hashed);
        let [a, b] = self.guids;
        match object.cmp_distance(a, b) {
            std::cmp::Ordering::Greater => B,
            _ => A,
        }
    }

    /// A new folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// A program on a machine, with nothing of this one's settings.
    pub(crate) fn client(&self, node: usize, program: impl AsRef<Path>, home: &Path) -> Command {
        let mut command = self.net.lab.command(node, program.as_ref()).unwrap();
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn package(&self, name: &str) -> &Package {
        let mut all = self.packages.iter();
        all.find(|package| package.name == name).unwrap()
    }

    /// A file that both machines have, as by a repository of sources.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn net(&self) -> &Net {
        &self.net
    }

    /// What a node's proxy has counted.
    pub(crate) fn stats(&self, node: usize) -> Value {
        self.net.json(node, &["cache", "stats"])
    }

    /// What a node's proxy says, which has to get it anew, of where it had a package.
    pub(crate) fn cache_status(&self, node: usize, package: &Package) -> String {
        let removed = self.net.json(node, &["cache", "purge", &package.url]);
        assert_eq!(removed["removed"], 1, "{}", package.url);
        let mut curl = self.client(node, "curl", self.folder.path());
        curl.args(["-sS", "-D", "-", "-o", "/dev/null"])
            .arg(through(package.host) + &package.path);
        let head = String::from_utf8(run(curl).stdout).unwrap();
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let statuses = fields.filter(|(name, _)| name.eq_ignore_ascii_case("cache-status"));
        let statuses: Vec<&str> = statuses.map(|(_, value)| value).collect();
        statuses.join(", ")
    }

    /// Changes a byte of what a node keeps of a package.
    pub(crate) fn damage(&self, node: usize, package: &Package) {
        let folder = self.net.lab.home(node).join("webcache");
        let is_of_package = |path: &PathBuf| {
            path.extension()
                .is_some_and(|extension| extension == "meta")
                && serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap()["url"]
                    == package.url
        };
        let mut paths = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let body = paths.find(is_of_package).unwrap().with_extension("body");
        let mut bytes = fs::read(&body).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(body, bytes).unwrap();
    }

    /// What the registry has answered so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        origin::asked(self.folder.path())
    }
}

/// Where a node's proxy has a host.
pub(crate) fn through(host: &str) -> String {
    format!("{PREFIX}{host}")
}

/// Runs a client to its end, which has to be a good one.
pub(crate) fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
