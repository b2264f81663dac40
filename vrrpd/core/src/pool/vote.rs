//! How a party answers the others' requests (PROTOCOL.md, Claim 2 and 4,
//! Renewing).

use super::database::Position;
use super::member::{Member, Online, Released, Role};
use super::message::{Body, Envelope, Nonce, Reason};
use super::record::{Epoch, NodeId, Record};
use super::rule::Rule;
use super::voter::{Candidate, Denial};
use super::{Action, Decision};
use crate::time::{Duration, Instant};

impl Member {
    pub(crate) fn on_claim(&mut self, envelope: &Envelope, now: Instant, out: &mut Vec<Action>) {
        let Body::Claim {
            epoch,
            record,
            effective,
            copy,
            force,
        } = envelope.body
        else {
            return;
        };
        self.counter_seen = self.counter_seen.max(epoch.counter);
        let candidate = Candidate {
            node: envelope.from,
            epoch,
            record,
            effective,
            copy,
            force,
        };
        if let Err(denial) = self
            .voter
            .judge(&candidate, self.denies_as_primary(now), now)
        {
            self.deny(envelope.from, epoch, denial, out);
            return;
        }
        let first = self.rules.hold(Rule::StepDownBeforePromise);
        if first {
            self.step_aside(now, out);
        }
        self.voter.promise(epoch, out);
        let body = Body::Promise {
            epoch,
            record: self.voter.durable.record,
            effective: self.voter.durable.effective,
        };
        self.send(envelope.from, body, out);
        if !first {
            self.step_aside(now, out);
        }
        out.push(Action::Decided(Decision::Promised { epoch }));
        self.rearm(now);
    }

    /// Whether it denies claims because it reigns.
    fn denies_as_primary(&self, now: Instant) -> bool {
        let leased = self.has_lease(now) && self.rules.hold(Rule::LeasedPrimaryDenies);
        let alone = self.is_alone() && self.rules.hold(Rule::StepDownBeforePromise);
        leased || alone
    }

    fn deny(&self, to: NodeId, epoch: Epoch, denial: Denial, out: &mut Vec<Action>) {
        let body = Body::Deny {
            epoch,
            promised: self.voter.durable.promised,
            record: self.voter.durable.record,
            retry_after: denial.retry_after,
            reason: denial.reason,
        };
        self.send(to, body, out);
    }

    fn deny_for(&self, to: NodeId, epoch: Epoch, reason: Reason, out: &mut Vec<Action>) {
        let denial = Denial {
            reason,
            retry_after: Duration::ZERO,
        };
        self.deny(to, epoch, denial, out);
    }

    pub(crate) fn on_accept(
        &mut self,
        from: NodeId,
        record: Record,
        nonce: Nonce,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.counter_seen = self.counter_seen.max(record.epoch.counter);
        if self.voter.is_blank() {
            self.deny_for(from, record.epoch, Reason::Blank, out);
            return;
        }
        if !self.voter.is_named() {
            self.deny_for(from, record.epoch, Reason::Replaced, out);
            return;
        }
        if record.epoch < self.voter.durable.promised {
            self.deny_for(from, record.epoch, Reason::Outbid, out);
            return;
        }
        self.adopt(record, false, now, out);
        if !self.grant(from, &record, now, out) {
            return;
        }
        let body = Body::Accepted {
            epoch: record.epoch,
            version: record.version,
            nonce,
        };
        self.send(from, body, out);
    }

    pub(crate) fn on_renew(
        &mut self,
        from: NodeId,
        record: Record,
        effective: bool,
        nonce: Nonce,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.counter_seen = self.counter_seen.max(record.epoch.counter);
        if self.voter.is_blank() && !(effective && self.voter.is_named_in(&record)) {
            self.deny_for(from, record.epoch, Reason::Blank, out);
            return;
        }
        if self.voter.durable.promised > record.epoch {
            self.deny_for(from, record.epoch, Reason::Outbid, out);
            return;
        }
        if self.voter.is_blank() {
            out.push(Action::Decided(Decision::Formed { record }));
        }
        self.adopt(record, effective, now, out);
        if let Role::Claiming(claim) = &self.role
            && claim.accepting.is_none()
            && self.rules.hold(Rule::RecheckAtPromise)
        {
            self.abandon_claim("a Primary was heard", now, out);
        }
        if !self.grant(from, &record, now, out) {
            return;
        }
        let body = Body::Renewed {
            epoch: record.epoch,
            version: record.version,
            nonce,
        };
        self.send(from, body, out);
    }

    /// Remembers a higher record, on disk, after leaving what it ends.
    fn adopt(&mut self, record: Record, effective: bool, now: Instant, out: &mut Vec<Action>) {
        if record.is_above(self.voter.durable.record.as_ref()) {
            self.step_aside(now, out);
        }
        if self.voter.remember(record, effective) {
            self.voter.persist(out);
        }
        self.resume_pending &= record.primary == self.config.id;
    }

    /// Grants a lease, unless this voter has been replaced.
    fn grant(&mut self, to: NodeId, record: &Record, now: Instant, out: &mut Vec<Action>) -> bool {
        if !self.voter.is_named() {
            self.deny_for(to, record.epoch, Reason::Replaced, out);
            return false;
        }
        self.voter.extend_grant(record, now);
        self.rearm(now);
        true
    }

    pub(crate) fn on_deny(&mut self, envelope: &Envelope, now: Instant, out: &mut Vec<Action>) {
        let Body::Deny {
            epoch,
            promised,
            record,
            retry_after,
            reason,
        } = envelope.body
        else {
            return;
        };
        let recorded = record.map_or(0, |record| record.epoch.counter);
        self.counter_seen = self.counter_seen.max(promised.counter).max(recorded);
        match &self.role {
            Role::Claiming(_) => {
                self.on_claim_denied(envelope.from, epoch, reason, retry_after, now, out);
            }
            Role::Primary(_) => self.on_reign_denied(epoch, promised, record, now, out),
            Role::Online(_) | Role::Releasing(_) => {}
        }
    }

    /// A Release clears the grant of its epoch; a manager in sync claims, and
    /// passes the word on, so that the arbiter hears it before the claim.
    pub(crate) fn on_release(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        position: Option<Position>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.voter.release(epoch);
        let ours = self.config.id != NodeId::R && epoch.node != self.config.id;
        if !ours || self.reign() != epoch || self.voter.durable.promised > epoch {
            return;
        }
        if from == epoch.node {
            self.send(NodeId::R, Body::Release { epoch, position }, out);
        }
        self.released = Some(Released {
            epoch,
            position,
            at: now,
        });
        match &mut self.role {
            Role::Online(online) => *online = Online::until(now),
            Role::Claiming(claim) if claim.accepting.is_none() => claim.retry_at = now,
            Role::Claiming(_) | Role::Primary(_) | Role::Releasing(_) => {}
        }
    }
}
