//! Why a packet was not listened to.

use core::fmt;

/// Why a packet was refused. A refused packet changes nothing but a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The IPv4 header contradicts itself or the packet's size.
    IpHeader,
    /// The TTL or hop limit is below 255, or what is allowed to unicast peers: it
    /// came through a router (RFC 9568 §5.1.1.3).
    HopLimit,
    /// Neither VRRPv2 nor VRRPv3, or VRRPv2 over IPv6 (RFC 9568 §7.1).
    Version,
    /// Not an advertisement (RFC 9568 §5.2.2).
    Type,
    /// Shorter than it says (RFC 9568 §7.1).
    Length,
    /// Damaged (RFC 9568 §5.2.8).
    Checksum,
    /// Virtual router 0 (RFC 9568 §5.2.3).
    VridZero,
    /// No addresses (RFC 9568 §5.2.5, erratum 8299).
    CountZero,
    /// An interval of 0 (RFC 9568 §5.2.7, erratum 8301).
    IntervalZero,
    /// VRRPv2 with authentication (RFC 3768 §5.3.6).
    AuthType,
    /// The first IPv6 address is not link-local (RFC 9568 §5.2.9, erratum 8300).
    NotLinkLocal,
    /// No such virtual router on the interface (RFC 9568 §7.1).
    UnknownVrid,
    /// The other version than the virtual router's.
    VersionMismatch,
    /// VRRPv2 with another interval than ours (RFC 3768 §7.1).
    IntervalMismatch,
    /// Not from one of the unicast peers.
    UnknownPeer,
    /// From our own address: our own packet, or a duplicate address.
    OwnAddress,
    /// This router owns the addresses (RFC 9568 §7.1, erratum 8298).
    Owner,
}

impl Refusal {
    /// Each of them.
    pub const ALL: [Self; 17] = [
        Self::IpHeader,
        Self::HopLimit,
        Self::Version,
        Self::Type,
        Self::Length,
        Self::Checksum,
        Self::VridZero,
        Self::CountZero,
        Self::IntervalZero,
        Self::AuthType,
        Self::NotLinkLocal,
        Self::UnknownVrid,
        Self::VersionMismatch,
        Self::IntervalMismatch,
        Self::UnknownPeer,
        Self::OwnAddress,
        Self::Owner,
    ];

    /// One word for metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpHeader => "ip_header",
            Self::HopLimit => "hop_limit",
            Self::Version => "version",
            Self::Type => "type",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::VridZero => "vrid_zero",
            Self::CountZero => "count_zero",
            Self::IntervalZero => "interval_zero",
            Self::AuthType => "auth_type",
            Self::NotLinkLocal => "not_link_local",
            Self::UnknownVrid => "unknown_vrid",
            Self::VersionMismatch => "version_mismatch",
            Self::IntervalMismatch => "interval_mismatch",
            Self::UnknownPeer => "unknown_peer",
            Self::OwnAddress => "own_address",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IpHeader => "its IPv4 header contradicts itself",
            Self::HopLimit => "its TTL or hop limit is too low: it came through a router",
            Self::Version => "it is neither VRRPv2 over IPv4 nor VRRPv3",
            Self::Type => "it is not an advertisement",
            Self::Length => "it is shorter than it says",
            Self::Checksum => "its checksum is wrong",
            Self::VridZero => "it is for virtual router 0",
            Self::CountZero => "it names no addresses",
            Self::IntervalZero => "its interval is 0",
            Self::AuthType => "it uses VRRPv2 authentication: turn that off on the sender",
            Self::NotLinkLocal => "its first IPv6 address is not link-local",
            Self::UnknownVrid => "no such virtual router is configured on the interface",
            Self::VersionMismatch => {
                "it is of another VRRP version: configure the same on both routers"
            }
            Self::IntervalMismatch => {
                "its interval differs from ours: VRRPv2 needs the same on both routers"
            }
            Self::UnknownPeer => "its sender is not among the unicast peers",
            Self::OwnAddress => {
                "it came from this router's own address: is the address in use twice?"
            }
            Self::Owner => "this router owns the addresses: no other may advertise them",
        })
    }
}

impl core::error::Error for Refusal {}

/// How many packets were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Counts one; returns how many there are of it now.
    pub fn count(&mut self, refusal: Refusal) -> u64 {
        let count = &mut self.0[refusal as usize];
        *count += 1;
        *count
    }

    /// How many there were of `refusal`.
    pub const fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize]
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL
            .into_iter()
            .map(|refusal| (refusal, self.of(refusal)))
    }
}
