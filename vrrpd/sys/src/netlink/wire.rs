//! One netlink socket: requests out, answers in, never blocking.
//!
//! The kernel works a request off inside the send call, so that its answer is
//! in the queue when the call returns.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;

/// The message is a request.
pub(crate) const REQUEST: u16 = 0x1;
/// An answer is wanted also when all is well.
pub(crate) const ACK: u16 = 0x4;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// What fits in one receive call; the kernel fills at most 32 KiB of a dump.
const BUFFER: usize = 65_536;

/// A netlink socket with the buffer it receives into.
#[derive(Debug)]
pub(crate) struct Wire {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Wire {
    /// A socket of `protocol`, subscribed to the multicast `groups` (a bit mask).
    pub(crate) fn open(protocol: SockProtocol, groups: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        // A burst of changes must not overflow the queue while we are busy.
        setsockopt(&fd, sockopt::RcvBuf, &(1 << 20))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self {
            fd,
            sequence: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// The number for the next message.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends one or more whole messages.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT)?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// Hands each message that is there to `each`, with its type, its sequence
    /// number and its whole bytes; false when none was there.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Message<'_>)) -> io::Result<bool> {
        let length = match recv(
            self.fd.as_raw_fd(),
            &mut self.buffer,
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC,
        ) {
            Ok(length) => length,
            Err(nix::errno::Errno::EAGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut rest = self
            .buffer
            .get(..length)
            .ok_or(io::ErrorKind::InvalidData)?;
        while let Some(message) = Message::split(&mut rest) {
            each(message);
        }
        Ok(true)
    }

    /// Waits for nothing: reads the answers to the messages numbered `first` to
    /// `last`, gives each part of a dump to `each`, and ends at the
    /// acknowledgement of `last` or at the end of the dump.
    ///
    /// # Errors
    ///
    /// The first one that the kernel answered; `WouldBlock` if it did not
    /// answer, which it does.
    pub(crate) fn answers(
        &mut self,
        first: u32,
        last: u32,
        mut each: impl FnMut(Message<'_>),
    ) -> io::Result<()> {
        let mut failure = None;
        let mut done = false;
        loop {
            let any = self.receive(|message| {
                let ours = message.sequence.wrapping_sub(first) <= last.wrapping_sub(first);
                if !ours {
                    return;
                }
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        let code = message.code();
                        if code != 0 && failure.is_none() {
                            failure = Some(io::Error::from_raw_os_error(-code));
                        }
                        done |= message.kind == NLMSG_DONE || message.sequence == last;
                    }
                    _ => each(message),
                }
            })?;
            // A batch that failed is answered for its bad messages only; all
            // answers are in the queue by now.
            if done || !any {
                return match failure {
                    Some(error) => Err(error),
                    None if done => Ok(()),
                    None => Err(io::ErrorKind::WouldBlock.into()),
                };
            }
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A message in the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Its type.
    pub(crate) kind: u16,
    /// The request's number.
    pub(crate) sequence: u32,
    /// All of it, header included.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes the first message off `rest`; `None` at the end, or at nonsense.
    fn split(rest: &mut &'a [u8]) -> Option<Self> {
        let header: &[u8; HEADER] = rest.first_chunk()?;
        let field = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let length = usize::try_from(u32::from_ne_bytes(field(0))).ok()?;
        if length < HEADER {
            return None;
        }
        let bytes = rest.get(..length)?;
        *rest = rest.get(align(length)..).unwrap_or(&[]);
        Some(Self {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: u32::from_ne_bytes(field(8)),
            bytes,
        })
    }

    /// What follows the header.
    pub(crate) fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER..]
    }

    /// The negative errno of an error or done message, 0 for success.
    fn code(&self) -> i32 {
        self.payload()
            .first_chunk()
            .map_or(0, |code| i32::from_ne_bytes(*code))
    }
}

/// Netlink pads to 4 bytes.
pub(crate) const fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// Appends a message with `payload` written by `body`.
pub(crate) fn message(
    out: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start).expect("a message is small");
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    out.resize(start + align(out.len() - start), 0);
}

/// Appends an attribute with a value written by `body`.
///
/// # Panics
///
/// When the value is longer than 65,531 bytes.
pub(crate) fn attribute(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&kind.to_ne_bytes());
    body(out);
    let length = u16::try_from(out.len() - start).expect("an attribute is at most 64 KiB");
    out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    out.resize(start + align(out.len() - start), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn message_with_attribute_is_padded_to_four_bytes() {
        let mut out = Vec::new();
        message(&mut out, 0x14, REQUEST | ACK, 7, |out| {
            attribute(out, 3, |out| out.extend_from_slice(b"eth0\0"));
        });
        #[rustfmt::skip]
        let expected = [
            28, 0, 0, 0, 0x14, 0, 0x05, 0, 7, 0, 0, 0, 0, 0, 0, 0,
            9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn message_longer_than_the_buffer_is_not_split_off() {
        let mut bytes = Vec::new();
        message(&mut bytes, 2, 0, 1, |out| out.extend_from_slice(&[0; 8]));
        let mut rest = &bytes[..bytes.len() - 1];
        assert!(Message::split(&mut rest).is_none());
        let mut rest: &[u8] = &[0; 16];
        assert!(Message::split(&mut rest).is_none(), "length 0");
    }
}
