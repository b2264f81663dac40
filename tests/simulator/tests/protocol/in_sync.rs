//! The in-sync set: Adds and Removes that are half done.

use vrrpd_core::pool::database::{Follower, Position, Role, Server};
use vrrpd_core::pool::message::{Body, Reason};
use vrrpd_core::pool::record::CopyId;
use vrrpd_core::pool::rule::Rule;
use vrrpd_core::pool::{Action, Decision};

use crate::bench::*;

/// b is back, and has accepted its Add; nobody has told a, and r does not know.
pub(crate) fn pending_add(bench: &mut Bench) {
    bench.hold(|e| match e.body {
        Body::Renew { record, .. } => e.to == R && record.in_sync == both(),
        Body::Renewed { .. } => goes(e, B, A),
        _ => false,
    });
    bench.start(B);
    bench.run_until("b accepts its Add", |bench| {
        bench.record(B) == bench.record(A) && bench.record(B).in_sync == both()
    });
    assert!(bench.record(R).in_sync.is_only(A));
    assert!(!bench.is_effective(A));
}

#[test]
fn schedule_01_add_answer_lost() {
    let mut bench = Bench::sole(None);
    pending_add(&mut bench);
    bench.isolate(A);
    bench.run(LEASE);
    assert!(!bench.reigns(A) && !bench.admits(A), "b may be elected");
    bench.run_until("b is elected by what it holds", |bench| bench.serves(B));
    bench.well();
}

/// b is back, and its Add is proposed; then its copy does not keep up.
pub(crate) fn add_then_stall(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.config.remove_after = std::time::Duration::from_millis(150);
    bench.restart(A);
    bench.run_until("a serves alone again", |bench| bench.serves(A));
    bench.run(500);
    pending_add(&mut bench);
    bench.replicates = false;
    bench.isolate(A);
    bench.hold_nothing();
    bench.run(2_500);
    bench
}

#[test]
fn second_proposal_waits_for_the_first() {
    let bench = add_then_stall(None);
    assert!(!bench.reigns(A));
    assert!(bench.serves(B));
    bench.well();
}

#[test]
fn schedule_02_remove_answer_lost() {
    let mut bench = Bench::whole(None);
    bench.cut(A, B);
    bench.replicates = false;
    bench.run_until("a proposes to remove b", |bench| {
        bench.record(A).in_sync.is_only(A)
    });
    bench.hold(|e| goes(e, R, A));
    bench.run(5);
    assert!(bench.record(R).in_sync.is_only(A), "r has accepted");
    assert!(!bench.is_effective(A), "a does not know");
    bench.power_off(A);
    bench.run(3_000);
    let denied = bench.parties[B.index()].journal.iter().any(|one| {
        matches!(
            one,
            Decision::Denied {
                by: R,
                reason: Reason::NotInSync,
                ..
            }
        )
    });
    assert!(denied && !bench.reigns(B));
    bench.hold_nothing();
    bench.join();
    bench.start(A);
    bench.run_until("a serves", |bench| bench.serves(A));
    bench.well();
}

#[test]
fn schedule_03_add_crash_keeps_synchronous_on() {
    let mut bench = Bench::sole(None);
    bench.start(B);
    bench.die_after(A, |action| {
        matches!(action, Action::Persist(state) if state.record.is_some_and(|r| r.in_sync == both()))
    });
    bench.run_until("a dies", |bench| bench.status(A).is_none());
    let pending = bench.record(A);
    assert_eq!(
        bench.waits_for(A),
        Some(copy(B)),
        "since before it was proposed"
    );
    // b, in sync by what a holds, might claim as well.
    bench.isolate(B);
    bench.replicates = false;
    bench.start(A);
    // Only the reign that is effective relaxes it.
    bench.run_until("a's database is Primary", |bench| {
        bench.role(A) == Some(Role::Primary)
    });
    assert!(bench.is_effective(A), "{}", bench.describe());
    assert!(bench.record(A).epoch > pending.epoch);
    assert!(bench.record(A).in_sync.is_only(A));
    bench.well();
}

#[test]
fn schedule_06_promise_then_propose_is_refused() {
    let mut bench = Bench::whole(None);
    bench.isolate(A);
    bench.cut(B, R);
    bench.run(400);
    bench.replicates = false;
    bench.hold(|e| is_promise(e) && goes(e, A, B));
    bench.join_two(A, B);
    bench.run_until("a promises to b", |bench| !bench.held.is_empty());
    let before = bench.state(A);
    assert!(Some(before.promised) > before.record.map(|r| r.epoch));
    bench.isolate(B);
    bench.run(1_500);
    assert_eq!(
        bench.state(A).record,
        before.record,
        "nothing is written below a promise"
    );
    bench.well();
}

#[test]
fn schedule_21_sync_latency_is_waited_for() {
    let mut bench = Bench::sole(None);
    bench.start(B);
    let follower = |flushed| {
        Some(Follower {
            copy: copy(B),
            flushed,
        })
    };
    bench.says(A, |said| said.follower = follower(1_000));
    bench.run_until("a begins an Add", |bench| {
        bench.waits_for(A) == Some(copy(B))
    });
    // Some commit may still see "off", whatever was ordered.
    bench.says(A, |said| said.synchronous = None);
    bench.run(300);
    assert!(bench.record(A).in_sync.is_only(A));
    // Now it holds: what is written until then is to be flushed.
    bench.says(A, |said| {
        said.synchronous = Some(copy(B));
        said.position = said
            .position
            .map(|p| vrrpd_core::pool::database::Position { lsn: 2_000, ..p });
    });
    bench.says(A, |said| said.follower = follower(1_999));
    bench.run(300);
    assert!(bench.record(A).in_sync.is_only(A));
    bench.says(A, |said| said.follower = follower(2_000));
    bench.run_until("b is added", |bench| bench.record(A).in_sync == both());
    bench.well();
}

#[test]
fn schedule_31_remove_chosen_then_both_lost_needs_a_word() {
    let mut bench = Bench::whole(None);
    bench.isolate(B);
    bench.run_until("b is removed", |bench| {
        bench.record(A).in_sync.is_only(A) && bench.is_effective(A)
    });
    bench.power_off(A);
    bench.replace_disk(R, None);
    bench.start(R);
    bench.join();
    bench.run(3_000);
    assert!(!bench.reigns(B), "nobody remembers whether b is whole");
    bench.force(B, false);
    bench.run(1_000);
    assert!(!bench.reigns(B), "a blank voter promises nothing");
    bench.power_off(R);
    bench.force(B, true);
    bench.run_until("b serves by force", |bench| bench.serves(B));
    bench.well();
}

#[test]
fn schedule_32_sync_dropped_then_a_dies_b_says_why() {
    let mut bench = Bench::whole(None);
    bench.isolate(B);
    bench.run_until("b is removed", |bench| {
        bench.record(A).in_sync.is_only(A) && bench.is_effective(A)
    });
    bench.power_off(A);
    bench.join();
    bench.run(3_000);
    assert!(!bench.reigns(B));
    let denials = bench.parties[B.index()].journal.iter().rev();
    let reason = denials.filter_map(|one| match one {
        Decision::Denied { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.take(1).next(), Some(Reason::NotInSync));
    bench.start(A);
    bench.run_until("a serves", |bench| bench.serves(A));
    bench.well();
}

/// An Add has begun for b's copy, which flushes what it is asked for; before a
/// hears so, b is replaced by an older copy.
pub(crate) fn add_then_replaced(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.start(B);
    let follower = |copy, flushed| Some(Follower { copy, flushed });
    bench.says(A, |said| said.follower = follower(copy(B), 900));
    bench.run_until("a begins an Add", |bench| {
        bench.waits_for(A) == Some(copy(B))
    });
    bench.says(A, |said| said.synchronous = Some(copy(B)));
    bench.acknowledged = Some(2_000);
    bench.says(B, |said| {
        said.copy = Some(OLDER);
        said.position = said.position.map(|p| Position { lsn: 1_500, ..p });
    });
    bench.says(A, |said| said.follower = follower(OLDER, 1_500));
    bench.run(20);
    bench
}

/// A copy that was put in place of b's.
const OLDER: CopyId = CopyId(0xee);

#[test]
fn schedule_45_add_then_replaced_is_cancelled() {
    let bench = add_then_replaced(None);
    let cancelled =
        |one: &Decision| matches!(one, Decision::AddCancelled { copy: of, .. } if *of == copy(B));
    assert!(bench.parties[A.index()].journal.iter().any(cancelled));
    assert!(bench.record(A).in_sync.is_only(A));
    bench.well();
}

/// An Add has read its position when a's database restarts, with more in it.
pub(crate) fn add_then_restart(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.start(B);
    let follower = |flushed| {
        Some(Follower {
            copy: copy(B),
            flushed,
        })
    };
    bench.says(A, |said| said.follower = follower(900));
    bench.run_until("a begins an Add", |bench| {
        bench.waits_for(A) == Some(copy(B))
    });
    bench.says(A, |said| said.synchronous = Some(copy(B)));
    bench.says(A, |said| {
        said.server = Server::Down;
        said.follower = None;
    });
    bench.says(A, |said| {
        said.server = Server::Standby;
        said.run += 1;
    });
    bench.recovered = Some(5_000);
    bench.says(A, |said| {
        said.server = Server::Primary;
        said.position = Some(Position {
            timeline: 2,
            lsn: 5_000,
        });
        said.follower = follower(1_500);
    });
    bench.run(20);
    bench
}

#[test]
fn add_does_not_survive_a_restart_of_the_database() {
    let mut bench = add_then_restart(None);
    assert!(bench.admits(A) && bench.record(A).in_sync.is_only(A));
    bench.well();
    bench.run_until("a begins it anew", |bench| {
        bench.waits_for(A) == Some(copy(B))
    });
    bench.says(A, |said| said.synchronous = Some(copy(B)));
    bench.run(200);
    assert!(
        bench.record(A).in_sync.is_only(A),
        "there is more to flush now"
    );
    bench.says(A, |said| {
        said.follower = Some(Follower {
            copy: copy(B),
            flushed: 5_000,
        })
    });
    bench.run_until("b is added", |bench| bench.record(A).in_sync == both());
    bench.well();
}
