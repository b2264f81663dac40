//! What the kernel holds for us, each with the time at which it ends it: the
//! gate, the virtual addresses, and the right to answer for them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vrrpd_core::router::{Address, Identity};
use vrrpd_core::time::Instant;
use vrrpd_sys::announce::{Announcer, Mac};
use vrrpd_sys::gate::{Element, Gate, Rules};
use vrrpd_sys::netlink::{Put, Route};
use vrrpd_sys::sever::Severer;

use super::now;

/// The addresses of so many virtual routers are renewed each time while their
/// time is [`SHORT`]; else all together, when half of their time is gone.
const FEW: usize = 16;

/// A time in which one renewal more or less counts.
const SHORT: Duration = Duration::from_secs(1);

/// The kernel's side of this manager.
#[derive(Debug)]
pub(super) struct Kernel {
    gate: Gate,
    route: Route,
    announcer: Announcer,
    severer: Severer,
    open_until: Option<Instant>,
    held: BTreeMap<Arc<Identity>, Vec<Held>>,
    due: Due,
}

/// What is to be renewed.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// The right to answer.
    answers: bool,
    /// The addresses themselves.
    stays: bool,
}

/// A virtual address that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    interface: u32,
    address: Address,
    /// The core's word.
    until: Instant,
    /// Until when the kernel answers for it.
    answers_until: Instant,
    /// Until when it is on the interface at least.
    stays_until: Instant,
}

impl Kernel {
    /// Loads the gate, closed.
    ///
    /// # Errors
    ///
    /// What is missing: `nft`, a capability.
    pub(super) fn open(rules: Rules) -> io::Result<Self> {
        Ok(Self {
            gate: Gate::load(rules)?,
            route: Route::open()?,
            announcer: Announcer::open()?,
            severer: Severer::open()?,
            open_until: None,
            held: BTreeMap::new(),
            due: Due::default(),
        })
    }

    /// Other rules, after the configuration was read again.
    ///
    /// # Errors
    ///
    /// `nft` refuses them; the old ones stay.
    pub(super) fn change(&mut self, rules: Rules) -> io::Result<()> {
        self.gate.change(rules)
    }

    /// Admits clients until then.
    ///
    /// # Errors
    ///
    /// The rules can neither be renewed nor restored.
    pub(super) fn open_gate(&mut self, until: Instant) -> io::Result<()> {
        self.open_until = Some(until);
        let ports = self.ports(until);
        self.keep(&ports)
    }

    /// Admits nobody, and resets those who were admitted.
    ///
    /// # Errors
    ///
    /// The rules can neither be changed nor restored.
    pub(super) fn close_gate(&mut self) -> io::Result<()> {
        self.open_until = None;
        let ports: Vec<Element> = self.gate.ports().collect();
        self.restored(|gate| gate.drop(&ports))?;
        let rules = self.gate.rules();
        if let Err(error) = self.severer.sever(&rules.tcp_ports, &rules.exempt) {
            log::warn!("connections to the closed gate are not reset before they speak: {error}");
        }
        Ok(())
    }

    /// Whether clients are admitted.
    pub(super) fn is_open(&self) -> bool {
        self.open_until.is_some_and(|until| until > now())
    }

    /// Holds `addresses` of `router` on the interface numbered `interface`.
    ///
    /// # Errors
    ///
    /// The rules cannot be renewed or restored.
    pub(super) fn add(
        &mut self,
        router: &Arc<Identity>,
        interface: u32,
        addresses: &[Address],
        until: Instant,
    ) -> io::Result<()> {
        let held = self.held.entry(Arc::clone(router)).or_default();
        for &address in addresses {
            held.retain(|held| held.address.ip != address.ip);
            held.push(Held {
                interface,
                address,
                until,
                answers_until: Instant::ZERO,
                stays_until: Instant::ZERO,
            });
        }
        self.due = Due {
            answers: true,
            stays: true,
        };
        self.settle()
    }

    /// Holds all addresses of `router` for longer, from the next
    /// [`Kernel::settle`] on: a thousand routers that renew are settled at once.
    pub(super) fn renew(&mut self, router: &Arc<Identity>, until: Instant) {
        let now = now();
        let few = self.held.len() <= FEW;
        let is_due = |kernel: Instant| {
            let left = now.until(kernel);
            until > kernel && (left < now.until(until) / 2 || (few && left < SHORT))
        };
        for held in self.held.get_mut(router).into_iter().flatten() {
            held.until = until;
            self.due.answers |= is_due(held.answers_until);
            self.due.stays |= is_due(held.stays_until);
        }
    }

    /// Gives `addresses` of `router` up, held or not.
    ///
    /// # Errors
    ///
    /// The rules cannot be changed or restored.
    pub(super) fn remove(
        &mut self,
        router: &Arc<Identity>,
        interface: Option<u32>,
        addresses: &[Address],
    ) -> io::Result<()> {
        if let Some(held) = self.held.get_mut(router) {
            held.retain(|held| {
                addresses
                    .iter()
                    .all(|address| address.ip != held.address.ip)
            });
        }
        let mut silent = Vec::new();
        for address in addresses {
            match address.ip {
                IpAddr::V4(ip) => silent.push(Element::Address(ip)),
                IpAddr::V6(_) if !self.holds_v6(&router.interface) => {
                    silent.push(Element::Interface(router.interface.clone()));
                }
                IpAddr::V6(_) => {}
            }
        }
        silent.dedup();
        self.restored(|gate| gate.drop(&silent))?;
        // With the interface, its addresses are gone.
        if let Some(interface) = interface {
            for &address in addresses {
                self.take(interface, address);
            }
        }
        Ok(())
    }

    /// Whether the address is to be on the interface now.
    pub(super) fn holds(&self, interface: u32, address: IpAddr) -> bool {
        let now = now();
        self.held.values().flatten().any(|held| {
            (held.interface, held.address.ip) == (interface, address) && held.until > now
        })
    }

    /// Tells the link where addresses are, so many times each.
    pub(super) fn announce(&self, interface: u32, mac: Mac, addresses: &[Address], count: u8) {
        for _ in 0..count {
            for address in addresses {
                if let Err(error) = self.announcer.announce(interface, mac, address.ip) {
                    log::warn!("{} is not announced: {error}", address.ip);
                }
            }
        }
    }

    /// Takes everything back: nobody admitted, nothing held.
    ///
    /// # Errors
    ///
    /// The rules cannot be changed.
    pub(super) fn fence(&mut self) -> io::Result<()> {
        self.close_gate()?;
        let all: Vec<_> = core::mem::take(&mut self.held).into_iter().collect();
        self.restored(Gate::drop_all)?;
        for held in all.iter().flat_map(|(_, held)| held) {
            self.take(held.interface, held.address);
        }
        Ok(())
    }

    /// Looks whether the rules are still there, and puts them back.
    ///
    /// # Errors
    ///
    /// They cannot be restored.
    pub(super) fn tend(&mut self) -> io::Result<()> {
        if self.open_until.is_some() || !self.held.is_empty() {
            // Each renewal looks.
            return Ok(());
        }
        let ports: Vec<Element> = self.gate.ports().collect();
        self.restored(|gate| gate.drop(&ports))
    }

    /// Takes the rules out of the kernel: the last thing a daemon does.
    ///
    /// # Errors
    ///
    /// They cannot be removed.
    pub(super) fn close(self) -> io::Result<()> {
        self.gate.remove()
    }

    /// Brings the kernel to what the core said: the right to answer first, so
    /// that an address is never there and mute.
    ///
    /// # Errors
    ///
    /// The rules cannot be renewed or restored.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let due = core::mem::take(&mut self.due);
        if due.answers {
            self.answer()?;
        }
        if due.stays {
            self.stay(now());
        }
        Ok(())
    }

    /// Renews every right to answer that has become longer.
    fn answer(&mut self) -> io::Result<()> {
        let mut elements = Vec::new();
        let mut interfaces: BTreeMap<&str, Instant> = BTreeMap::new();
        for (router, held) in &self.held {
            for held in held {
                match held.address.ip {
                    IpAddr::V4(ip) if held.until > held.answers_until => {
                        elements.push((Element::Address(ip), held.until.as_nanos()));
                    }
                    IpAddr::V4(_) => {}
                    IpAddr::V6(_) => {
                        let until = interfaces.entry(&router.interface).or_default();
                        *until = held.until.max(*until);
                    }
                }
            }
        }
        for (interface, until) in interfaces {
            elements.push((Element::Interface(interface.to_owned()), until.as_nanos()));
        }
        self.keep(&elements)?;
        for held in self.held.values_mut().flatten() {
            held.answers_until = held.until;
        }
        Ok(())
    }

    /// Puts or renews every address that has become longer.
    fn stay(&mut self, now: Instant) {
        let mut longer = Vec::new();
        for held in self.held.values_mut().flatten() {
            let left = now.until(held.until);
            if held.until <= held.stays_until || left.is_zero() {
                continue;
            }
            // The kernel counts in whole seconds; answering ends on time.
            let seconds = left.as_nanos().div_ceil(1_000_000_000);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX - 1);
            let Address { ip, prefix } = held.address;
            longer.push(Put {
                interface: held.interface,
                address: ip,
                prefix,
                valid: seconds,
            });
            // One that is refused is tried again when half of this is gone.
            held.stays_until = now + Duration::from_secs(u64::from(seconds));
        }
        for (put, error) in self.route.put_addresses(&longer) {
            let ip = put.address;
            log::warn!("{ip} cannot be put on its interface: {error}");
        }
    }

    /// Nobody is answered for it any more; what stays, the kernel ends in time.
    fn take(&mut self, interface: u32, Address { ip, prefix }: Address) {
        if let Err(error) = self.route.take_address(interface, ip, prefix) {
            log::error!("{ip} cannot be taken off its interface: {error}");
        }
    }

    fn holds_v6(&self, interface: &str) -> bool {
        self.held
            .iter()
            .filter(|(router, _)| router.interface == interface)
            .flat_map(|(_, held)| held)
            .any(|held| held.address.ip.is_ipv6())
    }

    fn ports(&self, until: Instant) -> Vec<(Element, u64)> {
        self.gate
            .ports()
            .map(|port| (port, until.as_nanos()))
            .collect()
    }

    fn keep(&mut self, elements: &[(Element, u64)]) -> io::Result<()> {
        match self.restored(|gate| gate.keep(elements).map(drop)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                log::warn!(
                    "so little processor time that the kernel's timers could not be set: they have ended"
                );
                Ok(())
            }
            other => other,
        }
    }

    /// Does something to the gate; when another program has removed its rules,
    /// puts them back first, with all that is to be in them.
    fn restored(&mut self, act: impl Fn(&mut Gate) -> io::Result<()>) -> io::Result<()> {
        match act(&mut self.gate) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        log::warn!("another program removed the gate's rules: they are put back");
        self.gate.restore()?;
        let mut elements: Vec<_> = self
            .open_until
            .map(|until| self.ports(until))
            .unwrap_or_default();
        for (router, held) in &self.held {
            for held in held {
                let element = match held.address.ip {
                    IpAddr::V4(ip) => Element::Address(ip),
                    IpAddr::V6(_) => Element::Interface(router.interface.clone()),
                };
                elements.push((element, held.until.as_nanos()));
            }
        }
        self.gate.keep(&elements)?;
        act(&mut self.gate)
    }
}
