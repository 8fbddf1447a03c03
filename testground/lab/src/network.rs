//! Names, addresses and `ip` commands of a lab's network.
//!
//! Bridge `b` of a lab is `br{b}` in the hub. Node `i` has the interface
//! `eth{b}` on it, whose other end `n{i}b{b}` is a port of the bridge. Its
//! addresses there are `10.77.b.(i+1)/24`, `fd77:0:0:b::(i+1)/64` and the
//! link-local `fe80::(b+1):(i+1)/64`.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The most nodes of a lab: hosts in an IPv4 /24, less a few for strangers.
pub(crate) const MAX_NODES: usize = 250;

/// The most bridges of a lab: more than any plan has asked for, and each costs
/// every node an interface.
pub(crate) const MAX_BRIDGES: usize = 8;

/// Which addresses the nodes get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// IPv4 and IPv6, the usual case.
    #[default]
    Dual,
    /// IPv4 only; the interfaces have not even a link-local IPv6 address.
    Ipv4,
    /// IPv6 only, unique local and link-local addresses.
    Ipv6,
    /// IPv6 only, and nothing but link-local addresses: a cable between two
    /// machines without any router.
    Ipv6LinkLocal,
}

/// The addressing of a lab.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) family: Family,
    /// IPv6 duplicate address detection as on real machines: an address is
    /// tentative for a second or two. Off by default, for speed.
    pub(crate) dad: bool,
}

/// IPv4 address of node `node` on bridge `bridge`.
pub(crate) fn ipv4(node: usize, bridge: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, small(bridge), small(node + 1))
}

/// All IPv4 addresses of a bridge.
pub(crate) fn ipv4_net(bridge: usize) -> String {
    format!("{}/24", Ipv4Addr::new(10, 77, small(bridge), 0))
}

/// All unique local IPv6 addresses of a bridge.
pub(crate) fn ipv6_net(bridge: usize) -> String {
    let net = Ipv6Addr::new(0xfd77, 0, 0, small(bridge).into(), 0, 0, 0, 0);
    format!("{net}/64")
}

/// Unique local IPv6 address of node `node` on bridge `bridge`.
pub(crate) fn ipv6(node: usize, bridge: usize) -> Ipv6Addr {
    Ipv6Addr::new(
        0xfd77,
        0,
        0,
        small(bridge).into(),
        0,
        0,
        0,
        small(node + 1).into(),
    )
}

/// Link-local IPv6 address of node `node` on bridge `bridge`.
pub(crate) fn link_local(node: usize, bridge: usize) -> Ipv6Addr {
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        0,
        0,
        small(bridge + 1).into(),
        small(node + 1).into(),
    )
}

/// Hardware address of the node's interface on a bridge. A card keeps its address when it is
/// unplugged; a new one would leave the others with a stale neighbour for many seconds.
pub(crate) fn hardware(node: usize, bridge: usize) -> [u8; 6] {
    [0x02, 0x77, 0, small(bridge), 0, small(node + 1)]
}

/// Name of the node's interface on a bridge.
pub(crate) fn interface(bridge: usize) -> String {
    format!("eth{bridge}")
}

/// Name of the bridge's port to a node.
fn port(node: usize, bridge: usize) -> String {
    format!("n{node}b{bridge}")
}

/// Name of a bridge; island 0 is the bridge itself, others hold the groups of
/// a partition.
fn bridge_name(bridge: usize, island: usize) -> String {
    if island == 0 {
        format!("br{bridge}")
    } else {
        format!("br{bridge}x{island}")
    }
}

impl Plan {
    /// Makes a bridge, or an island of one.
    pub(crate) fn add_bridge(&self, bridge: usize, island: usize) -> String {
        let name = bridge_name(bridge, island);
        // Snooping would need a multicast querier on the link, and drops
        // multicast that no one seems to listen to.
        format!(
            "link add {name} type bridge mcast_snooping 0\n\
             link set {name} addrgenmode none\n\
             link set {name} up\n"
        )
    }

    /// In the hub: joins node `node`, whose namespace process `pid` holds.
    pub(crate) fn plug(&self, node: usize, bridge: usize, pid: u32) -> String {
        let (port, interface) = (port(node, bridge), interface(bridge));
        let [a, b, c, d, e, f] = hardware(node, bridge);
        let hardware = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        format!(
            "link add {port} type veth peer name {interface} address {hardware} netns {pid}\n\
             link set {port} addrgenmode none\n\
             link set {port} master {} up\n",
            bridge_name(bridge, 0)
        )
    }

    /// In the hub: takes the node's interface away.
    pub(crate) fn unplug(&self, node: usize, bridge: usize) -> String {
        format!("link del {}\n", port(node, bridge))
    }

    /// In the hub: the node's cable goes to this island of the bridge.
    pub(crate) fn attach(&self, node: usize, bridge: usize, island: usize) -> String {
        format!(
            "link set {} master {}\n",
            port(node, bridge),
            bridge_name(bridge, island)
        )
    }

    /// In the hub: the node's cable goes nowhere, its link stays up.
    pub(crate) fn detach(&self, node: usize, bridge: usize) -> String {
        format!("link set {} nomaster\n", port(node, bridge))
    }

    /// In the node: the interface comes up with its addresses.
    pub(crate) fn up(&self, node: usize, bridge: usize) -> String {
        let interface = interface(bridge);
        let nodad = if self.dad { "" } else { " nodad" };
        let mut batch = String::new();
        if !self.dad || self.family == Family::Ipv4 {
            // Otherwise the kernel makes the link-local address, and detects
            // duplicates before anyone may use it.
            line(
                &mut batch,
                format_args!("link set {interface} addrgenmode none"),
            );
        }
        line(&mut batch, format_args!("link set {interface} up"));
        if matches!(self.family, Family::Dual | Family::Ipv4) {
            let address = ipv4(node, bridge);
            line(
                &mut batch,
                format_args!("addr replace {address}/24 dev {interface}"),
            );
            // Programs that name no interface multicast through the first.
            let metric = 100 + bridge;
            line(
                &mut batch,
                format_args!("route replace 224.0.0.0/4 dev {interface} metric {metric}"),
            );
        }
        if matches!(self.family, Family::Dual | Family::Ipv6) {
            let address = ipv6(node, bridge);
            line(
                &mut batch,
                format_args!("addr replace {address}/64 dev {interface}{nodad}"),
            );
        }
        if self.family != Family::Ipv4 && !self.dad {
            let address = link_local(node, bridge);
            line(
                &mut batch,
                format_args!("addr replace {address}/64 dev {interface}{nodad}"),
            );
        }
        batch
    }

    /// In the hub: shows the node's port; see [`port_forwards`].
    pub(crate) fn show_port(&self, node: usize, bridge: usize) -> String {
        format!("link show dev {}\n", port(node, bridge))
    }

    /// In the node: shows the interface; see [`interface_is_up`].
    pub(crate) fn show_interface(&self, bridge: usize) -> String {
        format!("link show dev {}\n", interface(bridge))
    }

    /// In the node: the interface goes down.
    pub(crate) fn down(&self, bridge: usize) -> String {
        format!("link set {} down\n", interface(bridge))
    }
}

/// Whether a line that `ip` printed shows a bridge port that passes packets.
pub(crate) fn port_forwards(line: &str) -> bool {
    line.contains("state forwarding") && interface_is_up(line)
}

/// Whether a line that `ip` printed shows an interface that passes packets.
pub(crate) fn interface_is_up(line: &str) -> bool {
    // A TAP device says nothing of its state, but that somebody holds its other end.
    line.contains("LOWER_UP")
}

fn line(batch: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = batch.write_fmt(text);
    batch.push('\n');
}

fn small(number: usize) -> u8 {
    u8::try_from(number).expect("nodes and bridges are bounded when the lab is built")
}
