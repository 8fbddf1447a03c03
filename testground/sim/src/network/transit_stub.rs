//! A transit-stub graph, as GT-ITM makes them (Zegura, Calvert & Bhattacharjee, *How to
//! model an internetwork*, INFOCOM 1996), with the size of MSPastry's GATech: 5,050
//! routers, 50 of them in ten transit domains, and at each of those ten stub domains of
//! ten routers.
//!
//! Every stub domain hangs at one transit router, so a message between two stub domains
//! passes the transit routers of both, and its latency is a sum of three parts, each from
//! a small table. Nodes stand at stub routers, on a link of 1 ms.

use serde::{Deserialize, Serialize};

use super::NetworkError;
use crate::Node;
use crate::dice::Dice;

/// From a node to its router, in microseconds.
const ACCESS_MICROS: u64 = 1_000;

/// How many routers, and how far apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransitStubShape {
    /// Transit domains.
    pub transit_domains: usize,
    /// Routers of a transit domain.
    pub transit_routers: usize,
    /// Stub domains at each transit router.
    pub stubs_per_router: usize,
    /// Routers of a stub domain.
    pub stub_routers: usize,
    /// Longest link between two transit domains, in microseconds.
    pub core_micros: u64,
    /// Longest link inside a transit domain.
    pub transit_micros: u64,
    /// Longest link from a stub domain to its transit router.
    pub uplink_micros: u64,
    /// Longest link inside a stub domain.
    pub stub_micros: u64,
}

impl Default for TransitStubShape {
    fn default() -> Self {
        TransitStubShape {
            transit_domains: 10,
            transit_routers: 5,
            stubs_per_router: 10,
            stub_routers: 10,
            core_micros: 80_000,
            transit_micros: 20_000,
            uplink_micros: 10_000,
            stub_micros: 4_000,
        }
    }
}

/// Routers, and the nodes at them.
#[derive(Clone, Debug)]
pub struct TransitStub {
    shape: TransitStubShape,
    /// Between transit routers.
    core: Vec<u64>,
    /// From the first router of a stub domain to its transit router.
    uplinks: Vec<u64>,
    /// Between routers of one stub domain, domain after domain.
    stubs: Vec<u64>,
    /// The stub router of each node.
    places: Vec<u32>,
}

impl TransitStub {
    pub(super) fn new(
        shape: &TransitStubShape,
        dice: &mut Dice,
    ) -> Result<TransitStub, NetworkError> {
        let sizes = [
            ("transit_domains", shape.transit_domains),
            ("transit_routers", shape.transit_routers),
            ("stubs_per_router", shape.stubs_per_router),
            ("stub_routers", shape.stub_routers),
        ];
        if let Some((name, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(NetworkError::NotPositive(name));
        }
        let routers = shape.transit_domains * shape.transit_routers;
        let core = core(shape, dice);
        let domains = routers * shape.stubs_per_router;
        let uplinks = (0..domains)
            .map(|_| link(shape.uplink_micros, dice))
            .collect();
        let stubs = (0..domains)
            .flat_map(|_| domain(shape.stub_routers, shape.stub_micros, dice))
            .collect();
        Ok(TransitStub {
            shape: shape.clone(),
            core,
            uplinks,
            stubs,
            places: Vec::new(),
        })
    }

    pub(super) fn attach(&mut self, dice: &mut Dice) {
        let routers = self.uplinks.len() * self.shape.stub_routers;
        self.places.push(dice.below(routers) as u32);
    }

    pub(super) fn latency(&self, from: Node, to: Node) -> u64 {
        let size = self.shape.stub_routers;
        let (a, b) = (self.places[from as usize], self.places[to as usize]);
        let (domain_a, domain_b) = (a as usize / size, b as usize / size);
        let (router_a, router_b) = (a as usize % size, b as usize % size);
        let within =
            |domain: usize, a: usize, b: usize| self.stubs[domain * size * size + a * size + b];
        if domain_a == domain_b {
            return 2 * ACCESS_MICROS + within(domain_a, router_a, router_b);
        }
        let up = |domain: usize, router: usize| self.uplinks[domain] + within(domain, router, 0);
        let transit_a = domain_a / self.shape.stubs_per_router;
        let transit_b = domain_b / self.shape.stubs_per_router;
        let routers = self.shape.transit_domains * self.shape.transit_routers;
        2 * ACCESS_MICROS
            + up(domain_a, router_a)
            + self.core[transit_a * routers + transit_b]
            + up(domain_b, router_b)
    }
}

/// A link of up to this length, at least a tenth of it.
fn link(longest: u64, dice: &mut Dice) -> u64 {
    let least = longest / 10;
    least + dice.below((longest - least + 1) as usize) as u64
}

/// Shortest ways between all transit routers: each domain is connected in itself, and
/// each pair of domains by one link.
fn core(shape: &TransitStubShape, dice: &mut Dice) -> Vec<u64> {
    let (domains, size) = (shape.transit_domains, shape.transit_routers);
    let routers = domains * size;
    let mut ways = vec![u64::MAX / 4; routers * routers];
    for own in 0..domains {
        let inside = domain(size, shape.transit_micros, dice);
        for a in 0..size {
            for b in 0..size {
                ways[(own * size + a) * routers + own * size + b] = inside[a * size + b];
            }
        }
        for other in 0..own {
            let a = own * size + dice.below(size);
            let b = other * size + dice.below(size);
            let length = link(shape.core_micros, dice);
            ways[a * routers + b] = length;
            ways[b * routers + a] = length;
        }
    }
    shortest(&mut ways, routers);
    ways
}

/// Shortest ways between the routers of one domain: a random tree, and as many links
/// again, so that there is more than one way.
fn domain(size: usize, longest: u64, dice: &mut Dice) -> Vec<u64> {
    let mut ways = vec![u64::MAX / 4; size * size];
    let mut connect = |a: usize, b: usize, dice: &mut Dice| {
        let length = link(longest, dice);
        ways[a * size + b] = length;
        ways[b * size + a] = length;
    };
    for router in 1..size {
        let parent = dice.below(router);
        connect(router, parent, dice);
        let other = dice.below(size);
        if other != router {
            connect(router, other, dice);
        }
    }
    shortest(&mut ways, size);
    ways
}

/// Floyd and Warshall.
fn shortest(ways: &mut [u64], size: usize) {
    for at in 0..size {
        ways[at * size + at] = 0;
    }
    for middle in 0..size {
        for a in 0..size {
            for b in 0..size {
                let round = ways[a * size + middle] + ways[middle * size + b];
                ways[a * size + b] = ways[a * size + b].min(round);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Purpose;

    #[test]
    fn gatech_has_its_routers_and_latencies_are_a_metric_as_wide_as_the_internet() {
        let mut dice = Dice::new(1, Purpose::Topology);
        let mut graph = TransitStub::new(&TransitStubShape::default(), &mut dice).unwrap();
        assert_eq!(graph.uplinks.len() * 10 + 50, 5_050);
        for _ in 0..300 {
            graph.attach(&mut dice);
        }
        let mut sum = 0;
        for a in 0..300 {
            for b in 0..300 {
                let way = graph.latency(a, b);
                assert_eq!(way, graph.latency(b, a));
                assert!((2_000..400_000).contains(&way), "{way}");
                sum += way;
            }
        }
        let mean = sum / 90_000;
        assert!((20_000..150_000).contains(&mean), "{mean}");
    }
}
