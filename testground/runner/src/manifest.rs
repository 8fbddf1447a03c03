//! `manifest.toml`: what a plan is called, its cases, and what can be set about them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::faults::{List, Schedule};
use crate::layout::Layout;
use crate::params::{self, Kind, Params};
use crate::suggest::{nearest, unknown};

/// The file's name in a plan's folder.
pub const FILE: &str = "manifest.toml";

/// The builder whose instances are programs of this machine; its entry names the program.
pub const BUILDER: &str = "exec:bin";

/// A manifest or composition cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It says something impossible.
    #[error("{}:{line}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// A plan.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    name: Spanned<String>,
    /// What Testground builds and runs it with unless told otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    #[serde(default)]
    builders: BTreeMap<String, Spanned<toml::Table>>,
    /// Testground's settings for its runners; the lab has none.
    #[serde(default)]
    pub runners: BTreeMap<String, toml::Table>,
    /// Folders that Testground's builders take along.
    #[serde(default)]
    pub extra_sources: BTreeMap<String, Vec<String>>,
    /// What the plan can do.
    pub testcases: Vec<TestCase>,
}

/// Testground's `[defaults]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// A builder's name.
    pub builder: Option<String>,
    /// A runner's name.
    pub runner: Option<String>,
}

/// One case of a plan.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    name: Spanned<String>,
    instances: Spanned<Instances>,
    #[serde(default)]
    params: BTreeMap<String, Spanned<Param>>,
    lab: Option<Spanned<Layout>>,
    faults: Option<List>,
    #[serde(skip)]
    schedule: Option<Schedule>,
}

/// How many instances a case may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instances {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
    /// Unless told otherwise.
    pub default: usize,
}

/// What can be set about a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it does.
    #[serde(default)]
    pub desc: String,
    /// What it is counted in.
    #[serde(default)]
    pub unit: String,
    /// Its value unless it is set.
    pub default: Option<toml::Value>,
}

impl Manifest {
    /// The manifest in a plan's folder.
    pub fn load(folder: &Path) -> Result<Manifest, FormatError> {
        let path = folder.join(FILE);
        Manifest::parse(&path, &read(&path)?)
    }

    /// A manifest from its text; `path` is for errors.
    pub fn parse(path: &Path, text: &str) -> Result<Manifest, FormatError> {
        let source = Source { path, text };
        let mut manifest: Manifest = source.parse()?;
        source.check_name("plan", &manifest.name)?;
        if manifest.testcases.is_empty() {
            return Err(source.error(0, "a plan has at least one of [[testcases]]"));
        }
        let mut names = BTreeSet::new();
        for case in &manifest.testcases {
            source.check_name("test case", &case.name)?;
            if !names.insert(case.name()) {
                let reason = format!("test case `{}` is there twice", case.name());
                return Err(source.error(case.name.span().start, reason));
            }
            let Instances { min, max, default } = *case.instances.get_ref();
            if min == 0 || !(min..=max).contains(&default) {
                return Err(source.error(
                    case.instances.span().start,
                    format!(
                        "instances: 1 <= min ({min}) <= default ({default}) <= max ({max}) does not hold"
                    ),
                ));
            }
            for (name, param) in &case.params {
                let at = param.span().start;
                let value = param.get_ref().default_text().unwrap_or_default();
                let one = Params::from([(name.clone(), value.clone())]);
                params::encode(&one).map_err(|error| source.error(at, error))?;
                if param.get_ref().default.is_some() {
                    let kind = param.get_ref().kind;
                    kind.check(&value).map_err(|reason| {
                        source.error(at, format!("default of `{name}`: {reason}"))
                    })?;
                }
            }
        }
        for case in &mut manifest.testcases {
            if let Some(layout) = &case.lab {
                layout.get_ref().check(&source, layout.span().start)?;
            }
            let list = case.faults.as_ref();
            case.schedule = list.map(|list| list.checked(&source)).transpose()?;
        }
        if let Some(builder) = manifest.builders.get(BUILDER) {
            let at = builder.span().start;
            for key in builder.get_ref().keys() {
                if !["enabled", "program"].contains(&key.as_str()) {
                    let reason = unknown("key", key, ["enabled", "program"]);
                    return Err(source.error(at, reason));
                }
            }
            let program = builder.get_ref().get("program");
            if program.and_then(toml::Value::as_str).is_none() {
                return Err(source.error(at, "`program` has to name the instances' program"));
            }
        }
        Ok(manifest)
    }

    /// The plan's name.
    pub fn name(&self) -> &str {
        self.name.get_ref()
    }

    /// Name of the instances' program, where the plan runs outside of Testground too.
    pub fn program(&self) -> Option<&str> {
        let builder = self.builders.get(BUILDER)?.get_ref();
        builder.get("program").and_then(toml::Value::as_str)
    }

    /// The case of this name, else an error that names the nearest.
    pub fn case(&self, name: &str) -> Result<&TestCase, String> {
        let found = self.testcases.iter().find(|case| case.name() == name);
        found.ok_or_else(|| {
            let known = self.testcases.iter().map(TestCase::name);
            unknown(&format!("test case of plan `{}`", self.name()), name, known)
        })
    }
}

impl TestCase {
    /// The case's name.
    pub fn name(&self) -> &str {
        self.name.get_ref()
    }

    /// How many instances it may have.
    pub fn instances(&self) -> Instances {
        *self.instances.get_ref()
    }

    /// Which LANs its instances are on.
    pub fn layout(&self) -> Layout {
        let layout = self.lab.as_ref();
        layout.map_or_else(Layout::default, |layout| *layout.get_ref())
    }

    /// What goes wrong in it, unless it is said otherwise.
    pub fn faults(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// What can be set, by name.
    pub fn params(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.params
            .iter()
            .map(|(name, param)| (name.as_str(), param.get_ref()))
    }

    /// `count`, if the case allows it.
    pub fn check_count(&self, count: usize) -> Result<usize, String> {
        let Instances { min, max, .. } = self.instances();
        if (min..=max).contains(&count) {
            Ok(count)
        } else {
            Err(format!(
                "{count} instances; `{}` has {min} to {max}",
                self.name()
            ))
        }
    }

    /// The parameters of an instance: the defaults and over them what was `set`. A name the
    /// case does not have, a value not of its kind, or one missing without a default is an error.
    pub fn params_with(&self, set: &Params) -> Result<Params, String> {
        let mut all = Params::new();
        for (name, param) in self.params() {
            if let Some(value) = set.get(name).cloned().or_else(|| param.default_text()) {
                param
                    .kind
                    .check(&value)
                    .map_err(|reason| format!("parameter `{name}`: {reason}"))?;
                all.insert(name.to_owned(), value);
            } else {
                return Err(format!("parameter `{name}` has no default: set it"));
            }
        }
        if let Some(name) = set.keys().find(|name| !self.params.contains_key(*name)) {
            let known = self.params.keys().map(String::as_str);
            return Err(unknown("parameter", name, known));
        }
        params::encode(&all).map_err(|error| error.to_string())?;
        Ok(all)
    }
}

impl Param {
    /// The default, as an instance reads it.
    pub fn default_text(&self) -> Option<String> {
        self.default.as_ref().map(|value| match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Datetime(time) => time.to_string(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            list => serde_json::to_string(list).expect("TOML values have text as keys"),
        })
    }
}

/// A file's text, for errors that name the line.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    pub(crate) fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, FormatError> {
        toml::from_str(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, with_nearest(error.message()))
        })
    }

    /// The line, from 1, of the byte `at`.
    pub(crate) fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// Something is wrong at the byte `at`.
    pub(crate) fn error(&self, at: usize, reason: impl ToString) -> FormatError {
        FormatError::Invalid {
            path: self.path.to_owned(),
            line: self.line(at),
            reason: reason.to_string(),
        }
    }

    /// Names become parts of paths, keys and environment variables.
    pub(crate) fn check_name(&self, what: &str, name: &Spanned<String>) -> Result<(), FormatError> {
        let text = name.get_ref();
        let good = (1..=64).contains(&text.len())
            && !text.starts_with('-')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if good {
            return Ok(());
        }
        Err(self.error(
            name.span().start,
            format!("`{text}` is no name for a {what}: 1 to 64 letters, digits, `-` and `_`"),
        ))
    }
}

/// What serde says of an unknown key or value lists all that are known, between ticks; the
/// one that was probably meant is added.
fn with_nearest(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let meant = names
        .next()
        .filter(|_| message.starts_with("unknown "))
        .and_then(|name| nearest(name, names));
    match meant {
        Some(meant) => format!("{message}; did you mean `{meant}`?"),
        None => message.to_owned(),
    }
}

pub(crate) fn read(path: &Path) -> Result<String, FormatError> {
    std::fs::read_to_string(path).map_err(|source| FormatError::Read {
        path: path.to_owned(),
        source,
    })
}
