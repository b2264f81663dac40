//! The bytes of a sealed datagram: a header, the message, a tag over both.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0–3 | `VRRD` |
//! | 4 | version, 1 |
//! | 5 | kind: 1 message, 2 hello |
//! | 6, 7 | sender, receiver: 0 Master, 1 Backup, 2 arbiter |
//! | 8–15 | pool id |
//! | 16–31 | the sender's incarnation and boots |
//! | 32–39 | the sender's sequence towards this receiver, from 1 |
//! | 40–55 | the receiver's incarnation and boots as the sender knows them; zeros: it does not |
//! | 56–63 | hello: the sequence it answers; message: 0 |
//! | 64– | the message; a hello has none |
//! | last 32 | HMAC-SHA256 of all before |
//!
//! Integers are big endian.

use hmac::Mac;
use vrrpd_core::pool::record::{Incarnation, NodeId};

use super::key::Tag;
use super::{Boot, Key, PoolId, Reject};

/// The longest datagram that is looked at; ours are far shorter.
pub const MAX_DATAGRAM: usize = 1024;

const MAGIC: [u8; 4] = *b"VRRD";
const VERSION: u8 = 1;
const HEADER: usize = 64;
const TAG: usize = 32;

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Carries an envelope.
    Message,
    /// Tells the sender of a misaddressed message which boot to address.
    Hello,
}

/// All that stands before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) sender: Boot,
    pub(super) sequence: u64,
    pub(super) receiver: Option<Boot>,
    pub(super) echo: u64,
}

/// Seals and opens the datagrams of one pool.
#[derive(Clone)]
pub(super) struct Sealer {
    pool: PoolId,
    tag: Tag,
}

impl Sealer {
    pub(super) fn new(key: &Key) -> Self {
        Self {
            pool: key.pool_id(),
            tag: key.sealer(),
        }
    }

    /// The datagram of a header and a message.
    pub(super) fn seal(&self, header: &Header, message: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(HEADER + message.len() + TAG);
        datagram.extend_from_slice(&MAGIC);
        datagram.push(VERSION);
        datagram.push(match header.kind {
            Kind::Message => 1,
            Kind::Hello => 2,
        });
        datagram.push(header.from.index() as u8);
        datagram.push(header.to.index() as u8);
        datagram.extend_from_slice(&self.pool.0);
        let receiver = header
            .receiver
            .map_or((0, 0), |boot| (boot.incarnation.0, boot.boots));
        for number in [
            header.sender.incarnation.0,
            header.sender.boots,
            header.sequence,
            receiver.0,
            receiver.1,
            header.echo,
        ] {
            datagram.extend_from_slice(&number.to_be_bytes());
        }
        datagram.extend_from_slice(message);
        let tag = self.tag.clone().chain_update(&datagram).finalize();
        datagram.extend_from_slice(&tag.into_bytes());
        assert!(datagram.len() <= MAX_DATAGRAM, "a message is small");
        datagram
    }

    /// The header and the message of an authentic datagram.
    ///
    /// # Errors
    ///
    /// Why it is not one. Nothing in it is believed before its tag is checked;
    /// the tag is compared in constant time.
    pub(super) fn open<'a>(&self, datagram: &'a [u8]) -> Result<(Header, &'a [u8]), Reject> {
        let pool = pool_of(datagram).ok_or(Reject::Malformed)?;
        if datagram[4] != VERSION {
            return Err(Reject::OtherVersion);
        }
        if pool != self.pool {
            return Err(Reject::OtherPool);
        }
        let (sealed, tag) = datagram
            .split_last_chunk::<TAG>()
            .ok_or(Reject::Malformed)?;
        self.tag
            .clone()
            .chain_update(sealed)
            .verify_slice(tag)
            .map_err(|_| Reject::Forged)?;
        let (header, message) = sealed
            .split_first_chunk::<HEADER>()
            .ok_or(Reject::Malformed)?;
        Ok((Header::parse(header).ok_or(Reject::Malformed)?, message))
    }
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Sealer of pool {}", self.pool)
    }
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(number)
        };
        let boot = |at: usize| Boot {
            incarnation: Incarnation(number(at)),
            boots: number(at + 8),
        };
        let receiver = boot(40);
        Some(Self {
            kind: match bytes[5] {
                1 => Kind::Message,
                2 => Kind::Hello,
                _ => return None,
            },
            from: NodeId::from_index(bytes[6])?,
            to: NodeId::from_index(bytes[7])?,
            sender: boot(16),
            sequence: number(32),
            // Boots count from 1: zeros are no boot.
            receiver: (receiver.boots != 0).then_some(receiver),
            echo: number(56),
        })
    }
}

/// The pool of a datagram that may be one of ours, before it is opened: for
/// the arbiter, which serves many. Not authenticated.
pub fn pool_of(datagram: &[u8]) -> Option<PoolId> {
    let long_enough = (HEADER + TAG..=MAX_DATAGRAM).contains(&datagram.len());
    if !long_enough || datagram[..4] != MAGIC {
        return None;
    }
    datagram[8..16].try_into().ok().map(PoolId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        Key::parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
    }

    fn header() -> Header {
        Header {
            kind: Kind::Message,
            from: NodeId::A,
            to: NodeId::R,
            sender: Boot {
                incarnation: Incarnation(0x1111_2222_3333_4444),
                boots: 7,
            },
            sequence: 258,
            receiver: Some(Boot {
                incarnation: Incarnation(0x5555_6666_7777_8888),
                boots: 9,
            }),
            echo: 0,
        }
    }

    #[test]
    fn a_frame_is_these_bytes() {
        let expected = concat!(
            "56525244",
            "01",
            "01",
            "00",
            "02",
            "b15e82797634ebe3",
            "1111222233334444",
            "0000000000000007",
            "0000000000000102",
            "5555666677778888",
            "0000000000000009",
            "0000000000000000",
            "68656c6c6f",
            "60ffde8388e9529c5666f3fdca6b9a80be7ffbd3f9c30e697c657ca8901765e9"
        );
        let sealed = Sealer::new(&key()).seal(&header(), b"hello");
        let text: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, expected);
        assert_eq!(pool_of(&sealed), Some(key().pool_id()));
        assert_eq!(
            Sealer::new(&key()).open(&sealed),
            Ok((header(), b"hello".as_slice()))
        );
    }

    #[test]
    fn a_header_without_receiver_has_zeros_there() {
        let sealer = Sealer::new(&key());
        let unaddressed = Header {
            receiver: None,
            kind: Kind::Hello,
            echo: 3,
            ..header()
        };
        let sealed = sealer.seal(&unaddressed, b"");
        assert_eq!(sealed[40..56], [0; 16]);
        assert_eq!(sealer.open(&sealed), Ok((unaddressed, b"".as_slice())));
    }

    #[test]
    fn other_versions_pools_and_keys_are_told_apart() {
        let sealer = Sealer::new(&key());
        let mut newer = sealer.seal(&header(), b"");
        newer[4] = 2;
        assert_eq!(sealer.open(&newer), Err(Reject::OtherVersion));

        let stranger = Sealer::new(&Key::generate().unwrap());
        let strange = stranger.seal(&header(), b"");
        assert_eq!(sealer.open(&strange), Err(Reject::OtherPool));

        // Another key that claims this pool.
        let mut forged = strange;
        forged[8..16].copy_from_slice(&key().pool_id().0);
        assert_eq!(sealer.open(&forged), Err(Reject::Forged));
        assert_eq!(sealer.open(b"VRRD"), Err(Reject::Malformed));
    }

    proptest! {
        #[test]
        fn a_changed_bit_is_never_accepted(at in 0usize..(64 + 5 + 32), bit in 0u8..8) {
            let sealer = Sealer::new(&key());
            let mut sealed = sealer.seal(&header(), b"hello");
            sealed[at] ^= 1 << bit;
            prop_assert!(sealer.open(&sealed).is_err());
        }

        #[test]
        fn a_cut_or_random_datagram_is_never_accepted(
            cut in 0usize..101,
            noise in prop::collection::vec(any::<u8>(), 0..1100),
        ) {
            let sealer = Sealer::new(&key());
            let sealed = sealer.seal(&header(), b"hello");
            prop_assert!(sealer.open(&sealed[..cut]).is_err());
            prop_assert!(sealer.open(&noise).is_err());
        }
    }
}
