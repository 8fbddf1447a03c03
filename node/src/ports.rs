//! Finding out before anything is opened whether a port is free.
//!
//! libp2p's TCP transport listens with `SO_REUSEPORT`, so a second node of the same
//! user on the same port would start without complaint and get half of the other's
//! connections. A plain bind, closed again at once, is refused in that case.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use anyhow::Context;

/// A port that something else holds.
#[derive(Debug, thiserror::Error)]
#[error(
    "{protocol} port {port} is in use by another program: choose another with {flag} (0 takes any free port)"
)]
pub struct PortInUse {
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// The port number.
    pub port: u16,
    /// The flag that chooses another one.
    pub flag: &'static str,
}

/// Opens a door for programs of this machine: `what` it is, and the `flag` that chooses its port.
pub(crate) async fn open_door(
    port: u16,
    flag: &'static str,
    what: &str,
) -> anyhow::Result<tokio::net::TcpListener> {
    match tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(door) => Ok(door),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(PortInUse {
            protocol: "TCP",
            port,
            flag,
        }
        .into()),
        Err(error) => Err(error).context(format!("{what} on 127.0.0.1:{port}")),
    }
}

/// Checks that `port` is free for the swarm, on TCP and UDP, IPv4 and IPv6.
pub(crate) fn check_swarm_port(port: u16) -> Result<(), PortInUse> {
    if port == 0 {
        return Ok(());
    }
    let flag = "--listen-port";
    for address in [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    ] {
        if is_in_use(TcpListener::bind(address).map(drop)) {
            return Err(PortInUse {
                protocol: "TCP",
                port,
                flag,
            });
        }
        if is_in_use(UdpSocket::bind(address).map(drop)) {
            return Err(PortInUse {
                protocol: "UDP",
                port,
                flag,
            });
        }
    }
    Ok(())
}

/// A missing address family is no reason to complain: the node listens on the other.
fn is_in_use(result: io::Result<()>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}
