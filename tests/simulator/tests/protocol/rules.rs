//! Rules whose absence needs a schedule of its own to be seen: with the rule
//! broken, the schedule breaks the invariant that PROTOCOL.md names.

use simulator::check::Invariant;
use vrrpd_core::pool::rule::Rule;

use crate::bench::Bench;
use crate::{alone, claims, database, in_sync, release, renewing, voters};

fn breaks(bench: &Bench, invariant: Invariant) {
    let broken = bench.broken.iter().any(|(which, _)| *which == invariant);
    assert!(broken, "{:?}\n{}", bench.broken, bench.describe());
}

macro_rules! broken {
    ($($name:ident: $rule:ident, $schedule:expr, $invariant:ident;)*) => {$(
        #[test]
        fn $name() {
            let schedule: fn(Option<Rule>) -> Bench = $schedule;
            schedule(None).well();
            breaks(&schedule(Some(Rule::$rule)), Invariant::$invariant);
        }
    )*};
}

broken! {
    alone_after_restart_without_an_effective_record:
        AloneRestartNeedsEffective, alone::alone_restart, I2;
    alone_though_promised_higher: AloneRestartNeedsNoPromise, alone::alone_after_promise, I2;
    forced_record_as_ordinary_right: ForcedGivesNoRight, alone::failed_force, I2;
    released_not_durable: ReleasedIsDurable, alone::released_then_restart, I2;
    record_below_own_promise: NoRecordBelowPromised, claims::late_promise, I2;
    promise_before_stepping_down: StepDownBeforePromise, alone::gate_before_promise, I3;
    no_check_at_the_promise: RecheckAtPromise, claims::renew_during_claim, I2;
    quiet_voter_promises: QuietPromisesNothing, |rule| claims::voter_restart(rule, 5), I2;
    quiet_voter_claims: QuietClaimsNothing, claims::claimer_restart, I2;
    quiet_shorter_than_a_lease: QuietLastsALease, |rule| claims::voter_restart(rule, 40), I2;
    grant_ignored_by_the_voter: GrantBlocksPromise, renewing::grant_ignored, I2;
    grant_ignored_by_the_claimer: GrantBlocksClaim, claims::claim_against_own_grant, I2;
    reopened_on_a_proposed_remove: ReopenNeedsEffectiveRemove, database::remove_pending_read, I7;
    add_not_bound_to_its_copy: AddIsBoundToItsCopy, in_sync::add_then_replaced, I1;
    add_survives_a_restart: RestartCancelsAdd, in_sync::add_then_restart, I7;
    two_proposals_at_once: OneProposal, in_sync::add_then_stall, I2;
    votes_of_unnamed_incarnations: VotesAreNamed, voters::old_arbiter_alive, I2;
    votes_by_an_old_map: VotesByHighestMap, voters::old_map, I2;
    blank_arbiter_admitted_by_one: BlankNeedsQuorum, voters::blank_admitted_by_one, I2;
    release_without_epoch: ReleaseNamesItsEpoch, release::release_late, I2;
}
