//! Being told of changes to links and addresses.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::SockProtocol;

use super::wire::Wire;
use super::{Address, Link, message, parse};

const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface is new, or its state changed.
    Link(Link),
    /// An interface is gone.
    LinkGone(Link),
    /// An address is new, or was renewed.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// More changes than the queue holds: ask for everything again.
    Overrun,
}

/// A subscription; readable when something changed.
#[derive(Debug)]
pub struct Monitor {
    wire: Wire,
}

impl Monitor {
    /// Subscribes to links and to addresses of both families.
    pub fn open() -> io::Result<Self> {
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        Ok(Self {
            wire: Wire::open(SockProtocol::NetlinkRoute, groups)?,
        })
    }

    /// Appends what one receive call brings; false when there was nothing.
    pub fn receive(&mut self, events: &mut Vec<Event>) -> io::Result<bool> {
        let received = self.wire.receive(|message| {
            events.extend(match parse(message.bytes) {
                Some(RouteNetlinkMessage::NewLink(link)) => Some(Event::Link(message::link(&link))),
                Some(RouteNetlinkMessage::DelLink(link)) => {
                    Some(Event::LinkGone(message::link(&link)))
                }
                Some(RouteNetlinkMessage::NewAddress(address)) => {
                    message::address(&address).map(Event::Address)
                }
                Some(RouteNetlinkMessage::DelAddress(address)) => {
                    message::address(&address).map(Event::AddressGone)
                }
                _ => None,
            });
        });
        match received {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                events.push(Event::Overrun);
                Ok(true)
            }
            other => other,
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.wire.as_raw_fd()
    }
}
