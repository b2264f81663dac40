//! The payload of an IPv4 packet as a raw socket delivers it.

use std::net::Ipv4Addr;

use super::{Header, Refusal};

/// Splits an IPv4 packet: options are passed over (IHL), and what an Ethernet
/// frame was padded with is cut off (total length, RFC 791 §3.1).
///
/// # Errors
///
/// [`Refusal::IpHeader`] when it is no IPv4 packet, or shorter than it says.
pub fn split_ipv4(packet: &[u8]) -> Result<(Header, &[u8]), Refusal> {
    let fixed: &[u8; 20] = packet.first_chunk().ok_or(Refusal::IpHeader)?;
    let header_length = usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] >> 4 != 4 || header_length < fixed.len() {
        return Err(Refusal::IpHeader);
    }
    let total_length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let payload = packet
        .get(header_length..total_length)
        .ok_or(Refusal::IpHeader)?;
    let header = Header {
        source: Ipv4Addr::from([fixed[12], fixed[13], fixed[14], fixed[15]]).into(),
        destination: Ipv4Addr::from([fixed[16], fixed[17], fixed[18], fixed[19]]).into(),
        hop_limit: fixed[8],
    };
    Ok((header, payload))
}
