//! How long a network takes to be whole again, and how long keys had two owners.

use super::{Made, Options, TableError};
use crate::report::Reading;
use crate::scenario::{Scenario, run};

const SCENARIOS: [(&str, &str); 5] = [
    (
        "two overlays meet",
        include_str!("../../scenarios/merge.toml"),
    ),
    (
        "a third was cut off",
        include_str!("../../scenarios/partition.toml"),
    ),
    (
        "everyone restarts",
        include_str!("../../scenarios/restart.toml"),
    ),
    ("half of all die", include_str!("../../scenarios/half.toml")),
    (
        "a leaf set's half dies",
        include_str!("../../scenarios/arc.toml"),
    ),
];

pub(super) fn make(options: &Options) -> Result<Made, TableError> {
    let nodes = if options.quick {
        60
    } else {
        1_000.min(options.most_nodes)
    };
    let bar = options.bar("healing", SCENARIOS.len());
    let readings = options.each_seed(|seed| {
        let mut all = Vec::new();
        for (name, text) in SCENARIOS {
            let text = text.replace("nodes = 200", &format!("nodes = {nodes}"));
            let mut scenario = Scenario::parse(name.as_ref(), &text)?;
            scenario.seed = seed;
            let report = run(&scenario, None).map_err(|source| TableError::Run { seed, source })?;
            bar.advance(1);
            // Not whole in time stands as the whole time.
            let longest = scenario.heals_within.as_secs_f64();
            let whole = report.whole_after.unwrap_or(longest);
            let in_time = f64::from(u8::from(report.whole_after.is_some()));
            let owners = report.two_owners;
            all.extend([
                Reading::new("whole", format!("{name}: seconds until whole"), whole),
                Reading::new(
                    "owners",
                    format!("{name}: seconds a key had two owners"),
                    owners,
                ),
                Reading::new(
                    "in time",
                    format!("{name}: share of runs whole in time"),
                    in_time,
                ),
            ]);
        }
        Ok(all)
    })?;
    bar.finish();
    Ok(Made {
        title: format!("Healing, {nodes} nodes"),
        setup: "The scenarios of testground/sim/scenarios. Whole: every node is active, all leaf \
                sets are what the ring says, and random ways end at the closest node; counted, as \
                the owners are, from the end of the scenario's faults, once a second."
            .to_owned(),
        axis: "",
        readings,
    })
}
