//! Shows what discovery sees: announces the addresses given as arguments for a
//! new random peer, prints the peers found and lost, and says goodbye at
//! SIGTERM.

use std::future::poll_fn;
use std::io::Write;

use libp2p_core::Multiaddr;
use libp2p_core::transport::ListenerId;
use libp2p_identity::Keypair;
use libp2p_swarm::behaviour::{FromSwarm, NewListenAddr};
use libp2p_swarm::{NetworkBehaviour, ToSwarm};
use mdns::{Behaviour, Config, Event};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let peer = Keypair::generate_ed25519().public().to_peer_id();
    let mut behaviour = Behaviour::new(Config::default(), peer)?;
    for address in std::env::args().skip(1) {
        let address: Multiaddr = address.parse()?;
        behaviour.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr {
            listener_id: ListenerId::next(),
            addr: &address,
        }));
    }
    print(&format!("peer {peer}\nREADY=1"));
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let event = tokio::select! {
            event = poll_fn(|cx| behaviour.poll(cx)) => event,
            _ = terminate.recv() => break,
        };
        let ToSwarm::GenerateEvent(event) = event else {
            continue;
        };
        let (verb, pairs) = match event {
            Event::Discovered(pairs) => ("found", pairs),
            Event::Expired(pairs) => ("lost", pairs),
        };
        for (peer, address) in pairs {
            print(&format!("{verb} {peer} {address}"));
        }
    }
    drop(behaviour);
    // The links say goodbye in their own tasks, at their next turn.
    for _ in 0..GOODBYE_TURNS {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Turns of the scheduler given to the links after the behaviour is dropped.
const GOODBYE_TURNS: usize = 100;

fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone is no reason to fail.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
