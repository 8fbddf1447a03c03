use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp4,
    Tcp6,
    Udp4,
    Udp6,
}

const SEQUENCE: u32 = u32::MAX - 3000;

/// A frame as the kernel hands it to a card that cuts.
fn whole(kind: Kind, payload: &[u8], size: u16) -> Vec<u8> {
    let (is_ipv4, is_tcp) = match kind {
        Kind::Tcp4 => (true, true),
        Kind::Tcp6 => (false, true),
        Kind::Udp4 => (true, false),
        Kind::Udp6 => (false, false),
    };
    let mut frame = vec![0; PREFIX];
    frame[0] = NEEDS_CHECKSUM;
    frame[1] = match (is_ipv4, is_tcp) {
        (true, true) => TCP4 | ECN,
        (false, true) => TCP6,
        _ => UDP,
    };
    frame[4..6].copy_from_slice(&size.to_ne_bytes());
    frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    frame.extend(if is_ipv4 { [8, 0] } else { [0x86, 0xdd] });
    let protocol = if is_tcp { 6 } else { 17 };
    if is_ipv4 {
        frame.extend([0x45, 0, 0, 0, 0xff, 0xfe, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([10, 77, 0, 1, 10, 77, 0, 2]);
    } else {
        frame.extend([0x60, 0, 0, 0, 0, 0, protocol, 64]);
        frame.extend((0..32).map(|n| n * 7));
    }
    if is_tcp {
        frame.extend([0x1e, 0x61, 0x9c, 0x40]);
        frame.extend(SEQUENCE.to_be_bytes());
        // 12 bytes of options; all flags.
        frame.extend([0, 0, 0, 9, 0x80, 0xff, 1, 0, 0, 0, 0, 0]);
        frame.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    } else {
        frame.extend([0x1e, 0x61, 0x9c, 0x40, 0, 0, 0, 0]);
    }
    frame.extend(payload);
    frame
}

/// What a receiver makes of a packet: its payload, if every length and sum is right.
fn received(kind: Kind, packet: &[u8]) -> (Vec<u8>, u32, u8) {
    let frame = &packet[PREFIX + ETHERNET..];
    assert!(packet[..PREFIX].iter().all(|byte| *byte == 0));
    let (header, protocol, addresses) = match kind {
        Kind::Tcp4 | Kind::Udp4 => {
            assert_eq!(fold(sum(&frame[..20], 0)), 0, "the header's sum");
            assert_eq!(number(frame, 2), frame.len());
            (20, frame[9], 12..20)
        }
        Kind::Tcp6 | Kind::Udp6 => {
            assert_eq!(number(frame, 4), frame.len() - 40);
            (40, frame[6], 8..40)
        }
    };
    let rest = &frame[header..];
    let pseudo = sum(&frame[addresses], rest.len() as u64 + u64::from(protocol));
    assert_eq!(fold(sum(rest, pseudo)), 0, "the transport's sum");
    if protocol == 6 {
        let sequence = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]);
        (rest[32..].to_vec(), sequence, rest[13])
    } else {
        assert_eq!(number(rest, 4), rest.len());
        (rest[8..].to_vec(), 0, 0)
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Tcp4),
        Just(Kind::Tcp6),
        Just(Kind::Udp4),
        Just(Kind::Udp6)
    ]
}

proptest! {
    #[test]
    fn a_frame_is_cut_into_packets_that_any_receiver_takes(
        kind in kind(),
        payload in prop::collection::vec(any::<u8>(), 1..20_000),
        size in 1u16..1500,
    ) {
        let frame = whole(kind, &payload, size);
        let packets = cut(&frame).unwrap();
        prop_assert_eq!(packets.len(), payload.len().div_ceil(usize::from(size)));
        let mut got = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            let (part, sequence, flags) = received(kind, packet);
            if matches!(kind, Kind::Tcp4 | Kind::Tcp6) {
                prop_assert_eq!(sequence, SEQUENCE.wrapping_add(got.len() as u32));
                prop_assert_eq!(flags & CWR != 0, index == 0);
                prop_assert_eq!(flags & FIN_PSH != 0, index + 1 == packets.len());
            }
            got.extend(part);
        }
        prop_assert_eq!(got, payload);
    }

    #[test]
    fn no_frame_makes_it_panic(mut frame in prop::collection::vec(any::<u8>(), 24..200), kind in 0u8..8) {
        frame[1] = kind;
        let _ = count(&frame);
        let _ = is_plain(&frame);
        if let Some(packets) = cut(&frame) {
            for packet in packets {
                prop_assert!(is_plain(&packet));
            }
        }
    }
}

#[test]
fn a_missing_sum_is_made() {
    // UDP over IPv4, as the kernel leaves it: the pseudo header's sum is in place.
    let mut frame = whole(Kind::Udp4, b"hello", 0);
    frame[1] = 0;
    frame[6..8].copy_from_slice(&34u16.to_ne_bytes());
    frame[8..10].copy_from_slice(&6u16.to_ne_bytes());
    let ip = PREFIX + ETHERNET;
    put(&mut frame, ip + 2, 33);
    let header = fold(sum(&frame[ip..ip + 20], 0));
    put(&mut frame, ip + 10, usize::from(header));
    put(&mut frame, ip + 24, 13);
    let pseudo = !fold(sum(&frame[ip + 12..ip + 20], 13 + 17));
    put(&mut frame, ip + 26, usize::from(pseudo));
    assert!(!is_plain(&frame));
    let packets = cut(&frame).unwrap();
    assert_eq!(packets.len(), 1);
    assert_eq!(received(Kind::Udp4, &packets[0]).0, b"hello");
}
