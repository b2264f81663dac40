//! Backup: RFC 9568 §6.4.2.

use super::log::Topic;
use super::state::{Backup, Inferior, State};
use super::timing::{active_down_interval, skew_time};
use super::{Action, Fault, Reason, Router, What};
use crate::packet::{Centiseconds, Priority, Received};
use crate::time::{Duration, Instant};

impl Router {
    /// Listens from now on. Whoever is Active has not been heard yet, so that
    /// our own interval is the best guess (RFC 9568 §6.4.1).
    pub(super) fn become_backup(&mut self, reason: Reason, now: Instant, out: &mut Vec<Action>) {
        let interval = self.config.advertise_interval;
        let starting = matches!(
            reason,
            Reason::Listens {
                after: Fault::NotStarted
            }
        );
        let startup_delay = if starting {
            self.config.startup_delay
        } else {
            Duration::ZERO
        };
        let first = self.config.group.as_ref().is_some_and(|group| group.first);
        let listens = match reason {
            Reason::LargerAddress { .. } if first => {
                self.down_interval(interval) + interval.duration()
            }
            _ => startup_delay,
        };
        let patience = self.down_interval(interval).max(listens);
        let backup = Backup {
            active_down_timer: (!self.config.governed).then_some(now + patience),
            ready: false,
            looks_again: false,
            armed_at: now,
            active_adver_interval: interval,
            active: None,
            stopped: None,
            inferior: None,
            listen_until: now + listens,
        };
        self.enter(State::Backup(backup), reason, out);
    }

    /// The Active_Down_Interval of an Active router that advertises so often.
    pub(super) fn down_interval(&self, active_adver_interval: Centiseconds) -> Duration {
        active_down_interval(self.config.version, self.rank(), active_adver_interval)
    }

    /// RFC 9568 §6.4.2: the Active_Down_Timer fires.
    pub(super) fn on_active_down_timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        let ours = self.rank();
        let State::Backup(backup) = &mut self.state else {
            return;
        };
        let Some(by) = backup
            .active_down_timer
            .filter(|&timer| now >= timer)
            .map(|timer| timer.until(now))
        else {
            return;
        };
        if by >= self.config.advertise_interval.duration() && !backup.looks_again {
            // What was sent meanwhile waits to be read (VRRP.md, trap 19).
            backup.looks_again = true;
            let interval = backup.active_adver_interval;
            let skew = skew_time(self.config.version, ours, interval);
            backup.active_down_timer = Some(now + skew);
            if self.log.may_say(Topic::Late, now) {
                self.say(What::Late { by }, out);
            }
            return;
        }
        if self.config.group.is_some() {
            backup.ready = true;
            return;
        }
        self.take_over(now, out);
    }

    /// The whole group is ready: none of its Active routers is heard any more.
    pub(super) fn on_mates_ready(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.is_ready() {
            self.take_over(now, out);
        }
    }

    fn take_over(&mut self, now: Instant, out: &mut Vec<Action>) {
        let State::Backup(backup) = &self.state else {
            return;
        };
        let after = backup.armed_at.until(now);
        let reason = match backup.stopped {
            Some(source) => Reason::ActiveStopped { source, after },
            None => Reason::ActiveDownTimer {
                after,
                preempts: backup
                    .inferior
                    .filter(|inferior| !inferior.spared)
                    .map(|inferior| (inferior.source, inferior.priority)),
            },
        };
        let until = now + self.lease();
        self.become_active(reason, until, now, out);
    }

    /// RFC 9568 §6.4.2: an advertisement is received.
    pub(super) fn on_advert_in_backup(&mut self, received: &Received, now: Instant) {
        let (ours, governed) = (self.rank(), self.config.governed);
        let (preempt, delay) = (self.config.preempt, self.config.preempt_delay);
        let version = self.config.version;
        let State::Backup(backup) = &mut self.state else {
            return;
        };
        let source = received.source;
        let interval = received.advert.interval;
        let Some(theirs) = received.advert.priority else {
            // It stops: the highest of those who wait is first.
            backup.stopped = Some(source);
            backup.active = None;
            backup.arm(
                skew_time(version, ours, backup.active_adver_interval),
                governed,
                now,
            );
            return;
        };
        if preempt && theirs < ours && !backup.spares(received, theirs, delay, now) {
            // Discarded: the timer runs on, nothing is learned.
            return;
        }
        if theirs >= ours {
            backup.inferior = None;
        }
        backup.active = Some(source);
        backup.stopped = None;
        backup.active_adver_interval = interval;
        backup.arm(active_down_interval(version, ours, interval), governed, now);
    }
}

impl Backup {
    /// Waits for `span`, and until the startup_delay has ended.
    fn arm(&mut self, span: Duration, governed: bool, now: Instant) {
        self.armed_at = now;
        self.ready = false;
        self.looks_again = false;
        self.active_down_timer = (!governed).then_some(self.listen_until.max(now + span));
    }

    /// Whether an Active router of lower priority is left alone for now: while
    /// listening after the start, and for the preempt_delay.
    fn spares(
        &mut self,
        received: &Received,
        priority: Priority,
        preempt_delay: Duration,
        now: Instant,
    ) -> bool {
        let preempt_after = match self.inferior {
            Some(inferior) => inferior.preempt_after,
            None => self.listen_until.max(now + preempt_delay),
        };
        let spared = now < preempt_after;
        self.inferior = Some(Inferior {
            source: received.source,
            priority,
            preempt_after,
            spared,
        });
        spared
    }
}
