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
    noise, quic, relay, tcp, websocket, yamux,
};

use super::expected::Expected;

/// Largest message of WebSocket, bytes: twice that of noise.
const MAX_WS_MESSAGE: usize = 128 * 1024;

/// How long a connection may take until it is authenticated and multiplexed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The transport could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("noise does not accept the node's key: {0}")]
pub struct TransportError(#[from] noise::Error);

/// What a swarm is built on.
pub type BoxedTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// The transports of a Hedgerow node: TCP and QUIC, and where it is `websocket` that too.
pub fn build(keypair: &Keypair, websocket: bool) -> Result<BoxedTransport, TransportError> {
    let plain = direct(keypair)?;
    let direct = match dns::tokio::Transport::system(plain) {
        Ok(resolving) => resolving.boxed(),
        Err(error) => {
            // A machine without /etc/resolv.conf still has peers with plain addresses.
            tracing::info!(%error, "no name resolver: /dns addresses cannot be dialled");
            direct(keypair)?
        }
    };
    if !websocket {
        return Ok(direct);
    }
    // WebSocket resolves names itself: TLS is for a name, which is gone once resolved. It
    // comes first, as it knows its addresses by their end and leaves the others alone, where
    // a resolver takes any.
    let ws = match dns::tokio::Transport::system(tcp()) {
        Ok(resolving) => secured(bounded(websocket::Config::new(resolving)), keypair)?,
        Err(_) => secured(bounded(websocket::Config::new(tcp())), keypair)?,
    };
    Ok(either(ws, direct))
}

/// Refuses messages that noise would not send: room for a message is made when its length is
/// announced, by anybody. That of the peers that are dialled has the library's bound.
fn bounded<T>(mut config: websocket::Config<T>) -> websocket::Config<T>
where
    T: Transport<Error: Send, Dial: Send, ListenerUpgrade: Send> + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    config.set_max_data_size(MAX_WS_MESSAGE);
    config
}

/// The transports of a node with those of circuits over relays. An address where another peer
/// answers than it names is a failed one.
pub(crate) fn with_relay(
    direct: BoxedTransport,
    relay: relay::client::Transport,
    keypair: &Keypair,
) -> Result<BoxedTransport, TransportError> {
    // Circuits first: a resolver would take their addresses for its own.
    let all = either(secured(relay, keypair)?, direct);
    Ok(Expected::new(all).boxed())
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
