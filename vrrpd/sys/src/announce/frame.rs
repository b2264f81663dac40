//! The Ethernet frames, byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Mac;

const BROADCAST: Mac = [0xff; 6];
pub(super) const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ARP_REQUEST: u16 = 1;

pub(super) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(super) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ICMPV6: u8 = 58;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;

/// Flags of an advertisement: Router and Override set, Solicited clear.
const ROUTER_AND_OVERRIDE: u8 = 0b1010_0000;

/// "Who has `address`? Tell `address`", to all: every cache that knows the
/// address takes `mac` from it (RFC 5944 §4.6).
pub(super) fn gratuitous_arp(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    arp_request(mac, address, address)
}

/// "Who has `address`?", naming no sender, so that no cache changes
/// (RFC 5227 §2.1.1).
pub(super) fn arp_probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    arp_request(mac, Ipv4Addr::UNSPECIFIED, address)
}

fn arp_request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ETHERTYPE_ARP);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4]); // Ethernet, IPv4, their lengths
    frame.extend_from_slice(&ARP_REQUEST.to_be_bytes());
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&sender.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&target.octets());
    frame
}

/// "`address` is at `mac`, whatever you knew", to all nodes (RFC 4861 §7.2.6).
pub(super) fn neighbour_advertisement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut message = vec![
        NEIGHBOUR_ADVERTISEMENT,
        0,
        0,
        0,
        ROUTER_AND_OVERRIDE,
        0,
        0,
        0,
    ];
    message.extend_from_slice(&address.octets());
    message.extend_from_slice(&[TARGET_LINK_ADDRESS, 1]);
    message.extend_from_slice(&mac);
    icmpv6(mac, address, all_nodes, message)
}

/// "Who has `address`?", from nobody, as duplicate address detection asks
/// (RFC 4862 §5.4.2).
pub(super) fn solicitation_probe(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let mut message = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    icmpv6(mac, Ipv6Addr::UNSPECIFIED, group, message)
}

/// The link-layer address among the options of a neighbour message.
pub(super) fn link_address_option(mut options: &[u8]) -> Option<Mac> {
    while let [kind, units, rest @ ..] = options {
        let length = usize::from(*units) * 8;
        if matches!(*kind, SOURCE_LINK_ADDRESS | TARGET_LINK_ADDRESS) && *units == 1 {
            return rest.first_chunk().copied();
        }
        options = options.get(length.max(8)..)?;
    }
    None
}

/// A frame with `message` in it, its checksum filled in.
fn icmpv6(mac: Mac, source: Ipv6Addr, group: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(source, group, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let [.., a, b, c, d] = group.octets();
    let mut frame = ethernet([0x33, 0x33, a, b, c, d], mac, ETHERTYPE_IPV6);
    let length = u16::try_from(message.len()).expect("a neighbour message is 24 or 32 bytes");
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[ICMPV6, 255]);
    frame.extend_from_slice(&source.octets());
    frame.extend_from_slice(&group.octets());
    frame.extend_from_slice(&message);
    frame
}

fn ethernet(destination: Mac, source: Mac, kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend_from_slice(&destination);
    frame.extend_from_slice(&source);
    frame.extend_from_slice(&kind.to_be_bytes());
    frame
}

/// The Internet checksum over the pseudo-header and `message` (RFC 4443 §2.3).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).expect("a neighbour message is small");
    let words = source
        .segments()
        .into_iter()
        .chain(destination.segments())
        .map(u32::from);
    let body = message
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.chain(body).sum::<u32>() + length + u32::from(ICMPV6);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 0x11];

    #[rustfmt::skip]
    #[test]
    fn gratuitous_arp_is_a_broadcast_request_for_oneself() {
        assert_eq!(gratuitous_arp(MAC, Ipv4Addr::new(192, 0, 2, 100)), [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x11, 0x08, 0x06,
            0, 1, 8, 0, 6, 4, 0, 1,
            2, 0, 0, 0, 0, 0x11, 192, 0, 2, 100,
            0, 0, 0, 0, 0, 0, 192, 0, 2, 100,
        ]);
    }

    #[test]
    fn arp_probe_names_no_sender() {
        let frame = arp_probe(MAC, Ipv4Addr::new(192, 0, 2, 100));
        assert_eq!(frame[28..32], [0, 0, 0, 0]);
        assert_eq!(frame[38..42], [192, 0, 2, 100]);
    }

    #[rustfmt::skip]
    #[test]
    fn neighbour_advertisement_overrides() {
        let frame = neighbour_advertisement(MAC, "fd00::100".parse().expect("address"));
        assert_eq!(frame[..14], [
            0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x11, 0x86, 0xdd,
        ]);
        assert_eq!(frame[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
        assert_eq!(frame[54..62], [136, 0, 0xd8, 0x8c, 0xa0, 0, 0, 0]);
        assert_eq!(frame[78..], [2, 1, 2, 0, 0, 0, 0, 0x11]);
    }

    #[test]
    fn solicitation_goes_to_the_solicited_node_group() {
        let frame = solicitation_probe(MAC, "fd00::12:3456".parse().expect("address"));
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame[22..38], [0; 16], "from nobody");
    }

    #[test]
    fn link_address_is_found_after_other_options() {
        let options = [14, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0x11];
        assert_eq!(link_address_option(&options), Some(MAC));
        assert_eq!(link_address_option(&options[..8]), None);
        assert_eq!(link_address_option(&[2]), None);
        assert_eq!(link_address_option(&[0, 0, 0, 0]), None);
    }
}
