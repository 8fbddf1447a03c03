//! Opening the socket of one interface and family.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::links::Link;

/// The port of multicast DNS.
pub(crate) const PORT: u16 = 5353;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Hop limit of all packets, RFC 6762 section 11.
const HOPS: u32 = 255;

/// IP version of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, group 224.0.0.251.
    V4,
    /// IPv6, group ff02::fb.
    V6,
}

impl Family {
    /// The address of the interface to send from; `None` where it has none of
    /// this family.
    pub(crate) fn source(self, link: &Link) -> Option<IpAddr> {
        let mut ips = link.addresses.iter().map(|(ip, _)| *ip);
        match self {
            Self::V4 => ips.find(IpAddr::is_ipv4),
            Self::V6 => ips.find(IpAddr::is_ipv6),
        }
    }
}

/// Where packets for everybody on the link go.
pub(crate) fn group(link: &Link, family: Family) -> SocketAddr {
    match family {
        Family::V4 => SocketAddrV4::new(GROUP_V4, PORT).into(),
        Family::V6 => SocketAddrV6::new(GROUP_V6, PORT, 0, link.index).into(),
    }
}

/// Opens a socket that hears and speaks to the group on this interface only (M1).
///
/// It is bound to the group's address: what it hears was sent to the group, so
/// it comes from this link, as no router forwards it.
///
/// # Errors
///
/// Any of the system's calls fails. Must be called in a Tokio runtime.
pub(crate) fn open(link: &Link, family: Family, source: IpAddr) -> io::Result<UdpSocket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Other responders of the machine have the port as well.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    match family {
        Family::V4 => join_v4(&socket, link, source)?,
        Family::V6 => join_v6(&socket, link)?,
    }
    UdpSocket::from_std(socket.into())
}

fn join_v4(socket: &Socket, link: &Link, source: IpAddr) -> io::Result<()> {
    let IpAddr::V4(source) = source else {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    };
    #[cfg(target_os = "linux")]
    {
        // Else the socket would hear what any socket of the machine joined.
        socket.set_multicast_all_v4(false)?;
        // Keeps apart interfaces that share an address. Old kernels want
        // privileges for it, and manage without.
        if let Err(error) = socket.bind_device(Some(link.name.as_bytes())) {
            tracing::debug!(interface = %link.name, %error, "socket not bound to its interface");
        }
    }
    socket.bind(&SocketAddrV4::new(GROUP_V4, PORT).into())?;
    socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(link.index))?;
    socket.set_multicast_if_v4(&source)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    socket.set_ttl_v4(HOPS)
}

fn join_v6(socket: &Socket, link: &Link) -> io::Result<()> {
    socket.set_only_v6(true)?;
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v6(false)?;
    // The scope binds the socket to the interface.
    socket.bind(&SocketAddrV6::new(GROUP_V6, PORT, 0, link.index).into())?;
    socket.join_multicast_v6(&GROUP_V6, link.index)?;
    socket.set_multicast_if_v6(link.index)?;
    socket.set_multicast_loop_v6(true)?;
    socket.set_multicast_hops_v6(HOPS)?;
    socket.set_unicast_hops_v6(HOPS)
}
