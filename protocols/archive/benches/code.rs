//! Coding and decoding segments in memory on one core, for several rates.
//!
//! `cargo bench -p archive --bench code`
//!
//! What is measured is the processor time of the thread that codes, not the time on the wall: on a
//! machine that others use too, only the former says what one core does.

use std::hint::black_box;
use std::time::Duration;

use archive::{Coder, Rate, SHARD, Segment};
use nix::time::{ClockId, clock_gettime};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the node has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Pond's rate, those of smaller networks, and one as disk arrays have it.
const RATES: [(usize, usize); 4] = [(16, 32), (8, 16), (4, 8), (10, 14)];

/// Runs of each measurement.
const RUNS: usize = 31;

/// Bytes of data that a run codes, about.
const RUN: usize = 64 << 20;

fn main() {
    println!("| m of n | what | median GiB/s | min | max | spread |");
    println!("|---|---|---|---|---|---|");
    for (needed, fragments) in RATES {
        let rate = Rate::new(needed, fragments).expect("within bounds");
        let mut data = vec![0; rate.capacity(SHARD)];
        ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut data);
        let mut coder = Coder::new(rate);
        let row = |what: &str, work: &mut dyn FnMut(Vec<u8>)| {
            row(&format!("{needed} of {fragments} | {what}"), &data, work);
        };

        row("encode", &mut |data| {
            black_box(coder.encode(data).expect("a full segment"));
        });
        // As many shards of data as can be are lost, and have to be computed.
        let shards = coder.encode(data.clone()).expect("a full segment");
        let left = (0..fragments).rev().take(needed);
        let left: Vec<_> = left.map(|at| (at, shards[at].clone())).collect();
        row("decode, all data lost that can be", &mut |_| {
            black_box(coder.decode(&left).expect("enough shards"));
        });
        let left: Vec<_> = (1..=needed).map(|at| (at, shards[at].clone())).collect();
        row("decode, one lost", &mut |_| {
            black_box(coder.decode(&left).expect("enough shards"));
        });
        row("encode, hash, cut into fragments", &mut |data| {
            let segment = Segment::encode(&mut coder, data).expect("a full segment");
            for at in 0..fragments {
                black_box(segment.fragment(at));
            }
        });
    }
}

/// Measures work on so many bytes, and prints how many of them it does in a second.
fn row(what: &str, data: &[u8], work: &mut dyn FnMut(Vec<u8>)) {
    let bytes = data.len();
    let times = (RUN / bytes).max(1);
    let mut rates: Vec<f64> = (0..=RUNS)
        .map(|_| {
            let segments = vec![data.to_vec(); times];
            let begin = processor_time();
            for segment in segments {
                work(segment);
            }
            let taken = processor_time() - begin;
            (bytes * times) as f64 / taken.as_secs_f64() / f64::from(1 << 30)
        })
        .collect();
    // The first run warms the caches up.
    rates.remove(0);
    rates.sort_by(f64::total_cmp);
    let (min, median, max) = (rates[0], rates[RUNS / 2], rates[RUNS - 1]);
    let spread = (max - min) / median * 100.0;
    println!("| {what} | {median:.2} | {min:.2} | {max:.2} | {spread:.0}% |");
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    Duration::from(time)
}
