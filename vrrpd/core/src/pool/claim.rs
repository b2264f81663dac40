//! Becoming Primary (PROTOCOL.md, Claim).

use super::member::{Member, Online, Role};
use super::message::{Body, Envelope, Nonce, Reason};
use super::primary::Primary;
use super::record::{CopyId, Epoch, InSync, NodeId, Record};
use super::rule::Rule;
use super::{Action, Decision};
use crate::time::Instant;

/// A claim that is out.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) epoch: Epoch,
    /// An operator's word replaces the in-sync check.
    force: bool,
    /// Given up then, for a higher ballot later.
    pub(crate) retry_at: Instant,
    /// A quorum has promised; the record is on its way.
    pub(crate) accepting: Option<Accepting>,
}

/// The second half of a claim.
#[derive(Clone, Debug)]
pub(crate) struct Accepting {
    record: Record,
    nonce: Nonce,
    /// The first sending of `nonce`: the lease runs from here.
    sent: Instant,
    pub(crate) resend_at: Instant,
}

impl Claim {
    /// When something is to be done without an event.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.accepting {
            Some(accepting) => accepting.resend_at.min(self.retry_at),
            None => self.retry_at,
        }
    }
}

impl Member {
    /// Whether this node may claim now, and with which copy (Claim 1).
    ///
    /// Whether its copy is in sync is not asked here: its own record may be
    /// behind, and the voters know better.
    pub(crate) fn may_claim(&self, force: bool, now: Instant) -> Result<CopyId, &'static str> {
        let Some(record) = self.voter.durable.record else {
            return Err("it remembers no pool");
        };
        if self.voter.is_quiet(now) && self.rules.hold(Rule::QuietClaimsNothing) {
            return Err("it started less than a lease ago");
        }
        if !self.voter.is_named() {
            return Err("it is no longer named as a voter");
        }
        if self.voter.grant_against(self.config.id, now).is_some()
            && self.rules.hold(Rule::GrantBlocksClaim)
        {
            return Err("its grant to another still runs");
        }
        if self.priority == 0 {
            return Err("its priority is 0 (fault)");
        }
        let copy = self.promotable_copy(now)?;
        if !force && !self.holds_released_position(&record, now) {
            return Err("its copy has not received all that the last Primary wrote");
        }
        Ok(copy)
    }

    /// The copy id of a database that can be promoted now.
    pub(crate) fn promotable_copy(&self, now: Instant) -> Result<CopyId, &'static str> {
        if self.database.is_none() {
            return Err("its replicator is not connected");
        }
        // A process that was stopped knows its database only as it was then.
        if self.database_heard.until(now) >= self.config.replicator_timeout {
            return Err("its replicator is silent");
        }
        let Some(database) = self.reconciled() else {
            return Err("its database is on the way to be a standby");
        };
        if !database.healthy || database.server != super::database::Server::Standby {
            return Err("its database is not a healthy standby");
        }
        database.copy.ok_or("its database has no copy id yet")
    }

    /// Whether the position that a Release of `record`'s reign named is on disk.
    ///
    /// What was acknowledged is guarded by the in-sync set; the position only
    /// spares the old Primary a rewind. When nobody became Primary within
    /// `switchover_timeout`, it is waited for no more.
    fn holds_released_position(&self, record: &Record, now: Instant) -> bool {
        let Some(wanted) = self
            .released
            .filter(|released| released.epoch == record.epoch)
            .filter(|released| released.at.until(now) < self.config.switchover_timeout)
            .and_then(|released| released.position)
        else {
            return true;
        };
        self.database
            .and_then(|database| database.position)
            .is_some_and(|held| held.timeline == wanted.timeline && held.lsn >= wanted.lsn)
    }

    /// Reserves a ballot and asks both others. Not yet its own promise.
    pub(crate) fn begin_claim(
        &mut self,
        force: bool,
        why: &'static str,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Ok(copy) = self.may_claim(force, now) else {
            return;
        };
        let epoch = self.voter.reserve(self.counter_seen, out);
        out.push(Action::Decided(Decision::Claims { epoch, why }));
        let patience = self.config.advertise_interval + self.jitter();
        self.role = Role::Claiming(Claim {
            epoch,
            force,
            retry_at: now + patience,
            accepting: None,
        });
        self.send_claim(epoch, copy, force, out);
    }

    pub(crate) fn send_claim(
        &mut self,
        epoch: Epoch,
        copy: CopyId,
        force: bool,
        out: &mut Vec<Action>,
    ) {
        let body = Body::Claim {
            epoch,
            record: self.voter.durable.record,
            effective: self.voter.is_effective(),
            copy,
            force,
        };
        self.send_both(body, out);
    }

    /// One promise makes a quorum with its own: checks again, promises itself,
    /// and asks that its record be accepted (Claim 3).
    pub(crate) fn on_promise(
        &mut self,
        envelope: &Envelope,
        epoch: Epoch,
        shown: Option<Record>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Role::Claiming(claim) = &self.role else {
            self.on_reclaim_promise(envelope, epoch, shown, now, out);
            return;
        };
        if claim.epoch != epoch || claim.accepting.is_some() {
            return;
        }
        let force = claim.force;
        match self.judge_promise(envelope, epoch, shown, force, now) {
            Ok(Some(record)) => self.send_accept(record, now, out),
            Ok(None) => {}
            Err(why) => self.abandon_claim(why, now, out),
        }
    }

    /// The record to be accepted; nothing when the promise does not count.
    fn judge_promise(
        &self,
        envelope: &Envelope,
        epoch: Epoch,
        shown: Option<Record>,
        force: bool,
        now: Instant,
    ) -> Result<Option<Record>, &'static str> {
        let Some(own) = self.voter.durable.record else {
            return Err("it remembers no pool");
        };
        let highest = shown
            .filter(|shown| shown.is_above(Some(&own)))
            .unwrap_or(own);
        let map = if self.rules.hold(Rule::VotesByHighestMap) {
            highest.voters
        } else {
            own.voters
        };
        if self.rules.hold(Rule::VotesAreNamed)
            && !self.peers[envelope.from.index()].votes(envelope, &map)
        {
            return Ok(None);
        }
        if self.rules.hold(Rule::VotesAreNamed)
            && map.of(self.config.id) != self.voter.durable.incarnation
        {
            return Err("it is no longer named as a voter");
        }
        if self.voter.durable.promised > epoch && self.rules.hold(Rule::NoRecordBelowPromised) {
            return Err("it has promised a higher ballot since");
        }
        let copy = if self.rules.hold(Rule::RecheckAtPromise) {
            self.may_claim(force, now)?
        } else {
            self.database
                .and_then(|database| database.copy)
                .ok_or("its database has no copy id yet")?
        };
        let in_sync = self.voter.holds(&highest, self.config.id, copy)
            && self.forced_right(&own, &highest, shown);
        if !in_sync && !force {
            return Err("its copy is not in sync by the highest record");
        }
        if !force && !self.holds_released_position(&highest, now) {
            return Err("its copy has not received all that the last Primary wrote");
        }
        Ok(Some(Record {
            epoch,
            version: 0,
            primary: self.config.id,
            in_sync: InSync::only(self.config.id, copy),
            voters: map,
            forced: !in_sync,
        }))
    }

    /// A forced record of its own that is not effective gives no in-sync right
    /// unless the promise shows the same record.
    fn forced_right(&self, own: &Record, highest: &Record, shown: Option<Record>) -> bool {
        !self.rules.hold(Rule::ForcedGivesNoRight)
            || highest != own
            || !own.forced
            || self.voter.is_effective()
            || shown == Some(*own)
    }

    fn send_accept(&mut self, record: Record, now: Instant, out: &mut Vec<Action>) {
        let durable = &mut self.voter.durable;
        durable.promised = durable.promised.max(record.epoch);
        durable.record = Some(record);
        self.voter.persist(out);
        let nonce = self.next_nonce();
        if let Role::Claiming(claim) = &mut self.role {
            claim.retry_at = now + self.config.lease;
            claim.accepting = Some(Accepting {
                record,
                nonce,
                sent: now,
                resend_at: now + self.config.advertise_interval,
            });
        }
        self.send_both(Body::Accept { record, nonce }, out);
    }

    /// An acceptance from another voter: the record is effective, and this node
    /// is Primary (Claim 5). The lease runs from the first sending.
    pub(crate) fn on_accepted(
        &mut self,
        envelope: &Envelope,
        epoch: Epoch,
        nonce: Nonce,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Role::Claiming(Claim {
            accepting: Some(accepting),
            ..
        }) = &self.role
        else {
            return;
        };
        let record = accepting.record;
        let counts = record.epoch == epoch
            && accepting.nonce == nonce
            && (self.voter.durable.promised == epoch
                || !self.rules.hold(Rule::NoRecordBelowPromised))
            && self.voter.durable.record == Some(record)
            && (self.peers[envelope.from.index()].votes(envelope, &record.voters)
                || !self.rules.hold(Rule::VotesAreNamed));
        if !counts {
            return;
        }
        if self.database.and_then(|database| database.copy) != record.in_sync.copy(self.config.id) {
            self.voter.durable.effective = Some(record);
            self.voter.persist(out);
            self.abandon_claim("its data directory has been replaced", now, out);
            return;
        }
        let lease_until = self.lease_from(accepting.sent);
        let sent = (nonce.count, accepting.sent);
        self.voter.durable.effective = Some(record);
        let primary = Primary::elected(lease_until, sent, now, &self.config);
        self.become_primary(primary, Decision::Primary { epoch }, now, out);
        self.expire(now, out);
    }

    /// A Deny that answers this node's claim.
    pub(crate) fn on_claim_denied(
        &mut self,
        by: NodeId,
        epoch: Epoch,
        reason: Reason,
        retry_after: core::time::Duration,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let slow = self.config.advertise_interval * 10;
        let wait = match reason {
            Reason::Outbid => self.jitter(),
            // Just behind the end of the grant, or of the quiet, as the other
            // clock may have it.
            Reason::Granted | Reason::Quiet => {
                if self.is_released() {
                    self.config.advertise_interval / 20
                } else {
                    retry_after + retry_after / super::DRIFT
                }
            }
            Reason::Primary => retry_after + self.jitter(),
            Reason::Blank | Reason::NotInSync | Reason::Forced | Reason::Replaced => {
                slow + self.jitter()
            }
        };
        let Role::Claiming(claim) = &mut self.role else {
            return;
        };
        if claim.epoch != epoch || claim.accepting.is_some() {
            return;
        }
        // A manager's Deny for want of a grant says nothing of the arbiter's.
        claim.retry_at = match reason {
            Reason::Granted | Reason::Quiet | Reason::Outbid => now + wait,
            _ => claim.retry_at.max(now + wait),
        };
        out.push(Action::Decided(Decision::Denied { epoch, by, reason }));
    }

    /// Whether the Primary of the present record has said that it stopped.
    fn is_released(&self) -> bool {
        let epoch = self.voter.durable.record.map(|record| record.epoch);
        self.released
            .is_some_and(|released| Some(released.epoch) == epoch)
    }

    /// Gives an unanswered or hopeless claim up.
    pub(crate) fn abandon_claim(&mut self, why: &'static str, now: Instant, out: &mut Vec<Action>) {
        let Role::Claiming(claim) = &self.role else {
            return;
        };
        out.push(Action::Decided(Decision::Abandons {
            epoch: claim.epoch,
            why,
        }));
        let wait = self.config.advertise_interval + self.jitter();
        self.role = Role::Online(Online::until(now + wait));
    }

    /// What a claim does when its time has come.
    pub(crate) fn on_claim_timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        let interval = self.config.advertise_interval;
        let Role::Claiming(claim) = &mut self.role else {
            return;
        };
        if now >= claim.retry_at {
            let force = claim.force;
            self.role = Role::Online(Online::until(now));
            if !force {
                return;
            }
            // A force that failed needs the word again.
            self.role = Role::Online(Online::until(now + interval * 10));
            return;
        }
        if let Some(accepting) = &mut claim.accepting
            && now >= accepting.resend_at
        {
            accepting.resend_at = now + interval;
            let body = Body::Accept {
                record: accepting.record,
                nonce: accepting.nonce,
            };
            self.send_both(body, out);
        }
    }
}
