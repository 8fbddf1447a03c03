//! Packets, as bytes and as meanings.

use proptest::prelude::*;

use super::*;

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmn";
const OTHER: &str = "zyxwvutsrqponmlkjihgfedcbazyxwvutsrqponm";
const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
const TTL: Duration = Duration::from_secs(360);

fn names(letters: &str) -> Names {
    Names::new(Name::from_ascii("_p2p._udp.local.").unwrap(), letters)
}

fn peer() -> PeerId {
    PEER.parse().unwrap()
}

fn encode(letters: &str, addresses: &[Multiaddr], time_to_live: Duration) -> Option<Vec<u8>> {
    let ipv4 = Some("10.77.0.1".parse().unwrap());
    let ours = Answer {
        peer: peer(),
        addresses,
        ipv4,
        ipv6: None,
        time_to_live,
    };
    answer(&names(letters), &ours)
}

#[test]
fn the_query_is_the_bytes_of_the_specification() {
    let expected: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01";
    let bytes = query(&names(LETTERS)).unwrap();
    assert_eq!(bytes, expected);
    assert_eq!(read(&names(OTHER), &bytes, TTL), Received::Query);
}

#[test]
fn the_answer_is_byte_for_byte_the_documented_one() {
    let address = "/ip4/10.77.0.1/tcp/4747".parse().unwrap();
    let bytes = encode(LETTERS, &[address], TTL).unwrap();
    let string = format!("dnsaddr=/ip4/10.77.0.1/tcp/4747/p2p/{PEER}");
    let mut expected: Vec<u8> = b"\0\0\x84\0\0\0\0\x01\0\0\0\x03".to_vec();
    // PTR: the service, at offset 12, points to the instance, at offset 39.
    expected.extend(b"\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01\0\0\x01\x68\0\x2b\x28");
    expected.extend(LETTERS.as_bytes());
    expected.extend(b"\xc0\x0c");
    // TXT of the instance.
    expected.extend(b"\xc0\x27\0\x10\x80\x01\0\0\x01\x68\0");
    expected.extend([
        u8::try_from(string.len() + 1).unwrap(),
        u8::try_from(string.len()).unwrap(),
    ]);
    expected.extend(string.as_bytes());
    let (head, rest) = bytes.split_at(expected.len());
    assert_eq!(head, expected);
    // SRV and A: their place moves with the address, their content does not.
    assert_eq!(&rest[..10], b"\xc0\x27\0\x21\x80\x01\0\0\x01\x68");
    assert!(rest.ends_with(b"\0\x04\x0a\x4d\0\x01"));
}

#[test]
fn an_answer_of_rust_libp2p_is_read() {
    // One TXT record for each address, and a peer name without the service.
    let mut bytes = b"\x12\x34\x84\0\0\0\0\x01\0\0\0\x02".to_vec();
    bytes.extend(b"\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01\0\0\x01\x68\0\x2a\x28");
    bytes.extend(OTHER.as_bytes());
    bytes.push(0);
    for port in ["4001", "4002"] {
        let string = format!("dnsaddr=/ip4/10.77.0.2/tcp/{port}/p2p/{PEER}");
        bytes.push(40);
        bytes.extend(OTHER.as_bytes());
        bytes.extend(b"\0\0\x10\x80\x01\0\0\x01\x68\0");
        bytes.push(u8::try_from(string.len() + 1).unwrap());
        bytes.push(u8::try_from(string.len()).unwrap());
        bytes.extend(string.as_bytes());
    }
    let Received::Answer(peers) = read(&names(LETTERS), &bytes, TTL) else {
        panic!("no answer")
    };
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].peer, peer());
    assert_eq!(peers[0].addresses.len(), 2);
    assert_eq!(peers[0].time_to_live, TTL);
}

#[test]
fn our_own_answer_and_other_services_are_nothing() {
    let address = "/ip4/10.77.0.1/tcp/4747".parse().unwrap();
    let bytes = encode(LETTERS, &[address], TTL).unwrap();
    assert_eq!(read(&names(LETTERS), &bytes, TTL), Received::Other);
    let elsewhere = Names::new(Name::from_ascii("_p2p-x._udp.local.").unwrap(), OTHER);
    assert_eq!(read(&elsewhere, &bytes, TTL), Received::Other);
}

#[test]
fn who_knows_us_gets_no_answer() {
    let us = names(LETTERS);
    let ask = |seconds| {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(us.service.clone(), RecordType::PTR));
        let data = RData::PTR(PTR(us.instance.clone()));
        message.add_answer(Record::from_rdata(us.service.clone(), seconds, data));
        read(&us, &message.to_vec().unwrap(), TTL)
    };
    assert_eq!(ask(300), Received::Other);
    assert_eq!(ask(100), Received::Query);
}

#[test]
fn services_are_listed() {
    let us = names(LETTERS);
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(us.meta.clone(), RecordType::PTR));
    assert_eq!(
        read(&us, &message.to_vec().unwrap(), TTL),
        Received::ServiceQuery
    );
    let list = Message::from_vec(&service_answer(&us, TTL).unwrap()).unwrap();
    assert_eq!(list.answers[0].data, RData::PTR(PTR(us.service)));
}

#[test]
fn overlong_addresses_are_skipped_and_the_packet_fits_a_frame() {
    let long: Multiaddr = format!("/dns4/{}/tcp/1", "a".repeat(240)).parse().unwrap();
    assert_eq!(encode(LETTERS, std::slice::from_ref(&long), TTL), None);
    let mut addresses = vec![long];
    let quic = |n| {
        format!("/ip6/fd77:aaaa:bbbb:cccc::{n}/udp/4747/quic-v1")
            .parse()
            .unwrap()
    };
    addresses.extend((1..50).map(quic));
    let bytes = encode(LETTERS, &addresses, TTL).unwrap();
    assert!(bytes.len() <= 1500 - 48, "{} bytes", bytes.len());
}

#[test]
fn a_packet_full_of_peers_is_bounded() {
    let us = names(LETTERS);
    let mut message = response();
    for number in 0..100 {
        let instance = names(&format!("{number:040}")).instance;
        let data = RData::PTR(PTR(instance.clone()));
        message.add_answer(Record::from_rdata(us.service.clone(), 9, data));
        let string = format!("dnsaddr=/ip4/10.77.0.9/tcp/1/p2p/{}", PeerId::random());
        message.add_additional(Record::from_rdata(
            instance,
            9,
            RData::TXT(TXT::new(vec![string])),
        ));
    }
    let bytes = message.to_vec().unwrap();
    let got = read(&us, &bytes, TTL);
    if bytes.len() > MAX_PACKET {
        assert_eq!(got, Received::Other);
    }
    message.answers.truncate(40);
    message.additionals.truncate(40);
    let Received::Answer(peers) = read(&us, &message.to_vec().unwrap(), TTL) else {
        panic!("no answer")
    };
    assert_eq!(peers.len(), MAX_PEERS_PER_PACKET);
}

fn any_address() -> impl Strategy<Value = Multiaddr> {
    (any::<bool>(), any::<u128>(), any::<u16>(), any::<bool>()).prop_map(|(v4, ip, port, tcp)| {
        let ip = if v4 {
            Protocol::Ip4(Ipv4Addr::from(ip as u32))
        } else {
            Protocol::Ip6(Ipv6Addr::from(ip))
        };
        let address = Multiaddr::empty().with(ip);
        if tcp {
            address.with(Protocol::Tcp(port))
        } else {
            address.with(Protocol::Udp(port)).with(Protocol::QuicV1)
        }
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(
        addresses in prop::collection::btree_set(any_address(), 1..8),
        seconds in 0..10_000_u64,
    ) {
        let addresses: Vec<Multiaddr> = addresses.into_iter().collect();
        let time_to_live = Duration::from_secs(seconds);
        let bytes = encode(OTHER, &addresses, time_to_live).unwrap();
        let expected = Announced { peer: peer(), addresses, time_to_live };
        prop_assert_eq!(read(&names(LETTERS), &bytes, TTL), Received::Answer(vec![expected]));
    }

    #[test]
    fn garbage_is_nothing(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&names(LETTERS), &bytes, TTL);
    }

    #[test]
    fn a_damaged_answer_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let address = "/ip4/10.77.0.1/tcp/4747".parse().unwrap();
        let mut bytes = encode(OTHER, &[address], TTL).unwrap();
        for (index, value) in flips {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Received::Answer(peers) = read(&names(LETTERS), &bytes, TTL) {
            prop_assert!(peers.len() <= MAX_PEERS_PER_PACKET);
        }
    }
}
