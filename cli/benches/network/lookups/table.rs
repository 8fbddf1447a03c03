//! The tables of lookups.

use super::{LOOKUPS, Lookup, Options, Ran, Round, Rounds, Transport};
use crate::report::Series;

/// Our lookups, and what Kademlia does to the same end: with its defaults, and with as
/// little work as it can be made to do.
const PAIRS: [(Lookup, Lookup); 8] = [
    (Lookup::ReplicaSet, Lookup::Closest),
    (Lookup::FarReplicaSet, Lookup::Closest),
    (Lookup::Request, Lookup::GetRecord),
    (Lookup::ReplicaSet, Lookup::ClosestFew),
    (Lookup::FarReplicaSet, Lookup::ClosestFew),
    (Lookup::ReplicaSet, Lookup::FrugalClosest),
    (Lookup::FarReplicaSet, Lookup::FrugalClosest),
    (Lookup::Request, Lookup::FrugalGetRecord),
];

/// Microseconds in a second.
const MICROS: f64 = 1e6;

pub(super) fn print(
    transport: Transport,
    options: &Options,
    rounds: &Rounds,
) -> anyhow::Result<()> {
    println!(
        "\n{} nodes, leaf sets of {}, {}, medians of {} rounds (least to most)\n",
        options.nodes,
        options.leaf_set,
        match transport {
            Transport::Tcp => "TCP",
            Transport::Quic => "QUIC",
        },
        options.rounds
    );
    println!(
        "| lookup | alone, p50 µs | alone, p99 µs | lookups/s and node, {} at once | p50 ms | p99 ms | failed or wrong |",
        options.at_once
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for lookup in LOOKUPS {
        let cell = |figure: fn(&Round) -> f64, decimals| cell(&rounds[&lookup], figure, decimals);
        let total = |figure: fn(&Ran) -> u64| total(&rounds[&lookup], figure);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} of {} |",
            name(lookup, options),
            cell(|round| latency(&round.alone, 0.5) * MICROS, 0)?,
            cell(|round| latency(&round.alone, 0.99) * MICROS, 0)?,
            cell(rate, 0)?,
            cell(|round| latency(&round.busy, 0.5) * 1e3, 2)?,
            cell(|round| latency(&round.busy, 0.99) * 1e3, 2)?,
            total(|ran| ran.failed),
            total(|ran| ran.nanos.len() as u64),
        );
    }

    let changes: u64 = rounds
        .values()
        .map(|all| total(all, |ran| ran.changes))
        .sum();
    println!("\nMeanwhile leaf sets changed {changes} times, though nobody came or went.");

    println!("\nWhat a lookup costs all nodes together, measured while all look up\n");
    println!("| lookup | hops or requests | CPU µs | packets | bytes |");
    println!("|---|---:|---:|---:|---:|");
    for lookup in LOOKUPS {
        let cell = |figure: fn(&Round) -> f64, decimals| cell(&rounds[&lookup], figure, decimals);
        let steps = match lookup {
            Lookup::ReplicaSet | Lookup::FarReplicaSet => "-".to_owned(),
            _ => cell(|round| each(round, sum(&round.busy, |ran| ran.steps)), 2)?,
        };
        println!(
            "| {} | {steps} | {} | {} | {} |",
            name(lookup, options),
            cell(
                |round| each(round, round.cost.cpu.as_secs_f64() * MICROS),
                0
            )?,
            cell(|round| each(round, round.cost.packets as f64), 1)?,
            cell(|round| each(round, round.cost.bytes as f64), 0)?,
        );
    }

    let alone = |round: &Round| each(round, sum(&round.busy, |ran| ran.alone)) * 100.0;
    println!(
        "\nOf {}, the asker answered {} % itself.",
        name(Lookup::ReplicaSet, options),
        cell(&rounds[&Lookup::ReplicaSet], alone, 0)?
    );

    println!("\nTimes as fast, medians of the rounds' ratios (least to most)\n");
    println!("| ours | Kademlia | p50 alone | p99 alone | lookups/s |");
    println!("|---|---|---:|---:|---:|");
    for (ours, theirs) in PAIRS {
        let ratio = |figure: fn(&Round) -> f64| {
            let pairs = rounds[&theirs].iter().zip(&rounds[&ours]);
            spread(pairs.map(|(theirs, ours)| figure(theirs) / figure(ours)), 1)
        };
        let p50 = ratio(|round| latency(&round.alone, 0.5))?;
        let p99 = ratio(|round| latency(&round.alone, 0.99))?;
        let rates = ratio(|round| 1.0 / rate(round))?;
        let (ours, theirs) = (name(ours, options), name(theirs, options));
        println!("| {ours} | {theirs} | {p50} | {p99} | {rates} |");
    }
    Ok(())
}

fn name(lookup: Lookup, options: &Options) -> String {
    let few = super::REPLICAS.min(options.leaf_set / 2);
    match lookup {
        Lookup::ReplicaSet => format!("ours: `replica_set` of {few}, any key"),
        Lookup::FarReplicaSet => format!("ours: `replica_set` of {few}, keys to ask about"),
        Lookup::Request => "ours: `request` to the root for a value".to_owned(),
        Lookup::Closest => "kad: `get_closest_peers`".to_owned(),
        Lookup::ClosestFew => format!("kad: `get_n_closest_peers` of {few}"),
        Lookup::GetRecord => "kad: `get_record`".to_owned(),
        Lookup::FrugalClosest => "kad, α = 1: `get_n_closest_peers` of 1".to_owned(),
        Lookup::FrugalGetRecord => "kad, α = 1: `get_record`".to_owned(),
    }
}

/// The time that `share` of a round's lookups did not exceed, seconds.
fn latency(ran: &[Ran], share: f64) -> f64 {
    let nanos = ran.iter().flat_map(|ran| &ran.nanos);
    let series = Series::new(nanos.map(|nanos| *nanos as f64 / 1e9).collect());
    series.map_or(f64::NAN, |series| series.quantile(share))
}

/// Lookups a second by a node, on the average.
fn rate(round: &Round) -> f64 {
    let rates = round
        .busy
        .iter()
        .map(|ran| ran.nanos.len() as f64 / ran.seconds);
    rates.sum::<f64>() / round.busy.len() as f64
}

/// Of all rounds together.
fn total(rounds: &[Round], figure: fn(&Ran) -> u64) -> u64 {
    rounds.iter().flat_map(Round::ran).map(figure).sum()
}

fn sum(ran: &[Ran], figure: fn(&Ran) -> u64) -> f64 {
    ran.iter().map(figure).sum::<u64>() as f64
}

/// A figure of the busy part as its share of one lookup.
fn each(round: &Round, figure: f64) -> f64 {
    figure / sum(&round.busy, |ran| ran.nanos.len() as u64)
}

fn cell(rounds: &[Round], figure: fn(&Round) -> f64, decimals: usize) -> anyhow::Result<String> {
    spread(rounds.iter().map(figure), decimals)
}

fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> anyhow::Result<String> {
    let series = Series::new(values.collect())?;
    let [median, least, most] = [0.5, 0.0, 1.0].map(|share| series.quantile(share));
    Ok(format!(
        "{median:.decimals$} ({least:.decimals$} to {most:.decimals$})"
    ))
}
