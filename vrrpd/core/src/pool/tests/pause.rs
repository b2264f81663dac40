//! Maintenance: what a pause holds back, and what it does not.

use super::forming::{Pool, formed};
use super::*;
use crate::pool::Order;
use crate::pool::status::Standing;

fn order(pool: &mut Pool, to: NodeId, paused: bool) {
    pool.deliver(to, Event::Order(Order::Pause { paused }));
}

/// A formed pool that is paused by the Backup's word.
fn paused() -> Pool {
    let mut pool = formed();
    order(&mut pool, NodeId::B, true);
    pool
}

fn is_paused(pool: &Pool, id: NodeId) -> bool {
    let party = &pool.parties[id.index()];
    party.member.status(party.now).durable.pause.paused
}

#[test]
fn pause_is_known_to_all_three_at_once() {
    let mut pool = paused();
    for id in NodeId::ALL {
        assert!(is_paused(&pool, id), "at {id}");
    }
    order(&mut pool, NodeId::A, false);
    for id in NodeId::ALL {
        assert!(!is_paused(&pool, id), "at {id}");
    }
}

#[test]
fn pause_is_learnt_from_the_arbiter_by_one_that_was_away() {
    let mut pool = formed();
    pool.down[NodeId::B.index()] = true;
    order(&mut pool, NodeId::A, true);
    pool.down = [true, false, false];
    pool.open[NodeId::A.index()] = false;
    pool.run(Duration::from_secs(1));
    assert!(is_paused(&pool, NodeId::B));
}

#[test]
fn paused_manager_does_not_claim_on_silence_until_resumed() {
    let mut pool = paused();
    pool.down[NodeId::A.index()] = true;
    pool.open[NodeId::A.index()] = false;
    pool.run(Duration::from_secs(3));
    let backup = &pool.parties[NodeId::B.index()];
    let status = backup.member.status(backup.now);
    assert_eq!(status.standing, Standing::Online);
    assert_eq!(status.held_back, Some("failover is paused"));
    order(&mut pool, NodeId::B, false);
    pool.run(Duration::from_secs(1));
    assert_eq!(pool.standing(NodeId::B), Standing::Serving);
}

#[test]
fn paused_primary_keeps_its_role_through_a_fault_and_a_failed_database() {
    let mut pool = paused();
    let reign = pool.parties[NodeId::A.index()].member.reign();
    pool.deliver(NodeId::A, Event::Priority(0));
    pool.run(Duration::from_secs(1));
    assert_eq!(pool.standing(NodeId::A), Standing::Serving);
    let dead = Observed {
        healthy: false,
        ..observed(NodeId::A, Server::Down)
    };
    pool.deliver(NodeId::A, Event::Database(dead));
    pool.run(Duration::from_secs(1));
    assert_eq!(pool.standing(NodeId::A), Standing::Serving);
    assert_eq!(pool.parties[NodeId::A.index()].member.reign(), reign);
}

#[test]
fn paused_primary_that_lost_its_lease_claims_again() {
    let mut pool = paused();
    pool.down = [false, true, true];
    pool.run(Duration::from_secs(1));
    assert_ne!(pool.standing(NodeId::A), Standing::Serving);
    pool.down = [false; 3];
    pool.run(Duration::from_secs(2));
    assert_eq!(pool.standing(NodeId::A), Standing::Serving);
    assert_eq!(pool.standing(NodeId::B), Standing::Online);
}

#[test]
fn paused_pool_switches_over_by_an_order() {
    let mut pool = paused();
    let epoch = pool.parties[NodeId::A.index()].member.reign();
    pool.deliver(NodeId::A, Event::Order(Order::Switchover { epoch }));
    pool.run(Duration::from_millis(50));
    assert_eq!(pool.standing(NodeId::B), Standing::Serving);
}

#[test]
fn later_word_holds_and_of_two_the_pause() {
    let (older, newer) = (
        Pause {
            word: 3,
            paused: true,
        },
        Pause {
            word: 4,
            paused: false,
        },
    );
    assert!(newer > older);
    assert!(
        Pause {
            paused: true,
            ..newer
        } > newer
    );
}
