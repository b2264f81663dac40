//! From an advertisement to bytes (RFC 9568 §5.2, RFC 3768 §5.3).

use std::net::IpAddr;

use super::checksum::{Form, checksum};
use super::decode::ADVERTISEMENT;
use super::{Addresses, Advert, Family, Version};

/// Where the checksum stands, in both versions.
const CHECKSUM: core::ops::Range<usize> = 6..8;

/// The payload of the IP packet from `source` to `destination`.
///
/// `form` decides the checksum of VRRPv3 over IPv4 only; the others have one.
///
/// # Panics
///
/// If the version cannot carry the interval or the family, or there are not
/// 1 to 255 addresses: a router's configuration is checked for it.
pub fn encode(advert: &Advert, form: Form, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let family = advert.addresses.family();
    assert!(
        advert.version.carries(advert.interval),
        "an interval that the version cannot carry"
    );
    assert!(
        advert.version == Version::V3 || family == Family::V4,
        "VRRPv2 knows IPv4 only"
    );
    let count = u8::try_from(advert.addresses.count()).unwrap_or(0);
    assert!(count > 0, "an advertisement names 1 to 255 addresses");

    let mut bytes = vec![
        advert.version.number() << 4 | ADVERTISEMENT,
        advert.vrid.as_u8(),
        advert.priority.map_or(0, |priority| priority.as_u8()),
        count,
    ];
    bytes.extend_from_slice(&interval(advert));
    bytes.extend_from_slice(&[0, 0]);
    match &advert.addresses {
        Addresses::V4(list) => bytes.extend(list.iter().flat_map(|address| address.octets())),
        Addresses::V6(list) => bytes.extend(list.iter().flat_map(|address| address.octets())),
    }
    let form = match (advert.version, family) {
        (Version::V2, _) => {
            // RFC 3768 §5.3.10: zero on transmission.
            bytes.extend_from_slice(&[0; 8]);
            Form::Plain
        }
        (Version::V3, Family::V4) => form,
        (Version::V3, Family::V6) => Form::PseudoHeader,
    };
    let sum = checksum(&bytes, form, source, destination);
    bytes[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// v2: authentication type 0, seconds. v3: reserved bits 0, centiseconds.
fn interval(advert: &Advert) -> [u8; 2] {
    let centiseconds = advert.interval.as_u16();
    match advert.version {
        Version::V2 => centiseconds / 100,
        Version::V3 => centiseconds,
    }
    .to_be_bytes()
}
