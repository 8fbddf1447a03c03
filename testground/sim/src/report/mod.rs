//! Figures, and how they are shown.

mod files;
mod plot;
mod progress;
mod text;

use serde::Serialize;

use crate::paper::Cited;

pub use files::{FileError, write_whole};
pub use plot::{PlotError, plot};
pub use progress::Progress;

/// What ours is wanted to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Goal {
    /// Whether a figure reaches it.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Goal::AtMost(most) => value <= most,
            Goal::AtLeast(least) => value >= least,
        }
    }
}

/// One measurement of one seed.
#[derive(Clone, Debug)]
pub struct Reading {
    series: String,
    label: String,
    x: Option<f64>,
    value: f64,
    paper: Option<Cited>,
    goal: Option<Goal>,
}

impl Reading {
    /// A measured value; readings of a series are one line of the plot.
    pub fn new(series: impl Into<String>, label: impl Into<String>, value: f64) -> Reading {
        Reading {
            series: series.into(),
            label: label.into(),
            x: None,
            value,
            paper: None,
            goal: None,
        }
    }

    /// Which figure it is.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it stands on the plot's axis.
    #[must_use]
    pub fn with_x(mut self, x: f64) -> Reading {
        self.x = Some(x);
        self
    }

    /// What the paper has.
    #[must_use]
    pub fn with_paper(mut self, paper: impl Into<Option<Cited>>) -> Reading {
        self.paper = paper.into();
        self
    }

    /// What is wanted.
    #[must_use]
    pub fn with_goal(mut self, goal: Goal) -> Reading {
        self.goal = Some(goal);
        self
    }
}

/// One figure over all seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Which line of the plot.
    pub series: String,
    /// Which point of it.
    pub label: String,
    /// Where that is.
    pub x: Option<f64>,
    /// The paper's.
    pub paper: Option<Cited>,
    /// What is wanted.
    pub goal: Option<Goal>,
    /// The mean of all seeds.
    pub mean: f64,
    /// Their standard deviation; 0 for a single one.
    pub deviation: f64,
    /// Each seed's.
    pub values: Vec<f64>,
}

impl Figure {
    /// By how much ours is above the paper's, as a share of the paper's.
    pub fn difference(&self) -> Option<f64> {
        let paper = self.paper?.value;
        (paper != 0.0).then(|| self.mean / paper - 1.0)
    }

    /// Whether the mean reaches the goal, if there is one.
    pub fn meets_goal(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met(self.mean))
    }
}

/// A table of figures.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// The command's name for it.
    pub name: &'static str,
    /// What it shows.
    pub title: String,
    /// How it was measured.
    pub setup: String,
    /// What stands on the plot's axis.
    pub axis: &'static str,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// The command that makes it again.
    pub command: String,
}

/// Puts the readings of all seeds together: each has the same figures in the same order.
///
/// # Panics
/// When they have not: the table's own mistake.
pub fn collate(seeds: Vec<Vec<Reading>>) -> Vec<Figure> {
    let Some(first) = seeds.first() else {
        return Vec::new();
    };
    let figures = first.iter().enumerate().map(|(at, reading)| {
        let values: Vec<f64> = seeds
            .iter()
            .map(|seed| {
                assert_eq!(
                    seed[at].label, reading.label,
                    "every seed has the same figures"
                );
                seed[at].value
            })
            .collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() > 1 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        };
        Figure {
            series: reading.series.clone(),
            label: reading.label.clone(),
            x: reading.x,
            paper: reading.paper,
            goal: reading.goal,
            mean,
            deviation,
            values,
        }
    });
    figures.collect()
}
