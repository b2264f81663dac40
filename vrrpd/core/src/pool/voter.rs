//! A party's vote: what it promised, what it remembers, whom it granted a lease
//! (PROTOCOL.md, State of a voter).

use core::time::Duration;

use super::Action;
use super::message::Reason;
use super::record::{CopyId, Durable, Epoch, NodeId, Record};
use super::rule::{Rule, Rules};
use crate::time::Instant;

/// A lease given to a Primary, in memory only: a voter that has forgotten it
/// is quiet for as long as it could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) holder: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) until: Instant,
}

/// A claim as a voter judges it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) record: Option<Record>,
    pub(crate) effective: bool,
    pub(crate) copy: CopyId,
    pub(crate) force: bool,
}

/// Why something is denied, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    pub(crate) retry_after: Duration,
}

impl Denial {
    const fn now(reason: Reason) -> Self {
        Self {
            reason,
            retry_after: Duration::ZERO,
        }
    }
}

/// The voter of one party.
#[derive(Clone, Debug)]
pub(crate) struct Voter {
    pub(crate) id: NodeId,
    pub(crate) durable: Durable,
    pub(crate) grant: Option<Grant>,
    pub(crate) quiet_until: Instant,
    lease: Duration,
    rules: Rules,
}

impl Voter {
    pub(crate) fn new(id: NodeId, durable: Durable, lease: Duration, rules: Rules) -> Self {
        Self {
            id,
            durable,
            grant: None,
            quiet_until: Instant::ZERO,
            lease,
            rules,
        }
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Begins a boot: raised, and quiet for a lease, since grants are forgotten.
    pub(crate) fn boot(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.durable.boots += 1;
        self.quiet_until = now + self.quiet_span();
        self.persist(out);
    }

    fn quiet_span(&self) -> Duration {
        if self.rules.hold(Rule::QuietLastsALease) {
            self.lease
        } else {
            self.lease / 10
        }
    }

    /// Puts the state on disk before whatever follows in `out`.
    pub(crate) fn persist(&self, out: &mut Vec<Action>) {
        out.push(Action::Persist(self.durable));
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.durable.record.is_none()
    }

    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        now < self.quiet_until
    }

    /// Whether its highest record names it; only then does it vote.
    pub(crate) fn is_named(&self) -> bool {
        !self.rules.hold(Rule::VotesAreNamed)
            || !self.rules.hold(Rule::VotesByHighestMap)
            || self
                .durable
                .record
                .is_some_and(|record| self.is_named_in(&record))
    }

    pub(crate) fn is_named_in(&self, record: &Record) -> bool {
        record.voters.of(self.id) == self.durable.incarnation
    }

    /// A running grant to somebody other than `node`.
    pub(crate) fn grant_against(&self, node: NodeId, now: Instant) -> Option<Grant> {
        self.grant
            .filter(|grant| grant.holder != node && now < grant.until)
    }

    /// Whether the highest record is known to be accepted by a quorum.
    pub(crate) fn is_effective(&self) -> bool {
        self.durable.record.is_some() && self.durable.effective == self.durable.record
    }

    /// Judges a claim (PROTOCOL.md, Claim 2). `reigns`: this node is itself
    /// Primary with a lease, or alone by right.
    pub(crate) fn judge(
        &self,
        claim: &Candidate,
        reigns: bool,
        now: Instant,
    ) -> Result<(), Denial> {
        let Some(own) = self.durable.record else {
            return Err(Denial::now(Reason::Blank));
        };
        if !self.is_named() {
            return Err(Denial::now(Reason::Replaced));
        }
        if claim.epoch <= self.durable.promised || claim.epoch <= own.epoch {
            return Err(Denial::now(Reason::Outbid));
        }
        if self.is_quiet(now) && self.rules.hold(Rule::QuietPromisesNothing) {
            return Err(Denial {
                reason: Reason::Quiet,
                retry_after: now.until(self.quiet_until),
            });
        }
        if let Some(grant) = self.grant_against(claim.node, now)
            && self.rules.hold(Rule::GrantBlocksPromise)
        {
            return Err(Denial {
                reason: Reason::Granted,
                retry_after: now.until(grant.until),
            });
        }
        if reigns {
            return Err(Denial {
                reason: Reason::Primary,
                retry_after: self.lease,
            });
        }
        self.judge_copy(claim, &own)
    }

    fn judge_copy(&self, claim: &Candidate, own: &Record) -> Result<(), Denial> {
        if claim.force {
            return Ok(());
        }
        let shown = claim.record.filter(|shown| shown.is_above(Some(own)));
        if !self.holds(shown.as_ref().unwrap_or(own), claim.node, claim.copy) {
            return Err(Denial {
                reason: Reason::NotInSync,
                retry_after: self.lease,
            });
        }
        if shown.is_some_and(|shown| shown.forced)
            && !claim.effective
            && self.rules.hold(Rule::ForcedGivesNoRight)
        {
            return Err(Denial {
                reason: Reason::Forced,
                retry_after: self.lease,
            });
        }
        Ok(())
    }

    /// Whether `copy` of `node` is in the in-sync set of `record`.
    pub(crate) fn holds(&self, record: &Record, node: NodeId, copy: CopyId) -> bool {
        let named = record.in_sync.copy(node);
        if !self.rules.hold(Rule::ClaimNeedsInSync) {
            true
        } else if self.rules.hold(Rule::CopiesNotNames) {
            named == Some(copy)
        } else {
            named.is_some()
        }
    }

    /// Promises `epoch`, on disk. The caller has stepped down before.
    pub(crate) fn promise(&mut self, epoch: Epoch, out: &mut Vec<Action>) {
        assert!(epoch > self.durable.promised, "a promise never goes back");
        self.durable.promised = epoch;
        self.persist(out);
    }

    /// The highest counter that it remembers of any ballot.
    pub(crate) fn highest_counter(&self) -> u64 {
        let record = self.durable.record.map_or(0, |record| record.epoch.counter);
        let promised = self.durable.promised.counter;
        self.durable.reserved.max(promised).max(record)
    }

    /// Reserves the next ballot above `counter`, and above all that it
    /// remembers, on disk: never used again.
    pub(crate) fn reserve(&mut self, counter: u64, out: &mut Vec<Action>) -> Epoch {
        self.durable.reserved = self.highest_counter().max(counter) + 1;
        self.persist(out);
        Epoch {
            counter: self.durable.reserved,
            node: self.id,
        }
    }

    /// Remembers `record`, if it is higher than what is remembered, without
    /// putting it on disk yet. True if anything changed.
    pub(crate) fn remember(&mut self, record: Record, effective: bool) -> bool {
        let before = self.durable;
        if record.is_above(self.durable.record.as_ref()) {
            self.durable.record = Some(record);
        }
        if self.rules.hold(Rule::AcceptRaisesPromised) {
            self.durable.promised = self.durable.promised.max(record.epoch);
        }
        if effective && record.is_above(self.durable.effective.as_ref()) {
            self.durable.effective = Some(record);
        }
        self.durable != before
    }

    /// Grants a lease to the Primary of `record` from now on.
    pub(crate) fn extend_grant(&mut self, record: &Record, now: Instant) {
        let span = if self.rules.hold(Rule::GrantCoversLease) {
            self.lease
        } else {
            self.lease / 4
        };
        self.grant = Some(Grant {
            holder: record.primary,
            epoch: record.epoch,
            until: now + span,
        });
    }

    /// Clears the grant of `epoch`, and of no other.
    pub(crate) fn release(&mut self, epoch: Epoch) {
        if self.grant.is_some_and(|grant| {
            grant.epoch == epoch
                || (grant.holder == epoch.node && !self.rules.hold(Rule::ReleaseNamesItsEpoch))
        }) {
            self.grant = None;
        }
    }
}
