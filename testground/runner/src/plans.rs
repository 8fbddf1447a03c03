//! The folder of plans, and the programs beside them.

use std::path::{Path, PathBuf};

use crate::manifest::{self, FormatError, Manifest};
use crate::suggest::unknown;

/// A plan and where it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// A plan cannot be found or used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The folder of plans.
    #[error("no plans at {}; say where with --plans", path.display())]
    Folder {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A manifest.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// There is none of this name.
    #[error("{0}")]
    Unknown(String),
    /// A program is not there.
    #[error("{0}")]
    Program(String),
}

/// All plans of a folder, by name.
pub fn all(folder: &Path) -> Result<Vec<Plan>, PlanError> {
    let failed = |source| PlanError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut plans = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        if folder.join(manifest::FILE).is_file() {
            let manifest = Manifest::load(&folder)?;
            plans.push(Plan { folder, manifest });
        }
    }
    plans.sort_by(|a, b| a.manifest.name().cmp(b.manifest.name()));
    Ok(plans)
}

/// The plan of this name in a folder, else an error that names the nearest.
pub fn find(folder: &Path, name: &str) -> Result<Plan, PlanError> {
    let plans = all(folder)?;
    match plans.iter().find(|plan| plan.manifest.name() == name) {
        Some(plan) => Ok(plan.clone()),
        None => {
            let known = plans.iter().map(|plan| plan.manifest.name());
            Err(PlanError::Unknown(unknown("plan", name, known)))
        }
    }
}

impl Plan {
    /// The instances' program: in the plan's folder, else beside this one.
    pub fn program(&self) -> Result<PathBuf, PlanError> {
        let Some(name) = self.manifest.program() else {
            return Err(PlanError::Program(format!(
                "plan `{}` names no program: it needs [builders.\"{}\"] with `program`",
                self.manifest.name(),
                manifest::BUILDER
            )));
        };
        let own = self.folder.join(name);
        if own.is_file() {
            return own
                .canonicalize()
                .map_err(|error| PlanError::Program(format!("{}: {error}", own.display())));
        }
        beside(
            name,
            &format!("build it first, with `cargo build -p {name}`"),
        )
    }
}

/// A program in the folder of this one; `hint` says how it gets there.
pub fn beside(name: &str, hint: &str) -> Result<PathBuf, PlanError> {
    let own = std::env::current_exe().map_err(|error| {
        PlanError::Program(format!("cannot tell where this program is: {error}"))
    })?;
    let path = own.with_file_name(name);
    if path.is_file() {
        Ok(path)
    } else {
        let missing = format!("no program at {}: {hint}", path.display());
        Err(PlanError::Program(missing))
    }
}
