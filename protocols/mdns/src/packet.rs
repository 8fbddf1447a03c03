//! The packets: a query for the service, and the answer with our addresses
//! (libp2p specification, `discovery/mdns.md`; RFC 6762, RFC 6763).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;
use libp2p_identity::PeerId;
use rand::RngExt;
use rand::distr::Alphanumeric;

use crate::address::port_of;
use crate::table::MAX_ADDRESSES_PER_PEER;

/// The longest packet that is read, bytes: the limit of RFC 6762, section 17.
pub(crate) const MAX_PACKET: usize = 9000;

/// The most peers taken from one packet. Implementations put one in each;
/// responders that answer for others may put in a few.
pub(crate) const MAX_PEERS_PER_PACKET: usize = 16;

/// Longest string of a TXT record, bytes (RFC 1035). Longer ones are skipped.
const MAX_TXT: usize = 255;

/// Room for the strings of an answer, bytes: with the other records it fits
/// in an Ethernet frame, so the packet is not fragmented.
const TXT_ROOM: usize = 1100;

const PREFIX: &str = "dnsaddr=";

/// Letters of a random peer name: 32 at least says the specification, 63 at
/// most the DNS.
const NAME_LETTERS: usize = 40;

/// The names on our packets.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// `_p2p._udp.local.`
    pub(crate) service: Name,
    /// `<random>._p2p._udp.local.`, ours.
    pub(crate) instance: Name,
    /// `<random>.local.`, the host of the SRV and address records.
    host: Name,
    /// `_services._dns-sd._udp.local.`, by which services are listed.
    meta: Name,
}

impl Names {
    /// Names for a new peer. The random part is not the PeerId, so that the
    /// name does not follow the peer from network to network.
    pub(crate) fn random(service: Name) -> Names {
        let letters: String = rand::rng()
            .sample_iter(&Alphanumeric)
            .take(NAME_LETTERS)
            .map(|letter| char::from(letter).to_ascii_lowercase())
            .collect();
        Names::new(service, &letters)
    }

    fn new(service: Name, letters: &str) -> Names {
        let why = "one short label fits on a validated service name";
        let label = Name::from_ascii(letters).expect(why);
        let name = |text: &str| Name::from_ascii(text).expect(why);
        Names {
            instance: label.clone().append_domain(&service).expect(why),
            host: label.append_domain(&name("local.")).expect(why),
            meta: name("_services._dns-sd._udp.local."),
            service,
        }
    }
}

/// What a packet of another is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It asks for the service, and does not know us yet.
    Query,
    /// It asks which services there are.
    ServiceQuery,
    /// It tells of peers.
    Answer(Vec<Announced>),
    /// Nothing for us.
    Other,
}

/// A peer as a packet announces it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) peer: PeerId,
    /// Without the `/p2p` part.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) time_to_live: Duration,
}

/// A query for the service (**M5**).
pub(crate) fn query(names: &Names) -> Option<Vec<u8>> {
    // RFC 6762, section 18.1: the id of a multicast query is zero.
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(names.service.clone(), RecordType::PTR));
    message.to_vec().ok()
}

/// What an answer says about us.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) peer: PeerId,
    pub(crate) addresses: &'a [Multiaddr],
    pub(crate) ipv4: Option<Ipv4Addr>,
    pub(crate) ipv6: Option<Ipv6Addr>,
    /// Zero says goodbye.
    pub(crate) time_to_live: Duration,
}

/// The answer to a query, also sent unasked (**M7**). `None` when there is no
/// address to tell.
pub(crate) fn answer(names: &Names, answer: &Answer<'_>) -> Option<Vec<u8>> {
    let seconds = u32::try_from(answer.time_to_live.as_secs()).unwrap_or(u32::MAX);
    let strings = strings(answer.peer, answer.addresses);
    if strings.is_empty() {
        return None;
    }
    let mut message = response();
    let record = |name: &Name, data| Record::from_rdata(name.clone(), seconds, data);
    let unique = |name: &Name, data| {
        let mut record = record(name, data);
        record.mdns_cache_flush = true;
        record
    };
    message.add_answer(record(
        &names.service,
        RData::PTR(PTR(names.instance.clone())),
    ));
    // All addresses in one TXT record: go-libp2p keeps only the last record.
    // It also wants SRV and an address before it believes anything.
    message.add_additional(unique(&names.instance, RData::TXT(TXT::new(strings))));
    let port = answer.addresses.iter().find_map(port_of).unwrap_or(0);
    let server = SRV::new(0, 0, port, names.host.clone());
    message.add_additional(unique(&names.instance, RData::SRV(server)));
    if let Some(ip) = answer.ipv4 {
        message.add_additional(unique(&names.host, RData::A(A(ip))));
    }
    if let Some(ip) = answer.ipv6 {
        message.add_additional(unique(&names.host, RData::AAAA(AAAA(ip))));
    }
    message.to_vec().ok()
}

/// The answer to a query for the list of services (RFC 6763, section 9).
pub(crate) fn service_answer(names: &Names, time_to_live: Duration) -> Option<Vec<u8>> {
    let seconds = u32::try_from(time_to_live.as_secs()).unwrap_or(u32::MAX);
    let mut message = response();
    let data = RData::PTR(PTR(names.service.clone()));
    message.add_answer(Record::from_rdata(names.meta.clone(), seconds, data));
    message.to_vec().ok()
}

/// Reads a packet. Whatever it holds, the result is bounded, and a packet that
/// is not understood is [`Received::Other`] (**M10**).
pub(crate) fn read(names: &Names, bytes: &[u8], our_time_to_live: Duration) -> Received {
    if bytes.len() > MAX_PACKET {
        return Received::Other;
    }
    let Ok(message) = Message::from_vec(bytes) else {
        return Received::Other;
    };
    match message.metadata.message_type {
        MessageType::Query => read_query(names, &message, our_time_to_live),
        MessageType::Response => read_answer(names, &message),
    }
}

fn read_query(names: &Names, message: &Message, our_time_to_live: Duration) -> Received {
    let asks = |name: &Name| {
        message.queries.iter().any(|query| {
            query.name() == name && matches!(query.query_type(), RecordType::PTR | RecordType::ANY)
        })
    };
    if asks(&names.service) {
        if knows_us(names, message, our_time_to_live) {
            return Received::Other;
        }
        return Received::Query;
    }
    if asks(&names.meta) {
        Received::ServiceQuery
    } else {
        Received::Other
    }
}

/// RFC 6762, section 7.1: a query lists the answers that its sender knows;
/// they need no repetition while more than half of their life is left.
fn knows_us(names: &Names, message: &Message, our_time_to_live: Duration) -> bool {
    message.answers.iter().any(|record| {
        let RData::PTR(pointer) = &record.data else {
            return false;
        };
        record.name == names.service
            && pointer.0 == names.instance
            && u64::from(record.ttl) * 2 >= our_time_to_live.as_secs()
    })
}

fn read_answer(names: &Names, message: &Message) -> Received {
    let mut peers: Vec<Announced> = Vec::new();
    for record in &message.answers {
        let RData::PTR(pointer) = &record.data else {
            continue;
        };
        // Our own packets come back by the multicast loop.
        if record.name != names.service || pointer.0 == names.instance {
            continue;
        }
        if peers.len() == MAX_PEERS_PER_PACKET {
            break;
        }
        if let Some(peer) = announced(message, &pointer.0, record.ttl)
            && peers.iter().all(|other| other.peer != peer.peer)
        {
            peers.push(peer);
        }
    }
    if peers.is_empty() {
        Received::Other
    } else {
        Received::Answer(peers)
    }
}

/// The peer whose TXT records are under `instance`: its addresses must all
/// name the same PeerId; those that do not are skipped.
fn announced(message: &Message, instance: &Name, seconds: u32) -> Option<Announced> {
    let mut found: Option<PeerId> = None;
    let mut addresses = Vec::new();
    // The specification says additionals; js-libp2p uses answers.
    let records = message.additionals.iter().chain(&message.answers);
    let strings = records
        .filter(|record| record.name == *instance)
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt),
            _ => None,
        })
        .flat_map(|txt| txt.txt_data.iter());
    for string in strings {
        let Some((address, peer)) = parse(string) else {
            continue;
        };
        if *found.get_or_insert(peer) == peer
            && addresses.len() < MAX_ADDRESSES_PER_PEER
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    let time_to_live = Duration::from_secs(seconds.into());
    found.map(|peer| Announced {
        peer,
        addresses,
        time_to_live,
    })
}

fn parse(string: &[u8]) -> Option<(Multiaddr, PeerId)> {
    let text = std::str::from_utf8(string).ok()?.strip_prefix(PREFIX)?;
    let mut address: Multiaddr = text.parse().ok()?;
    let Protocol::P2p(peer) = address.pop()? else {
        return None;
    };
    Some((address, peer))
}

fn strings(peer: PeerId, addresses: &[Multiaddr]) -> Vec<String> {
    let mut room = TXT_ROOM;
    let mut strings = Vec::new();
    for address in addresses.iter().take(MAX_ADDRESSES_PER_PEER) {
        let string = format!("{PREFIX}{address}/p2p/{peer}");
        if string.len() > MAX_TXT || !string.is_ascii() {
            tracing::debug!(%address, "too long for an mDNS answer");
            continue;
        }
        // One byte for the length.
        let Some(left) = room.checked_sub(string.len() + 1) else {
            break;
        };
        room = left;
        strings.push(string);
    }
    strings
}

fn response() -> Message {
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
