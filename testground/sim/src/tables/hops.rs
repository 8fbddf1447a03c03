//! Average hops by size (Pastry, figure 4).

use super::{Made, Options, TableError, growth};
use crate::paper;
use crate::report::{Goal, Reading};

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let readings = growth::of_all_seeds(options)?
        .iter()
        .map(|measured| {
            let at = measured.iter().map(|one| {
                let label = format!("hops, {} nodes", one.nodes);
                let reading = Reading::new("hops", label, one.hops)
                    .with_x(one.nodes as f64)
                    .with_paper(paper::hops(one.nodes));
                match paper::hops(one.nodes) {
                    Some(cited) => reading.with_goal(Goal::AtMost(cited.value)),
                    None => reading,
                }
            });
            at.collect()
        })
        .collect();
    Ok(Made {
        title: "Average hops by size".to_owned(),
        setup: growth::setup(options),
        axis: "nodes",
        readings,
    })
}
