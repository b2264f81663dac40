//! The frames of the probe, byte by byte.

use std::net::Ipv4Addr;

/// A hardware address.
pub(crate) type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const TCP: u8 = 6;
const UDP: u8 = 17;
const VRRP: u8 = 112;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What a host said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// `mac` says that it has `address`, to one who called itself `asker`.
    HasAddress {
        /// Who says so.
        mac: Mac,
        /// The address.
        address: Ipv4Addr,
        /// Whom it was told.
        asker: Ipv4Addr,
    },
    /// Somebody at `mac` answered a connection request.
    Connection {
        /// Who answered.
        mac: Mac,
        /// The sequence number of the request.
        sequence: u32,
        /// It was admitted; if not, it was refused.
        admitted: bool,
    },
}

/// "Who has `address`? Tell `asker`", from `mac`.
pub(crate) fn arp_request(mac: Mac, asker: Ipv4Addr, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ARP);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]); // Ethernet, IPv4, lengths, request
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&asker.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&address.octets());
    frame
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) mac: Mac,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
}

/// The first segment of a TCP connection: it asks to be let in. A client whose
/// kernel knows of no such connection resets it when the answer comes, so the
/// server's program never hears of it.
pub(crate) fn connection_request(from: End, to: End, sequence: u32) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20);
    segment.extend_from_slice(&from.port.to_be_bytes());
    segment.extend_from_slice(&to.port.to_be_bytes());
    segment.extend_from_slice(&sequence.to_be_bytes());
    segment.extend_from_slice(&[0; 4]);
    segment.extend_from_slice(&[0x50, SYN, 0x20, 0, 0, 0, 0, 0]); // window 8192
    let mut pseudo = Vec::with_capacity(32);
    pseudo.extend_from_slice(&from.address.octets());
    pseudo.extend_from_slice(&to.address.octets());
    pseudo.extend_from_slice(&[0, TCP, 0, 20]);
    pseudo.extend_from_slice(&segment);
    segment[16..18].copy_from_slice(&checksum(&pseudo).to_be_bytes());

    let mut frame = ethernet(to.mac, from.mac, IPV4);
    frame.extend_from_slice(&header(TCP, 64, from.address, to.address, segment.len()));
    frame.extend_from_slice(&segment);
    frame
}

/// A UDP datagram, at the same port at both ends, without a checksum.
///
/// # Panics
///
/// If `payload` does not fit in a frame.
pub(crate) fn udp(
    mac: Mac,
    from: Ipv4Addr,
    to_mac: Mac,
    to: Ipv4Addr,
    port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let length = payload.len() + 8;
    let mut frame = ethernet(to_mac, mac, IPV4);
    frame.extend_from_slice(&header(UDP, 64, from, to, length));
    frame.extend_from_slice(&port.to_be_bytes());
    frame.extend_from_slice(&port.to_be_bytes());
    let length = u16::try_from(length).expect("it fits in a frame");
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(payload);
    frame
}

/// The port that a frame's UDP datagram goes to, if it holds one.
pub(crate) fn udp_port(frame: &[u8]) -> Option<u16> {
    let kind = u16::from_be_bytes(*frame.get(12..)?.first_chunk()?);
    let body = frame.get(14..)?;
    if kind != IPV4 || *body.get(9)? != UDP {
        return None;
    }
    let segment = body.get(usize::from(body[0] & 0x0f) * 4..)?;
    Some(u16::from_be_bytes(*segment.get(2..)?.first_chunk()?))
}

/// A VRRP packet to its multicast group (RFC 9568 §5.1.1).
///
/// # Panics
///
/// As [`udp`].
pub(crate) fn vrrp(mac: Mac, from: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let mut frame = ethernet([0x01, 0, 0x5e, 0, 0, 18], mac, IPV4);
    frame.extend_from_slice(&header(VRRP, 255, from, group, payload.len()));
    frame.extend_from_slice(payload);
    frame
}

/// Whether a frame holds a VRRP packet over IPv4.
pub(crate) fn is_vrrp(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&IPV4.to_be_bytes()) && frame.get(23) == Some(&VRRP)
}

/// An IPv4 header without options.
fn header(protocol: u8, ttl: u8, from: Ipv4Addr, to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let length = u16::try_from(payload + 20).expect("it fits in a frame");
    let [high, low] = length.to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, ttl, protocol, 0, 0];
    header.extend_from_slice(&from.octets());
    header.extend_from_slice(&to.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// What a frame says, if it is one that the probe listens for.
pub(crate) fn read(frame: &[u8]) -> Option<Heard> {
    let mac = *frame.get(6..)?.first_chunk()?;
    let kind = u16::from_be_bytes(*frame.get(12..)?.first_chunk()?);
    let body = frame.get(14..)?;
    match kind {
        ARP if body.get(6..8)? == [0, 2] => Some(Heard::HasAddress {
            mac: *body.get(8..)?.first_chunk()?,
            address: address(body, 14)?,
            asker: address(body, 24)?,
        }),
        IPV4 if *body.get(9)? == TCP => {
            let segment = body.get(usize::from(body[0] & 0x0f) * 4..)?;
            let flags = segment.get(13)? & (SYN | RST | ACK);
            let acknowledged = u32::from_be_bytes(*segment.get(8..)?.first_chunk()?);
            let admitted = match flags {
                flags if flags == SYN | ACK => true,
                flags if flags & RST != 0 => false,
                _ => return None,
            };
            Some(Heard::Connection {
                mac,
                sequence: acknowledged.wrapping_sub(1),
                admitted,
            })
        }
        _ => None,
    }
}

fn address(body: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = *body.get(at..)?.first_chunk()?;
    Some(octets.into())
}

fn ethernet(to: Mac, from: Mac, kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(64);
    frame.extend_from_slice(&to);
    frame.extend_from_slice(&from);
    frame.extend_from_slice(&kind.to_be_bytes());
    frame
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Mac = [2, 0, 0, 0, 2, 20];
    const MANAGER: Mac = [2, 0, 0, 0, 2, 11];

    #[rustfmt::skip]
    #[test]
    fn arp_request_asks_all() {
        assert_eq!(arp_request(CLIENT, [192, 0, 2, 128].into(), [192, 0, 2, 100].into()), [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 2, 20, 8, 6,
            0, 1, 8, 0, 6, 4, 0, 1,
            2, 0, 0, 0, 2, 20, 192, 0, 2, 128,
            0, 0, 0, 0, 0, 0, 192, 0, 2, 100,
        ]);
    }

    #[test]
    fn connection_request_has_checksums_that_fit() {
        let from = End {
            mac: CLIENT,
            address: [192, 0, 2, 20].into(),
            port: 20_000,
        };
        let to = End {
            mac: MANAGER,
            address: [192, 0, 2, 11].into(),
            port: 5432,
        };
        let frame = connection_request(from, to, 7);
        assert_eq!(frame.len(), 54);
        assert_eq!(
            checksum(&frame[14..34]),
            0,
            "of the header, its sum included"
        );
        let mut pseudo = frame[26..34].to_vec();
        pseudo.extend_from_slice(&[0, 6, 0, 20]);
        pseudo.extend_from_slice(&frame[34..]);
        assert_eq!(checksum(&pseudo), 0, "of the segment");
    }

    #[test]
    fn datagram_is_found_by_its_port() {
        let frame = udp(
            CLIENT,
            [192, 0, 2, 12].into(),
            MANAGER,
            [192, 0, 2, 11].into(),
            8112,
            b"x",
        );
        assert_eq!(udp_port(&frame), Some(8112));
        assert_eq!(frame[34..], [0x1f, 0xb0, 0x1f, 0xb0, 0, 9, 0, 0, b'x']);
        assert!(!is_vrrp(&frame));
        let advert = vrrp(CLIENT, [192, 0, 2, 12].into(), &[0x31]);
        assert_eq!(udp_port(&advert), None);
        assert!(is_vrrp(&advert));
    }

    #[test]
    fn answers_name_who_answered_and_what() {
        let mut frame = ethernet(CLIENT, MANAGER, IPV4);
        frame.extend_from_slice(&[
            0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 11, 192, 0, 2, 20,
        ]);
        frame.extend_from_slice(&[
            0x15, 0x38, 0x4e, 0x20, 1, 2, 3, 4, 0, 0, 0, 8, 0x60, 0x12, 0, 0, 0, 0, 0, 0,
        ]);
        let heard = |admitted| {
            Some(Heard::Connection {
                mac: MANAGER,
                sequence: 7,
                admitted,
            })
        };
        assert_eq!(read(&frame), heard(true));
        frame[47] = 0x14;
        assert_eq!(read(&frame), heard(false));
        frame[47] = 0x10;
        assert_eq!(read(&frame), None, "of another connection");
        assert_eq!(read(&frame[..40]), None);
    }
}
