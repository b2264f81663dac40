//! VRRP advertisements: VRRPv3 (RFC 9568) and VRRPv2 (RFC 3768), over IPv4
//! and IPv6, between bytes and an [`Advert`] that holds only what is legal.
//!
//! ```
//! use vrrpd_core::packet::{self, Addresses, Advert, Centiseconds, Form, Header, Priority, Version, Vrid};
//!
//! let advert = Advert {
//!     version: Version::V3,
//!     vrid: Vrid::new(51).unwrap(),
//!     priority: Priority::new(150),
//!     interval: Centiseconds::new(20).unwrap(),
//!     addresses: Addresses::V4(vec!["192.0.2.100".parse().unwrap()]),
//! };
//! let header = Header {
//!     source: "192.0.2.11".parse().unwrap(),
//!     destination: "224.0.0.18".parse().unwrap(),
//!     hop_limit: 255,
//! };
//! let bytes = packet::encode(&advert, Form::Plain, header.source, header.destination);
//! let received = packet::decode(&header, &bytes).unwrap();
//! assert_eq!(received.advert, advert);
//! ```

mod checksum;
mod decode;
mod encode;
mod ipv4;
mod refusal;

use core::fmt;
use core::num::{NonZeroU8, NonZeroU16};
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use checksum::Form;
pub use decode::{decode, decode_routed, peek_vrid};
pub use encode::encode;
pub use ipv4::split_ipv4;
pub use refusal::{Refusal, Refusals};

/// VRRP's number among the IP protocols (RFC 9568 §5.1.1.4).
pub const PROTOCOL: u8 = 112;

/// The TTL or hop limit of every advertisement (RFC 9568 §5.1.1.3, §5.1.2.3).
pub const HOP_LIMIT: u8 = 255;

/// Where IPv4 advertisements go (RFC 9568 §5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Where IPv6 advertisements go (RFC 9568 §5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768: IPv4 only, intervals in whole seconds.
    V2,
    /// RFC 9568.
    V3,
}

impl Version {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// Whether an advertisement of this version can carry `interval`.
    ///
    /// v3: 10 ms to 40.95 s in steps of 10 ms (RFC 9568 §5.2.7); v2: 1 s to
    /// 255 s in steps of 1 s (RFC 3768 §5.3.7).
    pub const fn carries(self, interval: Centiseconds) -> bool {
        let centiseconds = interval.as_u16();
        match self {
            Self::V2 => centiseconds.is_multiple_of(100),
            Self::V3 => centiseconds <= Centiseconds::V3_MAX.as_u16(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRRPv{}", self.number())
    }
}

/// An address family; each has virtual routers of its own (RFC 9568 §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The group that advertisements are sent to.
    pub const fn group(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(GROUP_V4),
            Self::V6 => IpAddr::V6(GROUP_V6),
        }
    }
}

/// A virtual router's identifier on its interface, 1 to 255 (RFC 9568 §5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `None` for 0.
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number.
    pub const fn as_u8(self) -> u8 {
        self.0.get()
    }
}

impl From<NonZeroU8> for Vrid {
    fn from(value: NonZeroU8) -> Self {
        Self(value)
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How much a router wants to be Active, 1 to 255 (RFC 9568 §5.2.4).
///
/// The 0 on the wire is no priority: it says that the Active router has
/// stopped, and is `None` of an `Option<Priority>` here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The router owns the virtual addresses.
    pub const OWNER: Self = Self(NonZeroU8::MAX);

    /// The highest of a router that does not own the addresses.
    pub const BACKUP_MAX: Self = Self(NonZeroU8::new(254).unwrap());

    /// The lowest.
    pub const MIN: Self = Self(NonZeroU8::MIN);

    /// `None` for 0.
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number.
    pub const fn as_u8(self) -> u8 {
        self.0.get()
    }

    /// Whether it is 255.
    pub const fn is_owner(self) -> bool {
        self.0.get() == u8::MAX
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An advertisement interval, 1 to 25,500 hundredths of a second.
///
/// [`Version::carries`] says which of them a version can put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Centiseconds(NonZeroU16);

impl Centiseconds {
    /// The longest of VRRPv3: 12 bits (RFC 9568 §5.2.7).
    pub const V3_MAX: Self = Self(NonZeroU16::new(0x0fff).unwrap());

    /// The longest of VRRPv2: 255 s (RFC 3768 §5.3.7).
    pub const V2_MAX: Self = Self(NonZeroU16::new(25_500).unwrap());

    /// `None` for 0, and for more than [`Centiseconds::V2_MAX`].
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) if value.get() <= Self::V2_MAX.0.get() => Some(Self(value)),
            Some(_) | None => None,
        }
    }

    /// `None` when `span` is not a whole number of centiseconds in range.
    pub fn from_duration(span: Duration) -> Option<Self> {
        const NANOS: u128 = 10_000_000;
        let nanos = span.as_nanos();
        if !nanos.is_multiple_of(NANOS) {
            return None;
        }
        Self::new(u16::try_from(nanos / NANOS).ok()?)
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0.get()
    }

    /// As a span of time.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0.get() as u64 * 10)
    }
}

impl fmt::Display for Centiseconds {
    /// In milliseconds below a second, as configured: `200 ms`, `1.5 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let centiseconds = self.0.get();
        if centiseconds < 100 {
            write!(f, "{} ms", u32::from(centiseconds) * 10)
        } else {
            write!(f, "{} s", f64::from(centiseconds) / 100.0)
        }
    }
}

/// The addresses of an advertisement: of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// 1 to 255 of them.
    V4(Vec<Ipv4Addr>),
    /// 1 to 255 of them, the first link-local (RFC 9568 §5.2.9, erratum 8300).
    V6(Vec<Ipv6Addr>),
}

impl Addresses {
    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Self::V4(addresses) => addresses.len(),
            Self::V6(addresses) => addresses.len(),
        }
    }

    /// Their family.
    pub const fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let (v4, v6): (&[Ipv4Addr], &[Ipv6Addr]) = match self {
            Self::V4(addresses) => (addresses, &[]),
            Self::V6(addresses) => (&[], addresses),
        };
        let v4 = v4.iter().copied().map(IpAddr::V4);
        v4.chain(v6.iter().copied().map(IpAddr::V6))
    }
}

/// An advertisement (RFC 9568 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// The version it is, or will be, written in.
    pub version: Version,
    /// The virtual router it speaks for.
    pub vrid: Vrid,
    /// The sender's; `None`, 0 on the wire, when it stops being Active.
    pub priority: Option<Priority>,
    /// How often the sender advertises.
    pub interval: Centiseconds,
    /// The virtual addresses.
    pub addresses: Addresses,
}

/// What the IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who sent it.
    pub source: IpAddr,
    /// The group, or one of our addresses.
    pub destination: IpAddr,
    /// The TTL or hop limit it arrived with.
    pub hop_limit: u8,
}

/// An advertisement that was received, and is legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub source: IpAddr,
    /// The form in which its checksum was right.
    pub form: Form,
    /// What it says.
    pub advert: Advert,
}
