//! Telling the link who holds an address, and asking it.

mod frame;
mod probe;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub use probe::{Claimant, Probe};

/// A MAC address.
pub type Mac = [u8; 6];

/// Sends announcements on any interface, round the kernel's own rules: the gate
/// does not hold them back.
#[derive(Debug)]
pub struct Announcer {
    fd: OwnedFd,
}

impl Announcer {
    /// A packet socket that receives nothing.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            fd: packet_socket(0)?,
        })
    }

    /// Tells everyone on the interface numbered `interface` that `address` is
    /// at `mac`: a gratuitous ARP request, or an unsolicited neighbour
    /// advertisement with Override set (RFC 9568 §6.4.1).
    ///
    /// # Errors
    ///
    /// Any of sendto(2): `ENETDOWN`, `ENXIO` when the interface is gone.
    pub fn announce(&self, interface: u32, mac: Mac, address: IpAddr) -> io::Result<()> {
        match address {
            IpAddr::V4(address) => {
                send_frame(&self.fd, interface, &frame::gratuitous_arp(mac, address))
            }
            IpAddr::V6(address) => send_frame(
                &self.fd,
                interface,
                &frame::neighbour_advertisement(mac, address),
            ),
        }
    }
}

/// A packet socket for whole frames of `protocol` (an EtherType; 0: none).
fn packet_socket(protocol: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes integers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(protocol.to_be())) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was opened just now and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Where frames of `protocol` go out, or come in.
fn link_address(interface: u32, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: sockaddr_ll is plain integers; all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface.cast_signed();
    address
}

/// Receives frames of `protocol` from one interface only.
fn bind_to_interface(fd: &OwnedFd, interface: u32, protocol: u16) -> io::Result<()> {
    let address = link_address(interface, protocol);
    // SAFETY: `address` is a sockaddr_ll of the size given and outlives the call.
    let done = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn send_frame(fd: &OwnedFd, interface: u32, frame: &[u8]) -> io::Result<()> {
    let address = link_address(interface, 0);
    // SAFETY: `frame` and `address` are valid for the lengths given and outlive
    // the call.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            libc::MSG_DONTWAIT,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    match usize::try_from(sent) {
        Ok(sent) if sent == frame.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
