//! How many table entries are the nearest there are (Pastry, figure 7).

use super::growth::COUNTED_JOINS;
use super::{Made, Options, TableError};
use crate::oracle::Oracle;
use crate::report::{Goal, Reading};
use crate::{Contact, Kind, Node, Settings, Sim, formation, paper};

/// Rows compared.
const ROWS: usize = 4;

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let nodes = if options.quick { 500 } else { 5_000 };
    let bar = options.bar("joining", 2 * nodes);
    let readings = options.each_seed(|seed| {
        let mut all = Vec::new();
        for (contact, name) in [
            (Contact::Nearest, "by the nearest"),
            (Contact::Random, "by anyone"),
        ] {
            let mut sim = Sim::new(&Settings::calm(seed).with_contact(contact))?;
            let grow = |sim: &mut Sim, nodes: usize| {
                formation::grow(sim, nodes, contact, &mut bar.clone())
                    .map_err(|source| TableError::Join { seed, source })
            };
            let counted = COUNTED_JOINS.min(nodes / 4).max(1);
            grow(&mut sim, nodes - counted)?;
            let before = *sim.traffic();
            grow(&mut sim, nodes)?;
            let joins = sim.traffic().since(&before);
            let sent: u64 = Kind::ALL.iter().map(|kind| joins.of(*kind)).sum();
            let label = format!("messages a join, joined {name}");
            let messages = sent as f64 / counted as f64;
            all.push(Reading::new("messages", label, messages));
            let everyone: Vec<Node> = sim.ring().iter().map(|(_, node)| node).collect();
            let rows = Oracle::new(&sim).quality(ROWS, &everyone);
            for (row, quality) in rows.into_iter().enumerate() {
                let cited = paper::quality(row).filter(|_| !options.quick);
                let ours = [
                    ("optimal", quality.optimal),
                    ("suboptimal", quality.suboptimal),
                    ("empty", quality.empty),
                ];
                for (at, (what, value)) in ours.into_iter().enumerate() {
                    let label = format!("row {row} {what}, joined {name}");
                    let mut reading = Reading::new(format!("{what}, joined {name}"), label, value)
                        .with_x(row as f64)
                        .with_paper(cited.map(|cited| cited[at]));
                    // The last row has one entry: whether it is there is chance.
                    if let Some(cited) = cited.filter(|_| at == 0 && row < ROWS - 1) {
                        reading = reading.with_goal(Goal::AtLeast(cited[at].value));
                    }
                    all.push(reading);
                }
                let label = format!("row {row} empty though somebody fits, joined {name}");
                all.push(Reading::new(
                    format!("missing, joined {name}"),
                    label,
                    quality.missing,
                ));
            }
        }
        Ok(all)
    })?;
    bar.finish();
    Ok(Made {
        title: format!("Entries a row after {nodes} joins"),
        setup: "Of 15 entries a row, averaged over all nodes. Joined by the nearest node, as the \
                paper assumes, and by anyone, so that the joiner has to find near nodes itself."
            .to_owned(),
        axis: "row",
        readings,
    })
}
