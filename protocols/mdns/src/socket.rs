//! One UDP socket for each interface and family.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::interfaces::{Family, Interface};

/// The port of multicast DNS (RFC 6762).
pub(crate) const PORT: u16 = 5353;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Hop limit of multicast DNS, which proves that a packet was not routed.
const HOPS: u32 = 255;

/// Opens the socket of a link: joined to the group on this interface only, and
/// sending through it (**M3**).
pub(crate) fn open(index: u32, interface: &Interface, family: Family) -> io::Result<UdpSocket> {
    let socket = match family {
        Family::V4 => open_v4(index, interface)?,
        Family::V6 => open_v6(index)?,
    };
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// Where the packets of a link go.
pub(crate) fn group(index: u32, family: Family) -> SocketAddr {
    match family {
        Family::V4 => (GROUP_V4, PORT).into(),
        Family::V6 => SocketAddrV6::new(GROUP_V6, PORT, 0, index).into(),
    }
}

fn open_v4(index: u32, interface: &Interface) -> io::Result<Socket> {
    let Some(address) = interface.ipv4() else {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    };
    let socket = shared(Domain::IPV4)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    // Otherwise Linux delivers what any socket of this machine has joined, on
    // any interface.
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v4(false)?;
    socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
    socket.set_multicast_if_v4(&address)?;
    // Other nodes on this machine are peers like any others.
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    Ok(socket)
}

fn open_v6(index: u32) -> io::Result<Socket> {
    let socket = shared(Domain::IPV6)?;
    socket.set_only_v6(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v6(false)?;
    socket.join_multicast_v6(&GROUP_V6, index)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_loop_v6(true)?;
    socket.set_multicast_hops_v6(HOPS)?;
    Ok(socket)
}

/// The port is shared with every other mDNS program, whoever runs it.
fn shared(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    Ok(socket)
}
