use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

fn service() -> Service {
    Service::new("_p2p._udp.local").unwrap()
}

fn peer() -> PeerId {
    PEER.parse().unwrap()
}

fn labels() -> impl FnMut() -> String {
    let mut next = 0;
    move || {
        next += 1;
        format!("{next:032}")
    }
}

fn instances(addresses: &[&str]) -> Vec<Instance> {
    let addresses: Vec<Multiaddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    Instance::split(peer(), &addresses, labels())
}

fn read_found(bytes: &[u8]) -> Vec<Found> {
    match read(&service(), bytes).unwrap() {
        Packet::Response(found) => found,
        Packet::Query { .. } => panic!("a query"),
    }
}

#[test]
fn the_query_has_the_bytes_others_send() {
    let golden = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01";
    assert_eq!(query(&service(), 0x1234).unwrap(), golden);
}

#[test]
fn the_answer_about_services_has_the_bytes_of_rfc_6763() {
    let golden = b"\0\0\x84\0\0\0\0\x01\0\0\0\0\
        \x09_services\x07_dns-sd\x04_udp\x05local\0\0\x0c\0\x01\0\0\0\x78\0\x0c\
        \x04_p2p\x04_udp\xc0\x23";
    let bytes = services_response(&service(), 120).unwrap();
    // The tail of the name may or may not be a pointer: both are the same name.
    let message = Message::from_vec(&bytes).unwrap();
    assert_eq!(message, Message::from_vec(&bytes_fixed(golden)).unwrap());
}

/// The golden packet above with its last name written out.
fn bytes_fixed(golden: &[u8]) -> Vec<u8> {
    let mut bytes = golden[..golden.len() - 14].to_vec();
    bytes.extend_from_slice(b"\0\x11\x04_p2p\x04_udp\x05local\0");
    bytes
}

#[test]
fn a_response_has_these_bytes() {
    let instance = &instances(&["/ip4/10.0.0.1/tcp/4747"])[0];
    let bytes = instance.response(&service(), 0, 360, false).unwrap();
    let text = format!("dnsaddr=/ip4/10.0.0.1/tcp/4747/p2p/{PEER}");
    let label = b"\x2000000000000000000000000000000001";
    let mut golden = b"\0\0\x84\0\0\0\0\x01\0\0\0\x03".to_vec();
    golden.extend_from_slice(b"\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01\0\0\x01\x68\0\x23");
    golden.extend_from_slice(label);
    golden.extend_from_slice(b"\xc0\x0c");
    golden.extend_from_slice(b"\xc0\x27\0\x10\0\x01\0\0\x01\x68\0");
    golden.push(u8::try_from(text.len() + 1).unwrap());
    golden.push(u8::try_from(text.len()).unwrap());
    golden.extend_from_slice(text.as_bytes());
    golden.extend_from_slice(b"\xc0\x27\0\x21\0\x01\0\0\x01\x68\0\x2e\0\0\0\0\x12\x8b");
    golden.extend_from_slice(label);
    golden.extend_from_slice(b"\x05local\0");
    let address = b"\0\x01\0\x01\0\0\x01\x68\0\x04\x0a\0\0\x01";
    assert!(bytes.starts_with(&golden), "{}", bytes.escape_ascii());
    assert!(bytes.ends_with(address), "{}", bytes.escape_ascii());
}

#[test]
fn what_is_announced_is_read() {
    let all = [
        "/ip4/10.0.0.1/tcp/4747",
        "/ip4/10.0.0.1/udp/4747/quic-v1",
        "/ip6/fd00::1/tcp/4747",
    ];
    let instances = instances(&all);
    assert_eq!(instances.len(), 1);
    let found = read_found(&instances[0].response(&service(), 7, 360, true).unwrap());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].peer, found[0].ttl), (peer(), 360));
    let read: Vec<String> = found[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(read, all);
}

#[test]
fn taking_back_names_the_addresses_with_no_time_to_live() {
    let instance = &instances(&["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"])[0];
    let gone: Multiaddr = "/ip4/10.0.0.2/tcp/1".parse().unwrap();
    let gone = [gone, "/ip4/10.0.0.3/tcp/1".parse().unwrap()];
    let goodbye = instance.only(peer(), &gone).unwrap();
    let found = read_found(&goodbye.response(&service(), 0, 0, false).unwrap());
    assert_eq!(found[0].ttl, 0);
    assert_eq!(found[0].addresses, gone[..1]);
    assert_eq!(instance.only(peer(), &gone[1..]), None);
}

#[test]
fn many_addresses_go_into_several_small_packets_of_their_own_names() {
    let all: Vec<String> = (0..32)
        .map(|port| format!("/ip4/10.0.0.1/tcp/{port}"))
        .collect();
    let instances = instances(&all.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(instances.len() > 1);
    let mut read = BTreeSet::new();
    let mut names = BTreeSet::new();
    for instance in &instances {
        let bytes = instance.response(&service(), 0, 360, false).unwrap();
        assert!(bytes.len() < 1232, "{}", bytes.len());
        names.insert(instance.label.clone());
        read.extend(read_found(&bytes).remove(0).addresses);
    }
    assert_eq!(read.len(), 32);
    assert_eq!(names.len(), instances.len());
}

#[test]
fn an_address_too_long_for_a_string_is_left_out() {
    let long = format!("/dns4/{}/tcp/1", "x".repeat(200));
    assert!(instances(&[&long]).is_empty());
    assert_eq!(instances(&[&long, "/ip4/10.0.0.1/tcp/1"]).len(), 1);
}

/// A response as js-libp2p sends it: TXT among the answers, one string each.
#[test]
fn texts_among_the_answers_are_read() {
    let service = service();
    let name = service.name.prepend_label("abc").unwrap();
    let mut message = response(0);
    let pointer = RData::PTR(PTR(name.clone()));
    message.add_answer(Record::from_rdata(service.name.clone(), 120, pointer));
    for port in [1, 2] {
        let text = format!("dnsaddr=/ip4/10.0.0.1/tcp/{port}/p2p/{PEER}");
        let mut record = Record::from_rdata(name.clone(), 120, RData::TXT(TXT::new(vec![text])));
        // The flag with which rust-libp2p sends them.
        record.dns_class = DNSClass::from(0x8001);
        message.add_answer(record);
    }
    let found = read_found(&message.to_vec().unwrap());
    assert_eq!(found[0].addresses.len(), 2);
}

#[test]
fn strings_without_a_peer_or_of_another_one_are_left_out() {
    let service = service();
    let name = service.name.prepend_label("abc").unwrap();
    let mut message = response(0);
    let pointer = RData::PTR(PTR(name.clone()));
    message.add_answer(Record::from_rdata(service.name.clone(), 120, pointer));
    let text = TXT::new(vec![
        "dnsaddr=/ip4/10.0.0.1/tcp/1".to_owned(),
        "dnsaddr=nonsense".to_owned(),
        "other".to_owned(),
        format!("dnsaddr=/ip4/10.0.0.1/tcp/2/p2p/{PEER}"),
        format!("dnsaddr=/ip4/10.0.0.1/tcp/3/p2p/{}", PeerId::random()),
    ]);
    message.add_additional(Record::from_rdata(name, 120, RData::TXT(text)));
    let found = read_found(&message.to_vec().unwrap());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].peer, peer());
    assert_eq!(found[0].addresses.len(), 1);
}

#[test]
fn queries_for_other_services_are_told_apart() {
    let other = Service::new("_other._udp.local").unwrap();
    let read = |bytes: Vec<u8>| read(&service(), &bytes).unwrap();
    let query_for = |id, service, meta| Packet::Query { id, service, meta };
    assert_eq!(read(query(&other, 1).unwrap()), query_for(1, false, false));
    assert_eq!(
        read(query(&service(), 2).unwrap()),
        query_for(2, true, false)
    );
    let upper = Service::new("_P2P._udp.LOCAL").unwrap();
    assert_eq!(read(query(&upper, 3).unwrap()), query_for(3, true, false));
    let mut meta = service();
    meta.name = meta.meta.clone();
    assert_eq!(read(query(&meta, 4).unwrap()), query_for(4, false, true));
}

#[test]
fn packets_beyond_the_bounds_are_refused() {
    let read = |bytes: &[u8]| read(&service(), bytes);
    assert!(matches!(
        read(&[0; MAX_PACKET + 1]),
        Err(PacketError::TooLong)
    ));
    assert!(matches!(read(&[0; 11]), Err(PacketError::Header)));
    let mut many = vec![0; 4000];
    many[4] = 0xff;
    assert!(matches!(read(&many), Err(PacketError::Header)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        let _ = read(&service(), &bytes);
    }

    #[test]
    fn damaged_packets_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let instance = &instances(&["/ip4/10.0.0.1/tcp/4747", "/ip6/fd00::1/udp/1/quic-v1"])[0];
        let mut bytes = instance.response(&service(), 0, 360, true).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&service(), &bytes);
        let _ = read(&service(), &bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn any_addresses_survive_the_way(
        ips in proptest::collection::btree_set((any::<[u8; 4]>(), any::<u16>()), 1..30),
        ttl in any::<u32>(),
    ) {
        let all: BTreeSet<Multiaddr> = ips
            .iter()
            .map(|(ip, port)| {
                Multiaddr::from(IpAddr::from(*ip)).with(Protocol::Udp(*port)).with(Protocol::QuicV1)
            })
            .collect();
        let list: Vec<Multiaddr> = all.iter().cloned().collect();
        let mut read = BTreeSet::new();
        for instance in Instance::split(peer(), &list, labels()) {
            let found = read_found(&instance.response(&service(), 0, ttl, false).unwrap());
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].ttl, ttl);
            read.extend(found[0].addresses.iter().cloned());
        }
        prop_assert_eq!(read, all);
    }
}
