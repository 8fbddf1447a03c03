//! Which LANs a node is on, and how packets find their way from one to another.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::network::{self, Family};

/// How a router hides the nodes of its other LANs behind its own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// One port for all that a node sends from one of its own: whoever learned it may be
    /// answered by it, once something was sent to him (a port-restricted cone).
    Cone,
    /// Another port for each peer, so that what one peer learned is of no use to another.
    Symmetric,
}

/// A node that passes packets on between its LANs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Router {
    pub(crate) node: usize,
    /// Which kind of NAT, and the LAN outside.
    pub(crate) nat: Option<(Nat, usize)>,
}

/// The LANs of a lab and who is on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// Nodes by bridge.
    pub(crate) lans: Vec<BTreeSet<usize>>,
    pub(crate) routers: Vec<Router>,
}

/// The next hop to a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Where to.
    lan: usize,
    /// The router, and the LAN on which it is a neighbour.
    router: usize,
    by: usize,
}

impl Topology {
    /// The bridges a node is on.
    pub(crate) fn bridges_of(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let on = move |(bridge, nodes): (usize, &BTreeSet<usize>)| {
            nodes.contains(&node).then_some(bridge)
        };
        self.lans.iter().enumerate().filter_map(on)
    }

    /// The shortest ways from a node to LANs that it is not on, through routers.
    pub(crate) fn routes(&self, node: usize) -> Vec<Route> {
        let mut known: BTreeSet<usize> = self.bridges_of(node).collect();
        // Where packets can be, and the first router that brought them there.
        let mut reached: Vec<(usize, Option<(usize, usize)>)> =
            known.iter().map(|lan| (*lan, None)).collect();
        let mut routes = Vec::new();
        let mut next = 0;
        while let Some((lan, first)) = reached.get(next).copied() {
            next += 1;
            for router in self.routers.iter().filter(|router| router.node != node) {
                if !self.lans[lan].contains(&router.node) {
                    continue;
                }
                // Nobody outside a NAT knows who is inside.
                let from_outside = router.nat.is_some_and(|(_, outside)| outside == lan);
                let first = first.unwrap_or((router.node, lan));
                for beyond in self.bridges_of(router.node) {
                    if !from_outside && known.insert(beyond) {
                        reached.push((beyond, Some(first)));
                        routes.push(Route {
                            lan: beyond,
                            router: first.0,
                            by: first.1,
                        });
                    }
                }
            }
        }
        routes
    }

    /// In the node: its routes that begin on this bridge, in these families.
    pub(crate) fn route_commands(&self, node: usize, bridge: usize, family: Family) -> String {
        let mut batch = String::new();
        for Route { lan, router, by } in self.routes(node) {
            if by != bridge {
                continue;
            }
            let interface = network::interface(by);
            if matches!(family, Family::Dual | Family::Ipv4) {
                let (to, via) = (network::ipv4_net(lan), network::ipv4(router, by));
                let _ = writeln!(batch, "route replace {to} via {via} dev {interface}");
            }
            if matches!(family, Family::Dual | Family::Ipv6) {
                let (to, via) = (network::ipv6_net(lan), network::ipv6(router, by));
                let _ = writeln!(batch, "route replace {to} via {via} dev {interface}");
            }
        }
        batch
    }
}

impl Router {
    /// Shell commands that make a node a router.
    pub(crate) fn forwarding() -> &'static str {
        // Where a family is missing, so is its switch.
        "for f in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; do \
         if [ -e $f ]; then echo 1 > $f; fi; done"
    }

    /// Rules for `nft`, if the router is a NAT.
    pub(crate) fn nat_rules(&self) -> Option<String> {
        let (nat, outside) = self.nat?;
        let outside = network::interface(outside);
        let ports = match nat {
            Nat::Cone => "",
            Nat::Symmetric => " fully-random",
        };
        // IPv6 has addresses for everybody; a NAT of this kind has none of it. What is for the
        // NAT's own address and nobody has asked for is dropped as well: refused, it would tell
        // one who punches that the hole is not there, and taken for the NAT's own it would keep
        // the port from whoever begins a moment later.
        Some(format!(
            "table inet lab {{\n\
             chain leaving {{ type nat hook postrouting priority 100;\n\
             oifname \"{outside}\" meta nfproto ipv4 masquerade{ports}; }}\n\
             chain passing {{ type filter hook forward priority 0;\n\
             meta nfproto ipv6 drop; iifname \"{outside}\" ct state new drop; }}\n\
             chain arriving {{ type filter hook input priority 0;\n\
             meta nfproto ipv4 iifname \"{outside}\" ct state new drop; }}\n\
             }}\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(lans: &[&[usize]], routers: &[(usize, Option<usize>)]) -> Topology {
        Topology {
            lans: lans
                .iter()
                .map(|nodes| nodes.iter().copied().collect())
                .collect(),
            routers: routers
                .iter()
                .map(|(node, outside)| Router {
                    node: *node,
                    nat: outside.map(|lan| (Nat::Cone, lan)),
                })
                .collect(),
        }
    }

    fn route(lan: usize, router: usize, by: usize) -> Route {
        Route { lan, router, by }
    }

    #[test]
    fn the_way_leads_over_the_first_of_several_routers() {
        let net = topology(&[&[0, 1], &[1, 2], &[2, 3]], &[(1, None), (2, None)]);
        assert_eq!(net.routes(0), [route(1, 1, 0), route(2, 1, 0)]);
        assert_eq!(net.routes(1), [route(2, 2, 1)]);
        assert_eq!(net.routes(3), [route(1, 2, 2), route(0, 2, 2)]);
    }

    #[test]
    fn without_routers_there_is_no_way() {
        let net = topology(&[&[0, 1], &[1, 2]], &[]);
        assert!(net.routes(0).is_empty());
        assert_eq!(net.route_commands(0, 0, Family::Dual), "");
    }

    #[test]
    fn a_nat_is_passed_from_inside_alone() {
        // Two homes behind NATs on one public LAN.
        let net = topology(
            &[&[0, 1, 2], &[1, 3], &[2, 4]],
            &[(1, Some(0)), (2, Some(0))],
        );
        assert!(net.routes(0).is_empty());
        assert_eq!(net.routes(3), [route(0, 1, 1)]);
        assert_eq!(net.routes(4), [route(0, 2, 2)]);
    }

    #[test]
    fn commands_name_net_router_and_interface_in_each_family() {
        let net = topology(&[&[0, 1], &[1, 2]], &[(1, None)]);
        assert_eq!(
            net.route_commands(2, 1, Family::Dual),
            "route replace 10.77.0.0/24 via 10.77.1.2 dev eth1\n\
             route replace fd77::/64 via fd77:0:0:1::2 dev eth1\n"
        );
    }
}
