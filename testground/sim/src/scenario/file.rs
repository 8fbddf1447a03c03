//! A scenario as TOML. What is wrong with it is said with file and line before anything
//! runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use overlay_core::Config;
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use toml::Spanned;

use super::Sessions;
use crate::adversary::Behaviour;
use crate::network::Shape;
use crate::{Contact, Settings};

/// What a node takes while it lives: 20 KiB at 100,000, and as much again for messages on
/// their way.
const NODE_BYTES: u64 = 40 * 1024;

/// What an object takes at its publisher and at the two dozen nodes that keep pointers.
const OBJECT_BYTES: u64 = 10 * 1024;

/// A run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a line.
    pub title: String,
    /// Decides all chance.
    #[serde(default = "one")]
    pub seed: u64,
    /// How many nodes form the network.
    pub nodes: Spanned<usize>,
    /// In how many networks that do not know each other.
    #[serde(default = "one_island")]
    pub islands: Spanned<usize>,
    /// How many objects random nodes publish. Whenever a node looks something up, it sends
    /// a message to one of them too.
    #[serde(default = "no_objects")]
    pub publish: Spanned<usize>,
    /// By whom each joins.
    #[serde(default)]
    pub contact: Contact,
    /// What is between them.
    #[serde(default)]
    pub network: Shape,
    /// Settings of the overlay that are not the defaults.
    #[serde(default)]
    pub overlay: OverlaySettings,
    /// What goes wrong, and when.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// Nodes coming and going while faults last.
    pub churn: Option<Churn>,
    /// Lookups all the while.
    #[serde(default)]
    pub lookups: Lookups,
    /// How long faults and churn last: the safety phase.
    #[serde(with = "span")]
    pub lasts: Duration,
    /// How long the network may take to be whole after it: the liveness phase.
    #[serde(default = "five_minutes", with = "span")]
    pub heals_within: Duration,
    /// Whether deliveries by a wrong node are allowed, and only counted: where a network is
    /// in pieces each piece has a root.
    #[serde(default)]
    pub allow_wrong: bool,
}

/// Settings of the overlay.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlaySettings {
    /// |L|.
    pub leaf_set: Option<Spanned<usize>>,
    /// |M|.
    pub neighbourhood: Option<Spanned<usize>>,
    /// How often the left neighbour is told.
    #[serde(default, with = "optional_span")]
    pub heartbeat: Option<Duration>,
    /// How long an answer may take.
    #[serde(default, with = "optional_span")]
    pub probe_timeout: Option<Duration>,
    /// How long the first answer may take at least, where the distance is known.
    #[serde(default, with = "optional_span")]
    pub min_probe_timeout: Option<Duration>,
    /// How often a silent node is asked again before it counts as dead.
    pub probe_retries: Option<u32>,
    /// Of a thousand messages, how many may meet a dead hop.
    pub raw_loss_permille: Option<u32>,
    /// How often entries are heard of.
    #[serde(default, with = "optional_span")]
    pub table_probe: Option<Duration>,
    /// How often the lost are asked.
    #[serde(default, with = "optional_span")]
    pub heal_period: Option<Duration>,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When, after the network has formed.
    #[serde(with = "span")]
    pub at: Duration,
    /// Until when, for what lasts.
    #[serde(default, with = "optional_span")]
    pub until: Option<Duration>,
    /// Of all messages, or of all nodes.
    pub share: Option<Spanned<f64>>,
    /// How many nodes.
    pub count: Option<Spanned<usize>>,
    /// How late messages may be.
    #[serde(default, with = "optional_span")]
    pub jitter: Option<Duration>,
    /// What bad nodes do.
    pub behaviour: Option<Spanned<Behaviour>>,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A share of all messages is lost, or late, until then.
    Loss,
    /// A share of the nodes is cut off from the rest, until then.
    Partition,
    /// What a share of the nodes sends does not reach the rest, until then.
    OneWay,
    /// A share of the nodes dies, random ones.
    Crash,
    /// This many nodes that stand side by side on the ring die.
    CrashArc,
    /// A share of the nodes leaves and says so.
    Leave,
    /// This many nodes join at once.
    Join,
    /// Everyone dies and starts again, and knows this many of those it knew.
    RestartAll,
    /// A node of each island learns of a node of the first.
    Meet,
    /// A share of the nodes does not keep to the rules, until then.
    Bad,
}

/// Nodes coming and going, as many as there were.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// How sessions are distributed.
    pub sessions: Sessions,
    /// Their mean.
    #[serde(default = "Sessions::usual_mean", with = "span")]
    pub mean: Duration,
}

/// Lookups of random keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookups {
    /// Of each node, on average.
    pub a_second: f64,
}

impl Default for Lookups {
    fn default() -> Self {
        // MSPastry's rate.
        Lookups { a_second: 0.01 }
    }
}

fn one() -> u64 {
    1
}

fn no_objects() -> Spanned<usize> {
    Spanned::new(0..0, 0)
}

fn one_island() -> Spanned<usize> {
    Spanned::new(0..0, 1)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// A duration as people write it: `30s`, `2h 18m`.
mod span {
    use super::*;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text)
            .map_err(|error| serde::de::Error::custom(format!("'{text}' is no duration: {error}")))
    }
}

mod optional_span {
    use super::*;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        span::deserialize(from).map(Some)
    }
}

/// Why a scenario is not run.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no scenario: the text names the line.
    #[error("{file}: {why}")]
    Malformed {
        /// Which.
        file: PathBuf,
        /// Where and what; not a source, or it would be printed twice.
        why: Box<toml::de::Error>,
    },
    /// A value cannot be.
    #[error("{file}, line {line}: {reason}")]
    Impossible {
        /// Which.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

impl Scenario {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn read(file: &Path) -> Result<Scenario, ScenarioError> {
        let text = std::fs::read_to_string(file).map_err(|source| ScenarioError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        Scenario::parse(file, &text)
    }

    /// Reads and checks the text of a file.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn parse(file: &Path, text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text).map_err(|why| ScenarioError::Malformed {
            file: file.to_owned(),
            why: Box::new(why),
        })?;
        scenario.check().map_err(|(at, reason)| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            ScenarioError::Impossible {
                file: file.to_owned(),
                line,
                reason,
            }
        })?;
        Ok(scenario)
    }

    /// The first value that cannot be, by where it stands.
    fn check(&self) -> Result<(), (usize, String)> {
        let (nodes, islands) = (*self.nodes.get_ref(), *self.islands.get_ref());
        let at = self.nodes.span().start;
        if nodes == 0 {
            return Err((at, "nodes is 0: somebody has to be there".to_owned()));
        }
        let most = memory().unwrap_or(u64::MAX);
        let too_much = |what: String, need: u64| {
            let (need, free) = (need >> 20, most >> 20);
            format!("{what} take about {need} MiB and {free} MiB are free")
        };
        let need = (nodes as u64).saturating_mul(NODE_BYTES);
        if need > most {
            return Err((at, too_much(format!("{nodes} nodes"), need)));
        }
        if islands == 0 || islands > nodes {
            let reason = format!("islands is {islands}: it has to be from 1 to {nodes}");
            return Err((self.islands.span().start, reason));
        }
        let (objects, at) = (*self.publish.get_ref(), self.publish.span().start);
        let room = nodes.saturating_mul(self.config().location.max_publications);
        if objects > room {
            let reason = format!("publish is {objects}: {nodes} nodes publish {room} at most");
            return Err((at, reason));
        }
        let need = need.saturating_add((objects as u64).saturating_mul(OBJECT_BYTES));
        if need > most {
            let what = format!("{nodes} nodes and {objects} objects");
            return Err((at, too_much(what, need)));
        }
        let overlay = [&self.overlay.leaf_set, &self.overlay.neighbourhood];
        if let (Err(error), Some(place)) = (
            self.config().validate(),
            overlay.into_iter().flatten().next(),
        ) {
            return Err((place.span().start, error.to_string()));
        }
        for fault in &self.faults {
            fault.check(nodes)?;
        }
        Ok(())
    }

    fn config(&self) -> Config {
        let own = &self.overlay;
        let usual = Config::default();
        Config {
            leaf_set: own
                .leaf_set
                .as_ref()
                .map_or(usual.leaf_set, |it| *it.get_ref()),
            neighbourhood: own
                .neighbourhood
                .as_ref()
                .map_or(usual.neighbourhood, |it| *it.get_ref()),
            heartbeat: own.heartbeat.unwrap_or(usual.heartbeat),
            probe_timeout: own.probe_timeout.unwrap_or(usual.probe_timeout),
            min_probe_timeout: own.min_probe_timeout.unwrap_or(usual.min_probe_timeout),
            probe_retries: own.probe_retries.unwrap_or(usual.probe_retries),
            raw_loss_permille: own.raw_loss_permille.unwrap_or(usual.raw_loss_permille),
            table_probe: own.table_probe.unwrap_or(usual.table_probe),
            heal_period: own.heal_period.unwrap_or(usual.heal_period),
            ..usual
        }
    }

    /// What the engine needs to know.
    pub fn settings(&self) -> Settings {
        let settings = Settings {
            seed: self.seed,
            overlay: self.config(),
            shape: self.network.clone(),
            per_host: 1,
        };
        settings.with_contact(self.contact)
    }
}

impl Fault {
    fn check(&self, nodes: usize) -> Result<(), (usize, String)> {
        use FaultKind::{Bad, Crash, CrashArc, Join, Leave, Loss, OneWay, Partition, RestartAll};
        if let Some(share) = &self.share
            && !(0.0..=1.0).contains(share.get_ref())
        {
            let reason = format!("share is {}: it has to be from 0 to 1", share.get_ref());
            return Err((share.span().start, reason));
        }
        if let Some(share) = self.share.as_ref().filter(|_| self.kind == Bad)
            && *share.get_ref() >= 1.0
        {
            let reason = "share is 1: nobody would be left who keeps to the rules".to_owned();
            return Err((share.span().start, reason));
        }
        if let Some(behaviour) = self.behaviour.as_ref().filter(|_| self.kind != Bad) {
            let reason = format!("a fault of kind {:?} has no behaviour", self.kind);
            return Err((behaviour.span().start, reason));
        }
        if let Some(count) = self.count.as_ref().filter(|_| self.kind == CrashArc)
            && *count.get_ref() >= nodes
        {
            let reason = format!("{} of {nodes} nodes: nobody would be left", count.get_ref());
            return Err((count.span().start, reason));
        }
        let at = self.share.as_ref().map(|share| share.span().start);
        let at = at.or(self.count.as_ref().map(|count| count.span().start));
        let at = at.or(self.behaviour.as_ref().map(|it| it.span().start));
        let missing = |what: &str| {
            let reason = format!(
                "a fault of kind {:?} at {:?} needs {what}",
                self.kind, self.at
            );
            Err((at.unwrap_or_default(), reason))
        };
        if matches!(self.kind, Loss | Partition | OneWay | Bad) {
            match self.until {
                None => return missing("until"),
                Some(until) if until <= self.at => return missing("an until after its at"),
                Some(_) => {}
            }
        }
        match self.kind {
            Loss | Partition | OneWay | Crash | Leave | Bad if self.share.is_none() => {
                missing("a share")
            }
            Bad if self.behaviour.is_none() => missing("a behaviour"),
            CrashArc | Join | RestartAll if self.count.is_none() => missing("a count"),
            _ => Ok(()),
        }
    }
}

/// Bytes of memory that are free, where the system says so.
fn memory() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = all
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
