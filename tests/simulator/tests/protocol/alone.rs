//! The right to go on alone, and an operator's word against it.

use vrrpd_core::pool::Action;
use vrrpd_core::pool::database::{Role, Server};
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::rule::Rule;

use crate::bench::*;
use crate::in_sync::pending_add;

/// a's gate opens and closes as its lease has it, b is let in while a is alone.
pub(crate) fn gate_before_promise(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.cut(A, R);
    bench.run(LEASE + 10);
    bench.cut_one_way(A, B);
    bench.start(B);
    bench.run(LEASE + 10);
    bench.freeze_before(A, |action| matches!(action, Action::CloseGate));
    bench.force(B, false);
    bench.run(20);
    bench
}

#[test]
fn schedule_07_gate_is_closed_before_the_promise_leaves() {
    // Alone by right it promises nothing, not even to an operator's word.
    let bench = gate_before_promise(None);
    assert!(bench.admits(A));
    assert!(bench.state(A).promised <= bench.record(A).epoch);

    // Its lease has run out, but it has not looked: the first thing it hears is
    // a Claim.
    let mut bench = Bench::whole(None);
    bench.hold(|e| is_claim(e) && goes(e, B, A));
    bench.party_mut(A).frozen = true;
    bench.run_until("b claims from a", |bench| !bench.held.is_empty());
    bench.party_mut(A).frozen = false;
    let claim = bench.held[0];
    bench.hold(|e| is_promise(e) && goes(e, A, B));
    bench.hand(claim);
    assert!(bench.held.iter().any(is_promise), "a promises");
    assert!(!bench.admits(A) && !bench.answers(A));
    bench.well();
}

#[test]
fn schedule_37_b_then_r_die() {
    let mut bench = Bench::sole(None);
    bench.power_off(R);
    bench.run(3_000);
    assert!(bench.serves(A), "nobody else can be promoted");
    bench.well();

    for back in [B, R] {
        let mut bench = Bench::whole(None);
        bench.power_off(B);
        bench.power_off(R);
        bench.run(LEASE);
        assert!(!bench.reigns(A) && !bench.admits(A));
        bench.run(2_000);
        assert!(!bench.reigns(A));
        bench.start(back);
        bench.run_until("a pool of two serves", |bench| {
            bench.serves(A) || bench.serves(B)
        });
        bench.well();
    }
}

#[test]
fn schedule_38_total_power_loss() {
    let mut bench = Bench::sole(None);
    bench.power_off(A);
    bench.power_off(R);
    bench.start(A);
    bench.run_until("a serves alone", |bench| bench.serves(A));
    bench.well();

    let mut bench = Bench::whole(None);
    for id in NodeId::ALL {
        bench.power_off(id);
    }
    bench.start(B);
    bench.run(5_000);
    assert!(!bench.reigns(B), "a may have gone on without it");
    bench.start(R);
    bench.run_until("b serves with r", |bench| bench.serves(B));
    bench.well();
}

/// An Add that b holds has been overwritten by a's later claim; a restarts.
pub(crate) fn alone_restart(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    pending_add(&mut bench);
    bench.power_off(A);
    bench.hold_nothing();
    bench.held.clear();
    bench.isolate(B);
    bench.start(A);
    // Its claim is promised by r, and accepted by nobody.
    bench.hold(is_accept);
    bench.run_until("a has overwritten the Add", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    assert!(bench.record(A).in_sync.is_only(A) && !bench.is_effective(A));
    bench.power_off(A);
    bench.isolate(A);
    bench.join_two(B, R);
    bench.start(A);
    bench.run(3_000);
    bench
}

#[test]
fn schedule_41_alone_restart_needs_an_effective_record() {
    let bench = alone_restart(None);
    assert!(!bench.reigns(A));
    assert!(bench.serves(B), "by the Add that it holds");
    bench.well();
}

/// a, alone in sync and just started, has promised to b's force; it restarts.
pub(crate) fn alone_after_promise(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.power_off(A);
    bench.party_mut(A).database.connected = false;
    bench.start(B);
    bench.start(A);
    bench.run(LEASE + 10);
    bench.cut(B, R);
    bench.hold(|e| is_accept(e) && goes(e, B, A));
    bench.force(B, false);
    bench.run_until("b has a's promise", |bench| {
        bench.held.iter().any(is_accept)
    });
    bench.hold_nothing();
    bench.power_off(A);
    bench.isolate(A);
    bench.join_two(B, R);
    bench.party_mut(A).database.connected = true;
    bench.start(A);
    bench.run(1_000);
    bench
}

#[test]
fn schedule_42_alone_after_promise_claims() {
    let bench = alone_after_promise(None);
    assert!(!bench.reigns(A));
    assert!(bench.serves(B));
    bench.well();
}

/// b's forced record was accepted by nobody; b claims without the word.
pub(crate) fn failed_force(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.isolate(A);
    bench.run(LEASE + 10);
    bench.start(B);
    bench.run(LEASE + 10);
    bench.hold(is_accept);
    bench.force(B, false);
    bench.run_until("b is promised", |bench| !bench.held.is_empty());
    bench.run(2_500);
    bench.hold_nothing();
    bench.run(3_000);
    bench
}

#[test]
fn schedule_43_failed_force_needs_the_word_again() {
    let mut bench = failed_force(None);
    assert!(bench.record(B).forced && !bench.is_effective(B));
    assert!(bench.claims(B) > 1, "it claims, and is denied");
    assert!(bench.serves(A) && !bench.reigns(B));
    bench.well();
    bench.force(B, false);
    bench.run_until("the word again", |bench| bench.serves(B));
    bench.join();
    bench.run_until("a hears of it", |bench| bench.record(A).primary == B);
    assert!(!bench.reigns(A) && !bench.admits(A));
    bench.well();
}

/// a, alone in sync, has released for want of a database; it restarts.
pub(crate) fn released_then_restart(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::sole(rule);
    bench.says(A, |said| said.server = Server::Down);
    bench.run_until("a gives up", |bench| bench.role(A) == Some(Role::Stopped));
    bench.says(A, |said| said.server = Server::Stopped);
    bench.run(5);
    bench.power_off(A);
    bench.isolate(A);
    bench.party_mut(A).database.obeys = true;
    bench.start(A);
    bench.run(1_000);
    bench
}

#[test]
fn released_is_remembered_across_a_restart() {
    let mut bench = released_then_restart(None);
    assert!(!bench.reigns(A));
    bench.join();
    bench.run_until("a claims with r", |bench| bench.serves(A));
    bench.well();
}

#[test]
fn force_alone_raises_the_counter_above_all_that_it_remembers() {
    let mut bench = Bench::founded(record(90_000, A, 1, both()), None);
    bench.start(A);
    bench.run(LEASE + 10);
    bench.force(A, true);
    bench.run_until("a serves by force", |bench| bench.serves(A));
    assert!(bench.record(A).epoch.counter >= 90_000 + 65_536);
    bench.well();
}
