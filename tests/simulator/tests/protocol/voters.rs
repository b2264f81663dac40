//! Voters that were replaced, lost or rolled back.

use vrrpd_core::pool::Decision;
use vrrpd_core::pool::message::Body;
use vrrpd_core::pool::record::CopyId;
use vrrpd_core::pool::rule::Rule;

use crate::bench::*;

#[test]
fn schedule_18_b_replaced_leaves_the_set_and_cannot_claim() {
    let mut bench = Bench::whole(None);
    bench.replace_disk(B, None);
    bench.party_mut(B).database.said.copy = Some(CopyId(0xee));
    bench.party_mut(B).journal.clear();
    bench.start(B);
    bench.run_until("a names the new b", |bench| {
        bench.record(A).voters.of(B) != VOTERS.of(B) && bench.is_effective(A)
    });
    assert!(bench.record(A).in_sync.is_only(A));
    bench.run_until("its new copy is added", |bench| {
        bench.record(A).in_sync.copy(B) == Some(CopyId(0xee)) && bench.is_effective(A)
    });
    assert_eq!(bench.claims(B), 0);
    assert!(bench.serves(A));
    bench.well();
}

/// r was replaced, the new one admitted; a is alone by right, and the old r is
/// back beside b.
pub(crate) fn old_arbiter_alive(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    let old = bench.replace_disk(R, None);
    bench.start(R);
    bench.run_until("the new r is admitted", |bench| {
        bench.record(B).voters.of(R) != VOTERS.of(R) && bench.is_effective(A)
    });
    bench.run(300);
    bench.isolate(B);
    bench.run_until("b is removed", |bench| {
        bench.record(A).in_sync.is_only(A) && bench.is_effective(A)
    });
    bench.isolate(A);
    bench.replace_disk(R, old);
    bench.join_two(B, R);
    bench.start(R);
    bench.run(3_000);
    bench
}

#[test]
fn schedule_19_old_arbiter_alive_is_ignored() {
    let bench = old_arbiter_alive(None);
    assert!(bench.serves(A), "alone by right");
    assert!(bench.claims(B) > 0 && !bench.reigns(B));
    bench.well();
}

/// r's disk is lost while b is away; then b meets the old r.
pub(crate) fn blank_admitted_by_one(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole_leased(2 * LEASE, rule);
    bench.isolate(B);
    let old = bench.replace_disk(R, None);
    bench.start(R);
    bench.run(3_000);
    bench.isolate(A);
    bench.replace_disk(R, old);
    bench.join_two(B, R);
    bench.start(R);
    bench.run(3_000);
    bench
}

#[test]
fn schedule_20_blank_arbiter_waits_for_b() {
    let mut bench = Bench::whole(None);
    bench.power_off(B);
    bench.replace_disk(R, None);
    bench.start(R);
    bench.run(3_000);
    assert!(!bench.reigns(A) && !bench.reigns(B));
    assert_eq!(bench.state(R).record, None, "nobody has admitted it");
    bench.start(B);
    bench.run_until("with b, one serves", |bench| {
        bench.serves(A) || bench.serves(B)
    });
    bench.run_until("r is admitted", |bench| bench.state(R).record.is_some());
    bench.well();

    let bench = blank_admitted_by_one(None);
    assert!(bench.serves(B), "a had no right to admit the new r");
    bench.well();
}

#[test]
fn schedule_30_arbiter_disk_lost_without_an_outage() {
    let mut bench = Bench::whole(None);
    let reign = bench.record(A).epoch;
    bench.replace_disk(R, None);
    bench.start(R);
    for _ in 0..200 {
        bench.run(5);
        assert!(bench.serves(A));
    }
    let new = bench.state(R).incarnation;
    assert_eq!(bench.record(A).voters.of(R), new);
    assert_eq!(
        (bench.record(R), bench.record(A).epoch),
        (bench.record(A), reign)
    );
    bench.well();
}

#[test]
fn schedule_46_rolled_back_arbiter_becomes_blank() {
    let mut bench = Bench::whole(None);
    let old = bench.parties[R.index()].disk;
    for _ in 0..3 {
        bench.restart(R);
        bench.run(400);
    }
    bench.replace_disk(R, old);
    bench.start(R);
    bench.run(150);
    let journal = &bench.parties[R.index()].journal;
    assert!(
        journal
            .iter()
            .any(|one| matches!(one, Decision::Forgot { .. }))
    );
    assert!(bench.state(R).incarnation != VOTERS.of(R));
    bench.run_until("it is admitted anew", |bench| {
        bench.state(R).record == Some(bench.record(A))
    });
    assert!(bench.serves(A));
    bench.well();
}

/// A new r is proposed, and the old one, not named any more, is asked.
pub(crate) fn old_map(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole_leased(2 * LEASE, rule);
    let old = bench.replace_disk(R, None);
    bench.isolate(B);
    bench.hold(|e| matches!(e.body, Body::Renew { record, .. } if record.voters != VOTERS));
    bench.start(R);
    bench.run_until("a proposes the new r", |bench| !bench.held.is_empty());
    let new = bench.replace_disk(R, old);
    bench.start(R);
    bench.hold_nothing();
    bench.run(150);
    // With the old one's vote, it would remove b, and go on alone.
    let old = bench.replace_disk(R, new);
    bench.start(R);
    bench.run(2_500);
    bench.isolate(A);
    bench.replace_disk(R, old);
    bench.join_two(B, R);
    bench.start(R);
    bench.run(3_000);
    bench
}

#[test]
fn old_voter_that_is_shown_its_successor_grants_nothing() {
    let bench = old_map(None);
    assert!(!bench.reigns(A));
    bench.well();
}
