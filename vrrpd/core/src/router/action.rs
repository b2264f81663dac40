//! What a virtual router hears, and what it orders.

use core::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::config::{Address, Config, Identity};
use super::notice::Notice;
use super::reason::Reason;
use crate::packet::{Priority, Received, Refusal};
use crate::time::Instant;

/// What happened. Facts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The daemon has told what it knows of the interface; begin.
    Startup,
    /// The daemon stops, or the virtual router leaves the configuration.
    Shutdown,
    /// The deadline has come.
    Wake,
    /// A legal advertisement for this virtual router arrived.
    AdvertReceived(Received),
    /// A packet for this virtual router was refused.
    PacketRefused {
        /// Why.
        refusal: Refusal,
        /// Who sent it, as far as can be told.
        source: IpAddr,
    },
    /// The interface is up and has its carrier.
    InterfaceUp,
    /// The interface is down, without carrier, or gone.
    InterfaceDown,
    /// The interface's primary IPv4 address or link-local IPv6 address;
    /// `None` when it has none. Never a virtual one.
    SourceChanged(Option<IpAddr>),
    /// The checks' verdict.
    StandingChanged(Standing),
    /// Another router of the group cannot take part, and why; `None`: all can.
    MateFault(Option<Arc<str>>),
    /// Another router of the group, of this name, has left Active.
    MateLeft(Arc<str>),
    /// All others of the group are Active, or ready to be.
    MatesReady,
    /// Somebody else deleted this virtual address.
    AddressDeleted(IpAddr),
    /// The configuration was read again; the identity, the version and
    /// `governed` are as before.
    Reload {
        /// In force from now on.
        config: Box<Config>,
        /// The checks' verdict on its priority.
        standing: Standing,
    },
    /// Governed: hold the addresses until then unless held longer already.
    Hold {
        /// The kernel ends it then.
        until: Instant,
    },
    /// Governed: give the addresses up.
    Drop,
}

/// What the checks leave of a configured priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Fit to compete.
    Fit {
        /// After checks.
        priority: Priority,
        /// As in `150 - 60 (gateway)`; empty if no check weighs on it.
        why: Arc<str>,
    },
    /// A check without weight fails.
    Failed {
        /// Which, as in `check gateway fails`.
        why: Arc<str>,
    },
}

/// The state of a virtual router (RFC 9568 §6.3), without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// Not taking part (keepalived: FAULT, or INIT).
    Initialize,
    /// Watches the Active router (keepalived: BACKUP).
    Backup,
    /// Holds the addresses (keepalived: MASTER).
    Active,
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
        })
    }
}

/// What the driver is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advertisement, to the group or to each unicast peer.
    SendAdvert {
        /// `None`: this router stops being Active.
        priority: Option<Priority>,
        /// From this address of the interface.
        source: IpAddr,
    },
    /// Put these addresses on the interface, and answer ARP or neighbour
    /// discovery for them.
    AddAddresses {
        /// Which.
        addresses: Vec<Address>,
        /// The kernel takes them away then.
        until: Instant,
        /// Whether packets for them are accepted (RFC 9568 §6.4.3, Accept_Mode).
        accept: bool,
    },
    /// Keep all addresses of the virtual router for longer.
    RenewAddresses {
        /// The kernel takes them away then.
        until: Instant,
    },
    /// Take these addresses away, if they are there.
    RemoveAddresses {
        /// Which.
        addresses: Vec<Address>,
        /// The router owns them: what the operator has put there stays.
        owned: bool,
    },
    /// Tell the neighbours and the switches where these addresses are.
    Announce {
        /// Which.
        addresses: Vec<Address>,
        /// So many packets for each.
        count: u8,
    },
    /// The state has changed: one line of the log, and the hooks.
    Transition(Transition),
    /// Something worth a line; already limited in rate.
    Notice(Notice),
}

/// A change of state. Its `Display` is the line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Which router.
    pub router: Arc<Identity>,
    /// Before.
    pub from: StateName,
    /// After.
    pub to: StateName,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            router,
            from,
            to,
            reason,
        } = self;
        write!(f, "{router}: {from} -> {to}: {reason}")
    }
}
