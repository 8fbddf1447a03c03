//! Route distance against direct distance (Pastry, figure 6), and what the same routes
//! would have with complete tables: below that no choice of entries can get.

use super::{Made, Options, TableError, growth};
use crate::paper;
use crate::report::{Goal, Reading};

/// What ours is wanted to be at most, at every size.
const WANTED: f64 = 1.30;

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let readings = growth::of_all_seeds(options)?
        .iter()
        .map(|measured| {
            let at = measured.iter().flat_map(|one| {
                let nodes = one.nodes;
                let x = nodes as f64;
                [
                    Reading::new(
                        "over direct",
                        format!("over direct, {nodes} nodes"),
                        one.stretch,
                    )
                    .with_x(x)
                    .with_paper(paper::stretch(nodes))
                    .with_goal(Goal::AtMost(WANTED)),
                    Reading::new(
                        "complete tables over direct",
                        format!("complete tables over direct, {nodes} nodes"),
                        one.complete_stretch,
                    )
                    .with_x(x),
                    Reading::new(
                        "over complete tables",
                        format!("over complete tables, {nodes} nodes"),
                        one.stretch / one.complete_stretch,
                    )
                    .with_x(x),
                ]
            });
            at.collect()
        })
        .collect();
    Ok(Made {
        title: "Route distance against direct distance".to_owned(),
        setup: format!(
            "{} The sum of all routes' distances over the sum of the direct distances. Complete \
             tables: every cell holds the nearest node there is for it.",
            growth::setup(options)
        ),
        axis: "nodes",
        readings,
    })
}
