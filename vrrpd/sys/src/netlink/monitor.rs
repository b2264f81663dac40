//! Being told of changes to links and addresses.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::SockProtocol;
use socket2::{SockFilter, SockRef};

use super::wire::Wire;
use super::{ADDRESS_PROTOCOL, Address, Link, message, parse};

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
    /// An address is new, or was renewed; none of [`ADDRESS_PROTOCOL`], if the
    /// kernel knows of it.
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
    /// Subscribes to links and to addresses of both families. Of those with
    /// [`ADDRESS_PROTOCOL`] only the end is told: they are renewed by the thousand.
    pub fn open() -> io::Result<Self> {
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        let wire = Wire::open(SockProtocol::NetlinkRoute, groups)?;
        SockRef::from(&wire.as_fd()).attach_filter(&without_ours())?;
        Ok(Self { wire })
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

/// A classic BPF program that drops news of addresses that carry our mark.
fn without_ours() -> [SockFilter; 10] {
    const LOAD_16: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
    const LOAD_32: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const LOAD_8_AT_X: u16 = 0x50; // BPF_LD | BPF_B | BPF_IND
    const LET_A: u16 = 0x00; // BPF_LD | BPF_IMM
    const LET_X: u16 = 0x01; // BPF_LDX | BPF_IMM
    const MOVE_TO_X: u16 = 0x07; // BPF_MISC | BPF_TAX
    const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    /// `SKF_AD_OFF + SKF_AD_NLATTR`: the place of the attribute of type X, looked
    /// for from place A; 0 if there is none.
    const ATTRIBUTE: u32 = 0xffff_f000 + 12;
    const RTM_NEWADDR: u16 = 20;
    const IFA_PROTO: u32 = 11;
    /// After `struct nlmsghdr` and `struct ifaddrmsg`.
    const FIRST: u32 = 16 + 8;
    [
        // The type, which is in the machine's order and loaded in the network's.
        SockFilter::new(LOAD_16, 0, 0, 4),
        SockFilter::new(IF_EQUAL, 0, 6, u32::from(RTM_NEWADDR.to_be())),
        SockFilter::new(LET_A, 0, 0, FIRST),
        SockFilter::new(LET_X, 0, 0, IFA_PROTO),
        SockFilter::new(LOAD_32, 0, 0, ATTRIBUTE),
        // Its value follows its header of four bytes. Without the attribute this is
        // a byte of the message's type, which is not our mark.
        SockFilter::new(MOVE_TO_X, 0, 0, 0),
        SockFilter::new(LOAD_8_AT_X, 0, 0, 4),
        SockFilter::new(IF_EQUAL, 1, 0, u32::from(ADDRESS_PROTOCOL)),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
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
