//! Addresses of names, but of those that lead back to this machine (Q29), or that are not asked
//! for others (Q36).

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tower_service::Service;

use crate::addresses::Networks;

/// A name that is refused for where it leads.
#[derive(Clone, Debug, Error)]
#[error(
    "{name} resolves to {address}, which is this machine or its own link: refused, since anybody \
     can give such an address a name; ask for the address itself"
)]
pub(crate) struct Prohibited {
    name: String,
    address: IpAddr,
}

/// Addresses of a host and a port, which may be an address already.
///
/// # Errors
/// When the name is not known, or leads back to this machine.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    // Whoever asks for these by themselves means them.
    if host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost") {
        return Ok(found);
    }
    match found.iter().find(|address| is_own(address.ip())) {
        None => Ok(found),
        Some(address) => Err(io::Error::other(Prohibited {
            name: host.to_owned(),
            address: address.ip(),
        })),
    }
}

/// Loopback, link-local and unspecified addresses.
fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// A name that is not asked for others.
#[derive(Clone, Debug, Error)]
#[error("{0} has no public address")]
pub(crate) struct NotPublic(String);

/// Those addresses of a name that are asked for others.
///
/// # Errors
/// When there is none.
async fn resolve_public(
    host: &str,
    allowed: impl Fn(IpAddr) -> bool,
) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
    found.retain(|address| allowed(address.ip()));
    match found.is_empty() {
        true => Err(io::Error::other(NotPublic(host.to_owned()))),
        false => Ok(found),
    }
}

/// For the connector to origins: it connects to the addresses that were looked at, and no other.
#[derive(Clone, Debug)]
pub(crate) enum Resolver {
    /// For this machine's own clients.
    Own,
    /// For peers.
    Public(Arc<Networks>),
    /// For peers, at ports that only networks which were named have.
    Named(Arc<Networks>),
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        // The connector sets the port.
        let resolver = self.clone();
        Box::pin(async move {
            let found = match resolver {
                Resolver::Own => resolve(name.as_str(), 0).await?,
                Resolver::Public(networks) => {
                    resolve_public(name.as_str(), |address| networks.allows(address)).await?
                }
                Resolver::Named(networks) => {
                    resolve_public(name.as_str(), |address| networks.names(address)).await?
                }
            };
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_known() {
        for own in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
