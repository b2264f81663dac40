//! Databases that are replaced, die, or cannot be promoted.

use vrrpd_core::pool::database::{Follower, Position, Role, Server};
use vrrpd_core::pool::record::CopyId;
use vrrpd_core::pool::rule::Rule;
use vrrpd_core::pool::{Decision, Ending};

use crate::bench::*;

#[test]
fn schedule_16_rolled_back_database_is_not_promoted() {
    let mut bench = Bench::whole(None);
    bench.power_off(A);
    bench.says(B, |said| said.copy = Some(CopyId(0xee)));
    bench.run(3_000);
    assert!(bench.claims(B) > 0 && !bench.reigns(B));
    assert_eq!(bench.role(B), Some(Role::Standby));
    bench.well();
}

#[test]
fn schedule_17_primary_whose_database_was_replaced_is_not_promoted_again() {
    let mut bench = Bench::whole(None);
    bench.cut(A, B);
    bench.run(LEASE + 10);
    bench.says(A, |said| said.server = Server::Down);
    assert!(bench.reigns(A) && !bench.admits(A));
    bench.says(A, |said| {
        said.server = Server::Standby;
        said.copy = Some(CopyId(0xee));
    });
    assert_ne!(bench.role(A), Some(Role::Primary));
    let replaced = |one: &Decision| {
        matches!(
            one,
            Decision::Ends {
                why: Ending::CopyReplaced,
                ..
            }
        )
    };
    bench.says(A, |_| {});
    assert!(bench.parties[A.index()].journal.iter().any(replaced));
    bench.run_until("b serves", |bench| bench.serves(B));
    bench.well();
}

/// a's database has restarted, with `end` as the end of its log.
fn restart_database(bench: &mut Bench, end: u64) {
    bench.recovered = Some(end);
    bench.says(A, |said| said.server = Server::Down);
    bench.says(A, |said| {
        said.server = Server::Standby;
        said.run += 1;
        said.follower = None;
    });
    bench.says(A, |said| {
        said.server = Server::Primary;
        said.position = Some(Position {
            timeline: 2,
            lsn: end,
        });
    });
    bench.run(5);
}

#[test]
fn schedule_22_restart_shows_nothing_unreplicated() {
    let mut bench = Bench::whole(None);
    bench.cut(A, B);
    bench.run(LEASE + 10);
    restart_database(&mut bench, 5_000);
    assert!(bench.reigns(A) && !bench.admits(A));
    bench.says(A, |said| {
        said.follower = Some(Follower {
            copy: copy(B),
            flushed: 4_999,
        })
    });
    assert!(!bench.admits(A));
    bench.says(A, |said| {
        said.follower = Some(Follower {
            copy: copy(B),
            flushed: 5_000,
        })
    });
    bench.run(2);
    assert!(bench.admits(A));
    bench.well();
}

/// A Remove is proposed and not effective when a's database restarts.
pub(crate) fn remove_pending_read(rule: Option<Rule>) -> Bench {
    let mut bench = Bench::whole(rule);
    bench.cut(A, B);
    bench.replicates = false;
    bench.run_until("a proposes to remove b", |bench| {
        bench.record(A).in_sync.is_only(A)
    });
    // Nobody has accepted it yet.
    bench.isolate(A);
    assert!(!bench.is_effective(A));
    restart_database(&mut bench, 5_000);
    bench
}

#[test]
fn schedule_47_remove_pending_keeps_the_gate_closed() {
    let bench = remove_pending_read(None);
    assert!(bench.reigns(A), "its lease runs");
    assert!(!bench.admits(A));
    bench.well();
}

#[test]
fn schedule_23_half_promotion_leaves_only_b() {
    let mut bench = Bench::whole(None);
    bench.power_off(A);
    bench.party_mut(B).database.obeys = false;
    bench.run_until("b is elected", |bench| bench.reigns(B));
    bench.says(B, |said| said.server = Server::Down);
    bench.start(A);
    bench.run(2_000);
    assert!(!bench.reigns(A), "b's copy is the only one that is whole");
    bench.party_mut(B).database.obeys = true;
    bench.restart(B);
    bench.run_until("b serves", |bench| bench.serves(B));
    bench.well();
}

#[test]
fn schedule_34_promotion_that_hangs_ends_in_a_release() {
    let mut bench = Bench::whole(None);
    bench.power_off(A);
    bench.party_mut(B).database.obeys = false;
    bench.hold(is_release);
    bench.run_until("b is elected", |bench| bench.reigns(B));
    bench.run_until("b gives up", |bench| bench.role(B) == Some(Role::Stopped));
    assert!(!bench.admits(B) && !bench.answers(B));
    assert!(
        bench.held.is_empty(),
        "no Release before its writes have stopped"
    );
    bench.says(B, |said| said.server = Server::Stopped);
    assert_eq!(bench.held.len(), 2);
    let failed = |one: &Decision| {
        matches!(
            one,
            Decision::Ends {
                why: Ending::PromotionFailed,
                ..
            }
        )
    };
    assert!(bench.parties[B.index()].journal.iter().any(failed));
    bench.well();
}
