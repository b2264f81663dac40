//! rtnetlink's messages as our types.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::{ADDRESS_PROTOCOL, Address, Link};

/// The kernel's word for "for ever".
const FOREVER: u32 = u32::MAX;

/// An interface as the kernel describes it.
pub(super) fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        up: message.header.flags.contains(LinkFlags::Up),
        running: message
            .header
            .flags
            .contains(LinkFlags::Running | LinkFlags::LowerUp),
        mtu: 0,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(mac) => link.mac = mac.as_slice().try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            _ => {}
        }
    }
    link
}

/// An address as the kernel describes it; `None` without an address in it.
pub(super) fn address(message: &AddressMessage) -> Option<Address> {
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut local, mut remote, mut valid, mut ours) = (None, None, None, false);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => remote = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::CacheInfo(info) => {
                valid = Some(info.ifa_valid).filter(|&seconds| seconds != FOREVER);
            }
            AddressAttribute::Protocol(protocol) => {
                ours = u8::from(*protocol) == ADDRESS_PROTOCOL;
            }
            _ => {}
        }
    }
    Some(Address {
        interface: message.header.index,
        // On a point-to-point link IFA_ADDRESS is the other end.
        address: local.or(remote)?,
        prefix: message.header.prefix_len,
        valid,
        tentative: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
        secondary: flags.contains(AddressFlags::Secondary),
        ours,
    })
}

/// The message that names an address.
pub(super) fn identity(interface: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix;
    message.header.scope = match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => AddressScope::Link,
        _ => AddressScope::Universe,
    };
    message.header.index = interface;
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    message
}

/// The message that puts an address for `valid` seconds.
pub(super) fn put(interface: u32, address: IpAddr, prefix: u8, valid: u32) -> AddressMessage {
    let mut message = identity(interface, address, prefix);
    let mut lifetime = CacheInfo::default();
    lifetime.ifa_valid = valid;
    let mut flags = AddressFlags::empty();
    match address {
        IpAddr::V4(_) => lifetime.ifa_preferred = valid,
        IpAddr::V6(_) => {
            lifetime.ifa_preferred = 0;
            flags |= AddressFlags::Nodad;
        }
    }
    message
        .attributes
        .push(AddressAttribute::CacheInfo(lifetime));
    message.attributes.push(AddressAttribute::Flags(flags));
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::Other(
            ADDRESS_PROTOCOL,
        )));
    message
}
