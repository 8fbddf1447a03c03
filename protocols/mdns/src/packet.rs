//! DNS messages of the service: built and read with `hickory-proto`.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR, SRV, TXT},
    },
};
use libp2p_core::{Multiaddr, multiaddr::Protocol};
use libp2p_identity::PeerId;

/// Longest packet read (M3): the limit of RFC 6762, section 17.
pub const MAX_PACKET: usize = 9000;

/// Most records and questions in a packet that is read (M3). Announcements
/// hold a handful; hosts with many services a few dozen.
pub const MAX_RECORDS: usize = 256;

/// Most service instances taken from one packet (M3). libp2p nodes send one.
pub const MAX_INSTANCES: usize = 16;

/// Most addresses taken of one instance (M3).
pub const MAX_ADDRESSES: usize = 32;

/// Longest string of a TXT record (M2): its length is one byte.
pub const MAX_TXT_STRING: usize = 255;

/// Bytes of TXT strings put into one packet (M2), so that a packet with its
/// other records stays in one Ethernet frame.
const TXT_BYTES_PER_PACKET: usize = 900;

/// What stands before the address in a TXT string.
const PREFIX: &str = "dnsaddr=";

/// The name of all names of services, RFC 6763 section 9.
const META_SERVICE: &str = "_services._dns-sd._udp.local.";

/// Bytes of a message header.
const HEADER: usize = 12;

/// The service asked for and answered.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    name: Name,
    meta: Name,
    domain: Name,
}

impl Service {
    /// The service of this DNS name; `None` if it is no name below `local` of
    /// at least three labels, or leaves no room for an instance's label.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut name = Name::from_ascii(text).ok()?;
        name.set_fqdn(true);
        let domain = Name::from_ascii("local.").ok()?;
        if name.num_labels() < 3 || !domain.zone_of(&name) {
            return None;
        }
        name.prepend_label("x".repeat(63).as_str()).ok()?;
        let meta = Name::from_ascii(META_SERVICE).ok()?;
        Some(Self { name, meta, domain })
    }
}

/// What one packet says about this node: a random name, and the addresses in
/// TXT strings that fit one packet together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    label: String,
    strings: Vec<String>,
    hosts: Vec<IpAddr>,
    port: u16,
}

impl Instance {
    /// The instances needed to announce `addresses` of `peer` (M2); each gets
    /// its label from `label`. Addresses too long for a TXT string are left out.
    pub(crate) fn split(
        peer: PeerId,
        addresses: &[Multiaddr],
        mut label: impl FnMut() -> String,
    ) -> Vec<Self> {
        let mut instances: Vec<Self> = Vec::new();
        let mut room = 0;
        for address in addresses {
            let string = format!("{PREFIX}{address}/p2p/{peer}");
            if string.len() > MAX_TXT_STRING {
                tracing::debug!(%address, "address too long for mDNS");
                continue;
            }
            if string.len() >= room {
                room = TXT_BYTES_PER_PACKET;
                instances.push(Self {
                    label: label(),
                    strings: Vec::new(),
                    hosts: Vec::new(),
                    port: 0,
                });
            }
            room = room.saturating_sub(string.len() + 1);
            if let Some(instance) = instances.last_mut() {
                instance.add(address, string);
            }
        }
        instances
    }

    fn add(&mut self, address: &Multiaddr, string: String) {
        self.strings.push(string);
        for protocol in address {
            match protocol {
                Protocol::Ip4(ip) => self.add_host(ip.into()),
                Protocol::Ip6(ip) => self.add_host(ip.into()),
                Protocol::Tcp(port) | Protocol::Udp(port) if self.port == 0 => self.port = port,
                _ => {}
            }
        }
    }

    fn add_host(&mut self, ip: IpAddr) {
        if !self.hosts.contains(&ip) {
            self.hosts.push(ip);
        }
    }

    /// The response that announces this instance for `ttl` seconds; 0 takes it
    /// back (M9). `question` repeats the question, for resolvers that asked by
    /// unicast (M5).
    pub(crate) fn response(
        &self,
        service: &Service,
        id: u16,
        ttl: u32,
        question: bool,
    ) -> Option<Vec<u8>> {
        let instance = service.name.prepend_label(self.label.as_str()).ok()?;
        let host = service.domain.prepend_label(self.label.as_str()).ok()?;
        let mut message = response(id);
        if question {
            message.add_query(Query::query(service.name.clone(), RecordType::PTR));
        }
        let pointer = RData::PTR(PTR(instance.clone()));
        message.add_answer(Record::from_rdata(service.name.clone(), ttl, pointer));
        let text = RData::TXT(TXT::new(self.strings.clone()));
        message.add_additional(Record::from_rdata(instance.clone(), ttl, text));
        // M2: Go's resolver hands on an instance only with a host and its IP.
        let server = RData::SRV(SRV::new(0, 0, self.port, host.clone()));
        message.add_additional(Record::from_rdata(instance, ttl, server));
        for ip in &self.hosts {
            let data = match ip {
                IpAddr::V4(ip) => RData::A(A(*ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(*ip)),
            };
            message.add_additional(Record::from_rdata(host.clone(), ttl, data));
        }
        message.to_vec().ok()
    }

    /// This instance with only those of its strings that announce one of
    /// `addresses`; `None` where there are none.
    pub(crate) fn only(&self, peer: PeerId, addresses: &[Multiaddr]) -> Option<Self> {
        let mut only = Self {
            label: self.label.clone(),
            strings: Vec::new(),
            hosts: Vec::new(),
            port: self.port,
        };
        for address in addresses {
            let string = format!("{PREFIX}{address}/p2p/{peer}");
            if self.strings.contains(&string) {
                only.add(address, string);
            }
        }
        (!only.strings.is_empty()).then_some(only)
    }
}

/// The query for all instances of the service (M4).
pub(crate) fn query(service: &Service, id: u16) -> Option<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(service.name.clone(), RecordType::PTR));
    message.to_vec().ok()
}

/// The answer to the question which services there are (M5).
pub(crate) fn services_response(service: &Service, ttl: u32) -> Option<Vec<u8>> {
    let mut message = response(0);
    let pointer = RData::PTR(PTR(service.name.clone()));
    message.add_answer(Record::from_rdata(service.meta.clone(), ttl, pointer));
    message.to_vec().ok()
}

fn response(id: u16) -> Message {
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message
}

/// A packet read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Somebody asks.
    Query {
        /// To be repeated in an answer by unicast.
        id: u16,
        /// Asks for instances of the service.
        service: bool,
        /// Asks which services there are.
        meta: bool,
    },
    /// Somebody announces or answers; empty where it is not about the service.
    Response(Vec<Found>),
}

/// One instance in a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) peer: PeerId,
    /// Without the peer's id at their end.
    pub(crate) addresses: Vec<Multiaddr>,
    /// In seconds; 0 takes the addresses back.
    pub(crate) ttl: u32,
}

/// Why a packet was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("longer than {MAX_PACKET} bytes")]
    TooLong,
    #[error("shorter than a header, or more than {MAX_RECORDS} records")]
    Header,
    #[error("not a DNS message: {0}")]
    Dns(String),
}

/// Reads a packet (M3).
pub(crate) fn read(service: &Service, bytes: &[u8]) -> Result<Packet, PacketError> {
    if bytes.len() > MAX_PACKET {
        return Err(PacketError::TooLong);
    }
    let counts = bytes.get(4..HEADER).ok_or(PacketError::Header)?;
    let records: usize = counts
        .chunks_exact(2)
        .map(|count| usize::from(u16::from_be_bytes([count[0], count[1]])))
        .sum();
    if records > MAX_RECORDS {
        return Err(PacketError::Header);
    }
    let message = Message::from_vec(bytes).map_err(|error| PacketError::Dns(error.to_string()))?;
    Ok(match message.metadata.message_type {
        MessageType::Query => Packet::Query {
            id: message.metadata.id,
            service: asks_for(&message, &service.name),
            meta: asks_for(&message, &service.meta),
        },
        MessageType::Response => Packet::Response(found(service, &message)),
    })
}

fn asks_for(message: &Message, name: &Name) -> bool {
    message.queries.iter().any(|query| {
        let class = plain(query.query_class());
        matches!(query.query_type(), RecordType::PTR | RecordType::ANY)
            && matches!(class, DNSClass::IN | DNSClass::ANY)
            && query.name() == name
    })
}

/// The class without the top bit, which mDNS uses as a flag.
fn plain(class: DNSClass) -> DNSClass {
    DNSClass::from(u16::from(class) & 0x7fff)
}

fn found(service: &Service, message: &Message) -> Vec<Found> {
    message
        .answers
        .iter()
        .filter(|record| plain(record.dns_class) == DNSClass::IN && record.name == service.name)
        .filter_map(|record| match &record.data {
            RData::PTR(instance) => found_instance(message, instance, record.ttl),
            _ => None,
        })
        .take(MAX_INSTANCES)
        .collect()
}

/// The addresses of one instance. The specification has its TXT records among
/// the additional ones, js-libp2p sends them as answers: both are read.
fn found_instance(message: &Message, instance: &Name, mut ttl: u32) -> Option<Found> {
    let mut found: Option<(PeerId, Vec<Multiaddr>)> = None;
    for record in message.answers.iter().chain(&message.additionals) {
        let RData::TXT(text) = &record.data else {
            continue;
        };
        if record.name != *instance {
            continue;
        }
        ttl = ttl.min(record.ttl);
        for string in &text.txt_data {
            let Some((address, peer)) = read_string(string) else {
                continue;
            };
            // M3: an instance is one peer, the first one named.
            let (first, addresses) = found.get_or_insert_with(|| (peer, Vec::new()));
            if *first == peer && addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    found.map(|(peer, addresses)| Found {
        peer,
        addresses,
        ttl,
    })
}

fn read_string(string: &[u8]) -> Option<(Multiaddr, PeerId)> {
    let text = std::str::from_utf8(string).ok()?.strip_prefix(PREFIX)?;
    let mut address: Multiaddr = text.parse().ok()?;
    let Some(Protocol::P2p(peer)) = address.pop() else {
        return None;
    };
    Some((address, peer))
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
