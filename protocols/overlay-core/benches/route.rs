//! One routing decision on full tables, beside a scan over everyone the node knows.
//!
//! `cargo bench -p overlay-core`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use guid::Guid;
use overlay_core::{Addrs, Config, Contact, Input, Message, Output, Overlay, Time, View};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Nodes that introduce themselves: enough to fill four rows of the table.
const NODES: u32 = 20_000;

fn random_guid(rng: &mut ChaCha8Rng) -> Guid {
    Guid::new(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
}

/// A node that has met everyone, and everyone.
fn full() -> (Overlay<u32>, Vec<Contact<u32>>) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let contacts: Vec<_> = (0..NODES)
        .map(|peer| Contact {
            guid: random_guid(&mut rng),
            peer,
            addrs: Addrs::default(),
        })
        .collect();
    let mut now = Time::ZERO + Duration::from_secs(1);
    let mut overlay = Overlay::new(Config::default(), contacts[0].clone(), 1, Time::ZERO);
    overlay.handle_input(now, Input::Timeout);
    for contact in &contacts[1..] {
        let probe = Message::Probe {
            nonce: 0,
            view: view(contact),
        };
        overlay.handle_input(
            now,
            Input::Received {
                from: contact.peer,
                message: probe,
            },
        );
        answer(&mut overlay, &contacts, &mut now);
        // The housekeeping that forgets strangers runs as it would in life.
        now = now + Duration::from_millis(20);
        overlay.handle_input(now, Input::Timeout);
        answer(&mut overlay, &contacts, &mut now);
    }
    (overlay, contacts)
}

fn view(sender: &Contact<u32>) -> View<u32> {
    View {
        sender: sender.clone(),
        active: true,
        leafs: Vec::new(),
        failed: Vec::new(),
        rtt_micros: None,
        probe_period_ms: 0,
    }
}

/// Everyone lives: whoever is asked says so.
fn answer(overlay: &mut Overlay<u32>, contacts: &[Contact<u32>], now: &mut Time) {
    while let Some(output) = overlay.poll_output() {
        let Output::Send { to, message } = output else {
            continue;
        };
        let message = match message {
            Message::Ping { nonce } => Message::Pong {
                nonce,
                active: true,
            },
            Message::Probe { nonce, .. } => Message::ProbeReply {
                nonce,
                view: view(&contacts[to.peer as usize]),
            },
            _ => continue,
        };
        *now = *now + Duration::from_micros(500);
        let from = to.peer;
        overlay.handle_input(*now, Input::Received { from, message });
    }
}

fn route(criterion: &mut Criterion) {
    let (overlay, _) = full();
    let mut known: Vec<Contact<u32>> = overlay.table().map(|(_, _, entry)| entry.clone()).collect();
    known.extend(
        overlay
            .smaller_leafs()
            .iter()
            .chain(overlay.larger_leafs())
            .cloned(),
    );
    known.extend(overlay.neighbourhood().cloned());
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let keys: Vec<Guid> = (0..1024).map(|_| random_guid(&mut rng)).collect();
    eprintln!(
        "{} table entries, {} nodes known",
        overlay.table().count(),
        known.len()
    );

    // With 20,000 nodes three rows are full and the fourth is begun.
    assert!(overlay.table().count() >= 40, "this is about full tables");
    assert_eq!(
        overlay.smaller_leafs().len() + overlay.larger_leafs().len(),
        16
    );

    let mut group = criterion.benchmark_group("one routing decision");
    let mut at = 0;
    group.bench_function("Pastry's rule", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            black_box(overlay.next_hop(black_box(keys[at])))
        });
    });
    group.bench_function("baseline: closest of everyone known", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            let key = black_box(keys[at]);
            black_box(known.iter().min_by(|a, b| key.cmp_distance(a.guid, b.guid)))
        });
    });
    group.finish();
}

criterion_group!(benches, route);
criterion_main!(benches);
