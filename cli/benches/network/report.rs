//! Medians, spreads and tables.

use std::fmt::Display;

/// Measurements of one thing.
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Of at least one measurement.
    pub(crate) fn new(mut values: Vec<f64>) -> anyhow::Result<Self> {
        anyhow::ensure!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Ok(Self(values))
    }

    /// The value that `share` of all, from 0 to 1, do not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// Median, 95th percentile, least and most, as cells of a table.
    pub(crate) fn cells(&self) -> String {
        format!(
            "{:.2} | {:.2} | {:.2} | {:.2}",
            self.quantile(0.5),
            self.quantile(0.95),
            self.quantile(0.0),
            self.quantile(1.0)
        )
    }
}

/// Prints the heading of a table with [`Series::cells`].
pub(crate) fn heading(title: impl Display, first: &str) {
    println!("\n{title}\n");
    println!("| {first} | median | p95 | min | max |");
    println!("|---|---|---|---|---|");
}

/// Prints a row of that table.
pub(crate) fn row(name: impl Display, series: &Series) {
    println!("| {name} | {} |", series.cells());
}

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
