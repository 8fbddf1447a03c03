//! Whoever answers at an address has to be the peer that was looked for there (T10 of
//! `docs/specs/nat.md`).
//!
//! The swarm looks only at who has answered first of all addresses of a peer, and gives up
//! if that is another one. Two LANs with the same private addresses make that the rule: some
//! neighbour answers sooner than the peer that is far away.

use std::{
    collections::{HashMap, HashSet},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{DialOpts, ListenerId, PortUse, TransportError, TransportEvent},
    },
    multiaddr::Protocol,
};

use super::{nat::is_circuit, transport::BoxedTransport};

/// How long a dial from a port of its own may take, which tests an address for another node:
/// the library gives up on the whole test after 10 s and then says nothing (T2).
const TEST_TIMEOUT: Duration = Duration::from_secs(6);

type Output = (PeerId, StreamMuxerBox);

/// How much later a dial over a relay begins than those of a peer's other addresses: it costs the
/// relay a circuit, which is for nothing where a direct one succeeds.
const CIRCUIT_DELAY: Duration = Duration::from_millis(500);

/// Addresses over one relay that this node listens on. A relay may name as many as it likes, and
/// each is told to all peers.
const MAX_OVER_A_RELAY: usize = 2;

/// A transport whose dials fail where another peer answers than the address names at its end.
pub(crate) struct Expected {
    inner: BoxedTransport,
    circuits: HashMap<ListenerId, HashSet<Multiaddr>>,
}

impl Expected {
    pub(crate) fn new(inner: BoxedTransport) -> Expected {
        Expected {
            inner,
            circuits: HashMap::new(),
        }
    }

    /// Whether the swarm is told of an event.
    fn is_told(&mut self, event: &TransportEvent<Upgrade, io::Error>) -> bool {
        match event {
            TransportEvent::NewAddress {
                listener_id,
                listen_addr,
            } if is_circuit(listen_addr) => {
                let told = self.circuits.entry(*listener_id).or_default();
                told.len() < MAX_OVER_A_RELAY && told.insert(listen_addr.clone())
            }
            TransportEvent::AddressExpired {
                listener_id,
                listen_addr,
            } if is_circuit(listen_addr) => {
                let told = self.circuits.get_mut(listener_id);
                told.is_some_and(|told| told.remove(listen_addr))
            }
            TransportEvent::ListenerClosed { listener_id, .. } => {
                self.circuits.remove(listener_id);
                true
            }
            _ => true,
        }
    }
}

type Upgrade = <BoxedTransport as Transport>::ListenerUpgrade;

/// Who answered instead.
#[derive(Debug, thiserror::Error)]
#[error("another peer answered there: {0}")]
struct AnotherPeer(PeerId);

impl Transport for Expected {
    type Output = Output;
    type Error = io::Error;
    type ListenerUpgrade = <BoxedTransport as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<Output>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        let expected = match address.iter().last() {
            Some(Protocol::P2p(peer)) => Some(peer),
            _ => None,
        };
        let is_test = opts.port_use == PortUse::New;
        let later = is_circuit(&address);
        let dial = self.inner.dial(address, opts)?;
        Ok(async move {
            if later {
                tokio::time::sleep(CIRCUIT_DELAY).await;
            }
            let (peer, muxer) = match is_test {
                true => tokio::time::timeout(TEST_TIMEOUT, dial).await??,
                false => dial.await?,
            };
            match expected {
                Some(expected) if expected != peer => Err(io::Error::other(AnotherPeer(peer))),
                _ => Ok((peer, muxer)),
            }
        }
        .boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        loop {
            let event = std::task::ready!(Pin::new(&mut self.inner).poll(cx));
            if self.is_told(&event) {
                return Poll::Ready(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use futures::StreamExt;
    use libp2p::{
        Swarm,
        identity::Keypair,
        relay,
        swarm::{self, SwarmEvent, dial_opts::DialOpts, dummy},
    };

    use super::super::transport::{build, with_relay};
    use super::*;

    /// A swarm that listens on loopback, and where.
    async fn listening() -> (Swarm<dummy::Behaviour>, Multiaddr) {
        let key = Keypair::generate_ed25519();
        let me = key.public().to_peer_id();
        let (circuits, _relay_client) = relay::client::new(me);
        let transport = with_relay(build(&key, false).unwrap(), circuits, &key).unwrap();
        let config = swarm::Config::with_tokio_executor()
            .with_dial_concurrency_factor(NonZeroU8::new(1).unwrap());
        let mut swarm = Swarm::new(transport, dummy::Behaviour, me, config);
        swarm
            .listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap())
            .unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        (swarm, address)
    }

    #[tokio::test]
    async fn a_peer_is_found_though_another_one_answers_first() {
        let (mut other, other_address) = listening().await;
        let (mut wanted, wanted_address) = listening().await;
        let (mut dialling, _) = listening().await;
        let peer = *wanted.local_peer_id();
        let opts = DialOpts::peer_id(peer).addresses(vec![other_address, wanted_address.clone()]);
        dialling.dial(opts.build()).unwrap();
        let connected = async {
            loop {
                tokio::select! {
                    _ = other.select_next_some() => {}
                    _ = wanted.select_next_some() => {}
                    event = dialling.select_next_some() => match event {
                        SwarmEvent::ConnectionEstablished { endpoint, peer_id, .. } => {
                            break (endpoint.get_remote_address().clone(), peer_id);
                        }
                        SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                        _ => {}
                    }
                }
            }
        };
        let (address, found) = connected.await;
        assert_eq!(found, peer);
        assert!(address.to_string().starts_with(&wanted_address.to_string()));
    }
}
