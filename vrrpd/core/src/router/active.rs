//! Active: RFC 9568 §6.4.3.

use std::net::IpAddr;
use std::sync::Arc;

use super::log::Topic;
use super::state::{Active, Announcing, Fight, Rival, State};
use super::timing;
use super::{Action, Address, Announce, Config, Reason, Router, What};
use crate::packet::{Priority, Received, Version};
use crate::time::{Duration, Instant};

impl Router {
    /// Takes the addresses until `until`: advertisement, addresses,
    /// announcement, in that order (RFC 9568 §6.4.1, §6.4.2).
    pub(super) fn become_active(
        &mut self,
        reason: Reason,
        until: Instant,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.statistics.became_active += 1;
        let from = self.state.name();
        self.state = State::Active(Active {
            adver_timer: now + self.config.advertise_interval.duration(),
            until,
            announcing: Announcing {
                next: None,
                rounds: 0,
                again: None,
            },
            rival: None,
            fight: Fight::default(),
        });
        self.send_advert(Some(self.rank()), out);
        self.install(now, out);
        self.log_transition(from, reason, out);
    }

    /// How long an advertisement gives the right to the addresses.
    pub(super) fn lease(&self) -> Duration {
        timing::lease(self.config.version, self.config.advertise_interval)
    }

    /// Puts all addresses on the interface, and announces them.
    pub(super) fn install(&mut self, now: Instant, out: &mut Vec<Action>) {
        let addresses = self.config.addresses.clone();
        self.add(addresses.clone(), out);
        self.begin_announcing(addresses, now, out);
    }

    fn add(&self, addresses: Vec<Address>, out: &mut Vec<Action>) {
        let State::Active(active) = &self.state else {
            return;
        };
        out.push(Action::AddAddresses {
            addresses,
            until: active.until,
            // RFC 9568 §6.4.3: the owner accepts always.
            accept: self.config.accept || self.config.priority.is_owner(),
        });
    }

    /// Announces `addresses` now, and all of them in the rounds that follow.
    fn begin_announcing(&mut self, addresses: Vec<Address>, now: Instant, out: &mut Vec<Action>) {
        let announce = self.config.announce;
        let State::Active(active) = &mut self.state else {
            return;
        };
        active.announcing.rounds = announce.repeats;
        active.announcing.next = next_round(announce, announce.repeats, now);
        out.push(Action::Announce {
            addresses,
            count: announce.count,
        });
    }

    /// Gives the addresses up, then says so: the one who takes over shall not
    /// find them still here (VRRP.md, trap 12).
    pub(super) fn resign(&mut self, out: &mut Vec<Action>) {
        self.remove_addresses(out);
        self.send_advert(None, out);
    }

    fn send_advert(&mut self, priority: Option<Priority>, out: &mut Vec<Action>) {
        let Some(source) = self.source else {
            return;
        };
        self.statistics.adverts_sent += 1;
        if priority.is_none() {
            self.statistics.priority_zero_sent += 1;
        }
        out.push(Action::SendAdvert { priority, source });
    }

    /// Advertises, and with that keeps the addresses.
    fn advertise(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.send_advert(Some(self.rank()), out);
        let renewed = now + self.lease();
        let governed = self.config.governed;
        let State::Active(active) = &mut self.state else {
            return;
        };
        // Governed, the pool's lease does that.
        if !governed && renewed != active.until {
            active.until = renewed;
            out.push(Action::RenewAddresses { until: renewed });
        }
    }

    /// Advertises, and waits a whole interval for the next time.
    pub(super) fn advertise_at_once(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.advertise(now, out);
        let interval = self.config.advertise_interval.duration();
        if let State::Active(active) = &mut self.state {
            active.adver_timer = now + interval;
        }
    }

    /// An Active router that was not run in time may have been replaced: gives
    /// the addresses up before it looks at anything else.
    pub(super) fn yield_if_late(&mut self, now: Instant, out: &mut Vec<Action>) {
        let State::Active(active) = &self.state else {
            return;
        };
        if now < active.until {
            return;
        }
        self.statistics.late += 1;
        let reason = if self.config.governed {
            Reason::HoldEnded
        } else {
            Reason::Late {
                by: active.adver_timer.until(now),
            }
        };
        self.remove_addresses(out);
        self.become_backup(reason, now, out);
    }

    /// Whatever is due.
    pub(super) fn on_active_timers(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.on_adver_timer(now, out);
        self.on_rival_timer(now, out);
        self.on_announce_timer(now, out);
        if let State::Active(active) = &mut self.state {
            active.fight.forget(now);
        }
    }

    /// RFC 9568 §6.4.3: the Adver_Timer fires.
    fn on_adver_timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        let interval = self.config.advertise_interval.duration();
        let State::Active(active) = &mut self.state else {
            return;
        };
        let due = active.adver_timer;
        if now < due {
            return;
        }
        // In step, unless that would be in the past.
        let in_step = due + interval;
        active.adver_timer = if in_step > now {
            in_step
        } else {
            now + interval
        };
        let by = due.until(now);
        if by > interval && self.log.may_say(Topic::Late, now) {
            self.say(What::Late { by }, out);
        }
        self.advertise(now, out);
    }

    fn on_announce_timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        let announce = self.config.announce;
        let State::Active(active) = &mut self.state else {
            return;
        };
        let announcing = &mut active.announcing;
        if announcing.next.is_none_or(|next| now < next) {
            return;
        }
        announcing.rounds = announcing.rounds.saturating_sub(1);
        announcing.next = next_round(announce, announcing.rounds, now);
        announcing.again = Some(now);
        out.push(Action::Announce {
            addresses: self.config.addresses.clone(),
            count: 1,
        });
    }

    /// RFC 9568 §6.4.3: an advertisement is received.
    pub(super) fn on_advert_in_active(
        &mut self,
        received: &Received,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.config.governed {
            // Never by itself deposes: it is announced where the addresses are.
            self.on_rival(received, now, out);
            return;
        }
        let ours = self.rank();
        let source = received.source;
        match received.advert.priority {
            None => {
                self.advertise_at_once(now, out);
                self.on_rival(received, now, out);
            }
            Some(theirs) if theirs > ours => {
                let reason = Reason::HigherPriority {
                    source,
                    theirs,
                    ours,
                };
                self.yield_to(received, reason, now, out);
            }
            Some(theirs) if theirs == ours && self.source.is_some_and(|own| source > own) => {
                let reason = Reason::LargerAddress {
                    source,
                    priority: theirs,
                };
                self.yield_to(received, reason, now, out);
            }
            Some(_) => {
                match self.config.version {
                    // RFC 3768 §6.4.3: discarded.
                    Version::V2 => {}
                    // At once, the Adver_Timer as it was.
                    Version::V3 => self.advertise(now, out),
                }
                self.on_rival(received, now, out);
            }
        }
    }

    fn yield_to(
        &mut self,
        received: &Received,
        reason: Reason,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.remove_addresses(out);
        self.become_backup(reason, now, out);
        self.on_advert_in_backup(received, now);
    }

    /// The group leaves Active together. Whoever takes over shall not wait for
    /// this router's silence.
    pub(super) fn on_mate_left(&mut self, mate: Arc<str>, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Initialize(_) | State::Backup(_) => {}
            State::Active(_) if self.config.group.is_none() => {}
            State::Active(_) => {
                self.resign(out);
                self.become_backup(Reason::Mate(mate), now, out);
            }
        }
    }

    /// Another is, or was, Active too: the switches and neighbours have heard
    /// it, and must hear this router last (VRRP.md, traps 8 and 13).
    fn on_rival(&mut self, received: &Received, now: Instant, out: &mut Vec<Action>) {
        self.statistics.rivals += 1;
        let (source, priority) = (received.source, received.advert.priority);
        if self.log.may_say(Topic::Rival, now) {
            self.say(What::Rival { source, priority }, out);
        }
        let until = now + self.down_interval(received.advert.interval);
        let State::Active(active) = &mut self.state else {
            return;
        };
        active.rival = priority.map(|_| Rival { source, until });
        self.reannounce(now, out);
    }

    fn on_rival_timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        let State::Active(active) = &mut self.state else {
            return;
        };
        let Some(rival) = active.rival.filter(|rival| now >= rival.until) else {
            return;
        };
        active.rival = None;
        if self.log.may_say(Topic::RivalGone, now) {
            let source = rival.source;
            self.say(What::RivalGone { source }, out);
        }
        self.reannounce(now, out);
    }

    /// Announces again, at most once an interval whatever is sent to it.
    fn reannounce(&mut self, now: Instant, out: &mut Vec<Action>) {
        let interval = self.config.advertise_interval.duration();
        let State::Active(active) = &mut self.state else {
            return;
        };
        let announcing = &mut active.announcing;
        match announcing.again.map(|again| again + interval) {
            Some(allowed) if now < allowed => {
                announcing.rounds = announcing.rounds.max(1);
                announcing.next = Some(announcing.next.map_or(allowed, |next| next.min(allowed)));
            }
            Some(_) | None => {
                announcing.again = Some(now);
                self.begin_announcing(self.config.addresses.clone(), now, out);
            }
        }
    }

    /// Puts back what somebody else deleted (VRRP.md, trap 17).
    pub(super) fn on_address_deleted(
        &mut self,
        deleted: IpAddr,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let ours = |address: &&Address| address.ip == deleted;
        let Some(&address) = self.config.addresses.iter().find(ours) else {
            return;
        };
        match &mut self.state {
            // Not there, as it should be.
            State::Initialize(_) | State::Backup(_) => {}
            State::Active(active) => {
                let times = active.fight.count(now);
                if active.fight.lost().is_some() && !self.config.governed {
                    return;
                }
                self.statistics.put_back += 1;
                self.add(vec![address], out);
                out.push(Action::Announce {
                    addresses: vec![address],
                    count: 1,
                });
                let address = address.ip;
                self.say(What::PutBack { address, times }, out);
            }
        }
    }

    /// Reload: new addresses appear, old ones go, the others stay.
    pub(super) fn change_addresses(
        &mut self,
        before: &Config,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let gone = without(&before.addresses, &self.config.addresses);
        let new = without(&self.config.addresses, &before.addresses);
        if !gone.is_empty() {
            out.push(Action::RemoveAddresses {
                addresses: gone,
                owned: before.priority.is_owner(),
            });
        }
        if before.accept != self.config.accept {
            self.add(self.config.addresses.clone(), out);
        } else if !new.is_empty() {
            self.add(new.clone(), out);
        }
        if !new.is_empty() {
            self.begin_announcing(new, now, out);
        }
    }
}

/// The addresses of `list` that `other` lacks.
fn without(list: &[Address], other: &[Address]) -> Vec<Address> {
    let lacking = |address: &&Address| !other.contains(address);
    list.iter().filter(lacking).copied().collect()
}

/// When to announce again, with `rounds` of the first burst left.
fn next_round(announce: Announce, rounds: u8, now: Instant) -> Option<Instant> {
    if rounds > 0 {
        Some(now + announce.repeat_after)
    } else {
        announce.refresh.map(|refresh| now + refresh)
    }
}
