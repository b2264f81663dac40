//! nf_tables set elements in netlink batches (`linux/netfilter/nf_tables.h`).

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::netlink::wire::{ACK, REQUEST, attribute, message};

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWSETELEM: u16 = NFNL_SUBSYS_NFTABLES << 8 | 12;
const NFT_MSG_DELSETELEM: u16 = NFNL_SUBSYS_NFTABLES << 8 | 14;
const NLM_F_CREATE: u16 = 0x400;
const NLA_F_NESTED: u16 = 0x8000;

const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
const NFTA_DATA_VALUE: u16 = 1;

const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_INET: u8 = 1;
const NFPROTO_ARP: u8 = 3;

/// Elements in one message: their list is one attribute of at most 64 KiB.
const LIST_MAX: usize = 512;

/// The longest interface name with its zero (`IFNAMSIZ`).
const IFNAMSIZ: usize = 16;

/// A set of our tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Ports that are open.
    Open,
    /// Interfaces that answer neighbour solicitations.
    HeldInterfaces,
    /// Addresses that answer ARP.
    HeldAddresses,
}

impl Set {
    pub(super) const ALL: [Self; 3] = [Self::Open, Self::HeldInterfaces, Self::HeldAddresses];

    const fn family(self) -> u8 {
        match self {
            Self::Open | Self::HeldInterfaces => NFPROTO_INET,
            Self::HeldAddresses => NFPROTO_ARP,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::HeldInterfaces | Self::HeldAddresses => "held",
        }
    }
}

/// An element's key and the set it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    set: Set,
    bytes: Vec<u8>,
}

impl Key {
    pub(super) fn port(port: u16) -> Self {
        Self {
            set: Set::Open,
            bytes: port.to_be_bytes().to_vec(),
        }
    }

    pub(super) fn address(address: Ipv4Addr) -> Self {
        Self {
            set: Set::HeldAddresses,
            bytes: address.octets().to_vec(),
        }
    }

    pub(super) fn interface(name: &str) -> Self {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(IFNAMSIZ, 0);
        Self {
            set: Set::HeldInterfaces,
            bytes,
        }
    }
}

/// An element, and the milliseconds it shall live; `None`: it ends.
type Change = (Key, Option<u64>);

/// Changes that the kernel makes all at once or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    table: String,
    flushed: Vec<Set>,
    elements: Vec<Change>,
}

impl Batch {
    pub(super) fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            flushed: Vec::new(),
            elements: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flushed.is_empty() && self.elements.is_empty()
    }

    /// `key` lives for `timeout` from now, in whole milliseconds.
    pub(super) fn renew(&mut self, key: &Key, timeout: Duration) {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.elements.push((key.clone(), Some(milliseconds.max(1))));
    }

    /// `key` ends.
    pub(super) fn remove(&mut self, key: &Key) {
        self.elements.push((key.clone(), None));
    }

    /// Every element of `set` ends.
    pub(super) fn flush(&mut self, set: Set) {
        self.flushed.push(set);
    }

    /// The bytes to send, and the number of the message that is acknowledged.
    pub(super) fn finish(self, mut next: impl FnMut() -> u32, begin: u32) -> (Vec<u8>, u32) {
        let mut out = Vec::with_capacity(512);
        mark(&mut out, NFNL_MSG_BATCH_BEGIN, begin);
        let mut steps: Vec<(u16, Set, Vec<&Change>)> = Vec::new();
        for &set in &self.flushed {
            steps.push((NFT_MSG_DELSETELEM, set, Vec::new()));
        }
        for set in Set::ALL {
            let all: Vec<_> = self
                .elements
                .iter()
                .filter(|(key, _)| key.set == set)
                .collect();
            for part in all.chunks(LIST_MAX) {
                let live: Vec<_> = part.iter().copied().filter(|(_, t)| t.is_some()).collect();
                // Deleting what is not there would undo the whole batch, and
                // adding what is there does not renew it on older kernels: add,
                // so that it is there; delete; add.
                steps.push((NFT_MSG_NEWSETELEM, set, part.to_vec()));
                steps.push((NFT_MSG_DELSETELEM, set, part.to_vec()));
                if !live.is_empty() {
                    steps.push((NFT_MSG_NEWSETELEM, set, live));
                }
            }
        }
        let count = steps.len();
        let mut last = begin;
        for (at, (kind, set, elements)) in steps.into_iter().enumerate() {
            last = next();
            let acknowledge = if at + 1 == count { ACK } else { 0 };
            self.step(&mut out, kind, acknowledge, last, set, &elements);
        }
        mark(&mut out, NFNL_MSG_BATCH_END, next());
        (out, last)
    }

    fn step(
        &self,
        out: &mut Vec<u8>,
        kind: u16,
        flags: u16,
        sequence: u32,
        set: Set,
        elements: &[&Change],
    ) {
        let creates = kind == NFT_MSG_NEWSETELEM;
        let flags = flags | REQUEST | if creates { NLM_F_CREATE } else { 0 };
        message(out, kind, flags, sequence, |out| {
            nfgenmsg(out, set.family(), 0);
            text(out, NFTA_SET_ELEM_LIST_TABLE, &self.table);
            text(out, NFTA_SET_ELEM_LIST_SET, set.name());
            if elements.is_empty() {
                return;
            }
            attribute(out, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, |out| {
                for (key, timeout) in elements {
                    let timeout = creates.then(|| timeout.unwrap_or(1_000));
                    element(out, &key.bytes, timeout);
                }
            });
        });
    }
}

fn element(out: &mut Vec<u8>, key: &[u8], timeout: Option<u64>) {
    attribute(out, NFTA_LIST_ELEM | NLA_F_NESTED, |out| {
        attribute(out, NFTA_SET_ELEM_KEY | NLA_F_NESTED, |out| {
            attribute(out, NFTA_DATA_VALUE, |out| out.extend_from_slice(key));
        });
        if let Some(milliseconds) = timeout {
            attribute(out, NFTA_SET_ELEM_TIMEOUT, |out| {
                out.extend_from_slice(&milliseconds.to_be_bytes());
            });
        }
    });
}

fn mark(out: &mut Vec<u8>, kind: u16, sequence: u32) {
    message(out, kind, REQUEST, sequence, |out| {
        nfgenmsg(out, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
    });
}

/// `struct nfgenmsg`: family, version 0, resource in network order.
fn nfgenmsg(out: &mut Vec<u8>, family: u8, resource: u16) {
    out.extend_from_slice(&[family, 0]);
    out.extend_from_slice(&resource.to_be_bytes());
}

fn text(out: &mut Vec<u8>, kind: u16, value: &str) {
    attribute(out, kind, |out| {
        out.extend_from_slice(value.as_bytes());
        out.push(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn renewal_is_add_delete_add_in_one_batch() {
        let mut batch = Batch::new("vrrpd_a");
        batch.renew(&Key::port(5432), Duration::from_millis(300));
        let mut sequence = 1;
        let (bytes, last) = batch.finish(
            || {
                sequence += 1;
                sequence
            },
            1,
        );
        assert_eq!(last, 4);
        #[rustfmt::skip]
        let list = [
            1, 0, 0, 0,                                     // inet
            12, 0, 1, 0, b'v', b'r', b'r', b'p', b'd', b'_', b'a', 0,
            9, 0, 2, 0, b'o', b'p', b'e', b'n', 0, 0, 0, 0,
        ];
        #[rustfmt::skip]
        let timed = [
            32, 0, 3, 0x80, 28, 0, 1, 0x80,
            12, 0, 1, 0x80, 6, 0, 1, 0, 0x15, 0x38, 0, 0,   // 5432
            12, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 44,           // 300 ms
        ];
        #[rustfmt::skip]
        let plain = [
            20, 0, 3, 0x80, 16, 0, 1, 0x80,
            12, 0, 1, 0x80, 6, 0, 1, 0, 0x15, 0x38, 0, 0,
        ];
        #[rustfmt::skip]
        let expected = [
            &[20, 0, 0, 0, 16, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10][..],
            &[76, 0, 0, 0, 12, 10, 1, 4, 2, 0, 0, 0, 0, 0, 0, 0], &list, &timed,
            &[64, 0, 0, 0, 14, 10, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0], &list, &plain,
            &[76, 0, 0, 0, 12, 10, 5, 4, 4, 0, 0, 0, 0, 0, 0, 0], &list, &timed,
            &[20, 0, 0, 0, 17, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }
}
