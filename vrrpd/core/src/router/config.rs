//! What a virtual router is told.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use crate::packet::{Addresses, Centiseconds, Family, Form, HOP_LIMIT, Priority, Version, Vrid};

/// Which virtual router something is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// As configured; hooks and logs name it.
    pub name: String,
    /// The interface it lives on.
    pub interface: String,
    /// Its identifier there.
    pub vrid: Vrid,
    /// Of its addresses: each family has identifiers of its own.
    pub family: Family,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (vrid {}, {})", self.name, self.vrid, self.interface)
    }
}

/// A virtual address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// 1 to 32, or 1 to 128.
    pub prefix: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// The checksum that VRRPv3 over IPv4 sends (RFC 9568 §5.2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// As the last peer that was understood; RFC 9568's until then.
    Auto,
    /// Always this.
    Fixed(Form),
}

/// How a taken address is announced: gratuitous ARP, unsolicited neighbour
/// advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Packets in the first round, 1 to 20.
    pub count: u8,
    /// Between rounds.
    pub repeat_after: Duration,
    /// Further rounds of one packet each.
    pub repeats: u8,
    /// Announced again so often while Active; `None`: never.
    pub refresh: Option<Duration>,
}

/// A virtual router's place in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As configured.
    pub name: Arc<str>,
    /// Set by the node: it has the lowest VRID of the group. One that loses a
    /// tie listens for an interval longer if it is first: two groups of equal
    /// priority, each with the larger address on one LAN, would take over at the
    /// same time for ever.
    pub first: bool,
}

impl Group {
    /// Of the group `name`.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            first: false,
        }
    }
}

/// A virtual router's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which it is; the family is that of the addresses.
    pub identity: Arc<Identity>,
    /// The protocol's version; [`Version::V2`] for IPv4 only.
    pub version: Version,
    /// Before checks; [`Priority::OWNER`] if this node owns the addresses.
    pub priority: Priority,
    /// RFC 9568's Advertisement_Interval; the version must carry it.
    pub advertise_interval: Centiseconds,
    /// 1 to 255; over IPv6 the first is link-local.
    pub addresses: Vec<Address>,
    /// For VRRPv3 over IPv4.
    pub checksum: Checksum,
    /// RFC 9568's Preempt_Mode.
    pub preempt: bool,
    /// An Active router of lower priority is left alone for so long.
    pub preempt_delay: Duration,
    /// RFC 9568's Accept_Mode: accept packets for the addresses though not
    /// their owner.
    pub accept: bool,
    /// Send to these, and listen to these only; empty: multicast.
    pub unicast_peers: Vec<IpAddr>,
    /// The least TTL or hop limit of an advertisement: 255, or less for unicast
    /// peers that are routers away.
    pub min_hop_limit: u8,
    /// Listen at least so long after the start before competing.
    pub startup_delay: Duration,
    /// How a taken address is announced.
    pub announce: Announce,
    /// The routers of this node that are in the same group become Active
    /// together, and leave Active together.
    pub group: Option<Group>,
    /// The pool decides: the router never competes, it follows
    /// [`super::Event::Hold`] and [`super::Event::Drop`].
    pub governed: bool,
}

impl Config {
    /// What is wrong with it, and how to mend that.
    ///
    /// # Errors
    ///
    /// The first mistake found, as one line.
    pub fn check(&self) -> Result<(), Mistake> {
        let family = self.identity.family;
        if !self.version.carries(self.advertise_interval) {
            return Err(Mistake::Interval);
        }
        if self.version == Version::V2 && family == Family::V6 {
            return Err(Mistake::Version);
        }
        if self.group.is_some() && (self.governed || self.priority.is_owner()) {
            return Err(Mistake::Group);
        }
        if self.min_hop_limit < HOP_LIMIT && self.unicast_peers.is_empty() {
            return Err(Mistake::HopLimit);
        }
        if !(1..=255).contains(&self.addresses.len()) {
            return Err(Mistake::Count);
        }
        let foreign = |ip: IpAddr| Family::of(ip) != family;
        if self.addresses.iter().any(|address| foreign(address.ip))
            || self.unicast_peers.iter().any(|&peer| foreign(peer))
        {
            return Err(Mistake::Family);
        }
        match self.addresses[0].ip {
            IpAddr::V6(first) if !first.is_unicast_link_local() => Err(Mistake::NotLinkLocal),
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(()),
        }
    }

    /// The addresses as an advertisement carries them.
    pub(crate) fn advertised(&self) -> Addresses {
        let ips = self.addresses.iter().map(|address| address.ip);
        match self.identity.family {
            Family::V4 => Addresses::V4(
                ips.filter_map(|ip| match ip {
                    IpAddr::V4(ip) => Some(ip),
                    IpAddr::V6(_) => None,
                })
                .collect(),
            ),
            Family::V6 => Addresses::V6(
                ips.filter_map(|ip| match ip {
                    IpAddr::V4(_) => None,
                    IpAddr::V6(ip) => Some(ip),
                })
                .collect(),
            ),
        }
    }
}

/// Why a configuration is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The version cannot carry the interval.
    Interval,
    /// VRRPv2 over IPv6.
    Version,
    /// No addresses, or too many.
    Count,
    /// Two families in one virtual router.
    Family,
    /// The first IPv6 address is not link-local.
    NotLinkLocal,
    /// Routers in between without unicast peers.
    HopLimit,
    /// A group of routers that do not compete.
    Group,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interval => {
                "the interval does not fit the version: use 10 ms to 40.95 s in steps of 10 ms with VRRPv3, 1 s to 255 s in whole seconds with VRRPv2"
            }
            Self::Version => "VRRPv2 knows IPv4 only: use VRRPv3 for IPv6 addresses",
            Self::Count => "a virtual router has 1 to 255 addresses",
            Self::Family => {
                "IPv4 and IPv6 addresses do not mix: make a virtual router for each family"
            }
            Self::NotLinkLocal => {
                "the first IPv6 address must be link-local (fe80::/10): put one first"
            }
            Self::HopLimit => {
                "advertisements to the group come through no router: a lower TTL is for unicast peers"
            }
            Self::Group => {
                "a group is for virtual routers that compete: not in a pool, and not with priority 255"
            }
        })
    }
}

impl core::error::Error for Mistake {}
