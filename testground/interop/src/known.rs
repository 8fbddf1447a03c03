//! The known gaps: cells that do not work yet, each with its reason.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::cell::{Check, Peer, Transport};

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The gaps.
    #[serde(default)]
    gap: Vec<Gap>,
}

/// One gap; what is left out stands for all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// With which peer.
    pub peer: Option<Peer>,
    /// On which transport.
    pub transport: Option<Transport>,
    /// In which checks.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Why, for the reader of the matrix.
    pub reason: String,
}

impl Known {
    /// Reads the file.
    pub fn load(path: &Path) -> anyhow::Result<Known> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Known::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads the text of the file.
    pub fn parse(text: &str) -> anyhow::Result<Known> {
        let known: Known = toml::from_str(text)?;
        for gap in &known.gap {
            if gap.reason.trim().is_empty() {
                bail!("a known gap without a reason");
            }
            if gap.peer.is_none() && gap.transport.is_none() && gap.checks.is_empty() {
                bail!("a known gap that is everything: {}", gap.reason);
            }
        }
        Ok(known)
    }

    /// Why a cell is a known gap, if it is one.
    pub fn reason(&self, peer: Peer, transport: Transport, check: Check) -> Option<&str> {
        self.gap
            .iter()
            .find(|gap| {
                gap.peer.is_none_or(|is| is == peer)
                    && gap.transport.is_none_or(|is| is == transport)
                    && (gap.checks.is_empty() || gap.checks.contains(&check))
            })
            .map(|gap| gap.reason.as_str())
    }
}
