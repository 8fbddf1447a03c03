//! A peer on the node's own transports that answers pings, and pings (X21, X22).

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, identify,
    identity::Keypair,
    multiaddr::Protocol,
    ping,
    swarm::{Config, NetworkBehaviour, SwarmEvent},
};
use node::network::build_transport;

use super::{environment::Task, report::Measured};
use crate::cell::Transport;

/// Between two pings; the first is sent as soon as there is a connection.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(NetworkBehaviour)]
struct Behaviour {
    ping: ping::Behaviour,
    identify: identify::Behaviour,
}

pub(super) struct Peer {
    swarm: Swarm<Behaviour>,
}

impl Peer {
    pub(super) fn new(task: &Task) -> anyhow::Result<Peer> {
        let keypair = Keypair::generate_ed25519();
        let transport = build_transport(&keypair, task.transport == Transport::Ws)?;
        let identify = identify::Config::new("ipfs/0.1.0".to_owned(), keypair.public())
            .with_agent_version(node::AGENT.to_owned());
        let behaviour = Behaviour {
            ping: ping::Behaviour::new(ping::Config::new().with_interval(INTERVAL)),
            identify: identify::Behaviour::new(identify),
        };
        // Between two pings a connection is idle.
        let config = Config::with_tokio_executor().with_idle_connection_timeout(task.within);
        let peer = keypair.public().to_peer_id();
        Ok(Peer {
            swarm: Swarm::new(transport, behaviour, peer, config),
        })
    }

    /// Listens, and says where others reach it: not on loopback, unless that was asked for.
    pub(super) async fn listen(&mut self, wanted: Multiaddr) -> anyhow::Result<Multiaddr> {
        let anywhere = is_unspecified(&wanted);
        self.swarm
            .listen_on(wanted.clone())
            .with_context(|| format!("cannot listen on {wanted}"))?;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. }
                    if !(anywhere && node::network::is_loopback(&address)) =>
                {
                    return Ok(address.with(Protocol::P2p(*self.swarm.local_peer_id())));
                }
                SwarmEvent::ListenerClosed {
                    reason: Err(error), ..
                } => return Err(error).with_context(|| format!("cannot listen on {wanted}")),
                SwarmEvent::ListenerError { error, .. } => {
                    return Err(error).with_context(|| format!("cannot listen on {wanted}"));
                }
                event => tracing::debug!(?event),
            }
        }
    }

    /// Answers whoever comes.
    pub(super) async fn serve(&mut self) -> ! {
        loop {
            let event = self.swarm.select_next_some().await;
            tracing::debug!(?event);
        }
    }

    /// Dials, and is over with the first ping that is answered.
    pub(super) async fn ping(&mut self, address: Multiaddr) -> anyhow::Result<Measured> {
        let begin = Instant::now();
        self.swarm
            .dial(address.clone())
            .with_context(|| format!("cannot dial {address}"))?;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    return Err(error).with_context(|| format!("cannot dial {address}"));
                }
                SwarmEvent::ConnectionClosed { cause, .. } => bail!(
                    "{address} has closed the connection: {}",
                    cause.map_or_else(|| "no reason".to_owned(), |cause| cause.to_string())
                ),
                SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { result, .. })) => {
                    let ping = result.with_context(|| format!("{address} answers no ping"))?;
                    let handshake_plus_one_rtt = begin.elapsed();
                    return Ok(Measured {
                        handshake_plus_one_rtt,
                        ping,
                    });
                }
                event => tracing::debug!(?event),
            }
        }
    }
}

fn is_unspecified(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_unspecified(),
        Protocol::Ip6(ip) => ip.is_unspecified(),
        _ => false,
    })
}
