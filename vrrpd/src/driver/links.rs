//! What is known of interfaces and addresses, and what is new about them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};

use vrrpd_core::packet::Family;
use vrrpd_sys::netlink::{Address, Event, Link, Monitor, Route};

/// The interfaces of this host.
#[derive(Debug)]
pub(super) struct Links {
    route: Route,
    monitor: Monitor,
    links: BTreeMap<u32, Link>,
    addresses: Vec<Address>,
    told: BTreeMap<String, Facts>,
}

/// What the core is told of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    up: bool,
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

/// What a look brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There was nothing.
    Nothing,
    /// Nothing that [`Links::changes`] would tell.
    Other,
    /// Something that may be new.
    Changes,
}

/// A change that the core has to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The interface is up and has its carrier, or not.
    Link(String, bool),
    /// The address to advertise from.
    Source(String, Family, Option<IpAddr>),
}

impl Links {
    /// Knows all there is now, and is told of what changes.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub(super) fn open() -> io::Result<Self> {
        let mut links = Self {
            route: Route::open()?,
            monitor: Monitor::open()?,
            links: BTreeMap::new(),
            addresses: Vec::new(),
            told: BTreeMap::new(),
        };
        links.ask()?;
        Ok(links)
    }

    /// For the poll.
    pub(super) fn fd(&self) -> RawFd {
        self.monitor.as_raw_fd()
    }

    /// The kernel's number of an interface that is there.
    pub(super) fn index(&self, interface: &str) -> Option<u32> {
        self.link(interface).map(|link| link.index)
    }

    /// The MAC address of an interface.
    pub(super) fn mac(&self, interface: &str) -> Option<[u8; 6]> {
        self.link(interface)?.mac
    }

    /// All addresses.
    pub(super) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The name of the interface with this number.
    pub(super) fn name(&self, index: u32) -> Option<&str> {
        self.links.get(&index).map(|link| link.name.as_str())
    }

    /// Reads what changed; the addresses that are gone are added to `gone`.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub(super) fn read(&mut self, gone: &mut Vec<Address>) -> io::Result<Read> {
        let mut events = Vec::new();
        if !self.monitor.receive(&mut events)? {
            return Ok(Read::Nothing);
        }
        let mut changes = false;
        let mut ask = false;
        for event in events {
            match event {
                Event::Link(link) => {
                    self.links.insert(link.index, link);
                    changes = true;
                }
                Event::LinkGone(link) => {
                    self.links.remove(&link.index);
                    changes = true;
                }
                Event::AddressGone(address) => {
                    ask |= !address.ours;
                    gone.push(address);
                }
                // Our own, renewed by the thousand, are no source.
                Event::Address(address) => ask |= !address.ours,
                Event::Overrun => ask = true,
            }
        }
        if ask {
            self.ask()?;
        }
        Ok(if changes || ask {
            Read::Changes
        } else {
            Read::Other
        })
    }

    /// Whether the address is on its interface, as the kernel says now.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub(super) fn has(&mut self, interface: u32, address: IpAddr) -> io::Result<bool> {
        let all = self.route.addresses()?;
        Ok(all
            .iter()
            .any(|a| (a.interface, a.address) == (interface, address)))
    }

    /// What is new about `interfaces` since this was asked last. Addresses that
    /// are `virtual_` are never a source.
    pub(super) fn changes<'a>(
        &mut self,
        interfaces: impl Iterator<Item = &'a str>,
        virtual_: impl Fn(IpAddr) -> bool,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for interface in interfaces {
            let now = self.facts(interface, &virtual_);
            let before = self.told.insert(interface.to_owned(), now);
            let name = || interface.to_owned();
            for (family, was, is) in [
                (Family::V4, before.and_then(|b| b.v4), now.v4),
                (Family::V6, before.and_then(|b| b.v6), now.v6),
            ] {
                if before.is_none() || was != is {
                    changes.push(Change::Source(name(), family, is));
                }
            }
            if before.is_none_or(|before| before.up != now.up) {
                changes.push(Change::Link(name(), now.up));
            }
        }
        changes
    }

    /// Forgets what was told, so that all of it is told again.
    pub(super) fn tell_anew(&mut self) {
        self.told.clear();
    }

    fn facts(&self, interface: &str, virtual_: impl Fn(IpAddr) -> bool) -> Facts {
        let Some(link) = self.link(interface) else {
            return Facts::default();
        };
        let own = |a: &&Address| {
            a.interface == link.index && !a.ours && !a.tentative && !virtual_(a.address)
        };
        let mut v4 = None;
        let mut v6 = None;
        for address in self.addresses.iter().filter(own) {
            match address.address {
                // The kernel names primary addresses before secondary ones.
                IpAddr::V4(_) => v4 = v4.or(Some(address.address)),
                IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                    v6 = v6.or(Some(address.address));
                }
                IpAddr::V6(_) => {}
            }
        }
        Facts {
            up: link.up && link.running,
            v4,
            v6,
        }
    }

    fn link(&self, interface: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == interface)
    }

    fn ask(&mut self) -> io::Result<()> {
        let links = self.route.links()?;
        self.links = links.into_iter().map(|link| (link.index, link)).collect();
        self.addresses = self.route.addresses()?;
        Ok(())
    }
}
