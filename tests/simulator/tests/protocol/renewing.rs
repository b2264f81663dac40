//! Leases: lost ways, orphaned promises, links that come and go.

use simulator::plan::{Fault, Plan};
use simulator::world::World;
use vrrpd_core::pool::Decision;
use vrrpd_core::pool::message::Body;
use vrrpd_core::pool::rule::Rule;

use crate::bench::*;

const MILLIS: u64 = 1_000_000;

fn ends(bench: &Bench) -> usize {
    let journal = bench.parties[A.index()].journal.iter();
    journal
        .filter(|one| matches!(one, Decision::Ends { .. }))
        .count()
}

#[test]
fn schedule_05_old_renew_is_denied_and_grants_nothing() {
    let mut bench = Bench::whole(None);
    bench.hold(|e| is_renew(e) && goes(e, A, R));
    bench.run_until("a renews", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    let late = bench.held[0];
    bench.held.clear();
    bench.isolate(A);
    bench.run_until("b serves", |bench| bench.serves(B));
    let before = bench.state(R);
    bench.hold(|e| goes(e, R, A));
    bench.hand(late);
    assert_eq!(bench.state(R), before);
    assert!(matches!(bench.held[..], [e] if matches!(e.body, Body::Deny { .. })));
    bench.run(1_000);
    assert!(bench.serves(B), "r's grant is b's still");
    bench.well();
}

#[test]
fn schedule_09_asymmetric_link_a_deaf_node_topples_nobody() {
    let mut bench = Bench::whole(None);
    let reign = bench.record(A);
    bench.cut_one_way(A, B);
    bench.cut_one_way(R, B);
    bench.run(900);
    assert!(bench.claims(B) > 0, "b claims");
    assert!(bench.serves(A));
    assert_eq!(bench.record(A), reign);
    bench.well();
}

/// r has promised to b, which has heard a again meanwhile.
fn orphan_promise(bench: &mut Bench) {
    bench.cut(A, B);
    bench.hold(|e| is_claim(e) && goes(e, B, R));
    bench.run_until("b claims", |bench| !bench.held.is_empty());
    bench.hold_nothing();
    bench.join_two(A, B);
    bench.cut(A, R);
    bench.run(320);
    let reign = bench.record(A).epoch;
    bench.release();
    assert!(bench.state(R).promised > reign, "r has promised to b");
    assert!(bench.reigns(A));
}

#[test]
fn schedule_10_deny_storm_is_overtaken_in_place() {
    let mut bench = Bench::whole(None);
    let (before, reign) = (ends(&bench), bench.record(A));
    orphan_promise(&mut bench);
    let promised = bench.state(R).promised;
    bench.join();
    bench.run_until("a has claimed in place", |bench| {
        bench.record(R).epoch > promised && bench.is_effective(A)
    });
    assert_eq!(bench.record(A).in_sync, reign.in_sync);
    bench.run(500);
    assert!(bench.serves(A));
    assert_eq!(ends(&bench), before);
    bench.well();
}

#[test]
fn schedule_11_orphan_promise_of_a_dead_claimer() {
    let mut bench = Bench::whole(None);
    let before = ends(&bench);
    orphan_promise(&mut bench);
    bench.join();
    bench.stop(B);
    bench.run(500);
    assert!(bench.serves(A), "r renews again");
    assert_eq!(ends(&bench), before);
    bench.well();
}

#[test]
fn schedule_24_paused_primary_never_acknowledges_after() {
    for seed in 0..20 {
        let plan = Plan {
            // Its clock stands still: only the data fence remains.
            faults: vec![(Fault::Pause, 1)],
            ..Plan::calm(seed)
        };
        let mut world = World::new(plan);
        world.boot();
        assert!(
            world.run_until(10_000 * MILLIS, World::is_settled),
            "{seed}"
        );
        let old = world.serving().expect("it is settled");
        let now = world.now;
        world.suspend(old);
        world.hosts[old.index()].clock.set_drift(now, -1_000_000);
        let served = world.run_until(5_000 * MILLIS, |world| {
            world.serving().is_some_and(|new| new != old)
        });
        assert!(served, "{seed}");
        let now = world.now;
        world.hosts[old.index()].clock.set_drift(now, 0);
        world.resume(old);
        world.run(3_000 * MILLIS);
        assert_eq!(world.violation, None, "{seed}");
        assert!(world.serving().is_some_and(|new| new != old), "{seed}");
    }
}

#[test]
fn schedule_26_isolated_primary_is_fenced_within_the_lease() {
    for seed in 0..20 {
        let mut world = World::new(Plan::calm(seed));
        world.boot();
        assert!(
            world.run_until(10_000 * MILLIS, World::is_settled),
            "{seed}"
        );
        let old = world.serving().expect("it is settled");
        world.isolate(old);
        world.run(310 * MILLIS);
        let host = &world.hosts[old.index()];
        assert!(
            !host.admits(world.now) && !host.answers(world.now),
            "{seed}"
        );
        let served = world.run_until(2_000 * MILLIS, |world| world.serving().is_some());
        assert!(served && world.serving() != Some(old), "{seed}");
        world.rejoin(old);
        world.run(3_000 * MILLIS);
        assert_eq!(world.violation, None, "{seed}");
    }
}

#[test]
fn schedule_27_managers_cut_keeps_the_primary() {
    let mut bench = Bench::whole(None);
    let before = ends(&bench);
    bench.cut(A, B);
    bench.replicates = false;
    bench.run_until("a removes b by r", |bench| {
        bench.record(R).in_sync.is_only(A) && bench.is_effective(A)
    });
    bench.run(3_000);
    assert!(bench.serves(A) && !bench.reigns(B));
    assert_eq!(ends(&bench), before);
    bench.well();
}

#[test]
fn schedule_28_one_way_answers_lost_is_no_renewal() {
    let mut bench = Bench::whole(None);
    bench.cut_one_way(B, A);
    bench.cut_one_way(R, A);
    bench.run(310);
    assert!(!bench.reigns(A) && !bench.admits(A) && !bench.answers(A));
    bench.well();
}

#[test]
fn schedule_29_chain_one_grant_is_enough() {
    let mut bench = Bench::whole(None);
    let (before, reign) = (ends(&bench), bench.record(A).epoch);
    bench.cut(A, R);
    bench.run(3_000);
    assert!(bench.serves(A));
    assert_eq!((ends(&bench), bench.record(A).epoch), (before, reign));
    bench.well();
}

#[test]
fn schedule_40_flapping_link_no_flapping_primary() {
    for (one, two) in [(A, B), (A, R), (B, R)] {
        let mut bench = Bench::whole(None);
        let before = ends(&bench);
        for _ in 0..30 {
            bench.cut(one, two);
            bench.run(170);
            bench.join();
            bench.run(110);
        }
        assert!(bench.serves(A), "{one}-{two}");
        assert_eq!(ends(&bench), before, "{one}-{two}");
        bench.well();
    }
}

/// r promises to b while its grant to a runs.
pub(crate) fn grant_ignored(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    bench.cut(A, B);
    bench.run(700);
    bench
}

#[test]
fn grant_of_the_arbiter_keeps_the_primary() {
    let bench = grant_ignored(None);
    assert!(bench.serves(A) && bench.claims(B) > 0);
    bench.well();
}
