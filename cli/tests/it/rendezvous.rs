//! Nodes that know nothing but the same foreign Kademlia peer.

use std::time::Duration;

use futures::StreamExt;
use lab::Lab;
use libp2p::{
    Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify,
    kad::{self, store::MemoryStore},
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use crate::{net::Net, support::HEDGEROW};

/// Set in the test program that plays the foreign peer.
const LISTEN: &str = "TEST_KADEMLIA_LISTEN";

#[derive(NetworkBehaviour)]
struct Foreign {
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
}

/// A peer that speaks Kademlia and nothing of ours: this test program, started again in a
/// namespace for the test [`plays_the_foreign_peer`] alone.
async fn foreign_peer(listen: Multiaddr) {
    let mut swarm: Swarm<Foreign> = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|key| {
            let peer = key.public().to_peer_id();
            let config = kad::Config::new(StreamProtocol::new("/ipfs/lan/kad/1.0.0"));
            let mut kad = kad::Behaviour::with_config(peer, MemoryStore::new(peer), config);
            kad.set_mode(Some(kad::Mode::Server));
            let config = identify::Config::new("ipfs/0.1.0".to_owned(), key.public());
            Foreign {
                identify: identify::Behaviour::new(config),
                kad,
            }
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build();
    swarm.listen_on(listen).unwrap();
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { .. } => println!("\nREADY=1"),
            // As go-libp2p does: what a peer says it listens on goes into the table.
            SwarmEvent::Behaviour(ForeignEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                for address in info.listen_addrs {
                    swarm.behaviour_mut().kad.add_address(&peer_id, address);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn plays_the_foreign_peer() {
    let Ok(listen) = std::env::var(LISTEN) else {
        return;
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(foreign_peer(listen.parse().unwrap()));
}

/// The lab's nodes that are ours.
pub(crate) const HEDGEROWS: [usize; 2] = [0, 1];

/// The lab's node that is not.
const FOREIGN: usize = 2;

/// Two nodes without multicast; all they know is a foreign peer that speaks Kademlia.
pub(crate) fn two_beside_a_foreign_peer() -> Net {
    let lab = Lab::builder().nodes(3).binary(HEDGEROW).build().unwrap();
    let listen = format!("/ip4/{}/tcp/4001", lab.ipv4(FOREIGN, 0));
    let mut command = lab
        .command(FOREIGN, std::env::current_exe().unwrap())
        .unwrap();
    command
        .args([
            "--exact",
            "rendezvous::plays_the_foreign_peer",
            "--nocapture",
        ])
        .env(LISTEN, &listen);
    let process = lab.spawn_command("foreign", command).unwrap();
    let patience = Duration::from_secs(30);
    process
        .wait_line("listening", patience, |line| line == "READY=1")
        .unwrap();
    for node in HEDGEROWS {
        let home = lab.home(node).to_str().unwrap().to_owned();
        lab.start_with(
            node,
            &[
                "--home",
                &home,
                "node",
                "start",
                "--mdns",
                "false",
                "--bootstrap",
                &listen,
            ],
        )
        .unwrap();
    }
    for node in HEDGEROWS {
        lab.wait_ready(node, patience).unwrap();
    }
    Net { lab }
}

#[test]
fn nodes_meet_at_a_foreign_kademlia_peer() {
    if !Lab::available_or_skip("nodes_meet_at_a_foreign_kademlia_peer") {
        return;
    }
    two_beside_a_foreign_peer().until_settled(&HEDGEROWS);
}
