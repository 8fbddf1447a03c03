//! The papers' figures, each with how sure it is (S14). What was not read in the paper
//! itself, or off its vector figures, is printed as "about".

use serde::Serialize;

/// How sure a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Read in the paper's text or tables.
    Read,
    /// Read off a vector figure, to half a percent.
    Measured,
    /// Recalled, or computed from others: an orientation.
    About,
}

/// A paper's figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cited {
    /// The figure.
    pub value: f64,
    /// How sure it is.
    pub trust: Trust,
    /// Where it stands.
    pub source: &'static str,
}

const fn read(value: f64, source: &'static str) -> Cited {
    Cited {
        value,
        trust: Trust::Read,
        source,
    }
}

const fn measured(value: f64, source: &'static str) -> Cited {
    Cited {
        value,
        trust: Trust::Measured,
        source,
    }
}

const fn about(value: f64, source: &'static str) -> Cited {
    Cited {
        value,
        trust: Trust::About,
        source,
    }
}

const FIGURE_4: &str = "Pastry, figure 4";
const FIGURE_5: &str = "Pastry, figure 5";
const FIGURE_6: &str = "Pastry, figure 6";
const FIGURE_7: &str = "Pastry, figure 7";
const FIGURE_8: &str = "Pastry, figure 8";
const FIGURE_9: &str = "Pastry, figure 9";
const FIGURE_10: &str = "Pastry, figure 10";
const SECTION_3_3: &str = "Pastry, section 3.3";

/// Average hops between random nodes (figure 4).
const HOPS: [(usize, f64); 19] = [
    (1_000, 2.485),
    (2_000, 2.689),
    (3_000, 2.795),
    (4_000, 2.875),
    (5_000, 2.955),
    (6_000, 3.019),
    (7_000, 3.079),
    (8_000, 3.137),
    (9_000, 3.188),
    (10_000, 3.233),
    (20_000, 3.495),
    (30_000, 3.613),
    (40_000, 3.686),
    (50_000, 3.747),
    (60_000, 3.795),
    (70_000, 3.846),
    (80_000, 3.891),
    (90_000, 3.932),
    (100_000, 3.977),
];

/// Average hops between random nodes of a network of this size.
pub fn hops(nodes: usize) -> Option<Cited> {
    let found = HOPS.iter().find(|(size, _)| *size == nodes)?;
    Some(measured(found.1, FIGURE_4))
}

/// The share of routes with this many hops among 100,000 nodes.
pub fn hop_share(hops: usize) -> Option<Cited> {
    let shares = [0.0, 0.0006, 0.0156, 0.1643, 0.6449, 0.1745, 0.0];
    shares.get(hops).map(|share| read(*share, FIGURE_5))
}

/// Route distance over direct distance (figure 6).
const STRETCH: [(usize, f64); 12] = [
    (1_000, 1.329),
    (2_000, 1.318),
    (4_000, 1.298),
    (5_000, 1.308),
    (8_000, 1.332),
    (10_000, 1.346),
    (20_000, 1.364),
    (30_000, 1.349),
    (50_000, 1.323),
    (60_000, 1.320),
    (80_000, 1.325),
    (100_000, 1.333),
];

/// Route distance over direct distance in a network of this size.
pub fn stretch(nodes: usize) -> Option<Cited> {
    let found = STRETCH.iter().find(|(size, _)| *size == nodes)?;
    Some(measured(found.1, FIGURE_6))
}

/// Optimal, suboptimal and empty entries of a row after 5,000 joins.
pub fn quality(row: usize) -> Option<[Cited; 3]> {
    let rows = [
        [14.42, 0.58, 0.0],
        [14.26, 0.74, 0.0],
        [10.38, 0.10, 4.52],
        [1.12, 0.0, 13.88],
    ];
    rows.get(row)
        .map(|row| row.map(|value| measured(value, FIGURE_7)))
}

/// Where routes to five replicas end: the percentage at the nearest, within the nearest two,
/// three and four (10,000 nodes, b = 3, |L| = 8, |M| = 16).
#[derive(Clone, Copy, Debug)]
pub struct Replicas {
    /// As the figure shows.
    pub figure: [Cited; 4],
    /// The first two as the text says: it contradicts the figure.
    pub text: Option<[Cited; 2]>,
}

const fn replicas(figure: [f64; 4], text: Option<[f64; 2]>) -> Replicas {
    let [one, two, three, four] = figure;
    Replicas {
        figure: [
            measured(one, FIGURE_8),
            measured(two, FIGURE_8),
            measured(three, FIGURE_8),
            measured(four, FIGURE_8),
        ],
        text: match text {
            Some([one, two]) => Some([read(one, SECTION_3_3), read(two, SECTION_3_3)]),
            None => None,
        },
    }
}

/// Pastry's rule alone.
pub const REPLICAS_STANDARD: Replicas = replicas([59.2, 78.5, 89.3, 95.9], Some([68.0, 87.0]));

/// With the heuristic.
pub const REPLICAS_HEURISTIC: Replicas = replicas([74.9, 92.0, 97.6, 99.4], Some([76.0, 92.0]));

/// With the heuristic, if each node knew who the five are.
pub const REPLICAS_PERFECT: Replicas = replicas([78.1, 93.6, 98.3, 99.7], None);

/// Average hops to random keys among 5,000 nodes: before 500 fail, after, and repaired.
pub const FAILURE_HOPS: [Cited; 3] = [
    read(2.73, FIGURE_10),
    read(2.96, FIGURE_10),
    read(2.74, FIGURE_10),
];

/// Optimal entries of rows 0 to 2: before, after, and repaired.
pub const FAILURE_OPTIMAL: [[Cited; 3]; 3] = [
    [
        measured(14.19, FIGURE_9),
        measured(12.97, FIGURE_9),
        measured(13.27, FIGURE_9),
    ],
    [
        measured(14.21, FIGURE_9),
        measured(12.84, FIGURE_9),
        measured(13.96, FIGURE_9),
    ],
    [
        measured(10.38, FIGURE_9),
        measured(9.37, FIGURE_9),
        measured(9.79, FIGURE_9),
    ],
];

/// Remote calls to repair the tables, for each node that failed.
pub const REPAIR_CALLS: Cited = read(57.0, "Pastry, section 3.4");

/// Messages for a join, from the paper's "about 3 x 2^b x log N".
pub fn join_messages(nodes: usize) -> Cited {
    let rows = (nodes as f64).log2() / 4.0;
    about(3.0 * 16.0 * rows, "Pastry, section 2.4: 3 x 2^b x log N")
}

const MSPASTRY: &str = "MSPastry, section 5.3, Gnutella trace on GATech";

/// Delay stretch under Gnutella's churn.
pub const CHURN_STRETCH: Cited = about(1.80, MSPASTRY);

/// Control messages a second and node under Gnutella's churn.
pub const CHURN_CONTROL: Cited = about(0.245, MSPASTRY);

/// The share of lookups lost, without network loss and at 5%.
pub const CHURN_LOSS: [Cited; 2] = [about(1.5e-5, MSPASTRY), about(3.3e-5, MSPASTRY)];

/// The share of lookups delivered at a wrong node, without network loss and at 5%.
pub const CHURN_WRONG: [Cited; 2] = [about(0.0, MSPASTRY), about(1.6e-5, MSPASTRY)];

/// What the abstract promises: delay stretch below this.
pub const CHURN_STRETCH_BOUND: Cited = read(2.0, "MSPastry, abstract");

/// What the abstract promises: fewer messages a second and node than this.
pub const CHURN_CONTROL_BOUND: Cited = read(0.5, "MSPastry, abstract");

const SECURE: &str = "Castro et al., Secure routing, OSDI 2002, section 5.3, at 25%";

const SECURE_MODEL: &str = "Castro et al., Secure routing, section 5: (1-f)^(hops-1)";

/// The share of lookups that reach the root although a fraction of the nodes is bad, with
/// redundant routing: 99.9% up to a quarter.
pub fn secure_lookups(fraction: f64) -> Option<Cited> {
    (0.0 < fraction && fraction <= 0.25).then(|| about(0.999, SECURE))
}

/// The share of ways of these hops on which nobody is bad, the first and the last node
/// being good.
pub fn good_ways(fraction: f64, hops: impl Iterator<Item = u8>) -> Cited {
    let (sum, count) = hops.fold((0.0, 0.0), |(sum, count), hops| {
        (
            sum + (1.0 - fraction).powi(i32::from(hops) - 1).min(1.0),
            count + 1.0,
        )
    });
    about(sum / count, SECURE_MODEL)
}

/// Time until a message to an object has reached its holder over the direct way, in the
/// wide area.
pub const OBJECT_STRETCH: Cited = read(2.0, "Tapestry, section V-B: a median below 2");

/// The same by distance without extra pointers, on PlanetLab (medians), at round-trip
/// times of about 10, 35, 65, 98 and 155 ms.
pub fn object_median(variant: &str, bin: usize) -> Option<Cited> {
    let medians = [None, Some(6.5), Some(4.0), Some(2.8), Some(1.7)];
    let median = (*medians.get(bin)?).filter(|_| variant == "none")?;
    Some(about(median, "Tapestry, section V-B, RDP to objects"))
}

/// The 90th percentile by distance with extra pointers, at about 10 and 100 ms.
pub fn object_p90(variant: &str, bin: usize) -> Option<Cited> {
    let (near, far) = match variant {
        "none" => (16.0, 6.7),
        "(1,1,1)" => (5.5, 6.6),
        "(1,5,1)" => (3.0, 6.6),
        "(1,1,3)" => (5.0, 4.8),
        "(1,5,3)" => (3.0, 3.9),
        _ => return None,
    };
    let value = match bin {
        0 => near,
        3 => far,
        _ => return None,
    };
    Some(about(value, "Tapestry, figure 15"))
}

/// The 95th percentile over the mean of the keys of a host that carries so many nodes. A node
/// is the closest on half of the gap on either side, and of gaps between random places the
/// lengths are exponential, so a host's share has the gamma distribution with two for each
/// node as its shape.
pub fn keys_p95(per_host: u32) -> Option<Cited> {
    let share = match per_host {
        1 => 2.372,
        4 => 1.644,
        10 => 1.394,
        _ => return None,
    };
    Some(about(
        share,
        "derived: gamma distribution of gaps between random identifiers",
    ))
}

const SECTION_5_D: &str = "Tapestry, section V-D, 830 nodes in SOSS";

/// The least share of messages to nodes and to objects that arrive after a fifth has died.
pub const FIFTH_DIED: [Cited; 2] = [about(0.55, SECTION_5_D), about(0.45, SECTION_5_D)];

/// The same after half as many as were left have joined.
pub const HALF_JOINED: [Cited; 2] = [about(0.8, SECTION_5_D), about(0.7, SECTION_5_D)];

/// Seconds until all messages arrive again.
pub const RECOVERY: Cited = read(60.0, "Tapestry, section V-D: in under a minute");

/// The share that arrives while nodes come and go: "rarely dipped slightly below 100%".
pub const CHURN_SUCCESS: Cited = about(1.0, SECTION_5_D);

const SQUIRREL: &str = "Squirrel, section 5";

/// The paper's figures of the shared web cache at one of its sites and in one scheme.
#[derive(Clone, Copy, Debug)]
pub struct Squirrel {
    /// Hit ratio of a central cache, as a percentage of all requests.
    pub hit_ratio: Cited,
    /// Gigabytes that come from origins.
    pub external: Cited,
    /// Hops of a request, its answer included.
    pub hops: Cited,
    /// The most objects that a node serves in a second and in a minute.
    pub most_served: [Cited; 2],
    /// Percentage of the content that is lost with a node: mean and most.
    pub lost: [Cited; 2],
}

/// Redmond or Cambridge, home-store or directory.
pub fn squirrel(redmond: bool, directory: bool) -> Squirrel {
    let cited = |value| about(value, SQUIRREL);
    let (hit_ratio, external) = match redmond {
        true => (29.0, 88.1),
        false => (38.0, 5.7),
    };
    let (hops, most_served, lost) = match (redmond, directory) {
        (true, false) => (4.11, [8.0, 65.0], [0.0027, 0.0048]),
        (true, true) => (4.56, [48.0, 388.0], [0.198, 1.5]),
        (false, false) => (1.8, [9.0, 35.0], [0.95, 3.34]),
        (false, true) => (2.0, [55.0, 125.0], [1.68, 12.4]),
    };
    Squirrel {
        hit_ratio: cited(hit_ratio),
        external: cited(external),
        hops: cited(hops),
        most_served: most_served.map(cited),
        lost: lost.map(cited),
    }
}
