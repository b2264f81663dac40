//! A received advertisement, before the state has its say (RFC 9568 §7.1).

use std::net::IpAddr;

use super::log::Topic;
use super::state::State;
use super::{Action, Checksum, Router, What};
use crate::packet::{Addresses, Family, Received, Refusal, Version};
use crate::time::Instant;

impl Router {
    pub(super) fn on_advert_received(
        &mut self,
        received: &Received,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Err(refusal) = self.judge(received) {
            self.refuse(refusal, received.source, now, out);
            return;
        }
        self.statistics.adverts_received += 1;
        if received.advert.priority.is_none() {
            self.statistics.priority_zero_received += 1;
        }
        match self.state {
            // RFC 9568 §6.4.1: nothing is listened to.
            State::Initialize(_) => {}
            State::Backup(_) => {
                self.compare(received, now, out);
                self.on_advert_in_backup(received, now);
            }
            State::Active(_) => {
                self.compare(received, now, out);
                self.on_advert_in_active(received, now, out);
            }
        }
    }

    /// What only the router that it is for can tell. Nothing is changed by a
    /// packet that is refused here, no timer above all (VRRP.md, trap 6).
    fn judge(&self, received: &Received) -> Result<(), Refusal> {
        let config = &self.config;
        let peers = &config.unicast_peers;
        if received.advert.version != config.version {
            return Err(Refusal::VersionMismatch);
        }
        if self.source == Some(received.source) {
            return Err(Refusal::OwnAddress);
        }
        if !peers.is_empty() && !peers.contains(&received.source) {
            return Err(Refusal::UnknownPeer);
        }
        match config.version {
            // RFC 3768 §7.1.
            Version::V2 if config.priority.is_owner() => Err(Refusal::Owner),
            Version::V2 if received.advert.interval != config.advertise_interval => {
                Err(Refusal::IntervalMismatch)
            }
            Version::V2 | Version::V3 => Ok(()),
        }
    }

    /// Counts a refused packet, and says so now and then.
    pub(super) fn refuse(
        &mut self,
        refusal: Refusal,
        source: IpAddr,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let times = self.statistics.refused.count(refusal);
        if self.log.may_say(Topic::Refused(refusal), now) {
            let what = What::Refused {
                refusal,
                source,
                times,
            };
            self.say(what, out);
        }
    }

    /// What differs between the routers: said, never a reason to drop it
    /// (RFC 9568 §7.1; VRRP.md, trap 5).
    fn compare(&mut self, received: &Received, now: Instant, out: &mut Vec<Action>) {
        self.learn_form(received, now, out);
        let source = received.source;
        let theirs = &received.advert.addresses;
        if same_addresses(theirs, &self.config.advertised()) {
            self.log.addresses_agree();
        } else {
            self.statistics.addresses_differ += 1;
            if self.log.addresses_are_news(theirs, now) {
                let theirs = theirs.iter().collect();
                self.say(What::AddressesDiffer { source, theirs }, out);
            }
        }
        let (theirs, ours) = (received.advert.interval, self.config.advertise_interval);
        if theirs != ours {
            self.statistics.intervals_differ += 1;
            if self.log.interval_is_news(source, theirs, now) {
                let what = What::IntervalDiffers {
                    source,
                    theirs,
                    ours,
                };
                self.say(what, out);
            }
        }
        if self.config.priority.is_owner() && self.log.may_say(Topic::Owner, now) {
            self.say(What::Owner { source }, out);
        }
    }

    /// `auto`: sends the checksum that the last peer was understood with.
    fn learn_form(&mut self, received: &Received, now: Instant, out: &mut Vec<Action>) {
        let open = self.config.version == Version::V3 && self.config.identity.family == Family::V4;
        if !open || self.config.checksum != Checksum::Auto {
            return;
        }
        let before = self.form();
        self.learned_form = Some(received.form);
        if before != received.form && self.log.may_say(Topic::Checksum, now) {
            let (source, form) = (received.source, received.form);
            self.say(What::Checksum { source, form }, out);
        }
    }
}

/// In whatever order.
fn same_addresses(a: &Addresses, b: &Addresses) -> bool {
    a == b || {
        let sorted = |list: &Addresses| {
            let mut list: Vec<_> = list.iter().collect();
            list.sort_unstable();
            list.dedup();
            list
        };
        sorted(a) == sorted(b)
    }
}
