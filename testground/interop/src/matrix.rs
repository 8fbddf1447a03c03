//! What was measured, judged by what is known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    cell::{Check, Peer, Transport},
    known::Known,
};

/// The whole of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// Version of Hedgerow.
    pub hedgerow: String,
    /// What the peers that were run are made of.
    pub versions: BTreeMap<Peer, Vec<String>>,
    /// Every cell.
    pub cells: Vec<Cell>,
}

/// One check with one peer on one transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// With whom.
    pub peer: Peer,
    /// On what.
    pub transport: Transport,
    /// What was checked.
    pub check: Check,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What came of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It works; `known` is the reason why it was thought not to.
    Pass {
        /// See above.
        #[serde(skip_serializing_if = "Option::is_none")]
        known: Option<String>,
    },
    /// It does not work, and why is known.
    KnownGap {
        /// Why.
        reason: String,
        /// What was found.
        found: String,
    },
    /// It does not work.
    Fail {
        /// What was found.
        found: String,
    },
}

impl Verdict {
    /// Judges what was measured.
    pub fn of(measured: Result<(), String>, known: Option<&str>) -> Verdict {
        match (measured, known) {
            (Ok(()), known) => Verdict::Pass {
                known: known.map(str::to_owned),
            },
            (Err(found), Some(reason)) => Verdict::KnownGap {
                reason: reason.to_owned(),
                found,
            },
            (Err(found), None) => Verdict::Fail { found },
        }
    }

    /// The reason of a known gap.
    pub fn gap(&self) -> Option<&String> {
        match self {
            Verdict::KnownGap { reason, .. } => Some(reason),
            Verdict::Pass { .. } | Verdict::Fail { .. } => None,
        }
    }
}

impl Matrix {
    /// A run that has measured nothing yet.
    pub fn new(hedgerow: String) -> Matrix {
        Matrix {
            hedgerow,
            versions: BTreeMap::new(),
            cells: Vec::new(),
        }
    }

    /// Takes in the checks of a peer on a transport. One that has no result was never
    /// reached, and counts as failed.
    pub fn add(
        &mut self,
        known: &Known,
        peer: Peer,
        transport: Transport,
        measured: &BTreeMap<Check, Result<(), String>>,
    ) {
        for check in Check::ALL.into_iter().filter(|check| peer.has(*check)) {
            let result = measured
                .get(&check)
                .cloned()
                .unwrap_or_else(|| Err("not reached".to_owned()));
            let verdict = Verdict::of(result, known.reason(peer, transport, check));
            self.cells.push(Cell {
                peer,
                transport,
                check,
                verdict,
            });
        }
    }

    /// Cells that fail and are no known gap.
    pub fn failed(&self) -> impl Iterator<Item = &Cell> {
        let cells = self.cells.iter();
        cells.filter(|cell| matches!(cell.verdict, Verdict::Fail { .. }))
    }

    /// Cells that are listed as gaps and work.
    pub fn closed(&self) -> impl Iterator<Item = &Cell> {
        let cells = self.cells.iter();
        cells.filter(|cell| matches!(cell.verdict, Verdict::Pass { known: Some(_) }))
    }
}
