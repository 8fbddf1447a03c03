//! TCP with noise and yamux, and QUIC, behind one name resolver.

use std::time::Duration;

use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport},
        upgrade::Version,
    },
    dns,
    identity::Keypair,
    noise, quic, tcp, yamux,
};

/// How long a connection may take until it is authenticated and multiplexed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The transport could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("noise does not accept the node's key: {0}")]
pub struct TransportError(#[from] noise::Error);

/// What a swarm is built on.
pub type BoxedTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// The transports of every Hedgerow node.
pub fn build(keypair: &Keypair) -> Result<BoxedTransport, TransportError> {
    match dns::tokio::Transport::system(direct(keypair)?) {
        Ok(resolving) => Ok(resolving.boxed()),
        Err(error) => {
            // A machine without /etc/resolv.conf still has peers with plain addresses.
            tracing::info!(%error, "no name resolver: /dns addresses cannot be dialled");
            direct(keypair)
        }
    }
}

fn direct(keypair: &Keypair) -> Result<BoxedTransport, TransportError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic::Config::new(keypair))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    Ok(OrTransport::new(quic, tcp)
        .map(|either, _| either.into_inner())
        .boxed())
}
