//! `virtual_ipaddress` and `virtual_ipaddress_excluded`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use vrrpd_core::router::Address;

use super::note::{Notes, Verdict};
use super::render::Router;
use super::tree::Statement;
use super::value::quoted;
use crate::config::address;

/// Addresses of a virtual router: their number is one byte (RFC 9568 section 5.2.5).
const MOST: usize = 255;

/// The addresses of an instance.
#[derive(Debug, Default)]
pub(super) struct Addresses(Vec<(Address, bool)>);

impl Addresses {
    /// Reads a block; the addresses of an `excluded` one are not advertised by keepalived.
    pub(super) fn read(
        &mut self,
        block: &Statement,
        excluded: bool,
        interface: Option<&str>,
        notes: &mut Notes,
    ) {
        for statement in block.inner() {
            self.one(statement, excluded, interface, notes);
        }
    }

    fn one(
        &mut self,
        statement: &Statement,
        excluded: bool,
        interface: Option<&str>,
        notes: &mut Notes,
    ) {
        let address = match address(statement.keyword()) {
            Ok(address) => address,
            Err(why) => return notes.changed(statement, format!("it {why}: left out")),
        };
        if self.0.iter().any(|(other, _)| other.ip == address.ip) {
            return notes.changed(statement, "it is there already: left out");
        }
        let options = statement.values();
        let device = options
            .iter()
            .position(|word| word == "dev")
            .and_then(|at| options.get(at + 1));
        if let (Some(device), Some(interface)) = (device, interface)
            && device != interface
        {
            return notes.changed(
                statement,
                format!("an address is on the interface of its virtual router: left out; give it a virtual router on {device}"),
            );
        }
        if !excluded && self.is_six().is_some_and(|six| six != address.ip.is_ipv6()) {
            return notes.changed(
                statement,
                "it is of another family than the first: left out; give it a virtual router of its own",
            );
        }
        self.0.push((address, excluded));
        let now = format!("addresses, {}", quoted(&address.to_string()));
        let other_options = options.len() > if device.is_some() { 2 } else { 0 };
        if excluded {
            notes.changed(
                statement,
                format!("now in {now}: advertised like the others, which keepalived refuses unless all routers change over together"),
            );
        } else if other_options {
            notes.changed(statement, format!("now in {now}: without its options"));
        } else {
            notes.key(statement, now);
        }
    }

    /// Whether what is advertised is IPv6.
    fn is_six(&self) -> Option<bool> {
        let advertised = self.0.iter().find(|(_, excluded)| !excluded);
        advertised.map(|(first, _)| first.ip.is_ipv6())
    }

    /// The addresses by family; the first family is that of what is advertised.
    pub(super) fn families(self) -> [Vec<Address>; 2] {
        let Some(six) = self.is_six() else {
            return [Vec::new(), Vec::new()];
        };
        let family = |six| {
            let same = self
                .0
                .iter()
                .filter(|(address, _)| address.ip.is_ipv6() == six);
            same.map(|(address, _)| *address).collect()
        };
        [family(six), family(!six)]
    }
}

/// Leaves each address to the first virtual router that has it, puts a
/// link-local one first (RFC 9568 section 5.2.9), and leaves out a router
/// that has none.
pub(super) fn settle(routers: &mut Vec<Router>, notes: &mut Notes) {
    let mut taken = BTreeSet::new();
    routers.retain_mut(|router| {
        let instance = router.instance.clone();
        let subject = |what: &str| format!("vrrp_instance {instance} {what}");
        router.addresses.retain(|address| {
            let first = !taken.contains(&address.ip);
            if !first {
                let why = "another virtual router of the file has it: left out";
                let verdict = Verdict::Changed(why.to_owned());
                notes.put(router.place, &subject(&address.to_string()), verdict);
            }
            first
        });
        if router.addresses.is_empty() {
            let why = "it has no address left: left out".to_owned();
            notes.put(router.place, &subject(""), Verdict::Changed(why));
            return false;
        }
        if let Some(added) = link_local_first(router, &taken) {
            let why = format!(
                "now in addresses, \"{added}\": the first address of IPv6 must be link-local, so one was added; it must be the same on all routers"
            );
            notes.put(router.place, &subject(""), Verdict::Changed(why));
        }
        if router.addresses.len() > MOST {
            let why = format!("a virtual router has up to {MOST} addresses: the rest was left out");
            notes.put(router.place, &subject(""), Verdict::Changed(why));
            router.addresses.truncate(MOST);
        }
        taken.extend(router.addresses.iter().map(|address| address.ip));
        true
    });
}

/// Puts a link-local address first if it must be; returns one that had to be added.
fn link_local_first(router: &mut Router, taken: &BTreeSet<IpAddr>) -> Option<Address> {
    if !router.is_ipv6() {
        return None;
    }
    let link_local = |address: &Address| match address.ip {
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    };
    if let Some(at) = router.addresses.iter().position(link_local) {
        router.addresses[..=at].rotate_right(1);
        return None;
    }
    let vrid = u16::from(router.vrid);
    let candidates = (0..=u16::MAX).map(|n| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, n, vrid).into());
    let ip = candidates
        .into_iter()
        .find(|ip| !taken.contains(ip) && !router.unicast_peers.contains(ip))?;
    let added = Address { ip, prefix: 64 };
    router.addresses.insert(0, added);
    Some(added)
}
