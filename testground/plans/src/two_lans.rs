//! Plan `two-lans`: networks that grew apart become one over one address.

use std::net::IpAddr;

use anyhow::Context;

use crate::client::Client;
use crate::hedgerow::Node;
use crate::objects::{Objects, read_all};
use crate::team::{Member, Team};

/// Where nodes listen.
const PORT: u16 = 4747;

/// Case `router`: each LAN has a ring of its own, as multicast does not pass the router; then one
/// node learns one address on the other LAN, and there is one ring, in which everybody reads
/// what was put in either.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    let within = team.duration("within")?;
    let cache: u32 = team.environment.param("cache_mib")?;
    let cache = cache.to_string();
    let flags = ["--cache-max-mib", cache.as_str()];
    let mut node = Node::new(&team.environment, &flags);
    let members = team.start(&mut node).await?;

    team.recorder.stage_start("two rings");
    let own = lan(&team, team.number);
    let near: Vec<Member> = members
        .iter()
        .filter(|member| lan(&team, member.number) == own)
        .cloned()
        .collect();
    team.settle(node.cli(), &near, within).await?;
    let client = Client::new(&team, node.cli())?;
    let objects = Objects::listen(&team).await?;
    put(&team, &client, &objects).await?;
    team.meet("there are two rings").await?;
    team.recorder.stage_end("two rings");

    team.recorder.stage_start("one ring");
    let first = &members[0];
    let joiner = members
        .iter()
        .find(|member| lan(&team, member.number) != lan(&team, first.number))
        .context("all instances are on one LAN: there is nothing to join")?;
    if team.number == joiner.number {
        let address = multiaddr(team.addresses[first.number], &first.peer_id);
        team.recorder.message(format!("bootstraps from {address}"));
        node.stop().await?;
        let all = [&flags[..], &["--bootstrap", &address]].concat();
        node = Node::new(&team.environment, &all);
        node.start().await?;
    }
    team.settle(node.cli(), &members, within).await?;
    team.meet("there is one ring").await?;
    team.recorder.stage_end("one ring");

    team.recorder.stage_start("reading everything");
    put(&team, &client, &objects).await?;
    let known = objects.finish(&team).await?;
    read_all(&client, &known).await?;
    team.recorder.stage_end("reading everything");
    team.meet("done").await?;
    node.stop().await
}

async fn put(team: &Team, client: &Client, objects: &Objects) -> anyhow::Result<()> {
    let size: usize = team.environment.param("size")?;
    let mut chance = team.own_chance();
    // What was put before is not put again.
    chance.set_word_pos((client.records().len() * size) as u128);
    objects
        .put(team, client, &mut chance, size)
        .await?
        .context("a put failed in a network without faults")
        .map(drop)
}

/// What addresses on one LAN have in common.
fn lan(team: &Team, number: usize) -> Vec<u8> {
    match team.addresses[number] {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

fn multiaddr(address: IpAddr, peer: &str) -> String {
    let family = if address.is_ipv4() { "ip4" } else { "ip6" };
    format!("/{family}/{address}/tcp/{PORT}/p2p/{peer}")
}
