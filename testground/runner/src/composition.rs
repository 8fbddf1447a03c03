//! Compositions: a case with several groups of instances, each with its own parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::faults::{List, Schedule};
use crate::manifest::{FormatError, Source, read};
use crate::params::Params;

/// What a composition file says. What Testground's builders and runners need beyond it is
/// read and left to them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Composition {
    /// For people.
    #[serde(default)]
    pub metadata: Metadata,
    /// What is run.
    pub global: Global,
    groups: Vec<Group>,
    faults: Option<List>,
    #[serde(skip)]
    schedule: Option<Schedule>,
}

/// `[metadata]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
}

/// `[global]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Global {
    /// The plan.
    pub plan: String,
    /// Its case.
    pub case: String,
    total_instances: Option<Spanned<usize>>,
    /// Testground's builder.
    pub builder: Option<String>,
    /// Testground's runner.
    pub runner: Option<String>,
    /// Testground's settings for the build.
    #[serde(default)]
    pub build_config: BTreeMap<String, toml::Value>,
    /// Testground's settings for the run.
    #[serde(default)]
    pub run_config: BTreeMap<String, toml::Value>,
    /// Parameters of every group.
    #[serde(default)]
    pub run: Run,
}

/// One of `[[groups]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    id: Spanned<String>,
    instances: Spanned<Share>,
    #[serde(default)]
    run: Run,
}

/// How many of the instances are in a group: one of the two.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    count: Option<usize>,
    percentage: Option<f64>,
}

/// Parameters.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// By name.
    #[serde(default)]
    pub test_params: Params,
    /// The build to run; Testground fills it in.
    pub artifact: Option<String>,
}

/// A group of instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The group.
    pub id: String,
    /// How many.
    pub count: usize,
    /// What is set for them.
    pub params: Params,
}

impl Composition {
    /// The composition in a file, and its groups.
    pub fn load(path: &Path) -> Result<(Composition, Vec<Members>), FormatError> {
        Composition::parse(path, &read(path)?)
    }

    /// A composition from its text; `path` is for errors.
    pub fn parse(path: &Path, text: &str) -> Result<(Composition, Vec<Members>), FormatError> {
        let source = Source { path, text };
        let mut composition: Composition = source.parse()?;
        let list = composition.faults.as_ref();
        composition.schedule = list.map(|list| list.checked(&source)).transpose()?;
        let members = composition.members(&source)?;
        Ok((composition, members))
    }

    /// What goes wrong, in place of what the manifest says.
    pub fn faults(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    fn members(&self, source: &Source<'_>) -> Result<Vec<Members>, FormatError> {
        let total = self.global.total_instances.as_ref();
        let mut ids = BTreeSet::new();
        let mut members = Vec::new();
        for group in &self.groups {
            source.check_name("group", &group.id)?;
            if !ids.insert(group.id.get_ref()) {
                let reason = format!("group `{}` is there twice", group.id.get_ref());
                return Err(source.error(group.id.span().start, reason));
            }
            let at = group.instances.span().start;
            let share = group.instances.get_ref();
            let count = match (share.count, share.percentage, total) {
                (Some(count), None, _) => count,
                (None, Some(part), Some(total)) if (0.0..=1.0).contains(&part) => {
                    (*total.get_ref() as f64 * part).round() as usize
                }
                (None, Some(_), Some(_)) => {
                    return Err(source.error(at, "`percentage` is from 0 to 1"));
                }
                (None, Some(_), None) => {
                    return Err(source.error(at, "`percentage` needs `total_instances`"));
                }
                _ => return Err(source.error(at, "one of `count` and `percentage`")),
            };
            if count == 0 {
                return Err(source.error(at, "a group has at least one instance"));
            }
            let mut params = self.global.run.test_params.clone();
            params.extend(group.run.test_params.clone());
            members.push(Members {
                id: group.id.get_ref().clone(),
                count,
                params,
            });
        }
        if members.is_empty() {
            return Err(source.error(0, "a composition has at least one of [[groups]]"));
        }
        let sum: usize = members.iter().map(|group| group.count).sum();
        if let Some(total) = total
            && *total.get_ref() != sum
        {
            let reason = format!(
                "`total_instances` is {}, the groups have {sum}",
                total.get_ref()
            );
            return Err(source.error(total.span().start, reason));
        }
        Ok(members)
    }
}
