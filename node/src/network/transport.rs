//! TCP and WebSocket with noise and yamux, and QUIC; names are resolved.

use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport},
        upgrade::Version,
    },
    dns,
    identity::Keypair,
    noise, quic, tcp, websocket, yamux,
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
    // WebSocket resolves names itself: TLS is for a name, which is gone once resolved. It
    // comes first, as it knows its addresses by their end and leaves the others alone, where
    // a resolver takes any.
    let plain = direct(keypair)?;
    let resolving = dns::tokio::Transport::system(tcp())
        .and_then(|named| Ok((named, dns::tokio::Transport::system(plain)?)));
    match resolving {
        Ok((named, direct)) => {
            let ws = secured(websocket::Config::new(named), keypair)?;
            Ok(either(ws, direct))
        }
        Err(error) => {
            // A machine without /etc/resolv.conf still has peers with plain addresses.
            tracing::info!(%error, "no name resolver: /dns addresses cannot be dialled");
            let ws = secured(websocket::Config::new(tcp()), keypair)?;
            Ok(either(ws, direct(keypair)?))
        }
    }
}

fn tcp() -> tcp::tokio::Transport {
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
}

/// QUIC and TCP, for addresses without names.
fn direct(keypair: &Keypair) -> Result<BoxedTransport, TransportError> {
    let quic = quic::tokio::Transport::new(quic::Config::new(keypair))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    Ok(either(quic, secured(tcp(), keypair)?))
}

/// Authenticated by noise, multiplexed by yamux.
fn secured<T>(transport: T, keypair: &Keypair) -> Result<BoxedTransport, TransportError>
where
    T: Transport<Error: Send + Sync, Dial: Send, ListenerUpgrade: Send> + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Ok(transport
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed())
}

/// The first that takes an address has it.
fn either<A, B>(first: A, second: B) -> BoxedTransport
where
    A: Transport<Output = (PeerId, StreamMuxerBox)> + Send + Unpin + 'static,
    A: Transport<Error: Send + Sync, Dial: Send, ListenerUpgrade: Send>,
    B: Transport<Output = (PeerId, StreamMuxerBox)> + Send + Unpin + 'static,
    B: Transport<Error: Send + Sync, Dial: Send, ListenerUpgrade: Send>,
{
    OrTransport::new(first, second)
        .map(|either, _| either.into_inner())
        .boxed()
}
