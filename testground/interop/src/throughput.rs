//! How fast a file comes from a peer that has it to one that has not, ours and kubo, on the same
//! emulated link (X25 of `docs/specs/interop-peer.md`).

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use lab::{Lab, Rule, Shape};
use serde::Serialize;

use crate::{
    cell::Transport, files, foreign::Foreign, hedgerow::Hedgerow, line::Command, prepare::Program,
};

/// Who has the file, and who wants it.
const GIVER: usize = 0;
const TAKER: usize = 1;

/// Where each listens.
const PORT: u16 = 4747;

/// Longer than connecting and getting to know each other takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A transfer that takes longer counts as none.
const LONGEST: Duration = Duration::from_secs(1800);

/// A program at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hedgerow,
    Kubo,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Hedgerow => "Hedgerow",
            Kind::Kubo => "kubo",
        })
    }
}

/// From whom to whom; the first is what the others are compared with.
const PAIRS: [(Kind, Kind); 4] = [
    (Kind::Kubo, Kind::Kubo),
    (Kind::Hedgerow, Kind::Hedgerow),
    (Kind::Kubo, Kind::Hedgerow),
    (Kind::Hedgerow, Kind::Kubo),
];

/// What is measured.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The program `hedgerow`.
    pub hedgerow: &'a Path,
    /// kubo.
    pub kubo: &'a Program,
    /// The program that is the lab's switch when it is told `switch SEED`.
    pub switch: PathBuf,
    /// What they are connected by.
    pub transport: Transport,
    /// The way between them, each direction.
    pub shape: Shape,
    /// Size of the file, bytes.
    pub size: usize,
    /// How often each pair is measured, one pair after the other each time.
    pub runs: u64,
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Who had the file.
    pub from: String,
    /// Who got it.
    pub to: String,
    /// MiB a second of each run, sorted.
    pub rates: Vec<f64>,
    /// Why runs failed.
    pub failed: Vec<String>,
}

impl Line {
    /// Of all runs; none if none came to its end.
    pub fn median(&self) -> Option<f64> {
        self.rates.get(self.rates.len() / 2).copied()
    }
}

impl Setup<'_> {
    /// Measures all pairs. `note` is told of each run as it ends.
    pub fn measure(&self, note: impl Fn(&str)) -> anyhow::Result<Vec<Line>> {
        let line = |(from, to): (Kind, Kind)| Line {
            from: from.to_string(),
            to: to.to_string(),
            rates: Vec::new(),
            failed: Vec::new(),
        };
        let mut lines = PAIRS.map(line);
        for run in 0..self.runs {
            for ((from, to), line) in PAIRS.into_iter().zip(&mut lines) {
                match self.run(run, from, to) {
                    Ok(took) => {
                        let rate = self.size as f64 / 1024.0 / 1024.0 / took.as_secs_f64();
                        note(&format!("{from} to {to}: {rate:.2} MiB/s"));
                        line.rates.push(rate);
                    }
                    Err(error) => {
                        note(&format!("{from} to {to}: {error:#}"));
                        line.failed.push(format!("{error:#}"));
                    }
                }
            }
        }
        for line in &mut lines {
            line.rates.sort_by(f64::total_cmp);
        }
        Ok(lines.into())
    }

    /// How long the file took. Both ends are new, and a Hedgerow node that wants the file joins
    /// when it is put: else it would have been given a copy before.
    fn run(&self, seed: u64, from: Kind, to: Kind) -> anyhow::Result<Duration> {
        let lab = Lab::builder()
            .nodes(2)
            .ipv4_only()
            .binary(self.hedgerow)
            .switched(seed)
            .switch_program(&self.switch, ["switch"])
            .build()?;
        lab.shape([Rule::all(self.shape.clone())])?;
        let (source, target) = (lab.logs().join("source"), lab.logs().join("target"));
        files::write(&source, seed, self.size)?;
        let giver = End::start(self, &lab, from, GIVER)?;
        let (giver, cid) = giver.give(&source)?;
        let taker = End::start(self, &lab, to, TAKER)?;
        let took = taker.take(&giver, &cid, &target)?;
        files::compare(&source, &target)?;
        Ok(took)
    }
}

/// A program that runs.
enum End<'a> {
    Hedgerow(Hedgerow<'a>),
    Kubo(Box<Foreign>),
}

impl<'a> End<'a> {
    fn start(setup: &Setup<'_>, lab: &'a Lab, kind: Kind, node: usize) -> anyhow::Result<End<'a>> {
        let listen = setup.transport.address(lab.ipv4(node, 0), PORT);
        Ok(match kind {
            Kind::Hedgerow => End::Hedgerow(Hedgerow::start(
                lab,
                node,
                setup.hedgerow,
                &listen,
                false,
                &[],
            )?),
            Kind::Kubo => {
                let args = ["--listen".to_owned(), listen];
                let label = format!("kubo-{node}");
                End::Kubo(Box::new(Foreign::start(
                    lab, node, &label, setup.kubo, &args,
                )?))
            }
        })
    }

    fn id(&self) -> String {
        match self {
            End::Hedgerow(node) => node.id(),
            End::Kubo(peer) => peer.id(),
        }
    }

    fn addr(&self) -> anyhow::Result<String> {
        match self {
            End::Hedgerow(node) => Ok(node.addr()),
            End::Kubo(peer) => peer.addr(),
        }
    }

    /// Stores the file; its CID.
    fn give(mut self, source: &Path) -> anyhow::Result<(Self, String)> {
        let path = files::text(source)?;
        let cid = match &mut self {
            End::Hedgerow(node) => {
                let put = node.patient(&["object", "put", &path], LONGEST)?;
                let put: serde_json::Value = serde_json::from_slice(&put)?;
                put["cid"].as_str().context("no CID")?.to_owned()
            }
            End::Kubo(peer) => {
                let added = peer.ask(Command::Add { path }, LONGEST)?;
                let cid = added.get("cid").and_then(|cid| cid.as_str());
                cid.context("no CID")?.to_owned()
            }
        };
        Ok((self, cid))
    }

    /// Connects to who has the file and gets it: how long the getting took.
    fn take(mut self, giver: &End<'_>, cid: &str, target: &Path) -> anyhow::Result<Duration> {
        let (addr, path) = (giver.addr()?, files::text(target)?);
        match &mut self {
            End::Hedgerow(node) => {
                node.run(&["peers", "connect", &addr])?;
                node.identified(&giver.id(), PATIENCE)?;
                if matches!(giver, End::Hedgerow(_)) {
                    let asked = ["overlay", "leafset"];
                    node.until("neighbour", PATIENCE, &asked, |leafs| {
                        leafs.to_string().contains(&giver.id()).then_some(())
                    })?;
                }
                let begin = Instant::now();
                node.patient(&["object", "get", cid, "--output", &path], LONGEST)?;
                Ok(begin.elapsed())
            }
            End::Kubo(peer) => {
                peer.ask(Command::Dial { addr }, PATIENCE)?;
                peer.ask(Command::Identify { peer: giver.id() }, PATIENCE)?;
                let begin = Instant::now();
                let key = cid.to_owned();
                peer.ask(Command::Fetch { key, path }, LONGEST)?;
                Ok(begin.elapsed())
            }
        }
    }
}

/// The result as a table.
pub fn table(lines: &[Line]) -> String {
    let mut text = String::from(
        "| from | to | MiB/s, median | least and most | over kubo to kubo |\n\
         |---|---|---:|---:|---:|\n",
    );
    let base = lines.first().and_then(Line::median);
    for line in lines {
        let number = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.2}"));
        let spread = match (line.rates.first(), line.rates.last()) {
            (Some(least), Some(most)) => format!("{least:.2} to {most:.2}"),
            _ => "-".to_owned(),
        };
        let ratio = line.median().zip(base).map(|(rate, base)| rate / base);
        text += &format!(
            "| {} | {} | {} | {spread} | {} |\n",
            line.from,
            line.to,
            number(line.median()),
            number(ratio)
        );
    }
    text
}

/// Nothing that cannot be measured is begun.
pub fn check(size: usize, runs: u64) -> anyhow::Result<()> {
    if size == 0 || runs == 0 {
        bail!("at least one byte and one run are measured");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_has_no_figure() {
        let line = |rates: &[f64]| Line {
            from: "a".to_owned(),
            to: "b".to_owned(),
            rates: rates.to_vec(),
            failed: Vec::new(),
        };
        let text = table(&[line(&[2.0, 4.0, 8.0]), line(&[9.0, 10.0, 11.0]), line(&[])]);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| a | b | 4.00 | 2.00 to 8.00 | 1.00 |",
                "| a | b | 10.00 | 9.00 to 11.00 | 2.50 |",
                "| a | b | - | - | - |",
            ]
        );
        assert!(check(1, 1).is_ok() && check(0, 1).is_err() && check(1, 0).is_err());
    }
}
