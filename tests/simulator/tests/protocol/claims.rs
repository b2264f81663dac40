//! Claims: crossed, late, repeated, refused.

use vrrpd_core::pool::message::{Body, Reason};
use vrrpd_core::pool::rule::Rule;
use vrrpd_core::pool::status::Standing;
use vrrpd_core::pool::{Action, Decision};

use crate::bench::*;

/// b hears a no more, and its Claim to r is in the script's hands.
fn claim_in_hand(bench: &mut Bench) {
    bench.cut(A, B);
    bench.hold(|e| is_claim(e) && goes(e, B, R));
    bench.run_until("b claims", |bench| !bench.held.is_empty());
    bench.hold_nothing();
}

fn denials(bench: &Bench, of: vrrpd_core::pool::record::NodeId) -> Vec<Reason> {
    let journal = bench.parties[of.index()].journal.iter();
    let reasons = journal.filter_map(|decision| match decision {
        Decision::Denied { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

#[test]
fn schedule_04_late_accept_is_denied() {
    let mut bench = Bench::whole(None);
    bench.hold(|e| is_accept(e) && e.to == R);
    bench.isolate(A);
    bench.run_until("b asks to be accepted", |bench| !bench.held.is_empty());
    let late = bench.held[0];
    bench.hold_nothing();
    bench.restart(B);
    let Body::Accept { record: old, .. } = late.body else {
        panic!("an Accept was held");
    };
    bench.run_until("b serves in a later reign", |bench| {
        bench.serves(B) && bench.record(R).epoch > old.epoch
    });
    let before = bench.state(R);
    bench.hold(|e| goes(e, R, B) && matches!(e.body, Body::Deny { .. }));
    bench.hand(late);
    assert_eq!(bench.state(R), before);
    assert_eq!(bench.held.len(), 2, "the old Accept, and a Deny");
    bench.well();
}

#[test]
fn schedule_08_crossed_claims_elect_one_at_most() {
    let mut bench = Bench::founded(record(1, A, 1, both()), None);
    for id in [A, B, R] {
        bench.start(id);
    }
    bench.hold(is_claim);
    bench.run_until("both claim", |bench| {
        let claiming = |id| {
            bench
                .status(id)
                .is_some_and(|s| s.standing == Standing::Claiming)
        };
        claiming(A) && claiming(B)
    });
    bench.hold_nothing();
    // The last claim of each, to each.
    let held = std::mem::take(&mut bench.held);
    for (from, to) in [(A, B), (B, A), (B, R), (A, R)] {
        let claim = held.iter().rev().find(|e| goes(e, from, to));
        bench.hand(*claim.expect("both claim from both"));
    }
    bench.run_until("one serves", |bench| bench.serves(A) || bench.serves(B));
    bench.run(2_000);
    assert!(bench.serves(A) != bench.serves(B));
    bench.well();
}

/// b has claimed, and hears a again before r's promise comes; a's lease is b's.
pub(crate) fn renew_during_claim(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    bench.hold(|e| is_renew(e) && goes(e, A, B) || is_claim(e) && goes(e, B, R));
    bench.run(110);
    bench.cut(A, R);
    bench.run_until("b claims", |bench| bench.held.iter().any(is_claim));
    bench.hold_nothing();
    let held = std::mem::take(&mut bench.held);
    let last = |which: fn(&vrrpd_core::pool::message::Envelope) -> bool| {
        *held.iter().rev().find(|e| which(e)).expect("it was held")
    };
    bench.hand(last(is_renew));
    // Until r's grant has ended.
    bench.run(55);
    // a hears of it from nobody.
    bench.cut_one_way(B, A);
    bench.hand(last(is_claim));
    bench.run(10);
    bench
}

#[test]
fn schedule_12_renew_during_claim_abandons_it() {
    let bench = renew_during_claim(None);
    assert!(bench.reigns(A));
    assert!(!bench.reigns(B));
    let journal = &bench.parties[B.index()].journal;
    let abandoned = |one: &Decision| matches!(one, Decision::Abandons { .. });
    assert!(journal.iter().any(abandoned));
    bench.well();
}

/// r has forgotten its grant to a, whose lease runs on; `after` so many
/// milliseconds it is asked by b.
pub(crate) fn voter_restart(rule: Option<Rule>, after: u64) -> Bench {
    let mut bench = Bench::whole(rule);
    claim_in_hand(&mut bench);
    bench.restart(R);
    bench.cut(A, R);
    bench.run(after);
    bench.release();
    bench.run(10);
    bench
}

#[test]
fn schedule_13_voter_restart_denies_while_quiet() {
    let bench = voter_restart(None, 40);
    assert!(bench.reigns(A));
    assert_eq!(denials(&bench, B).last(), Some(&Reason::Quiet));
    bench.well();
}

/// b has forgotten its grant to a, and is told to claim at once.
pub(crate) fn claimer_restart(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    bench.cut(A, R);
    bench.run(310);
    bench.cut(A, B);
    bench.restart(B);
    bench.force(B, false);
    bench.run(20);
    bench
}

#[test]
fn schedule_14_claimer_restart_does_not_claim_while_quiet() {
    let mut bench = claimer_restart(None);
    assert!(bench.reigns(A));
    assert_eq!(bench.claims(B), 0);
    assert_eq!(bench.parties[B.index()].refusals.len(), 1);
    bench.run_until("b serves later", |bench| bench.serves(B));
    bench.well();
}

/// b's grant to a runs, and it is told to claim.
pub(crate) fn claim_against_own_grant(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    bench.cut(A, R);
    bench.run(310);
    // a hears of it from nobody.
    bench.cut_one_way(B, A);
    bench.force(B, false);
    bench.run(20);
    bench
}

#[test]
fn own_grant_to_another_holds_a_claim_back() {
    let bench = claim_against_own_grant(None);
    assert!(bench.serves(A));
    assert_eq!(bench.claims(B), 0);
    bench.well();
}

#[test]
fn schedule_15_accept_resent_leases_from_the_first_sending() {
    let mut bench = Bench::founded(record(1, A, 1, both()), None);
    for id in [A, B, R] {
        bench.start(id);
    }
    bench.hold(|e| e.to == A && matches!(e.body, Body::Accepted { .. }));
    bench.run_until("a is accepted", |bench| !bench.held.is_empty());
    bench.run(240);
    assert!(bench.held.len() > 2, "it was sent again");
    // The answer to the last sending only.
    bench.hold_nothing();
    let last = bench.held.pop().expect("more than two");
    bench.hand(last);
    assert!(bench.reigns(A));
    bench.isolate(A);
    bench.run(57);
    assert!(!bench.reigns(A), "the lease ran from the first sending");
    bench.well();
}

/// a promises to b, and its own older claim is promised late.
pub(crate) fn late_promise(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::founded(record(1, A, 1, both()), rule);
    for id in [A, B, R] {
        bench.start(id);
    }
    // a's claim is promised by r, and the promise is late; b's reaches a alone.
    bench.hold(|e| {
        let way = is_claim(e) && (goes(e, A, B) || goes(e, B, R));
        way || is_accept(e) || is_promise(e) && e.to == A
    });
    bench.run_until("b has a's promise", |bench| {
        bench.held.iter().any(|e| is_accept(e) && goes(e, B, R))
    });
    bench.hold_nothing();
    let promise = bench.held.iter().find(|e| is_promise(e));
    let promise = *promise.expect("r has promised");
    bench.hold(is_accept);
    bench.hand(promise);
    bench.hold_nothing();
    let held = std::mem::take(&mut bench.held);
    let accept = |from| {
        held.iter()
            .find(|e| is_accept(e) && goes(e, from, R))
            .copied()
    };
    // r is asked by both, the lower ballot first; they do not hear each other.
    bench.cut(A, B);
    for from in [A, B] {
        if let Some(accept) = accept(from) {
            bench.hand(accept);
            bench.run(2);
        }
    }
    bench
}

#[test]
fn late_promise_of_a_lower_ballot_writes_nothing() {
    let bench = late_promise(None);
    assert!(!bench.reigns(A));
    assert!(bench.state(A).promised.node == B);
    bench.well();
}

#[test]
fn schedule_33_crash_between_record_and_promotion() {
    // Nobody has accepted b's record: a is elected anew.
    let mut bench = Bench::whole(None);
    let reign = bench.record(A).epoch;
    bench.power_off(A);
    bench.die_after(B, |action| {
        matches!(action, Action::Persist(state) if state.record.is_some_and(|r| r.primary == B))
    });
    bench.run_until("b dies", |bench| bench.status(B).is_none());
    bench.start(A);
    bench.run_until("a serves", |bench| bench.serves(A));
    assert!(bench.record(A).epoch > reign);
    bench.start(B);
    bench.run_until("b is superseded", |bench| bench.record(B).primary == A);
    bench.well();

    // r has, though b does not know: only b may go on.
    let mut bench = Bench::whole(None);
    bench.power_off(A);
    bench.hold(|e| e.to == B && matches!(e.body, Body::Accepted { .. }));
    bench.run_until("r accepts", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    bench.power_off(B);
    bench.start(A);
    bench.run(3_000);
    assert!(!bench.reigns(A));
    bench.start(B);
    // Whatever a's server is, b's history is not given up for it.
    assert_eq!(
        bench.parties[B.index()].desired.and_then(|d| d.follow),
        None
    );
    bench.run_until("b serves", |bench| bench.serves(B));
    bench.well();
}

#[test]
fn schedule_39_state_disk_full_answers_nothing() {
    let mut bench = Bench::whole(None);
    bench.power_off(A);
    bench.freeze_before(R, |action| matches!(action, Action::Persist(_)));
    bench.hold(|e| e.from == R && is_promise(e));
    bench.run_until("r cannot write", |bench| bench.parties[R.index()].frozen);
    bench.stop(R);
    bench.run(1_000);
    assert!(
        bench.held.is_empty(),
        "no promise left that was not on disk"
    );
    assert!(!bench.reigns(B));
    bench.hold_nothing();
    bench.start(R);
    bench.run_until("b serves", |bench| bench.serves(B));
    bench.well();
}
