//! Frames that the kernel leaves for the network card to cut and to sum up, and doing so
//! where each packet shall fare by itself (N11).
//!
//! Each frame read from a device has a `virtio_net_hdr` of 10 bytes before it (Virtual I/O
//! Device, version 1.1, section 5.1.6, without the number of buffers).

/// Bytes before the Ethernet frame.
pub(super) const PREFIX: usize = 10;

/// Bytes of an Ethernet header: two addresses and a type.
const ETHERNET: usize = 14;

/// A checksum is still to be made, `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CHECKSUM: u8 = 1;

/// Kinds of frames to be cut, without the bit for congestion notification.
const TCP4: u8 = 1;
const TCP6: u8 = 4;
const UDP: u8 = 5;
const ECN: u8 = 0x80;

/// Flags of TCP that only the last, or only the first packet has.
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// What the prefix says.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    needs_checksum: bool,
    kind: u8,
    size: usize,
    checksum_start: usize,
    checksum_offset: usize,
}

impl Prefix {
    fn of(frame: &[u8]) -> Prefix {
        let number = |at: usize| usize::from(u16::from_ne_bytes([frame[at], frame[at + 1]]));
        Prefix {
            needs_checksum: frame[0] & NEEDS_CHECKSUM != 0,
            kind: frame[1] & !ECN,
            size: number(4),
            checksum_start: number(6),
            checksum_offset: number(8),
        }
    }
}

/// How many packets a frame is on the wire, as far as its prefix says.
pub(super) fn count(frame: &[u8]) -> usize {
    let prefix = Prefix::of(frame);
    if prefix.kind == 0 || prefix.size == 0 {
        return 1;
    }
    (frame.len() - PREFIX).div_ceil(prefix.size)
}

/// Whether a frame goes over the wire as it is.
pub(super) fn is_plain(frame: &[u8]) -> bool {
    let prefix = Prefix::of(frame);
    prefix.kind == 0 && !prefix.needs_checksum
}

/// The packets that a network card would send, each with an empty prefix; `None` for a
/// frame that does not say what it promises. `frame` has a prefix and an Ethernet header.
pub(super) fn cut(frame: &[u8]) -> Option<Vec<Vec<u8>>> {
    let prefix = Prefix::of(frame);
    let mut plain = frame.to_vec();
    plain[..PREFIX].fill(0);
    match prefix.kind {
        0 => {
            if prefix.needs_checksum {
                complete(&mut plain[PREFIX..], prefix)?;
            }
            Some(vec![plain])
        }
        TCP4 | TCP6 | UDP if prefix.size > 0 => segments(&plain, prefix),
        _ => None,
    }
}

/// Makes the checksum that a prefix asks for.
fn complete(frame: &mut [u8], prefix: Prefix) -> Option<()> {
    let rest = frame.get(prefix.checksum_start..)?;
    let checksum = fold(sum(rest, 0));
    // Zero would mean that UDP has none.
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    let at = prefix.checksum_start + prefix.checksum_offset;
    frame
        .get_mut(at..at + 2)?
        .copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn segments(frame: &[u8], prefix: Prefix) -> Option<Vec<Vec<u8>>> {
    let network = PREFIX + ETHERNET;
    let is_ipv4 = match frame.get(network)? >> 4 {
        4 => true,
        6 => false,
        _ => return None,
    };
    let network_bytes = if is_ipv4 {
        usize::from(frame[network] & 0x0f) * 4
    } else {
        40
    };
    let transport = network + network_bytes;
    // Options before the transport's header would have to be understood.
    let protocol = *frame.get(if is_ipv4 { network + 9 } else { network + 6 })?;
    let transport_bytes = match (prefix.kind, protocol) {
        (TCP4 | TCP6, 6) => usize::from(*frame.get(transport + 12)? >> 4) * 4,
        (UDP, 17) => 8,
        _ => return None,
    };
    let payload = transport + transport_bytes;
    if transport_bytes < 8 || network_bytes < 20 || frame.len() <= payload {
        return None;
    }
    let count = (frame.len() - payload).div_ceil(prefix.size);
    let parts = frame[payload..].chunks(prefix.size).enumerate();
    let packets = parts.map(|(index, part)| {
        let mut packet = [&frame[..payload], part].concat();
        let bytes = packet.len() - network;
        if is_ipv4 {
            put(&mut packet, network + 2, bytes);
            let id = number(&packet, network + 4).wrapping_add(index);
            put(&mut packet, network + 4, id);
            put(&mut packet, network + 10, 0);
            let checksum = fold(sum(&packet[network..transport], 0));
            put(&mut packet, network + 10, usize::from(checksum));
        } else {
            put(&mut packet, network + 4, bytes - network_bytes);
        }
        let bytes = packet.len() - transport;
        let checksum_at = if protocol == 6 {
            let at = transport + 4;
            let first =
                u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
            let sequence = first.wrapping_add((index * prefix.size) as u32);
            packet[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
            if index + 1 < count {
                packet[transport + 13] &= !FIN_PSH;
            }
            if index > 0 {
                packet[transport + 13] &= !CWR;
            }
            transport + 16
        } else {
            put(&mut packet, transport + 4, bytes);
            transport + 6
        };
        put(&mut packet, checksum_at, 0);
        let addresses = if is_ipv4 {
            network + 12..network + 20
        } else {
            network + 8..network + 40
        };
        // The pseudo header: addresses, length, protocol.
        let pseudo = sum(&packet[addresses], bytes as u64 + u64::from(protocol));
        let checksum = match fold(sum(&packet[transport..], pseudo)) {
            0 if protocol == 17 => 0xffff,
            checksum => checksum,
        };
        put(&mut packet, checksum_at, usize::from(checksum));
        packet
    });
    Some(packets.collect())
}

fn number(packet: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]))
}

/// Writes the lower 16 bits of a number.
fn put(packet: &mut [u8], at: usize, number: usize) {
    packet[at..at + 2].copy_from_slice(&((number & 0xffff) as u16).to_be_bytes());
}

/// The Internet checksum before it is folded (RFC 1071).
fn sum(bytes: &[u8], start: u64) -> u64 {
    let pairs = bytes.chunks(2).map(|pair| {
        let second = pair.get(1).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([pair[0], second]))
    });
    pairs.fold(start, |sum, pair| sum + pair)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
#[path = "packets_tests.rs"]
mod tests;
