//! Messages a join causes, of every kind, until nothing moves any more (Pastry, section
//! 2.4).

use super::{Made, Options, TableError, growth};
use crate::report::{Goal, Reading};
use crate::{Kind, paper};

/// The size for which kinds are told apart.
const BY_KIND: usize = 5_000;

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let largest = growth::sizes(options).last().copied().unwrap_or_default();
    let readings = growth::of_all_seeds(options)?
        .iter()
        .map(|measured| {
            let mut all = Vec::new();
            for one in measured.iter() {
                let cited = paper::join_messages(one.nodes);
                let total: f64 = one.join.iter().sum();
                let label = format!("messages a join, {} nodes", one.nodes);
                let reading = Reading::new("all", label, total)
                    .with_x(one.nodes as f64)
                    .with_paper(cited)
                    .with_goal(Goal::AtMost(cited.value.round()));
                all.push(reading);
                if one.nodes == BY_KIND.min(largest) {
                    for (kind, count) in Kind::ALL.iter().zip(one.join) {
                        if matches!(
                            kind,
                            Kind::Lookup
                                | Kind::Heartbeat
                                | Kind::Answer
                                | Kind::Leave
                                | Kind::Location
                        ) {
                            continue;
                        }
                        let label = format!("of these {}, {} nodes", kind.name(), one.nodes);
                        all.push(Reading::new(kind.name(), label, count));
                    }
                }
            }
            all
        })
        .collect();
    Ok(Made {
        title: "Messages a join".to_owned(),
        setup: format!(
            "{} Each message of each kind is counted that is sent by anybody from the joiner's \
             first until none is on its way, over the last 200 joins before the size.",
            growth::setup(options)
        ),
        axis: "nodes",
        readings,
    })
}
