//! What joins the nodes: the kernel's bridges, or the switch.

use std::sync::Mutex;

use crate::LabError;
use crate::namespace::{Hub, lock};
use crate::network::{self, Plan};
use crate::switch::{Order, Port, Rule, Switch, SwitchStats, Uplink};

/// The cables of a lab. Islands of a bridge are numbered from 0, the bridge itself; nodes
/// on different islands do not hear each other.
#[derive(Debug)]
pub(crate) enum Wires {
    /// veth pairs and bridges; how many islands each bridge has.
    Bridges(Plan, Mutex<Vec<usize>>),
    /// TAP devices and one process that reads and writes them.
    Switch(Switch),
}

/// An interface to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) node: usize,
    pub(crate) bridge: usize,
    /// A process in the node's namespace.
    pub(crate) pid: u32,
}

impl Wires {
    /// The kernel's bridges, that many.
    pub(crate) fn bridges(hub: &Hub, plan: Plan, count: usize) -> Result<Wires, LabError> {
        let batch: String = (0..count)
            .map(|bridge| plan.add_bridge(bridge, 0))
            .collect();
        hub.ip(&batch)?;
        Ok(Wires::Bridges(plan, Mutex::new(vec![1; count])))
    }

    /// Makes interfaces, joined to their bridges and still down.
    pub(crate) fn plug(&self, hub: &Hub, sockets: &[Socket]) -> Result<(), LabError> {
        match self {
            Wires::Bridges(plan, _) => {
                let plug = |s: &Socket| plan.plug(s.node, s.bridge, s.pid);
                hub.ip(&sockets.iter().map(plug).collect::<String>())
                    .map(drop)
            }
            Wires::Switch(switch) => sockets.iter().try_for_each(|socket| {
                switch.order(&Order::Plug {
                    port: port(socket.node, socket.bridge),
                    pid: socket.pid,
                    interface: network::interface(socket.bridge),
                    mac: network::hardware(socket.node, socket.bridge),
                })
            }),
        }
    }

    /// Takes an interface away.
    pub(crate) fn unplug(&self, hub: &Hub, node: usize, bridge: usize) -> Result<(), LabError> {
        match self {
            Wires::Bridges(plan, _) => hub.ip(&plan.unplug(node, bridge)).map(drop),
            Wires::Switch(switch) => switch.order(&Order::Unplug {
                port: port(node, bridge),
            }),
        }
    }

    /// Cuts the cables of these nodes (`None`), or leads them to an island.
    pub(crate) fn connect(
        &self,
        hub: &Hub,
        nodes: &[usize],
        bridge: usize,
        island: Option<usize>,
    ) -> Result<(), LabError> {
        match self {
            Wires::Bridges(plan, islands) => {
                let mut batch = String::new();
                let mut islands = lock(islands);
                if let Some(island) = island.filter(|island| *island == islands[bridge]) {
                    batch += &plan.add_bridge(bridge, island);
                    islands[bridge] += 1;
                }
                for &node in nodes {
                    batch += &match island {
                        Some(island) => plan.attach(node, bridge, island),
                        None => plan.detach(node, bridge),
                    };
                }
                hub.ip(&batch).map(drop)
            }
            Wires::Switch(switch) => nodes.iter().try_for_each(|node| {
                switch.order(&Order::Connect {
                    port: port(*node, bridge),
                    island,
                })
            }),
        }
    }

    /// Whether the far end of a node's cable passes packets.
    pub(crate) fn passes(&self, hub: &Hub, node: usize, bridge: usize) -> Result<bool, LabError> {
        match self {
            Wires::Bridges(plan, _) => Ok(network::port_forwards(
                &hub.ip(&plan.show_port(node, bridge))?,
            )),
            // The switch reads and writes as soon as the device is there.
            Wires::Switch(_) => Ok(true),
        }
    }

    pub(crate) fn shape(&self, rules: Vec<Rule>) -> Result<(), LabError> {
        self.switch()?.order(&Order::Rules { rules })
    }

    pub(crate) fn set_uplink(
        &self,
        node: usize,
        bridge: usize,
        uplink: Uplink,
    ) -> Result<(), LabError> {
        self.switch()?.order(&Order::Uplink {
            port: port(node, bridge),
            uplink,
        })
    }

    pub(crate) fn stats(&self) -> Result<SwitchStats, LabError> {
        self.switch()?.stats()
    }

    pub(crate) fn switch_pid(&self) -> Option<u32> {
        match self {
            Wires::Switch(switch) => Some(switch.pid()),
            Wires::Bridges(..) => None,
        }
    }

    fn switch(&self) -> Result<&Switch, LabError> {
        match self {
            Wires::Switch(switch) => Ok(switch),
            Wires::Bridges(..) => Err(LabError::Invalid(
                "only a switched lab can be shaped (`Builder::switched`)".to_owned(),
            )),
        }
    }
}

fn port(node: usize, lan: usize) -> Port {
    Port { lan, node }
}
