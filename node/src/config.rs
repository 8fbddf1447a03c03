//! Settings and where each came from: flag, else environment, else `config.toml`,
//! else default.
//!
//! [`Config`] is the one table of settings and defaults. A layer is a TOML table with
//! just the keys it sets, so the layers merge without knowing the settings, and
//! [`SETTINGS`] says what a key's flag and variable are called.

mod archive;
mod location;
mod relay;
mod store;
mod web_cache;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use toml::{Table, Value, de::DeTable};

use crate::api::types::SettingInForce;

pub use archive::Archive;
pub use location::{Location, Roots, Seconds, Spread};
pub use relay::{MAX_NAMED, Relay, RelayAddress, Relays};
pub use store::Store;
pub use web_cache::{PeerNetworks, WebCache};

/// The node's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the node is reached and finds others.
    pub network: Network,
    /// What is relayed for others, and whether others are asked to relay.
    pub relay: Relay,
    /// The store of blocks.
    pub store: Store,
    /// Copies of what other nodes keep.
    pub cache: Cache,
    /// The web cache's proxy.
    pub webcache: WebCache,
    /// Fragments of archived versions.
    pub archive: Archive,
    /// How objects are published and found.
    pub location: Location,
    /// The loopback door.
    pub api: Api,
    /// The door for programs that speak S3.
    pub s3: S3,
}

/// How the node is reached and finds others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Port for TCP and QUIC, IPv4 and IPv6; 0 takes any free one.
    pub listen_port: u16,
    /// Addresses to listen on instead of all of them on `listen_port`.
    pub listen: Vec<Multiaddr>,
    /// Addresses of nodes to enter the network by, beside those found by mDNS.
    pub bootstrap: Vec<Multiaddr>,
    /// Relays over which others reach this node.
    pub relays: Relays,
    /// Whether to look for nodes by multicast DNS.
    pub mdns: bool,
    /// Whether to serve the LAN Kademlia table.
    pub kademlia: bool,
    /// Most connections at a time, all peers together.
    pub max_connections: u32,
    /// New connections are refused while the process is larger than this, in MiB.
    pub max_memory_mib: usize,
}

/// Copies of blocks that this node has no duty to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Room for blocks that were got from other nodes, in MiB; 0 keeps none.
    pub max_mib: u32,
    /// Most copies that others can find here; 0 publishes none and looks for none.
    pub published: Published,
}

/// A number of copies that may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub struct Published(usize);

impl Published {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for Published {
    type Error = String;

    fn try_from(count: usize) -> Result<Self, String> {
        match count <= replicas::MAX_PUBLISHED {
            true => Ok(Self(count)),
            false => Err(format!("{} copies at most", replicas::MAX_PUBLISHED)),
        }
    }
}

impl From<Published> for usize {
    fn from(published: Published) -> usize {
        published.0
    }
}

/// The loopback door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
}

/// The door for programs that speak S3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
}

impl Default for S3 {
    fn default() -> Self {
        Self { port: 4749 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            listen_port: 4747,
            listen: Vec::new(),
            bootstrap: Vec::new(),
            relays: Relays::default(),
            mdns: true,
            kademlia: true,
            // A leaf set, a routing table and as many passing clients.
            max_connections: 512,
            max_memory_mib: 1024,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            // As many of the largest chunks as are published.
            max_mib: 256,
            published: Published(replicas::Config::default().published),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self { port: 4748 }
    }
}

/// How a setting is called outside the file.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Section and key in `config.toml`.
    pub key: &'static str,
    /// Environment variable; a list is separated by commas.
    pub variable: &'static str,
    /// Flag of `node start`.
    pub flag: &'static str,
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    setting(
        "network.listen_port",
        "HEDGEROW_LISTEN_PORT",
        "--listen-port",
    ),
    setting("network.listen", "HEDGEROW_LISTEN", "--listen"),
    setting("network.bootstrap", "HEDGEROW_BOOTSTRAP", "--bootstrap"),
    setting("network.relays", "HEDGEROW_RELAYS", "--relay"),
    setting("network.mdns", "HEDGEROW_MDNS", "--mdns"),
    setting("network.kademlia", "HEDGEROW_KADEMLIA", "--kademlia"),
    setting(
        "network.max_connections",
        "HEDGEROW_MAX_CONNECTIONS",
        "--max-connections",
    ),
    setting(
        "network.max_memory_mib",
        "HEDGEROW_MAX_MEMORY_MIB",
        "--max-memory-mib",
    ),
    setting("relay.serve", "HEDGEROW_RELAY_SERVE", "--relay-serve"),
    setting("relay.auto", "HEDGEROW_RELAY_AUTO", "--relay-auto"),
    setting(
        "relay.reservations",
        "HEDGEROW_RELAY_RESERVATIONS",
        "--relay-reservations",
    ),
    setting(
        "relay.circuits",
        "HEDGEROW_RELAY_CIRCUITS",
        "--relay-circuits",
    ),
    setting(
        "relay.circuits_per_peer",
        "HEDGEROW_RELAY_CIRCUITS_PER_PEER",
        "--relay-circuits-per-peer",
    ),
    setting(
        "relay.circuit_mib",
        "HEDGEROW_RELAY_CIRCUIT_MIB",
        "--relay-circuit-mib",
    ),
    setting(
        "relay.circuit_seconds",
        "HEDGEROW_RELAY_CIRCUIT_SECONDS",
        "--relay-circuit-seconds",
    ),
    setting("store.max_mib", "HEDGEROW_STORE_MAX_MIB", "--store-max-mib"),
    setting(
        "store.scrub_days",
        "HEDGEROW_STORE_SCRUB_DAYS",
        "--store-scrub-days",
    ),
    setting(
        "store.scrub_mib",
        "HEDGEROW_STORE_SCRUB_MIB",
        "--store-scrub-mib",
    ),
    setting(
        "store.grace_hours",
        "HEDGEROW_STORE_GRACE_HOURS",
        "--store-grace-hours",
    ),
    setting("cache.max_mib", "HEDGEROW_CACHE_MAX_MIB", "--cache-max-mib"),
    setting(
        "cache.published",
        "HEDGEROW_CACHE_PUBLISHED",
        "--cache-published",
    ),
    setting("webcache.port", "HEDGEROW_WEBCACHE_PORT", "--webcache-port"),
    setting(
        "webcache.max_mib",
        "HEDGEROW_WEBCACHE_MAX_MIB",
        "--webcache-max-mib",
    ),
    setting(
        "webcache.offline",
        "HEDGEROW_WEBCACHE_OFFLINE",
        "--webcache-offline",
    ),
    setting(
        "webcache.ca_file",
        "HEDGEROW_WEBCACHE_CA_FILE",
        "--webcache-ca-file",
    ),
    setting(
        "webcache.registries",
        "HEDGEROW_WEBCACHE_REGISTRIES",
        "--webcache-registries",
    ),
    setting(
        "webcache.intercept",
        "HEDGEROW_WEBCACHE_INTERCEPT",
        "--webcache-intercept",
    ),
    setting(
        "webcache.peers",
        "HEDGEROW_WEBCACHE_PEERS",
        "--webcache-peers",
    ),
    setting(
        "webcache.scheme",
        "HEDGEROW_WEBCACHE_SCHEME",
        "--webcache-scheme",
    ),
    setting(
        "webcache.serve_kib",
        "HEDGEROW_WEBCACHE_SERVE_KIB",
        "--webcache-serve-kib",
    ),
    setting(
        "webcache.peer_networks",
        "HEDGEROW_WEBCACHE_PEER_NETWORKS",
        "--webcache-peer-networks",
    ),
    setting(
        "archive.max_gib",
        "HEDGEROW_ARCHIVE_MAX_GIB",
        "--archive-max-gib",
    ),
    setting(
        "archive.repair_mib",
        "HEDGEROW_ARCHIVE_REPAIR_MIB",
        "--archive-repair-mib",
    ),
    setting(
        "archive.sweep_seconds",
        "HEDGEROW_ARCHIVE_SWEEP_SECONDS",
        "--archive-sweep-seconds",
    ),
    setting(
        "archive.settle_seconds",
        "HEDGEROW_ARCHIVE_SETTLE_SECONDS",
        "--archive-settle-seconds",
    ),
    setting(
        "location.roots",
        "HEDGEROW_LOCATION_ROOTS",
        "--location-roots",
    ),
    setting(
        "location.root_copies",
        "HEDGEROW_LOCATION_ROOT_COPIES",
        "--location-root-copies",
    ),
    setting(
        "location.backups",
        "HEDGEROW_LOCATION_BACKUPS",
        "--location-backups",
    ),
    setting(
        "location.neighbours",
        "HEDGEROW_LOCATION_NEIGHBOURS",
        "--location-neighbours",
    ),
    setting(
        "location.spread_hops",
        "HEDGEROW_LOCATION_SPREAD_HOPS",
        "--location-spread-hops",
    ),
    setting(
        "location.lifetime_seconds",
        "HEDGEROW_LOCATION_LIFETIME_SECONDS",
        "--location-lifetime-seconds",
    ),
    setting(
        "location.republish_seconds",
        "HEDGEROW_LOCATION_REPUBLISH_SECONDS",
        "--location-republish-seconds",
    ),
    setting(
        "location.max_publications",
        "HEDGEROW_LOCATION_MAX_PUBLICATIONS",
        "--location-max-publications",
    ),
    setting(
        "location.max_pointers",
        "HEDGEROW_LOCATION_MAX_POINTERS",
        "--location-max-pointers",
    ),
    setting(
        "location.max_pointers_of_publisher",
        "HEDGEROW_LOCATION_MAX_POINTERS_OF_PUBLISHER",
        "--location-max-pointers-of-publisher",
    ),
    setting(
        "location.max_pointers_of_object",
        "HEDGEROW_LOCATION_MAX_POINTERS_OF_OBJECT",
        "--location-max-pointers-of-object",
    ),
    setting("api.port", "HEDGEROW_API_PORT", "--api-port"),
    setting("s3.port", "HEDGEROW_S3_PORT", "--s3-port"),
];

const fn setting(key: &'static str, variable: &'static str, flag: &'static str) -> Setting {
    Setting {
        key,
        variable,
        flag,
    }
}

/// Longest settings file that is read.
const MAX_FILE: u64 = 1024 * 1024;

/// Why the settings are unusable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has an unknown key, a value of the wrong type or is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line of the mistake, counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A flag or a variable has an unusable value.
    #[error("{origin}: {message}")]
    Value {
        /// The flag or the variable.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Their values.
    pub config: Config,
    /// Each setting with its value as TOML and its origin, in the order of [`SETTINGS`].
    pub values: Vec<(Setting, String, Origin)>,
}

impl Effective {
    /// Merges the layers. `flags` are pairs of a key of [`SETTINGS`] and the text a
    /// person gave, `variable` reads the environment.
    pub fn load(
        file: &Path,
        variable: impl Fn(&str) -> Option<String>,
        flags: &[(&'static str, String)],
    ) -> Result<Self, ConfigError> {
        let defaults = to_table(&Config::default());
        let (text, in_file) = read_file(file)?;
        let mut merged = defaults.clone();
        let mut values = Vec::new();
        for setting in SETTINGS {
            let default = lookup(&defaults, setting.key).expect("every setting has a default");
            let flag = flags.iter().rev().find(|(key, _)| *key == setting.key);
            let (value, origin) = if let Some((_, text)) = flag {
                let origin = Origin::Flag(setting.flag);
                (parse(text, default, setting.key, &origin)?, origin)
            } else if let Some(text) = variable(setting.variable) {
                let origin = Origin::Environment(setting.variable);
                (parse(&text, default, setting.key, &origin)?, origin)
            } else if let Some(value) = lookup(&in_file, setting.key) {
                (value.clone(), Origin::File(file.to_owned()))
            } else {
                (default.clone(), Origin::Default)
            };
            values.push((*setting, value.to_string(), origin));
            set(&mut merged, setting.key, value);
        }
        // Each layer was checked on its own, so together they are a Config.
        let config = Config::deserialize(merged).expect("merged layers have the defaults' shape");
        if let Some(message) = config.location.clash() {
            return Err(clash(&values, &text, message));
        }
        Ok(Self { config, values })
    }

    /// The settings as the API and `config show` tell them.
    pub fn in_force(&self) -> Vec<SettingInForce> {
        let tell = |(setting, value, origin): &(Setting, String, Origin)| SettingInForce {
            key: setting.key.to_owned(),
            value: value.clone(),
            origin: origin.to_string(),
        };
        self.values.iter().map(tell).collect()
    }
}

/// Two settings that cannot be together: the one that was said last, or more loudly, is named.
fn clash(values: &[(Setting, String, Origin)], text: &str, message: String) -> ConfigError {
    let loudness = |origin: &Origin| match origin {
        Origin::Default => 0,
        Origin::File(_) => 1,
        Origin::Environment(_) => 2,
        Origin::Flag(_) => 3,
    };
    let keys = ["location.lifetime_seconds", "location.republish_seconds"];
    let said = values.iter().filter(|(one, ..)| keys.contains(&one.key));
    let said = said.map(|(setting, _, origin)| {
        let line = match origin {
            Origin::File(_) => line_of_key(text, setting.key),
            _ => 0,
        };
        (loudness(origin), line, origin)
    });
    match said.max_by_key(|(loudness, line, _)| (*loudness, *line)) {
        Some((_, line, Origin::File(path))) => ConfigError::File {
            path: path.clone(),
            line,
            message,
        },
        Some((_, _, origin)) => ConfigError::Value {
            origin: origin.clone(),
            message,
        },
        None => ConfigError::Value {
            origin: Origin::Default,
            message,
        },
    }
}

/// Where a key of the file stands, counted from 1.
fn line_of_key(text: &str, key: &str) -> usize {
    let place = || {
        let (section, name) = key.split_once('.')?;
        let file = DeTable::parse(text).ok()?;
        let mut sections = file.get_ref().iter();
        let (_, section) = sections.find(|(key, _)| key.get_ref() == section)?;
        let mut keys = section.get_ref().as_table()?.iter();
        let (key, _) = keys.find(|(key, _)| key.get_ref() == name)?;
        Some(key.span().start)
    };
    place().map_or(1, |start| line_of(text, start))
}

fn to_table(config: &Config) -> Table {
    Table::try_from(config).expect("a Config is plain data")
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (section, name) = key.split_once('.')?;
    table.get(section)?.get(name)
}

fn set(table: &mut Table, key: &str, value: Value) {
    let (section, name) = key.split_once('.').expect("keys have a section");
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    section
        .as_table_mut()
        .expect("sections are tables")
        .insert(name.to_owned(), value);
}

/// The file's text and what is in it; nothing where there is none.
fn read_file(path: &Path) -> Result<(String, Table), ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => {
            return Err(read(io::Error::other(format!(
                "larger than {MAX_FILE} bytes"
            ))));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((String::new(), Table::new()));
        }
        Err(source) => return Err(read(source)),
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let located = |error: toml::de::Error| ConfigError::File {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(&text, span.start)),
        message: error.message().to_owned(),
    };
    // First as settings, which names unknown keys and wrong types with their place,
    // then as a table, which knows what the file leaves out.
    toml::from_str::<Config>(&text).map_err(located)?;
    let table = toml::from_str::<Table>(&text).map_err(located)?;
    Ok((text, table))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// Reads a flag's or variable's text as the type its default has, and checks it as
/// the file would be checked.
fn parse(
    text: &str,
    default: &Value,
    key: &'static str,
    origin: &Origin,
) -> Result<Value, ConfigError> {
    let wrong = |message: String| ConfigError::Value {
        origin: origin.clone(),
        message,
    };
    let text = text.trim();
    let value = match default {
        Value::Integer(_) => Value::Integer(
            text.parse()
                .map_err(|_| wrong(format!("{text:?} is not a whole number")))?,
        ),
        Value::Boolean(_) => Value::Boolean(
            text.parse()
                .map_err(|_| wrong(format!("{text:?} is neither true nor false")))?,
        ),
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        ),
        _ => Value::String(text.to_owned()),
    };
    let mut alone = Table::new();
    set(&mut alone, key, value.clone());
    Config::deserialize(alone).map_err(|error| wrong(format!("{text:?}: {}", error.message())))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        text: &str,
        variables: &[(&str, &str)],
        flags: &[(&'static str, String)],
    ) -> Result<Effective, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Effective::load(&file, variable, flags)
    }

    fn origin(effective: &Effective, key: &str) -> Origin {
        effective
            .values
            .iter()
            .find(|(setting, ..)| setting.key == key)
            .unwrap()
            .2
            .clone()
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let file = "[network]\nlisten_port = 1\nmdns = false\n[api]\nport = 1\n";
        let effective = load(
            file,
            &[("HEDGEROW_LISTEN_PORT", "2"), ("HEDGEROW_API_PORT", "2")],
            &[("api.port", "3".to_owned())],
        )
        .unwrap();
        assert_eq!(effective.config.network.listen_port, 2);
        assert_eq!(effective.config.api.port, 3);
        assert!(!effective.config.network.mdns);
        assert!(effective.config.network.kademlia);
        assert_eq!(origin(&effective, "api.port"), Origin::Flag("--api-port"));
        assert_eq!(
            origin(&effective, "network.listen_port"),
            Origin::Environment("HEDGEROW_LISTEN_PORT")
        );
        assert!(matches!(
            origin(&effective, "network.mdns"),
            Origin::File(_)
        ));
        assert_eq!(origin(&effective, "network.kademlia"), Origin::Default);
    }

    #[test]
    fn hosts_that_cannot_be_intercepted_are_named() {
        let error = load(
            "[webcache]\n\nintercept = [\"a.example\", \"*\"]\n",
            &[],
            &[],
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("config.toml:3: \"*\" is no host"), "{error}");
        let flags = [("webcache.intercept", "a.example, *.b.example".to_owned())];
        let effective = load("", &[], &flags).unwrap();
        let hosts = effective.config.webcache.intercept.texts();
        assert_eq!(hosts, ["a.example", "*.b.example"]);
        let flags = [("webcache.intercept", "127.0.0.1".to_owned())];
        let error = load("", &[], &flags).unwrap_err().to_string();
        assert!(error.contains("--webcache-intercept"), "{error}");
        assert!(
            load("", &[], &[])
                .unwrap()
                .config
                .webcache
                .intercept
                .is_empty()
        );
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let error = load("[network]\n\nlisten_prot = 5\n", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("config.toml:3: unknown field `listen_prot`"),
            "{error}"
        );
    }

    #[test]
    fn malformed_values_are_named_with_their_line() {
        let error = load(
            "[network]\nbootstrap = [\n  \"ip4/nonsense\"\n]\n",
            &[],
            &[],
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("config.toml:3"), "{error}");
        let error = load("[network]\nlisten_port = 70000\n", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("config.toml:2"), "{error}");
        let error = load("[network\n", &[], &[]).unwrap_err().to_string();
        assert!(error.contains("config.toml:1"), "{error}");
    }

    #[test]
    fn malformed_flags_and_variables_are_named() {
        let flags = [("network.bootstrap", "/ip4/1.2.3.4/tcp/99999".to_owned())];
        let error = load("", &[], &flags).unwrap_err().to_string();
        assert!(error.starts_with("flag --bootstrap"), "{error}");
        let error = load("", &[("HEDGEROW_API_PORT", "many")], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("environment HEDGEROW_API_PORT"),
            "{error}"
        );
    }

    #[test]
    fn addresses_that_are_no_relay_s_are_refused() {
        let peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        for (text, said) in [
            ("10.0.0.1", "is not a multiaddress"),
            ("/ip4/10.0.0.1/tcp/4747", "does not say who the relay is"),
            (&format!("/p2p/{peer}"), "does not say who the relay is"),
            (
                &format!("/ip4/10.0.0.1/tcp/4747/p2p/{peer}/p2p-circuit"),
                "without /p2p-circuit",
            ),
        ] {
            let flags = [("network.relays", text.to_owned())];
            let error = load("", &[], &flags).unwrap_err().to_string();
            assert!(error.starts_with("flag --relay: "), "{error}");
            assert!(error.contains(said), "{error}");
        }
        let relay = format!("/dns4/relay.example/udp/4747/quic-v1/p2p/{peer}");
        let load_many = |count| {
            let flags = [("network.relays", vec![relay.clone(); count].join(","))];
            load("", &[], &flags)
        };
        let relays = load_many(2).unwrap().config.network.relays.addresses();
        assert_eq!(relays, vec![relay.parse().unwrap(); 2]);
        let error = load_many(MAX_NAMED + 1).unwrap_err().to_string();
        assert!(error.contains("8 relays at most"), "{error}");
        let error = load("[relay]\n\ncircuit_mib = 0\n", &[], &[]).unwrap_err();
        assert!(error.to_string().contains("config.toml:3"), "{error}");
    }

    #[test]
    fn more_copies_than_can_be_published_are_refused() {
        let error = load("[cache]\n\npublished = 2049\n", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("config.toml:3: 2048 copies at most"),
            "{error}"
        );
        let flags = [("cache.published", "0".to_owned())];
        let effective = load("[cache]\npublished = 2048\n", &[], &flags).unwrap();
        assert_eq!(effective.config.cache.published.get(), 0);
    }

    #[test]
    fn the_location_layer_takes_what_the_file_says() {
        let text = "[location]\nroots = 3\nrepublish_seconds = 60\n";
        let flags = [("location.lifetime_seconds", "120".to_owned())];
        let variables = [("HEDGEROW_LOCATION_ROOT_COPIES", "0")];
        let core = load(text, &variables, &flags)
            .unwrap()
            .config
            .location
            .core();
        let expected = overlay::LocationConfig {
            roots: 3,
            root_copies: 0,
            republish: std::time::Duration::from_secs(60),
            lifetime: std::time::Duration::from_secs(120),
            ..overlay::LocationConfig::default()
        };
        assert_eq!(core, expected);
        assert_eq!(
            Location::default().core(),
            overlay::LocationConfig::default()
        );
    }

    #[test]
    fn impossible_settings_of_the_location_layer_are_named_with_their_place() {
        for (text, said) in [
            (
                "[location]\n\nroots = 9\n",
                "config.toml:3: 9 is not from 1 to 8",
            ),
            (
                "[location]\nroots = 0\n",
                "config.toml:2: 0 is not from 1 to 8",
            ),
            (
                "[location]\nneighbours = 300\n",
                "config.toml:2: 300 is not from 0 to 8",
            ),
            (
                "[location]\nlifetime_seconds = 86401\n",
                "config.toml:2: 86401 is not",
            ),
            (
                "[api]\nport = 0\n[location]\nroots = 5\nrepublish_seconds = 900\n",
                "config.toml:5: location.lifetime_seconds (900) has to be more",
            ),
            (
                "location = { republish_seconds = 100,\n  lifetime_seconds = 100 }\n",
                "config.toml:2: location.lifetime_seconds (100) has to be more",
            ),
        ] {
            let error = load(text, &[], &[]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let text = "[location]\nrepublish_seconds = 100\n";
        let flags = [("location.lifetime_seconds", "50".to_owned())];
        let error = load(text, &[], &flags).unwrap_err().to_string();
        assert!(
            error.starts_with("flag --location-lifetime-seconds"),
            "{error}"
        );
        let variables = [("HEDGEROW_LOCATION_REPUBLISH_SECONDS", "1000")];
        let error = load("", &variables, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("environment HEDGEROW_LOCATION_REPUBLISH_SECONDS"),
            "{error}"
        );
    }

    #[test]
    fn every_setting_is_in_the_table() {
        let defaults = to_table(&Config::default());
        let mut keys: Vec<_> = defaults
            .iter()
            .flat_map(|(section, value)| {
                value
                    .as_table()
                    .unwrap()
                    .keys()
                    .map(move |key| format!("{section}.{key}"))
            })
            .collect();
        let mut named: Vec<_> = SETTINGS
            .iter()
            .map(|setting| setting.key.to_owned())
            .collect();
        keys.sort();
        named.sort();
        assert_eq!(keys, named);
    }
}
