//! The sockets for VRRP and for the pool.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

/// VRRP's number among the IP protocols (RFC 9568 §5.1.1.4).
const IPPROTO_VRRP: i32 = 112;

/// Where IPv4 advertisements go (RFC 9568 §5.1.1.2).
pub const VRRP_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Where IPv6 advertisements go (RFC 9568 §5.1.2.2).
pub const VRRP_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// Network control (CS6): what switches keep when they must drop something.
const TOS: u32 = 0xc0;

/// The TTL and hop limit of every advertisement (RFC 9568 §5.1.1.3).
const TTL: u32 = 255;

/// The largest IP packet.
pub const PACKET_MAX: usize = 65_536;

/// An interface, by both of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// As in `eth0`.
    pub name: String,
    /// The kernel's number; another one when it is made anew.
    pub index: u32,
}

/// A packet that arrived, without its IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom: the group, or one of our addresses.
    pub destination: IpAddr,
    /// The TTL or hop limit it arrived with.
    pub hop_limit: u8,
    /// What follows the IP header.
    pub payload: &'a [u8],
}

/// Which packets of IP protocol 112 are received from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// What is sent to the group.
    Group,
    /// Also what is sent to this host's own addresses: there are unicast peers.
    Everything,
}

/// A raw socket for IP protocol 112 of one family on one interface.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    interface: Interface,
    v4: bool,
}

impl VrrpSocket {
    /// Receives IPv4 packets on `interface`, and only there.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when there is no such interface.
    pub fn v4(interface: &Interface, listen: Listen) -> io::Result<Self> {
        let protocol = Protocol::from(IPPROTO_VRRP);
        let socket = Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(protocol))?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.set_tos_v4(TOS)?;
        socket.set_ttl_v4(TTL)?;
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_ttl_v4(TTL)?;
        if listen == Listen::Group {
            socket.bind(&SocketAddrV4::new(VRRP_GROUP_V4, 0).into())?;
        }
        let index = InterfaceIndexOrAddress::Index(interface.index);
        socket.join_multicast_v4_n(&VRRP_GROUP_V4, &index)?;
        Ok(Self::new(socket, interface, true))
    }

    /// Receives IPv6 packets on `interface`, and only there.
    ///
    /// # Errors
    ///
    /// As [`VrrpSocket::v4`].
    pub fn v6(interface: &Interface, listen: Listen) -> io::Result<Self> {
        let protocol = Protocol::from(IPPROTO_VRRP);
        let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking(), Some(protocol))?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.set_tclass_v6(TOS)?;
        socket.set_unicast_hops_v6(TTL)?;
        socket.set_multicast_all_v6(false)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_hops_v6(TTL)?;
        socket.set_multicast_if_v6(interface.index)?;
        socket.set_recv_hoplimit_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        if listen == Listen::Group {
            socket.bind(&SocketAddrV6::new(VRRP_GROUP_V6, 0, 0, interface.index).into())?;
        }
        socket.join_multicast_v6(&VRRP_GROUP_V6, interface.index)?;
        Ok(Self::new(socket, interface, false))
    }

    fn new(socket: Socket, interface: &Interface, v4: bool) -> Self {
        Self {
            socket,
            interface: interface.clone(),
            v4,
        }
    }

    /// The interface it is bound to.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Sends `payload` from `source`, which must be an address of this host.
    ///
    /// # Errors
    ///
    /// Any of sendmsg(2); `EADDRNOTAVAIL` or `EINVAL` when `source` is not ours.
    pub fn send(&self, payload: &[u8], source: IpAddr, destination: IpAddr) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let slices = [IoSlice::new(payload)];
        let sent = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: self.interface.index.cast_signed(),
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from(source).to_be(),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                let to = SockaddrIn::from(SocketAddrV4::new(destination, 0));
                sendmsg(fd, &slices, &control, MsgFlags::empty(), Some(&to))?
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: self.interface.index,
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                let to =
                    SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, self.interface.index));
                sendmsg(fd, &slices, &control, MsgFlags::empty(), Some(&to))?
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        if sent == payload.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// The next packet, or `None` when there is none for now.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a packet whose IP header contradicts itself; it is
    /// gone, the next may be read. Otherwise any of recvmsg(2).
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Packet<'a>>> {
        let received = if self.v4 {
            self.receive_v4(buffer)
        } else {
            self.receive_v6(buffer)
        };
        match received {
            Ok(packet) => Ok(Some(packet)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive_v4<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Packet<'a>> {
        let length = nix::sys::socket::recv(
            self.socket.as_raw_fd(),
            buffer,
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC,
        )?;
        let bytes = buffer.get(..length).ok_or(io::ErrorKind::InvalidData)?;
        parse_v4(bytes).ok_or(io::ErrorKind::InvalidData.into())
    }

    fn receive_v6<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Packet<'a>> {
        let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let (length, source, destination, hop_limit) = {
            let mut slices = [IoSliceMut::new(buffer)];
            let message = recvmsg::<SockaddrIn6>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC,
            )?;
            let (mut destination, mut hop_limit) = (None, None);
            for item in message.cmsgs()? {
                match item {
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                    }
                    ControlMessageOwned::Ipv6HopLimit(limit) => {
                        hop_limit = u8::try_from(limit).ok();
                    }
                    _ => {}
                }
            }
            (message.bytes, message.address, destination, hop_limit)
        };
        let missing = || io::Error::from(io::ErrorKind::InvalidData);
        Ok(Packet {
            source: source.ok_or_else(missing)?.ip().into(),
            destination: destination.ok_or_else(missing)?.into(),
            hop_limit: hop_limit.ok_or_else(missing)?,
            payload: buffer.get(..length).ok_or_else(missing)?,
        })
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for VrrpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Splits an IPv4 packet as a raw socket delivers it: options are passed over,
/// and padding after the total length is cut off (RFC 791 §3.1).
fn parse_v4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_length < header.len() {
        return None;
    }
    Some(Packet {
        source: Ipv4Addr::from([header[12], header[13], header[14], header[15]]).into(),
        destination: Ipv4Addr::from([header[16], header[17], header[18], header[19]]).into(),
        hop_limit: header[8],
        payload: bytes.get(header_length..total)?,
    })
}

/// A UDP socket for the pool, bound to this host's own address, that need not
/// be there yet: the daemon may start before the network.
///
/// # Errors
///
/// `EADDRINUSE` when another process has the port.
pub fn pool_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )?;
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
        socket.set_tos_v4(TOS)?;
    } else {
        socket.set_freebind_v6(true)?;
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(TOS)?;
    }
    // A burst of a thousand pools' renewals; the kernel grants what it may.
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An advertisement with a 24-byte IPv4 header (one option) and 4 bytes of
    /// Ethernet padding.
    #[rustfmt::skip]
    const WITH_OPTION: [u8; 40] = [
        0x46, 0xc0, 0x00, 0x24, 0x00, 0x00, 0x00, 0x00, 0xff, 0x70, 0x00, 0x00,
        192, 0, 2, 11, 224, 0, 0, 18,
        0x94, 0x04, 0x00, 0x00,
        0x31, 51, 150, 1, 0, 20, 0xaa, 0xbb, 192, 0, 2, 100,
        0, 0, 0, 0,
    ];

    #[test]
    fn packet_with_option_and_padding_is_split() {
        let packet = parse_v4(&WITH_OPTION).expect("well formed");
        assert_eq!(packet.source, IpAddr::from([192, 0, 2, 11]));
        assert_eq!(packet.destination, IpAddr::from([224, 0, 0, 18]));
        assert_eq!(packet.hop_limit, 255);
        assert_eq!(
            packet.payload,
            [0x31, 51, 150, 1, 0, 20, 0xaa, 0xbb, 192, 0, 2, 100]
        );
    }

    #[test]
    fn packet_that_contradicts_itself_is_refused() {
        assert_eq!(parse_v4(&WITH_OPTION[..19]), None);
        assert_eq!(parse_v4(&WITH_OPTION[..35]), None, "shorter than it says");
        let mut bytes = WITH_OPTION;
        bytes[0] = 0x44;
        assert_eq!(parse_v4(&bytes), None, "header of 16 bytes");
        bytes[0] = 0x66;
        assert_eq!(parse_v4(&bytes), None, "version 6");
        bytes[0] = 0x4f;
        assert_eq!(parse_v4(&bytes), None, "header longer than the packet");
    }

    #[test]
    fn pool_socket_binds_to_an_address_that_is_not_there_yet() {
        let socket = pool_socket(([203, 0, 113, 7], 0).into()).expect("freebind");
        assert_eq!(
            socket.local_addr().expect("address").ip(),
            IpAddr::from([203, 0, 113, 7])
        );
    }
}
