//! Links and addresses of this host: asking, changing, and being told.

mod message;
mod monitor;
pub(crate) mod wire;

use std::fmt;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use nix::sys::socket::SockProtocol;

pub use monitor::{Event, Monitor};
use wire::{ACK, REQUEST, Wire};

/// The mark of the addresses that we put there (`IFA_PROTO`, Linux 5.18; older
/// kernels pass over it): VRRP's number among the IP protocols.
pub const ADDRESS_PROTOCOL: u8 = 112;

const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;

/// An interface and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub index: u32,
    /// As in `eth0`.
    pub name: String,
    /// Its MAC address, when it has one of 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// Switched on by the administrator.
    pub up: bool,
    /// It has a carrier and can send.
    pub running: bool,
    /// The largest packet.
    pub mtu: u32,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's number.
    pub interface: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Bits of the network.
    pub prefix: u8,
    /// Seconds that it stays valid; `None`: for ever.
    pub valid: Option<u32>,
    /// Not usable yet, or found on another host (IPv6).
    pub tentative: bool,
    /// IPv4: a second address in a network that has one already.
    pub secondary: bool,
    /// It carries [`ADDRESS_PROTOCOL`].
    pub ours: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// An address to put on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// The interface's number.
    pub interface: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Bits of the network.
    pub prefix: u8,
    /// Seconds that it stays valid; never 0.
    pub valid: u32,
}

/// So many requests are sent at once: their answers fit in the socket's queue.
const TOGETHER: usize = 64;

/// Asks and changes.
#[derive(Debug)]
pub struct Route {
    wire: Wire,
}

impl Route {
    /// A socket for requests.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            wire: Wire::open(SockProtocol::NetlinkRoute, 0)?,
        })
    }

    /// All interfaces.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut links = Vec::new();
        self.call(request, DUMP, |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                links.push(message::link(&message));
            }
        })?;
        Ok(links)
    }

    /// All addresses of both families.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let mut addresses = Vec::new();
        self.call(request, DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer {
                addresses.extend(message::address(&message));
            }
        })?;
        Ok(addresses)
    }

    /// Puts `address` on `interface` for `valid` seconds, or renews it in place.
    ///
    /// An IPv6 address is usable at once (no duplicate address detection: who
    /// may hold it has been decided) and never chosen as a source by itself.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN`, `ENODEV` when the interface is gone.
    ///
    /// # Panics
    ///
    /// When `valid` is 0: the kernel would refuse it.
    pub fn put_address(
        &mut self,
        interface: u32,
        address: IpAddr,
        prefix: u8,
        valid: u32,
    ) -> io::Result<()> {
        assert!(valid > 0, "an address is put for at least a second");
        let body = message::put(interface, address, prefix, valid);
        let request = RouteNetlinkMessage::NewAddress(body);
        self.call(request, ACK | CREATE | REPLACE, |_| {})
    }

    /// Takes `address` off `interface`; false when it was not there.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN`.
    pub fn take_address(
        &mut self,
        interface: u32,
        address: IpAddr,
        prefix: u8,
    ) -> io::Result<bool> {
        let body = message::identity(interface, address, prefix);
        let request = RouteNetlinkMessage::DelAddress(body);
        match self.call(request, ACK, |_| {}) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EADDRNOTAVAIL | libc::ENODEV | libc::ENXIO)
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Route::put_address`], for many in few calls; those that were refused,
    /// each with its error.
    pub fn put_addresses(&mut self, all: &[Put]) -> Vec<(Put, io::Error)> {
        let mut refused = Vec::new();
        for some in all.chunks(TOGETHER) {
            if some.len() > 1 && self.put_together(some).is_ok() {
                continue;
            }
            // The kernel has taken what it could; which one it refused shows one by one.
            for &put in some {
                let outcome = self.put_address(put.interface, put.address, put.prefix, put.valid);
                if let Err(error) = outcome {
                    refused.push((put, error));
                }
            }
        }
        refused
    }

    fn put_together(&mut self, some: &[Put]) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut first = None;
        let mut last = 0;
        for put in some {
            assert!(put.valid > 0, "an address is put for at least a second");
            let body = message::put(put.interface, put.address, put.prefix, put.valid);
            let request = RouteNetlinkMessage::NewAddress(body);
            last = self.append(&mut bytes, request, ACK | CREATE | REPLACE);
            first = first.or(Some(last));
        }
        self.wire.send(&bytes)?;
        self.wire.answers(first.unwrap_or(last), last, |_| {})
    }

    fn call(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        let sequence = self.append(&mut bytes, request, flags);
        self.wire.send(&bytes)?;
        self.wire.answers(sequence, sequence, |message| {
            if let Some(answer) = parse(message.bytes) {
                each(answer);
            }
        })
    }

    /// Adds a request to `bytes`; its number.
    fn append(&mut self, bytes: &mut Vec<u8>, request: RouteNetlinkMessage, flags: u16) -> u32 {
        let sequence = self.wire.next_sequence();
        let mut message = NetlinkMessage::from(request);
        message.header.flags = REQUEST | flags;
        message.header.sequence_number = sequence;
        message.finalize();
        let start = bytes.len();
        // Each begins at a multiple of four (netlink(7)).
        bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut bytes[start..]);
        sequence
    }
}

/// The message in `bytes`; what we do not understand is passed over.
fn parse(bytes: &[u8]) -> Option<RouteNetlinkMessage> {
    match NetlinkMessage::deserialize(bytes).ok()?.payload {
        NetlinkPayload::InnerMessage(message) => Some(message),
        _ => None,
    }
}
