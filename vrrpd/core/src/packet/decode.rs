//! From bytes to an advertisement (RFC 9568 §7.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::checksum::{Form, checksum};
use super::{
    Addresses, Advert, Centiseconds, Family, HOP_LIMIT, Header, Priority, Received, Refusal,
    Version, Vrid,
};

/// What stands before the addresses, in both versions.
const FIXED: usize = 8;

/// The authentication data that ends a VRRPv2 message (RFC 3768 §5.3.10).
const AUTH_DATA: usize = 8;

/// The only type there is (RFC 9568 §5.2.2).
pub(super) const ADVERTISEMENT: u8 = 1;

/// The virtual router that a packet is for, as far as can be told, legal or
/// not: to count a refusal where it belongs.
pub fn peek_vrid(payload: &[u8]) -> Option<Vrid> {
    payload.get(1).copied().and_then(Vrid::new)
}

/// Reads the payload of an IP packet of protocol 112, from the same LAN: its
/// TTL or hop limit is 255.
///
/// # Errors
///
/// As [`decode_routed`].
pub fn decode(header: &Header, payload: &[u8]) -> Result<Received, Refusal> {
    decode_routed(header, payload, HOP_LIMIT)
}

/// Reads the payload of an IP packet of protocol 112 with a TTL or hop limit of
/// at least `least`: 255 less the routers it may have come through.
///
/// Bytes after the message are ignored (RFC 9568 §7.1 asks for a complete
/// message, not for an exact one).
///
/// # Errors
///
/// The first reason to refuse it, in the RFC's order.
pub fn decode_routed(header: &Header, payload: &[u8], least: u8) -> Result<Received, Refusal> {
    // RFC 9568 §7.1: TTL or hop limit, version, complete, checksum, VRID.
    if header.hop_limit < least {
        return Err(Refusal::HopLimit);
    }
    let fixed: &[u8; FIXED] = payload.first_chunk().ok_or(Refusal::Length)?;
    let family = Family::of(header.source);
    let version = version(fixed[0] >> 4, family)?;
    if fixed[0] & 0x0f != ADVERTISEMENT {
        return Err(Refusal::Type);
    }
    let count = usize::from(fixed[3]);
    let message = payload
        .get(..message_length(version, family, count))
        .ok_or(Refusal::Length)?;
    let form = verify(version, header, message).ok_or(Refusal::Checksum)?;
    let vrid = Vrid::new(fixed[1]).ok_or(Refusal::VridZero)?;
    if count == 0 {
        return Err(Refusal::CountZero);
    }
    Ok(Received {
        source: header.source,
        form,
        advert: Advert {
            version,
            vrid,
            priority: Priority::new(fixed[2]),
            interval: interval(version, fixed)?,
            addresses: addresses(family, count, &message[FIXED..])?,
        },
    })
}

fn version(number: u8, family: Family) -> Result<Version, Refusal> {
    match (number, family) {
        (2, Family::V4) => Ok(Version::V2),
        (3, Family::V4 | Family::V6) => Ok(Version::V3),
        _ => Err(Refusal::Version),
    }
}

fn message_length(version: Version, family: Family, count: usize) -> usize {
    let addresses = match family {
        Family::V4 => count * 4,
        Family::V6 => count * 16,
    };
    match version {
        Version::V2 => FIXED + addresses + AUTH_DATA,
        Version::V3 => FIXED + addresses,
    }
}

/// The form in which the checksum is right.
fn verify(version: Version, header: &Header, message: &[u8]) -> Option<Form> {
    let forms: &[Form] = match (version, Family::of(header.source)) {
        (Version::V2, _) => &[Form::Plain],
        (Version::V3, Family::V4) => &[Form::Plain, Form::PseudoHeader],
        (Version::V3, Family::V6) => &[Form::PseudoHeader],
    };
    let right = |form: &Form| checksum(message, *form, header.source, header.destination) == 0;
    forms.iter().copied().find(right)
}

/// RFC 9568 §5.2.7: 12 bits of centiseconds, reserved bits ignored (§5.2.6).
/// RFC 3768 §5.3.6 and §5.3.7: no authentication, seconds.
fn interval(version: Version, fixed: &[u8; FIXED]) -> Result<Centiseconds, Refusal> {
    let centiseconds = match version {
        Version::V2 if fixed[4] != 0 => return Err(Refusal::AuthType),
        Version::V2 => u16::from(fixed[5]) * 100,
        Version::V3 => u16::from_be_bytes([fixed[4], fixed[5]]) & Centiseconds::V3_MAX.as_u16(),
    };
    Centiseconds::new(centiseconds).ok_or(Refusal::IntervalZero)
}

fn addresses(family: Family, count: usize, bytes: &[u8]) -> Result<Addresses, Refusal> {
    match family {
        Family::V4 => {
            let (chunks, _) = bytes.as_chunks::<4>();
            let addresses = chunks
                .iter()
                .take(count)
                .map(|&octets| Ipv4Addr::from(octets));
            Ok(Addresses::V4(addresses.collect()))
        }
        Family::V6 => {
            let (chunks, _) = bytes.as_chunks::<16>();
            let addresses: Vec<_> = chunks
                .iter()
                .take(count)
                .map(|&octets| Ipv6Addr::from(octets))
                .collect();
            match addresses.first() {
                Some(first) if first.is_unicast_link_local() => Ok(Addresses::V6(addresses)),
                Some(_) | None => Err(Refusal::NotLinkLocal),
            }
        }
    }
}
