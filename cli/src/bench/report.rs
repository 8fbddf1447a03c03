//! Medians, spreads and ratios.

use std::{collections::BTreeMap, io::Write};

use serde::Serialize;

use super::clock::Took;
use crate::args::{Transfer, TransportName};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    /// Raw libp2p stream.
    Raw,
    /// Verified blocks, memory to memory.
    Memory,
    /// Written to disk, synced once at the end.
    DiskStream,
    /// Written to disk, each MiB synced.
    DiskEach,
    /// Verified blocks, durable at the far end.
    Disk,
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw_stream",
            Self::Memory => "blocks_memory",
            Self::DiskStream => "disk_one_sync",
            Self::DiskEach => "disk_sync_each",
            Self::Disk => "blocks_disk",
        }
    }

    /// What it is compared with.
    fn baselines(self) -> &'static [Row] {
        match self {
            Self::Memory => &[Self::Raw],
            Self::Disk => &[Self::DiskStream, Self::DiskEach],
            Self::Raw | Self::DiskStream | Self::DiskEach => &[],
        }
    }
}

/// All measurements of one invocation.
pub(super) struct Report {
    size: u64,
    runs: u32,
    in_flight: u32,
    rates: BTreeMap<(&'static str, Row), Vec<f64>>,
    cores: BTreeMap<(&'static str, Row), Vec<f64>>,
}

/// The report as JSON; rates in MiB/s.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    size: u64,
    runs: u32,
    in_flight: u32,
    results: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    transport: &'static str,
    what: &'static str,
    median: f64,
    min: f64,
    max: f64,
    /// (max - min) / median.
    spread: f64,
    runs: Vec<f64>,
    /// Processors busy on average, median of the runs.
    cores: f64,
    /// Median over the baseline's median, for each baseline.
    ratios: BTreeMap<&'static str, f64>,
}

impl Report {
    pub(super) fn new(options: &Transfer) -> Self {
        Self {
            size: options.size,
            runs: options.runs,
            in_flight: options.in_flight,
            rates: BTreeMap::new(),
            cores: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, transport: TransportName, row: Row, took: Took) {
        let name = match transport {
            TransportName::Tcp => "tcp",
            TransportName::Quic => "quic",
        };
        let rate = self.size as f64 / (1024.0 * 1024.0) / took.wall.as_secs_f64().max(1e-9);
        self.rates.entry((name, row)).or_default().push(rate);
        let cores = took.cpu.as_secs_f64() / took.wall.as_secs_f64().max(1e-9);
        self.cores.entry((name, row)).or_default().push(cores);
    }

    pub(super) fn summary(&self) -> Summary {
        let results = self.rates.iter().map(|((transport, row), rates)| {
            let middle = median(rates);
            let min = rates.iter().copied().fold(f64::INFINITY, f64::min);
            let max = rates.iter().copied().fold(0.0, f64::max);
            let ratios = row
                .baselines()
                .iter()
                .filter_map(|baseline| {
                    let rates = self.rates.get(&(*transport, *baseline))?;
                    Some((baseline.name(), middle / median(rates)))
                })
                .collect();
            Line {
                transport,
                what: row.name(),
                median: middle,
                min,
                max,
                spread: (max - min) / middle,
                runs: rates.clone(),
                cores: self
                    .cores
                    .get(&(*transport, *row))
                    .map_or(0.0, |cores| median(cores)),
                ratios,
            }
        });
        Summary {
            size: self.size,
            runs: self.runs,
            in_flight: self.in_flight,
            results: results.collect(),
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(
            out,
            "| transport | what | median MiB/s | min | max | spread | cores | ratio |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|")?;
        for line in self.summary().results {
            let ratios: Vec<_> = line
                .ratios
                .iter()
                .map(|(baseline, ratio)| format!("{ratio:.2} of {baseline}"))
                .collect();
            writeln!(
                out,
                "| {} | {} | {:.0} | {:.0} | {:.0} | {:.0}% | {:.2} | {} |",
                line.transport,
                line.what,
                line.median,
                line.min,
                line.max,
                line.spread * 100.0,
                line.cores,
                ratios.join(", ")
            )?;
        }
        Ok(())
    }
}

/// The middle value, or the mean of the two in the middle; never of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn medians() {
        assert_eq!(super::median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(super::median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
