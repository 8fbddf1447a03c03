//! A bad peer: a program that knows where nodes listen and means no good. It speaks plain TCP and
//! UDP, and of libp2p only how a conversation begins.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::bail;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Where nodes listen.
const PORT: u16 = 4747;

/// How long it waits for a connection or for its bytes to be taken, before it tries anew.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two datagrams to one node: a thousand a second.
const DATAGRAM_REST: Duration = Duration::from_millis(1);

/// Bytes of garbage at a time.
const GARBAGE: usize = 4096;

/// How a libp2p conversation over TCP begins, with its length before it.
const HELLO: &[u8] = b"\x13/multistream/1.0.0\n";

/// Lengths that no message has, as unsigned varints of the largest that fit.
const HUGE_LENGTH: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f];

/// What it did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    pub(crate) bytes: u64,
    pub(crate) datagrams: u64,
}

/// The ways in which it is bad.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Connects and says nothing.
    Silent,
    /// Sends bytes that mean nothing, as many as are taken.
    Garbage,
    /// Begins well, and then promises a message that never ends.
    Promise,
    /// Begins well, again and again, and goes in the midst of it.
    Abrupt,
}

/// Floods nodes until `deadline`, in all ways at once, with so many `connections` to each node in each
/// way.
pub(crate) async fn flood(
    nodes: &[IpAddr],
    connections: usize,
    chance: &mut ChaCha8Rng,
    deadline: Instant,
) -> anyhow::Result<Tally> {
    let mut tasks = JoinSet::new();
    for node in nodes {
        for way in [Way::Silent, Way::Garbage, Way::Promise, Way::Abrupt] {
            for _ in 0..connections {
                tasks.spawn(connect(*node, way, ChaCha8Rng::from_rng(chance), deadline));
            }
        }
        tasks.spawn(datagrams(*node, ChaCha8Rng::from_rng(chance), deadline));
    }
    let mut all = Tally::default();
    while let Some(done) = tasks.join_next().await {
        let one = done?;
        all.connections += one.connections;
        all.bytes += one.bytes;
        all.datagrams += one.datagrams;
    }
    if all.connections == 0 || all.bytes == 0 || all.datagrams == 0 {
        bail!("nothing reached the nodes: {all:?}");
    }
    Ok(all)
}

/// One connection after the other, each bad in the same way.
async fn connect(node: IpAddr, way: Way, mut chance: ChaCha8Rng, deadline: Instant) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < deadline {
        let Ok(Ok(mut stream)) = timeout(PATIENCE, TcpStream::connect((node, PORT))).await else {
            // It takes no more; it may later.
            tokio::time::sleep(DATAGRAM_REST).await;
            continue;
        };
        tally.connections += 1;
        let left = deadline.saturating_duration_since(Instant::now());
        let bad = misbehave(&mut stream, way, &mut chance, &mut tally.bytes);
        // That the node ends the conversation is what it should do.
        let _ = timeout(left, bad).await;
    }
    tally
}

async fn misbehave(
    stream: &mut TcpStream,
    way: Way,
    chance: &mut ChaCha8Rng,
    bytes: &mut u64,
) -> std::io::Result<()> {
    let mut garbage = vec![0; GARBAGE];
    match way {
        Way::Silent => {
            // Until the node goes.
            while stream.read(&mut garbage).await? > 0 {}
        }
        Way::Garbage => loop {
            chance.fill_bytes(&mut garbage);
            *bytes += stream.write(&garbage).await? as u64;
            tokio::task::yield_now().await;
        },
        Way::Promise => {
            stream.write_all(HELLO).await?;
            stream.write_all(HUGE_LENGTH).await?;
            *bytes += (HELLO.len() + HUGE_LENGTH.len()) as u64;
            loop {
                chance.fill_bytes(&mut garbage);
                *bytes += stream.write(&garbage).await? as u64;
                tokio::task::yield_now().await;
            }
        }
        Way::Abrupt => {
            stream.write_all(HELLO).await?;
            *bytes += HELLO.len() as u64;
            // Goes as soon as the node answers.
            stream.readable().await?;
        }
    }
    Ok(())
}

/// Datagrams to the port where QUIC is: half of them look like the beginning of a connection.
async fn datagrams(node: IpAddr, mut chance: ChaCha8Rng, deadline: Instant) -> Tally {
    let mut tally = Tally::default();
    let any = match node {
        IpAddr::V4(_) => "0.0.0.0:0",
        IpAddr::V6(_) => "[::]:0",
    };
    let Ok(socket) = UdpSocket::bind(any).await else {
        return tally;
    };
    let mut datagram = [0; 1200];
    while Instant::now() < deadline {
        chance.fill_bytes(&mut datagram);
        if tally.datagrams % 2 == 0 {
            // A long header of version 1, with two connection ids of 8 bytes.
            datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
            datagram[14] = 8;
        }
        if socket.send_to(&datagram, (node, PORT)).await.is_ok() {
            tally.datagrams += 1;
        }
        tokio::time::sleep(DATAGRAM_REST).await;
    }
    tally
}
