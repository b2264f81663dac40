//! Bytes of messages and of a voter's durable state: big endian, fixed order,
//! one tag byte before each choice.

use core::fmt;
use core::time::Duration;

use super::Pause;
use super::database::Position;
use super::message::{Body, Envelope, Nonce, Reason, Report};
use super::record::{CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters};

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end too early.
    Short,
    /// Bytes are left over.
    Long,
    /// A tag names no choice.
    Tag,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it ends too early",
            Self::Long => "bytes are left over at its end",
            Self::Tag => "a tag in it names nothing",
        })
    }
}

impl core::error::Error for DecodeError {}

type Decoded<T> = Result<T, DecodeError>;

/// The unread rest of some bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn end(self) -> Decoded<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Long)
        }
    }
}

/// A value with one form in bytes.
trait Wire: Sized {
    fn put(&self, to: &mut Vec<u8>);
    fn get(from: &mut Reader<'_>) -> Decoded<Self>;
}

macro_rules! wire_integers {
    ($($int:ty),*) => {$(
        impl Wire for $int {
            fn put(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_be_bytes());
            }

            fn get(from: &mut Reader<'_>) -> Decoded<Self> {
                from.bytes().map(Self::from_be_bytes)
            }
        }
    )*};
}

wire_integers!(u8, u32, u64);

impl Wire for bool {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Decoded<Self> {
        match u8::get(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Tag),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Decoded<Self> {
        if bool::get(from)? {
            T::get(from).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Nanoseconds; longer than 584 years becomes that.
impl Wire for Duration {
    fn put(&self, to: &mut Vec<u8>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).put(to);
    }

    fn get(from: &mut Reader<'_>) -> Decoded<Self> {
        u64::get(from).map(Self::from_nanos)
    }
}

impl Wire for NodeId {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(*self as u8);
    }

    fn get(from: &mut Reader<'_>) -> Decoded<Self> {
        Self::from_index(u8::get(from)?).ok_or(DecodeError::Tag)
    }
}

macro_rules! wire_fields {
    ($name:ident { $($field:ident),* }) => {
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $(self.$field.put(to);)*
            }

            fn get(from: &mut Reader<'_>) -> Decoded<Self> {
                Ok(Self { $($field: Wire::get(from)?),* })
            }
        }
    };
}

macro_rules! wire_newtype {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                self.0.put(to);
            }

            fn get(from: &mut Reader<'_>) -> Decoded<Self> {
                Wire::get(from).map(Self)
            }
        }
    )*};
}

wire_newtype!(CopyId, Incarnation, Voters);
wire_fields!(Epoch { counter, node });
wire_fields!(Position { timeline, lsn });
wire_fields!(InSync { a, b });
wire_fields!(Nonce { boots, count });
wire_fields!(Record {
    epoch,
    version,
    primary,
    in_sync,
    voters,
    forced
});
wire_fields!(Durable {
    incarnation,
    boots,
    promised,
    reserved,
    record,
    effective,
    released,
    pause
});
wire_fields!(Report {
    priority,
    active,
    blank,
    primary,
    healthy,
    copy,
    position,
    offer,
    pause
});
wire_fields!(Pause { word, paused });
wire_fields!(Envelope {
    from,
    to,
    incarnation,
    boots,
    seen,
    report,
    body
});

impl Wire for [Incarnation; 3] {
    fn put(&self, to: &mut Vec<u8>) {
        self.iter().for_each(|one| one.put(to));
    }

    fn get(from: &mut Reader<'_>) -> Decoded<Self> {
        Ok([Wire::get(from)?, Wire::get(from)?, Wire::get(from)?])
    }
}

impl Wire for (Incarnation, u64) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }

    fn get(from: &mut Reader<'_>) -> Decoded<Self> {
        Ok((Wire::get(from)?, Wire::get(from)?))
    }
}

/// A choice: one tag byte each, then its fields.
macro_rules! wire_choice {
    ($name:ident { $($tag:literal => $variant:ident $({ $($field:ident),* })?,)* }) => {
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? => {
                        to.push($tag);
                        $($($field.put(to);)*)?
                    })*
                }
            }

            fn get(from: &mut Reader<'_>) -> Decoded<Self> {
                match u8::get(from)? {
                    $($tag => Ok(Self::$variant $({ $($field: Wire::get(from)?),* })?),)*
                    _ => Err(DecodeError::Tag),
                }
            }
        }
    };
}

wire_choice!(Reason {
    0 => Outbid,
    1 => Quiet,
    2 => Blank,
    3 => Granted,
    4 => Primary,
    5 => NotInSync,
    6 => Forced,
    7 => Replaced,
});

wire_choice!(Body {
    0 => Hello { answer },
    1 => Claim { epoch, record, effective, copy, force },
    2 => Deny { epoch, promised, record, retry_after, reason },
    3 => Promise { epoch, record, effective },
    4 => Accept { record, nonce },
    5 => Accepted { epoch, version, nonce },
    6 => Renew { record, effective, nonce },
    7 => Renewed { epoch, version, nonce },
    8 => Release { epoch, position },
});

fn encode<T: Wire>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    value.put(&mut bytes);
    bytes
}

fn decode<T: Wire>(bytes: &[u8]) -> Decoded<T> {
    let mut reader = Reader(bytes);
    let value = T::get(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl Envelope {
    /// Its bytes, at most 400.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The message in `bytes`.
    ///
    /// # Errors
    /// When they are not exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Durable {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The state in `bytes`.
    ///
    /// # Errors
    /// When they are not exactly one state.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}
