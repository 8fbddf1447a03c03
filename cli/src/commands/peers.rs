//! `hedgerow peers`.

use bytes::Bytes;
use http::Method;
use libp2p::{Multiaddr, PeerId};
use node::api::types::{Connect, Connected, Peer, Pong};

use super::millis;
use crate::{args::Peers, client::Client, exit::Failure, output::Output};

pub(crate) async fn run(command: Peers, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Peers::Ls => {
            let peers: Vec<Peer> = client.get("/api/v1/peers").await?;
            output.result(&peers, |out| {
                for peer in &peers {
                    let mark = if peer.leaf_set { "leaf" } else { "-" };
                    let address = peer.connections.first().map_or("-", String::as_str);
                    let rtt = millis(peer.rtt_ms);
                    let path = &peer.path;
                    writeln!(
                        out,
                        "{}  {rtt:>10}  {mark:4}  {path:8}  {address}",
                        peer.peer_id
                    )?;
                }
                Ok(())
            })?;
            if peers.is_empty() {
                output.say("no peers yet");
            }
            Ok(())
        }
        Peers::Connect { address } => {
            address.parse::<Multiaddr>().map_err(|error| {
                Failure::usage(format!("{address:?} is not a multiaddress: {error}"))
                    .with_hint("an address looks like /ip4/192.168.1.20/tcp/4747")
            })?;
            let path = "/api/v1/peers/connect";
            let body = Connect { address };
            let connected: Connected = client.send_json(Method::POST, path, &body).await?;
            output.result(&connected, |out| writeln!(out, "{}", connected.peer_id))
        }
        Peers::Ping { peer, count } => ping(&peer, count, client, output).await,
    }
}

async fn ping(peer: &str, count: u32, client: &Client, output: &Output) -> Result<(), Failure> {
    let peer: PeerId = peer
        .parse()
        .map_err(|error| Failure::usage(format!("{peer:?} is not a PeerId: {error}")))?;
    let path = format!("/api/v1/peers/{peer}/ping");
    let mut pongs = Vec::new();
    for _ in 0..count {
        let answer = client.call(Method::POST, &path, Bytes::new(), None).await?;
        pongs.push(serde_json::from_slice::<Pong>(&answer).map_err(Failure::other)?);
    }
    output.result(&pongs, |out| {
        for pong in &pongs {
            writeln!(out, "{}  {:.2} ms", pong.peer_id, pong.rtt_ms)?;
        }
        Ok(())
    })
}
