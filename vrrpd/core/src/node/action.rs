//! What a manager hears, and what it orders.

use std::net::IpAddr;
use std::sync::Arc;

use crate::packet::{Family, Header};
use crate::pool::database::{Desired, Observed};
use crate::pool::message::Envelope;
use crate::pool::record::Durable;
use crate::pool::{Decision, Order, Refusal};
use crate::priority::{Check, CheckState};
use crate::router::{self, Address, Identity, Notice, Router, Transition};
use crate::time::Instant;

/// What a manager is told at its start, and at each reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The virtual routers; with a pool all are governed, without it none is.
    pub routers: Vec<router::Config>,
    /// The checks; [`Event::Checked`] names them by their place here.
    pub checks: Vec<Check>,
}

/// What happened. Facts only.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// What is known of the interfaces has been told; begin. Once.
    Startup,
    /// The daemon stops: wait until [`super::Node::has_stopped`].
    Shutdown,
    /// The deadline has come.
    Wake,
    /// A packet of IP protocol 112 arrived.
    PacketReceived {
        /// On this interface.
        interface: &'a str,
        /// What the IP header said.
        header: Header,
        /// What followed it.
        payload: &'a [u8],
    },
    /// A packet arrived whose IPv4 header contradicts itself.
    PacketMalformed {
        /// On this interface.
        interface: &'a str,
    },
    /// The interface is up and has its carrier, or not.
    Link {
        /// Which.
        interface: &'a str,
        /// Up and running.
        up: bool,
    },
    /// The interface's primary IPv4 address or link-local IPv6 address.
    Source {
        /// Which.
        interface: &'a str,
        /// Whose address it is.
        family: Family,
        /// `None` when it has none; never a virtual one.
        address: Option<IpAddr>,
    },
    /// Somebody else deleted an address.
    AddressDeleted {
        /// From this interface.
        interface: &'a str,
        /// Which; of no interest unless it is a virtual one.
        address: IpAddr,
    },
    /// A check said something new.
    Checked {
        /// Its place in [`Setup::checks`].
        check: usize,
        /// What.
        state: CheckState,
    },
    /// The configuration was read again.
    Reload(Setup),
    /// An authenticated message of the pool.
    PoolReceived(Envelope),
    /// The database reported.
    Database(Observed),
    /// The replicator's connection ended.
    ReplicatorLost,
    /// An operator's order.
    Order(Order),
}

/// What the driver is to do, in order. An action that cannot be done ends the
/// process, and the kernel ends its rights; packets may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advertisement.
    SendAdvert {
        /// For this virtual router, on its interface.
        router: Arc<Identity>,
        /// From this address of the interface.
        source: IpAddr,
        /// To the group or a unicast peer.
        destination: IpAddr,
        /// What follows the IP header.
        payload: Vec<u8>,
    },
    /// See [`router::Action::AddAddresses`].
    AddAddresses {
        /// On this virtual router's interface.
        router: Arc<Identity>,
        /// Which.
        addresses: Vec<Address>,
        /// The kernel takes them away then.
        until: Instant,
        /// Whether packets for them are accepted.
        accept: bool,
    },
    /// See [`router::Action::RenewAddresses`].
    RenewAddresses {
        /// All addresses of this virtual router.
        router: Arc<Identity>,
        /// The kernel takes them away then.
        until: Instant,
    },
    /// See [`router::Action::RemoveAddresses`].
    RemoveAddresses {
        /// From this virtual router's interface.
        router: Arc<Identity>,
        /// Which.
        addresses: Vec<Address>,
        /// The router owns them: what the operator has put there stays.
        owned: bool,
    },
    /// See [`router::Action::Announce`].
    Announce {
        /// On this virtual router's interface.
        router: Arc<Identity>,
        /// Which.
        addresses: Vec<Address>,
        /// So many packets for each.
        count: u8,
    },
    /// One info line of the log, and the hooks.
    Transition(Transition),
    /// One warning of the log.
    Notice(Notice),
    /// See [`crate::pool::Action::Persist`].
    Persist(Durable),
    /// See [`crate::pool::Action::Send`].
    PoolSend(Envelope),
    /// See [`crate::pool::Action::OpenGate`].
    OpenGate {
        /// The kernel closes it then.
        until: Instant,
    },
    /// See [`crate::pool::Action::CloseGate`].
    CloseGate,
    /// See [`crate::pool::Action::Database`].
    Database(Desired),
    /// See [`crate::pool::Action::Decided`].
    Decided(Decision),
    /// See [`crate::pool::Action::Refused`].
    Refused(Refusal),
}

/// Says of which router an order is, and writes the packets.
pub(super) fn address(router: &Router, order: router::Action, out: &mut Vec<Action>) {
    let identity = || Arc::clone(&router.config().identity);
    match order {
        router::Action::SendAdvert { priority, source } => {
            let group = [router.config().identity.family.group()];
            let peers = router.config().unicast_peers.as_slice();
            let destinations = if peers.is_empty() { &group } else { peers };
            out.extend(destinations.iter().map(|&destination| Action::SendAdvert {
                router: identity(),
                source,
                destination,
                payload: router.advert(priority, source, destination),
            }));
        }
        router::Action::AddAddresses {
            addresses,
            until,
            accept,
        } => out.push(Action::AddAddresses {
            router: identity(),
            addresses,
            until,
            accept,
        }),
        router::Action::RenewAddresses { until } => out.push(Action::RenewAddresses {
            router: identity(),
            until,
        }),
        router::Action::RemoveAddresses { addresses, owned } => out.push(Action::RemoveAddresses {
            router: identity(),
            addresses,
            owned,
        }),
        router::Action::Announce { addresses, count } => out.push(Action::Announce {
            router: identity(),
            addresses,
            count,
        }),
        router::Action::Transition(transition) => out.push(Action::Transition(transition)),
        router::Action::Notice(notice) => out.push(Action::Notice(notice)),
    }
}
