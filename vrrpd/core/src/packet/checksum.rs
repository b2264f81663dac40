//! The checksum of an advertisement (RFC 9568 §5.2.8, RFC 1071).

use core::fmt;
use std::net::IpAddr;

use super::PROTOCOL;

/// What a checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The message alone: VRRPv2, and VRRPv3 over IPv4 by RFC 9568.
    Plain,
    /// A pseudo-header too: VRRPv3 over IPv6, and over IPv4 as RFC 5798 was
    /// often read (keepalived, FRR).
    PseudoHeader,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "without pseudo-header",
            Self::PseudoHeader => "with pseudo-header",
        })
    }
}

/// The one's complement sum of `message`, its checksum field included, and of
/// what `form` adds. 0 for a message whose checksum is right; for one whose
/// field is 0, what belongs there.
pub(super) fn checksum(message: &[u8], form: Form, source: IpAddr, destination: IpAddr) -> u16 {
    let mut sum = add(0, message);
    match form {
        Form::Plain => {}
        Form::PseudoHeader => {
            sum = add_address(sum, source);
            sum = add_address(sum, destination);
            // 16 bits are enough: the longest message has 255 IPv6 addresses.
            sum += message.len() as u64 + u64::from(PROTOCOL);
        }
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let whole: u64 = pairs
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum();
    let odd: u64 = rest.iter().map(|&byte| u64::from(byte) << 8).sum();
    sum + whole + odd
}

fn add_address(sum: u64, address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => add(sum, &address.octets()),
        IpAddr::V6(address) => add(sum, &address.octets()),
    }
}
