use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MILLI: Nanos = 1_000_000;

fn port(node: usize) -> Port {
    Port { lan: 0, node }
}

fn address(node: usize) -> Mac {
    [2, 0, 0, 0, 0, node as u8]
}

/// A frame from one node to another, with a number in it.
fn frame(from: usize, to: Option<usize>, number: u32) -> Vec<u8> {
    let to = to.map_or([0xff; 6], address);
    let mut frame = [&[0; PREFIX][..], &to, &address(from), &[8, 0]].concat();
    frame.extend_from_slice(&number.to_be_bytes());
    frame.resize(PREFIX + 114, 7);
    frame
}

/// The fabric, and what it wrote: when, where, and which number.
struct Net {
    fabric: Fabric,
    now: Nanos,
    written: Vec<(Nanos, Port, u32)>,
}

impl Net {
    fn new(nodes: usize, rules: Vec<Rule>) -> Net {
        let mut fabric = Fabric::new(7);
        (0..nodes).for_each(|node| fabric.add(port(node)));
        fabric.set_rules(rules);
        let mut net = Net {
            fabric,
            now: 0,
            written: Vec::new(),
        };
        // Everybody is known by address.
        for node in 0..nodes {
            net.fabric.learn(port(node), address(node));
        }
        net.written.clear();
        net
    }

    fn send(&mut self, from: usize, to: Option<usize>, number: u32) {
        let Net {
            fabric,
            now,
            written,
        } = self;
        fabric.handle_frame(
            *now,
            port(from),
            &frame(from, to, number),
            &mut |to, frame| {
                written.push((*now, to, number_of(frame)));
            },
        );
    }

    /// Lets time pass until nothing waits.
    fn finish(&mut self) {
        while let Some(due) = self.fabric.poll_timeout() {
            self.now = due;
            let (now, written) = (self.now, &mut self.written);
            self.fabric.handle_timeout(now, &mut |to, frame| {
                written.push((now, to, number_of(frame)));
            });
        }
    }

    fn numbers(&self) -> Vec<u32> {
        self.written.iter().map(|(_, _, number)| *number).collect()
    }
}

fn number_of(frame: &[u8]) -> u32 {
    let number = &frame[PREFIX + HEADER..];
    u32::from_be_bytes([number[0], number[1], number[2], number[3]])
}

#[test]
fn a_known_address_gets_its_frames_alone_and_an_unknown_one_through_everybody() {
    let mut net = Net::new(4, Vec::new());
    net.send(0, Some(2), 1);
    net.send(0, Some(9), 2);
    net.send(1, None, 3);
    let to: Vec<(usize, u32)> = net.written.iter().map(|w| (w.1.node, w.2)).collect();
    assert_eq!(to, [(2, 1), (1, 2), (2, 2), (3, 2), (0, 3), (2, 3), (3, 3)]);
}

#[test]
fn no_frame_leaves_its_lan_or_island() {
    let mut net = Net::new(4, Vec::new());
    net.fabric.add(Port { lan: 1, node: 0 });
    net.fabric.connect(port(2), Some(1));
    net.fabric.connect(port(3), None);
    net.send(0, None, 1);
    net.send(0, Some(2), 2);
    net.send(3, None, 3);
    // The address that was cut off is unknown, so its frame goes to everybody left.
    assert_eq!(net.written, [(0, port(1), 1), (0, port(1), 2)]);
}

#[test]
fn who_moves_to_another_port_is_found_there() {
    let mut net = Net::new(3, Vec::new());
    let moved = frame(1, Some(0), 1);
    net.fabric.handle_frame(0, port(2), &moved, &mut |_, _| {});
    net.send(0, Some(1), 2);
    assert_eq!(net.written, [(0, port(2), 2)]);
}

#[test]
fn latency_passes_one_way_and_the_other_path_has_none() {
    let late = Shape::latency(Duration::from_millis(25));
    let mut net = Net::new(2, vec![Rule::one_way(&[0], &[1], late)]);
    net.send(0, Some(1), 1);
    net.send(1, Some(0), 2);
    net.finish();
    assert_eq!(net.written, [(0, port(0), 2), (25 * MILLI, port(1), 1)]);
}

#[test]
fn the_last_rule_that_fits_counts() {
    let rules = vec![
        Rule::all(Shape::latency(Duration::from_millis(9))),
        Rule::one_way(&[0], &[1], Shape::blocked()),
        Rule {
            lan: Some(1),
            ..Rule::all(Shape::default())
        },
    ];
    let mut net = Net::new(2, rules);
    assert!(net.fabric.shape(port(0), port(1)).unwrap().blocked);
    assert_eq!(
        net.fabric.shape(port(1), port(0)).unwrap().latency,
        Duration::from_millis(9)
    );
    let (from, to) = (Port { lan: 1, node: 0 }, Port { lan: 1, node: 1 });
    assert_eq!(net.fabric.shape(from, to), None);
}

#[test]
fn jitter_keeps_the_order_and_reordering_does_not() {
    let jitter = Shape::latency(Duration::from_millis(5)).with_jitter(Duration::from_millis(20));
    let mut net = Net::new(2, vec![Rule::all(jitter.clone())]);
    (0..200).for_each(|number| net.send(0, Some(1), number));
    net.finish();
    assert_eq!(net.numbers(), (0..200).collect::<Vec<_>>());
    assert!(
        net.written
            .iter()
            .all(|(at, ..)| (5 * MILLI..=25 * MILLI).contains(at))
    );

    let reorder = Shape {
        reorder: 0.3,
        ..jitter
    };
    let mut net = Net::new(2, vec![Rule::all(reorder)]);
    (0..200).for_each(|number| net.send(0, Some(1), number));
    net.finish();
    let first = net.written.iter().take_while(|(at, ..)| *at == 0).count();
    assert!(
        (30..90).contains(&first),
        "{first} of 200 went before the others"
    );
    assert_eq!(net.written.len(), 200);
}

#[test]
fn a_rate_spreads_frames_and_its_queue_is_bounded() {
    // 114 bytes at 912 kbit/s: one a millisecond.
    let shape = Shape {
        queue: Some(1140),
        ..Shape::default().with_rate(912_000)
    };
    let mut net = Net::new(3, vec![Rule::all(shape)]);
    (0..50).for_each(|number| net.send(0, Some(1), number));
    // Another path has a rate of its own.
    net.send(2, Some(1), 99);
    net.finish();
    let times: Vec<Nanos> = net
        .written
        .iter()
        .filter(|w| w.2 != 99)
        .map(|w| w.0)
        .collect();
    assert_eq!(times, (1..=11).map(|n| n * MILLI).collect::<Vec<_>>());
    assert_eq!(net.fabric.stats.queue_full, 39);
    assert!(net.written.contains(&(MILLI, port(1), 99)));
}

#[test]
fn an_uplink_is_shared_by_all_paths_and_a_downlink_by_all_senders() {
    let mut net = Net::new(4, Vec::new());
    net.fabric.set_uplink(
        port(0),
        Uplink {
            up: Some(912_000),
            ..Uplink::default()
        },
    );
    net.fabric.set_uplink(
        port(3),
        Uplink {
            down: Some(456_000),
            ..Uplink::default()
        },
    );
    net.send(0, Some(1), 1);
    net.send(0, Some(2), 2);
    net.send(1, Some(3), 3);
    net.send(2, Some(3), 4);
    net.finish();
    // Of two that are due at once either may be first.
    net.written.sort_unstable();
    assert_eq!(
        net.written,
        [
            (MILLI, port(1), 1),
            (2 * MILLI, port(2), 2),
            (2 * MILLI, port(3), 3),
            (4 * MILLI, port(3), 4)
        ]
    );
}

#[test]
fn a_frame_on_its_way_does_not_cross_a_partition() {
    let mut net = Net::new(
        2,
        vec![Rule::all(Shape::latency(Duration::from_millis(50)))],
    );
    net.send(0, Some(1), 1);
    net.fabric.connect(port(1), Some(1));
    net.finish();
    assert!(net.written.is_empty());
    assert_eq!(net.fabric.stats.blocked, 1);
}

#[test]
fn a_switch_that_is_late_keeps_the_order() {
    let rules = vec![Rule::all(Shape::latency(Duration::from_millis(1)))];
    let mut net = Net::new(2, rules);
    let uplink = Uplink::symmetric(912_000);
    net.fabric.set_uplink(port(0), uplink);
    net.fabric.set_uplink(port(1), uplink);
    (0..20).for_each(|number| net.send(0, Some(1), number));
    // Nobody looks for a while, and then once.
    for looked_at in [1_650_000, 9 * MILLI, 100 * MILLI] {
        let written = &mut net.written;
        net.fabric.handle_timeout(looked_at, &mut |to, frame| {
            written.push((looked_at, to, number_of(frame)));
        });
    }
    assert_eq!(net.numbers(), (0..20).collect::<Vec<_>>());
    let stats = net.fabric.stats;
    assert_eq!(
        (stats.delivered, stats.delayed, stats.queue_full),
        (20, 20, 0)
    );
    assert!(stats.late > 10 && stats.latest_micros > 50_000, "{stats:?}");
    assert!(stats.saturated());
}

#[test]
fn what_was_sent_before_a_card_was_pulled_does_not_arrive_at_the_next_one() {
    let mut net = Net::new(
        2,
        vec![Rule::all(Shape::latency(Duration::from_millis(50)))],
    );
    let uplink = Uplink::symmetric(1_000_000_000);
    net.fabric.set_uplink(port(1), uplink);
    net.send(0, Some(1), 1);
    net.fabric.remove(port(1));
    net.fabric.add(port(1));
    net.send(0, Some(1), 2);
    net.finish();
    assert_eq!(net.numbers(), [2]);
    assert_eq!(
        net.fabric.ports[&port(1)].uplink,
        uplink,
        "it is as fast as before"
    );
}

#[test]
fn a_new_rule_holds_nothing_back_and_a_blocked_path_is_blocked_at_once() {
    let slow = Shape::latency(Duration::from_secs(10));
    let mut net = Net::new(2, vec![Rule::all(slow)]);
    net.send(0, Some(1), 1);
    let fast = Shape::latency(Duration::from_millis(10));
    net.fabric.set_rules(vec![Rule::all(fast)]);
    net.send(0, Some(1), 2);
    net.finish();
    assert_eq!(
        net.written,
        [(10 * MILLI, port(1), 2), (10_000 * MILLI, port(1), 1)]
    );
    net.send(0, Some(1), 3);
    net.fabric.set_rules(vec![Rule::all(Shape::blocked())]);
    net.finish();
    assert_eq!(net.written.len(), 2);
}

#[test]
fn larger_frames_than_the_way_takes_vanish() {
    let shape = Shape {
        mtu: Some(99),
        ..Shape::default()
    };
    let mut net = Net::new(2, vec![Rule::one_way(&[0], &[1], shape)]);
    net.send(0, Some(1), 1);
    net.send(1, Some(0), 2);
    assert_eq!(net.numbers(), [2]);
    assert_eq!(net.fabric.stats.too_large, 1);
}

#[test]
fn nonsense_is_counted_and_harms_nobody() {
    let mut net = Net::new(2, Vec::new());
    let none = &mut |_: Port, _: &[u8]| {};
    net.fabric.handle_frame(0, port(0), &[], none);
    net.fabric.handle_frame(0, port(0), &[1; PREFIX + 13], none);
    net.fabric
        .handle_frame(0, port(9), &frame(9, None, 1), none);
    assert_eq!(net.fabric.stats.invalid, 2);
    for number in 0..10_000_u32 {
        let mut one = frame(0, Some(1), number);
        one[PREFIX + 8..PREFIX + 12].copy_from_slice(&number.to_be_bytes());
        net.fabric.handle_frame(0, port(0), &one, none);
    }
    assert!(net.fabric.addresses.len() <= MAX_ADDRESSES);
}

/// Shares of 5,000 frames lie within 5 standard deviations of what was asked for.
fn near(count: u64, share: f64) -> bool {
    let (of, count) = (5_000.0, count as f64);
    (count - of * share).abs() <= 5.0 * (of * share * (1.0 - share)).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn shares_are_what_was_asked_for_and_a_seed_repeats_them(
        loss in 0.0f64..1.0,
        duplicate in 0.0f64..1.0,
        corrupt in 0.0f64..1.0,
    ) {
        let shape = Shape { loss, duplicate, corrupt, ..Shape::default() };
        let run = || {
            let mut net = Net::new(3, vec![Rule::all(shape.clone())]);
            for number in 0..5_000 {
                net.send(0, Some(1), number);
                // Traffic of others makes no difference.
                if number % 3 == 0 {
                    net.send(2, Some(1), number);
                }
            }
            net.finish();
            net
        };
        let alone = {
            let mut net = Net::new(3, vec![Rule::all(shape.clone())]);
            (0..5_000).for_each(|number| net.send(0, Some(1), number));
            net.finish();
            net
        };
        let (one, two) = (run(), run());
        prop_assert_eq!(&one.written, &two.written);
        let stats = alone.fabric.stats;
        prop_assert!(near(stats.lost, loss), "{} lost of 5000 at {}", stats.lost, loss);
        let kept = 5_000 - stats.lost;
        prop_assert_eq!(stats.delivered, kept + stats.duplicated);
        prop_assert_eq!(one.fabric.stats.lost >= stats.lost, true);
    }
}
