//! The share of each number of hops in the largest network (Pastry, figure 5).

use super::{Made, Options, TableError, growth};
use crate::paper;
use crate::report::Reading;

/// The size of the paper's figure.
const PAPER_NODES: usize = 100_000;

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let largest = growth::sizes(options).last().copied().unwrap_or_default();
    let readings = growth::of_all_seeds(options)?
        .iter()
        .map(|measured| {
            let shares = measured.last().map(|last| last.shares).unwrap_or_default();
            let at = shares.iter().enumerate().map(|(hops, share)| {
                let label = match hops {
                    hops if hops + 1 == growth::MOST_HOPS => format!("{hops} hops or more"),
                    hops => format!("{hops} hops"),
                };
                let cited = paper::hop_share(hops).filter(|_| largest == PAPER_NODES);
                Reading::new("share", label, *share)
                    .with_x(hops as f64)
                    .with_paper(cited)
            });
            at.collect()
        })
        .collect();
    Ok(Made {
        title: format!("Share of lookups by hops, {largest} nodes"),
        setup: growth::setup(options),
        axis: "hops",
        readings,
    })
}
