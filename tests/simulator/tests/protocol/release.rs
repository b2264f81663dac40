//! Releases and switchovers: twice, late, stale, half done.

use vrrpd_core::pool::message::Reason;
use vrrpd_core::pool::rule::Rule;
use vrrpd_core::pool::{Decision, Order, Refusal};

use crate::bench::*;

fn switchover(bench: &mut Bench, from: vrrpd_core::pool::record::NodeId) {
    let epoch = bench.record(from).epoch;
    bench.order(from, Order::Switchover { epoch });
}

/// a has released and is Primary again; its old Release comes to r while its
/// lease is r's, and b asks r.
pub(crate) fn release_late(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    bench.hold(is_release);
    // b does not claim in time.
    bench.party_mut(B).frozen = true;
    bench.run(5);
    switchover(&mut bench, A);
    bench.run_until("a releases", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    let release = *bench.held.iter().find(|e| e.to == R).expect("r is told");
    bench.held.clear();
    bench.run_until("a serves again", |bench| bench.serves(A));
    bench.party_mut(B).frozen = false;
    bench.run(20);
    bench.cut(A, B);
    bench.hold(|e| is_claim(e) && goes(e, B, R));
    bench.run_until("b claims", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    bench.hand(release);
    bench.release();
    bench.run(10);
    bench
}

#[test]
fn schedule_44_delayed_release_clears_no_later_grant() {
    let bench = release_late(None);
    assert!(bench.serves(A));
    let journal = bench.parties[B.index()].journal.iter().rev();
    let mut reasons = journal.filter_map(|one| match one {
        Decision::Denied { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(
        reasons.next(),
        Some(Reason::Granted),
        "{}",
        bench.describe()
    );
    bench.well();
}

#[test]
fn schedule_25_release_duplicate_clears_no_later_grant() {
    let mut bench = Bench::whole(None);
    bench.hold(|e| is_release(e) && goes(e, A, R));
    switchover(&mut bench, A);
    bench.run_until("a releases", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    let release = bench.held[0];
    bench.held.clear();
    bench.hand(release);
    bench.run_until("b serves", |bench| {
        bench.serves(B) && bench.record(B).in_sync == both()
    });
    bench.run(100);
    switchover(&mut bench, B);
    bench.run_until("a serves again", |bench| {
        bench.serves(A) && bench.record(A).in_sync == both()
    });
    bench.run(100);
    bench.cut(A, B);
    bench.hand(release);
    bench.run(900);
    assert!(bench.serves(A) && bench.claims(B) > 1);
    bench.well();
}

#[test]
fn schedule_35_double_switchover_and_a_stale_order_are_refused() {
    let mut bench = Bench::whole(None);
    let epoch = bench.record(A).epoch;
    bench.party_mut(A).database.obeys = false;
    bench.order(A, Order::Switchover { epoch });
    bench.order(A, Order::Switchover { epoch });
    assert_eq!(bench.parties[A.index()].refusals, [Refusal::Busy]);
    bench.says(A, |said| said.checkpointed = true);
    bench.says(A, |said| {
        said.server = vrrpd_core::pool::database::Server::Stopped
    });
    bench.run_until("b serves", |bench| bench.serves(B));
    bench.order(B, Order::Switchover { epoch });
    assert_eq!(bench.parties[B.index()].refusals, [Refusal::Stale]);
    bench.run(500);
    assert!(bench.serves(B));
    bench.well();
}

#[test]
fn schedule_36_b_dies_after_a_has_stopped() {
    let mut bench = Bench::whole(None);
    let before = bench.record(A).epoch;
    bench.hold(is_release);
    switchover(&mut bench, A);
    bench.run_until("a has stopped", |bench| !bench.held.is_empty());
    assert!(!bench.admits(A) && !bench.answers(A));
    bench.hold_nothing();
    bench.power_off(B);
    bench.run_until("a serves again", |bench| bench.serves(A));
    assert!(bench.record(A).epoch > before);
    assert_eq!(
        bench.record(A).in_sync.copy(A),
        Some(copy(A)),
        "on the same history"
    );
    bench.well();
}
