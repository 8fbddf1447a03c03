//! Networks that are slow and lose things.

use std::time::Duration;

use lab::{Lab, LabError, Rule, Shape, Uplink};

use crate::{PROBE, echoes, reaches, started};

/// What one node measures of the way to another and back.
#[derive(Debug)]
struct Measured {
    answered: u64,
    least: Duration,
}

/// Sends so many datagrams from node 0 to node 1 and counts the answers.
fn measured(lab: &Lab, datagrams: u32) -> Measured {
    let address = lab.ipv4(1, 0).to_string();
    let output = lab
        .output(0, PROBE, ["measure", &address, &datagrams.to_string()])
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|n| n.parse::<u64>().unwrap());
    Measured {
        answered: numbers.next().unwrap(),
        least: Duration::from_micros(numbers.next().unwrap()),
    }
}

#[test]
fn latency_passes_each_way() {
    if !Lab::available_or_skip("latency_passes_each_way") {
        return;
    }
    let lab = started(echoes(2).switched(1));
    let before = measured(&lab, 20);
    lab.shape([
        Rule::one_way(&[0], &[1], Shape::latency(Duration::from_millis(60))),
        Rule::one_way(&[1], &[0], Shape::latency(Duration::from_millis(15))),
    ])
    .unwrap();
    let after = measured(&lab, 20);
    // Nothing is early; how late a busy machine is says nothing.
    assert!(after.least >= Duration::from_millis(75), "{after:?}");
    assert!(before.least < after.least, "{before:?} {after:?}");
    // A busy machine may take longer than anybody waits.
    assert!(before.answered > 0 && after.answered > 0);
    lab.shape([]).unwrap();
    assert!(measured(&lab, 20).least < Duration::from_millis(75));
}

#[test]
fn loss_is_what_was_asked_for() {
    if !Lab::available_or_skip("loss_is_what_was_asked_for") {
        return;
    }
    let lab = started(echoes(2).switched(2));
    // Neighbours are found before anything is lost.
    assert!(reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
    let lossy = Shape::default().with_loss(0.2);
    lab.shape([Rule::one_way(&[0], &[1], lossy)]).unwrap();
    let answered = measured(&lab, 1000).answered;
    let stats = lab.switch_stats().unwrap();
    assert!(stats.lost >= 120 && stats.lost <= 280, "{stats:?}");
    assert!(answered <= 1000 - stats.lost + 20, "{answered} {stats:?}");
    assert!(answered >= 700, "{answered} {stats:?}");
}

#[test]
fn one_direction_can_be_cut() {
    if !Lab::available_or_skip("one_direction_can_be_cut") {
        return;
    }
    let lab = started(echoes(3).switched(3));
    assert!(reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
    lab.shape([Rule::one_way(&[0], &[1], Shape::blocked())])
        .unwrap();
    assert!(!reaches(&lab, 0, "udp", lab.ipv4(1, 0)));
    assert!(
        reaches(&lab, 0, "udp", lab.ipv4(2, 0)),
        "others are not cut"
    );
    let blocked = lab.switch_stats().unwrap().blocked;
    assert!(!reaches(&lab, 1, "udp", lab.ipv4(0, 0)), "no answer comes");
    assert!(
        lab.switch_stats().unwrap().blocked > blocked,
        "but one was sent, so the question arrived"
    );
    lab.shape([]).unwrap();
    assert!(reaches(&lab, 1, "tcp", lab.ipv4(0, 0)));
}

#[test]
fn an_uplink_lets_no_more_through_than_it_has() {
    if !Lab::available_or_skip("an_uplink_lets_no_more_through_than_it_has") {
        return;
    }
    let lab = started(echoes(2).switched(4));
    let seconds = |lab: &Lab| {
        let address = lab.ipv4(1, 0).to_string();
        let output = lab.output(0, PROBE, ["bulk", &address, "2500000"]).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse::<f64>()
            .unwrap()
    };
    let free = seconds(&lab);
    lab.set_uplink(1, 0, Uplink::symmetric(20_000_000)).unwrap();
    let slow = seconds(&lab);
    // 2.5 MB are 20 Mbit, and what TCP and IP add.
    assert!(slow >= 1.0 && free < slow, "{free} s, then {slow} s");
}

#[test]
fn what_cannot_be_is_refused() {
    if !Lab::available_or_skip("what_cannot_be_is_refused") {
        return;
    }
    let lab = started(echoes(2).switched(5));
    let refused = lab.shape([Rule::all(Shape::default().with_loss(1.5))]);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the switch: loss is 1.5: a share is from 0 to 1"
    );
    let refused = lab.shape(Rule::between(&[0], &[2], &Shape::blocked()));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "invalid lab: a rule for node 2: they are 0 to 1"
    );
    let refused = lab.set_uplink(0, 0, Uplink::symmetric(0));
    assert!(matches!(refused, Err(LabError::Switch(_))), "{refused:?}");
    assert!(
        reaches(&lab, 0, "tcp", lab.ipv4(1, 0)),
        "and all is as before"
    );

    let bridged = started(echoes(2));
    let refused = bridged.shape([]).unwrap_err().to_string();
    assert!(refused.contains("only a switched lab"), "{refused}");
}

#[test]
fn the_switch_says_how_it_is_started() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lab-switch"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("lab-switch SEED"), "{said}");
}

#[test]
fn bulk_passes_whole_or_packet_by_packet_and_arrives_either_way() {
    if !Lab::available_or_skip("bulk_passes_whole_or_packet_by_packet_and_arrives_either_way") {
        return;
    }
    let lab = started(echoes(2).switched(6));
    let bad = Shape {
        loss: 0.001,
        duplicate: 0.01,
        reorder: 0.01,
        corrupt: 0.002,
        ..Shape::latency(Duration::from_millis(2))
    };
    for address in [lab.ipv4(1, 0).to_string(), lab.ipv6(1, 0).to_string()] {
        for shape in [Shape::default(), bad.clone()] {
            let is_cut = shape != Shape::default();
            lab.shape([Rule::all(shape)]).unwrap();
            let before = lab.switch_stats().unwrap();
            let output = lab.output(0, PROBE, ["bulk", &address, "4000000"]).unwrap();
            assert!(output.status.success(), "{output:?}");
            let after = lab.switch_stats().unwrap();
            let bytes = after.delivered_bytes - before.delivered_bytes;
            let packets = after.delivered - before.delivered;
            assert!(bytes >= 8_000_000, "there and back: {bytes}");
            assert!(bytes / packets <= 1514, "{after:?}");
            assert_eq!(after.invalid, 0, "{after:?}");
            if is_cut {
                assert!(after.corrupted > 0 && after.lost > 0 && after.duplicated > 0);
            }
        }
    }
}
