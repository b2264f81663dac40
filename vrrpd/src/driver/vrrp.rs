//! The raw sockets for advertisements: one an interface and family.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use vrrpd_core::packet::{Family, Header};
use vrrpd_core::router;
use vrrpd_sys::socket::{Interface, Listen, PACKET_MAX, VrrpSocket};

/// What is needed on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Need {
    interface: String,
    family: Family,
    listen: Listen,
}

/// A socket that is needed; `None` while its interface is missing.
#[derive(Debug)]
struct Slot {
    need: Need,
    socket: Option<VrrpSocket>,
}

/// The sockets.
#[derive(Debug)]
pub(super) struct VrrpSockets {
    slots: Vec<Slot>,
    buffer: Vec<u8>,
}

/// What came.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// A packet.
    Packet {
        interface: &'a str,
        header: Header,
        payload: &'a [u8],
    },
    /// One whose IP header contradicts itself.
    Malformed { interface: &'a str },
}

impl VrrpSockets {
    /// No socket yet.
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            buffer: vec![0; PACKET_MAX],
        }
    }

    /// Opens what `routers` need on the interfaces that are there, whose
    /// numbers `index` knows, and closes the rest. Their tokens begin at
    /// `first`.
    ///
    /// # Errors
    ///
    /// A socket cannot be opened; the others are.
    pub(super) fn fit(
        &mut self,
        routers: &[router::Config],
        index: impl Fn(&str) -> Option<u32>,
        registry: &Registry,
        first: Token,
    ) -> io::Result<()> {
        let needs = needs(routers);
        let mut old = core::mem::take(&mut self.slots);
        let mut outcome = Ok(());
        for need in needs {
            let number = index(&need.interface);
            let place = old.iter().position(|slot| {
                let same = slot.socket.as_ref().map(|socket| socket.interface().index) == number;
                slot.need == need && same
            });
            let slot = match place {
                Some(place) => old.swap_remove(place),
                None => {
                    let socket = number
                        .map(|index| open(&need, index))
                        .transpose()
                        .unwrap_or_else(|error| {
                            outcome = Err(error);
                            None
                        });
                    Slot { need, socket }
                }
            };
            self.slots.push(slot);
        }
        for socket in old.iter().filter_map(|slot| slot.socket.as_ref()) {
            registry.deregister(&mut SourceFd(&socket.as_raw_fd()))?;
        }
        drop(old);
        self.register(registry, first)?;
        outcome
    }

    /// Each socket under the token of its place.
    fn register(&self, registry: &Registry, first: Token) -> io::Result<()> {
        for (place, slot) in self.slots.iter().enumerate() {
            let Some(socket) = &slot.socket else { continue };
            let fd = socket.as_raw_fd();
            let token = Token(first.0 + place);
            match registry.register(&mut SourceFd(&fd), token, Interest::READABLE) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    registry.reregister(&mut SourceFd(&fd), token, Interest::READABLE)?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// How many there are, and so how many tokens they have.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The next packet of the socket at `place`; `None` when there is none.
    pub(super) fn receive(&mut self, place: usize) -> Option<Incoming<'_>> {
        let slot = self.slots.get(place)?;
        let interface = &slot.need.interface;
        match slot.socket.as_ref()?.receive(&mut self.buffer) {
            Ok(packet) => {
                let packet = packet?;
                Some(Incoming::Packet {
                    interface,
                    header: Header {
                        source: packet.source,
                        destination: packet.destination,
                        hop_limit: packet.hop_limit,
                    },
                    payload: packet.payload,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Some(Incoming::Malformed { interface })
            }
            // The interface went down or away: the monitor tells of it.
            Err(_) => None,
        }
    }

    /// Sends an advertisement; one that cannot be sent is lost.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub(super) fn send(
        &self,
        interface: &str,
        payload: &[u8],
        source: IpAddr,
        destination: IpAddr,
    ) -> io::Result<()> {
        let family = Family::of(source);
        let slot = self
            .slots
            .iter()
            .find(|slot| slot.need.interface == interface && slot.need.family == family);
        match slot.and_then(|slot| slot.socket.as_ref()) {
            Some(socket) => socket.send(payload, source, destination),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn open(need: &Need, index: u32) -> io::Result<VrrpSocket> {
    let interface = Interface {
        name: need.interface.clone(),
        index,
    };
    match need.family {
        Family::V4 => VrrpSocket::v4(&interface, need.listen),
        Family::V6 => VrrpSocket::v6(&interface, need.listen),
    }
}

/// One need an interface and family; unicast peers of one router widen it.
fn needs(routers: &[router::Config]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for router in routers {
        let (interface, family) = (&router.identity.interface, router.identity.family);
        let listen = if router.unicast_peers.is_empty() {
            Listen::Group
        } else {
            Listen::Everything
        };
        match needs
            .iter_mut()
            .find(|need| need.interface == *interface && need.family == family)
        {
            Some(need) if listen == Listen::Everything => need.listen = listen,
            Some(_) => {}
            None => needs.push(Need {
                interface: interface.clone(),
                family,
                listen,
            }),
        }
    }
    needs
}
