//! One connection after the other, each with another key: one that was refused is a stranger again.

use std::net::IpAddr;
use std::task::Poll;
use std::time::Duration;

use futures::future::poll_fn;
use libp2p::core::Endpoint;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId, noise, tcp, yamux};
use multistream_select::{dialer_select_proto, listener_select_proto};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::frames::Protocol;
use super::ways::{Way, misbehave};
use super::{Count, Tally};

/// Where nodes listen.
const PORT: u16 = 4747;

/// How long a connection or the beginning of a stream is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Until it is tried again.
const REST: Duration = Duration::from_millis(50);

/// Streams of the node that are taken and never read, on one connection.
const HELD: usize = 256;

/// Speaks a protocol badly, in one way, until the deadline.
pub(super) async fn connect(
    node: IpAddr,
    protocol: Protocol,
    way: Way,
    streams: usize,
    mut chance: ChaCha8Rng,
    deadline: Instant,
) -> Tally {
    let mut tally = Tally::default();
    let mut count = Count::default();
    while Instant::now() < deadline {
        // One that takes no more now may later.
        if let Ok(Ok(muxer)) = timeout(PATIENCE, dial(node)).await {
            tally.connections += 1;
            let speaking = speak(muxer, protocol, way, streams, &mut chance, deadline);
            count.add(speaking.await);
        }
        tokio::time::sleep(REST).await;
    }
    tally.said.insert((protocol.id(), way), count);
    tally
}

async fn dial(node: IpAddr) -> anyhow::Result<StreamMuxerBox> {
    let key = Keypair::generate_ed25519();
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&key)?)
        .multiplex(yamux::Config::default())
        .map(|(_, muxer): (PeerId, _), _| StreamMuxerBox::new(muxer))
        .boxed();
    let address = Multiaddr::from(node).with(Part::Tcp(PORT));
    let how = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    Ok(transport.dial(address, how)?.await?)
}

/// Keeps so many streams busy until the connection ends or the time is over.
async fn speak(
    mut muxer: StreamMuxerBox,
    protocol: Protocol,
    way: Way,
    streams: usize,
    chance: &mut ChaCha8Rng,
    deadline: Instant,
) -> Count {
    let mut count = Count::default();
    let mut busy = JoinSet::new();
    let mut held = JoinSet::new();
    let (done, mut over) = mpsc::channel::<Count>(streams);
    loop {
        while let Ok(one) = over.try_recv() {
            count.add(one);
        }
        while busy.try_join_next().is_some() {}
        let event = next(&mut muxer, busy.len() < streams);
        let stream = tokio::select! {
            event = timeout_at(deadline, event) => match event {
                Ok(Ok(event)) => event,
                // The connection has ended, or the time is over.
                Ok(Err(_)) | Err(_) => break,
            },
            Some(one) = over.recv() => {
                count.add(one);
                continue;
            }
        };
        match stream {
            Event::Ours(stream) => {
                let (done, mut chance) = (done.clone(), ChaCha8Rng::from_rng(chance));
                busy.spawn(async move {
                    let mut count = Count::default();
                    let ids = [protocol.id()];
                    let opening = dialer_select_proto(stream, ids, Version::V1);
                    if let Ok(Ok((_, mut stream))) = timeout(PATIENCE, opening).await {
                        count.streams = 1;
                        let saying =
                            misbehave(&mut stream, protocol, way, &mut chance, &mut count.bytes);
                        // That the node ends the stream is what it should do.
                        let _ = timeout_at(deadline, saying).await;
                    }
                    let _ = done.send(count).await;
                });
            }
            // Whatever it wants to say is agreed to and never read.
            Event::Theirs(stream) if held.len() < HELD => {
                held.spawn(async move {
                    let ids = Protocol::ALL.map(Protocol::id);
                    let taken = listener_select_proto(stream, ids).await;
                    tokio::time::sleep_until(deadline).await;
                    drop(taken);
                });
            }
            Event::Theirs(stream) => drop(stream),
        }
    }
    // What they have said so far counts; they end with the connection.
    drop((muxer, done));
    while let Some(one) = over.recv().await {
        count.add(one);
    }
    count
}

enum Event {
    Ours(SubstreamBox),
    Theirs(SubstreamBox),
}

/// Drives the connection until there is a stream; `more` of ours are wanted or not.
async fn next(muxer: &mut StreamMuxerBox, more: bool) -> std::io::Result<Event> {
    poll_fn(|cx| {
        if let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
            return Poll::Ready(stream.map(Event::Theirs));
        }
        if more && let Poll::Ready(stream) = muxer.poll_outbound_unpin(cx) {
            return Poll::Ready(stream.map(Event::Ours));
        }
        match muxer.poll_unpin(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // An address that changed is no matter; there may be more to come.
            Poll::Ready(Ok(_)) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
