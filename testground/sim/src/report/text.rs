//! A table for the terminal, which is Markdown as well.

use std::fmt;

use super::{Figure, Goal, Table};
use crate::paper::{Cited, Trust};

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.title)?;
        writeln!(f, "{}\n", self.setup)?;
        let header = ["figure", "paper", "ours", "spread", "difference", "goal"];
        let mut rows: Vec<[String; 6]> = vec![header.map(str::to_owned)];
        rows.extend(self.figures.iter().map(cells));
        let mut widths = [0; 6];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (number, row) in rows.iter().enumerate() {
            write!(f, "|")?;
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                match column {
                    0 => write!(f, " {cell:<width$} |")?,
                    _ => write!(f, " {cell:>width$} |")?,
                }
            }
            writeln!(f)?;
            if number == 0 {
                write!(f, "|")?;
                for (column, width) in widths.into_iter().enumerate() {
                    let (dashes, end) =
                        ("-".repeat(width + 1), if column == 0 { "-" } else { ":" });
                    write!(f, "{dashes}{end}|")?;
                }
                writeln!(f)?;
            }
        }
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        writeln!(f, "\nSeeds {}. `{}`", seeds.join(", "), self.command)
    }
}

fn cells(figure: &Figure) -> [String; 6] {
    let goal = match figure.goal {
        None => String::new(),
        Some(goal) => {
            let verdict = if goal.is_met(figure.mean) {
                "met"
            } else {
                "missed"
            };
            match goal {
                Goal::AtMost(most) => format!("<= {}: {verdict}", number(most)),
                Goal::AtLeast(least) => format!(">= {}: {verdict}", number(least)),
            }
        }
    };
    [
        figure.label.clone(),
        figure.paper.map(cited).unwrap_or_default(),
        number(figure.mean),
        number(figure.deviation),
        figure
            .difference()
            .map(|share| format!("{:+.1}%", share * 100.0))
            .unwrap_or_default(),
        goal,
    ]
}

fn cited(cited: Cited) -> String {
    match cited.trust {
        Trust::Read | Trust::Measured => number(cited.value),
        Trust::About => format!("about {}", number(cited.value)),
    }
}

/// Four digits that count.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if size < 0.001 {
        format!("{value:.1e}")
    } else if size < 10.0 {
        format!("{value:.3}")
    } else if size < 1_000.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
