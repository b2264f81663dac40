//! Is this address in use on the link?

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};

use super::frame::{self, ETHERTYPE_ARP, NEIGHBOUR_ADVERTISEMENT};
use super::{Mac, bind_to_interface, packet_socket, send_frame};
use crate::socket::Interface;

/// A host that answered for the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Where it is, if it said so.
    pub mac: Option<Mac>,
}

/// A question to the link; readable when an answer may be there.
///
/// Ask several times: a question or an answer may be lost.
#[derive(Debug)]
pub struct Probe {
    out: OwnedFd,
    answers: Answers,
    interface: u32,
    mac: Mac,
    address: IpAddr,
}

#[derive(Debug)]
enum Answers {
    /// The socket that asks hears every ARP packet.
    Arp,
    /// Neighbour advertisements come to all nodes, so an ICMPv6 socket hears
    /// them.
    Icmpv6(Socket),
}

impl Probe {
    /// Prepares to ask on `interface`, whose MAC address is `mac`.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when there is no such interface.
    pub fn open(interface: &Interface, mac: Mac, address: IpAddr) -> io::Result<Self> {
        let (out, answers) = match address {
            IpAddr::V4(_) => {
                let out = packet_socket(0)?;
                bind_to_interface(&out, interface.index, ETHERTYPE_ARP)?;
                (out, Answers::Arp)
            }
            IpAddr::V6(_) => {
                let kind = Type::RAW.nonblocking();
                let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6))?;
                socket.bind_device(Some(interface.name.as_bytes()))?;
                (packet_socket(0)?, Answers::Icmpv6(socket))
            }
        };
        Ok(Self {
            out,
            answers,
            interface: interface.index,
            mac,
            address,
        })
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// Any of sendto(2).
    pub fn ask(&self) -> io::Result<()> {
        let question = match self.address {
            IpAddr::V4(address) => frame::arp_probe(self.mac, address),
            IpAddr::V6(address) => frame::solicitation_probe(self.mac, address),
        };
        send_frame(&self.out, self.interface, &question)
    }

    /// Who answered, if anyone has by now.
    ///
    /// # Errors
    ///
    /// Any of recv(2).
    pub fn answer(&self) -> io::Result<Option<Claimant>> {
        let mut buffer = [0; 2048];
        loop {
            let length = match recv(self.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let found = match (&self.answers, self.address) {
                (Answers::Arp, IpAddr::V4(address)) => {
                    arp_claimant(&buffer[..length], self.mac, address.octets())
                }
                (Answers::Icmpv6(_), IpAddr::V6(address)) => {
                    advertised(&buffer[..length], self.mac, address)
                }
                (Answers::Arp, IpAddr::V6(_)) | (Answers::Icmpv6(_), IpAddr::V4(_)) => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }
}

impl AsFd for Probe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.answers {
            Answers::Arp => self.out.as_fd(),
            Answers::Icmpv6(socket) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Probe {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The sender of an ARP packet, request or reply, when it names `address` as
/// its own (RFC 5227 §2.1.1) and is not us.
fn arp_claimant(frame: &[u8], own: Mac, address: [u8; 4]) -> Option<Claimant> {
    let mac: Mac = *frame.get(22..)?.first_chunk()?;
    let sender: [u8; 4] = *frame.get(28..)?.first_chunk()?;
    (sender == address && mac != own).then_some(Claimant { mac: Some(mac) })
}

/// The sender of a neighbour advertisement for `address` that is not us.
fn advertised(message: &[u8], own: Mac, address: Ipv6Addr) -> Option<Claimant> {
    let target: [u8; 16] = *message.get(8..)?.first_chunk()?;
    let mac = frame::link_address_option(message.get(24..)?);
    let matches = message[0] == NEIGHBOUR_ADVERTISEMENT
        && Ipv6Addr::from(target) == address
        && mac != Some(own);
    matches.then_some(Claimant { mac })
}
