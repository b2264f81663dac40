//! Sessions between parties that restart, are replaced and are replayed at.

use proptest::prelude::*;
use vrrpd_core::pool::message::{Body, Envelope, Report};
use vrrpd_core::pool::record::{Incarnation, NodeId};
use vrrpd_core::time::{Duration, Instant};

use super::{Boot, Key, Reject, Session, Verdict};

const A: NodeId = NodeId::A;
const B: NodeId = NodeId::B;

fn boot(incarnation: u64, boots: u64) -> Boot {
    Boot {
        incarnation: Incarnation(incarnation),
        boots,
    }
}

fn key() -> Key {
    Key::parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// A party with its session, that says hello with a priority as its mark.
struct Party {
    id: NodeId,
    own: Boot,
    session: Session,
}

impl Party {
    fn new(id: NodeId, own: Boot) -> Self {
        Self {
            id,
            own,
            session: Session::new(&key(), id, own),
        }
    }

    fn envelope(&self, to: NodeId, mark: u8) -> Envelope {
        Envelope {
            from: self.id,
            to,
            incarnation: self.own.incarnation,
            boots: self.own.boots,
            seen: None,
            report: Report {
                priority: mark,
                active: false,
                blank: true,
                primary: false,
                healthy: false,
                copy: None,
                position: None,
                offer: None,
                pause: Default::default(),
            },
            body: Body::Hello { answer: true },
        }
    }

    fn says(&mut self, to: NodeId, mark: u8) -> Vec<u8> {
        let envelope = self.envelope(to, mark);
        self.session.stamp(&envelope)
    }

    /// The mark of a message that must be accepted.
    fn hears(&mut self, datagram: &[u8], now: Instant) -> u8 {
        match self.session.open(datagram, now) {
            Verdict::Accepted(envelope) => envelope.report.priority,
            other => panic!("{} should accept, but: {other:?}", self.id),
        }
    }
}

fn reply(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Reply(bytes) => bytes,
        other => panic!("a reply is due, but: {other:?}"),
    }
}

/// Two parties that have each accepted a message of the other.
fn acquainted() -> (Party, Party) {
    let (mut a, mut b) = (Party::new(A, boot(1, 5)), Party::new(B, boot(2, 9)));
    introduce(&mut a, &mut b, at(0));
    (a, b)
}

/// `a` speaks first and is told whom to address.
fn introduce(a: &mut Party, b: &mut Party, now: Instant) {
    let first = a.says(b.id, 10);
    let hello = reply(b.session.open(&first, now));
    let again = reply(a.session.open(&hello, now));
    assert_eq!(b.hears(&again, now), 10);
    let answer = b.says(a.id, 20);
    assert_eq!(a.hears(&answer, now), 20);
}

#[test]
fn first_message_is_answered_by_hello_and_then_accepted() {
    let (mut a, mut b) = acquainted();
    let next = a.says(B, 11);
    assert_eq!(b.hears(&next, at(1)), 11);
    let next = b.says(A, 21);
    assert_eq!(a.hears(&next, at(1)), 21);
    assert_eq!(b.session.counters().replied, 1);
    assert_eq!(b.session.counters().accepted, 2);
}

#[test]
fn a_message_counts_once() {
    let (mut a, mut b) = acquainted();
    let message = a.says(B, 11);
    assert_eq!(b.hears(&message, at(1)), 11);
    assert_eq!(
        b.session.open(&message, at(2)),
        Verdict::Dropped(Reject::Replayed)
    );
    assert_eq!(b.session.counters().replayed, 1);
}

#[test]
fn late_messages_count_once_within_the_window_of_64() {
    let (mut a, mut b) = acquainted();
    let messages: Vec<_> = (0..65).map(|mark| a.says(B, mark)).collect();
    assert_eq!(b.hears(&messages[64], at(1)), 64);
    assert_eq!(
        b.session.open(&messages[0], at(1)),
        Verdict::Dropped(Reject::Replayed),
        "64 behind the newest"
    );
    assert_eq!(b.hears(&messages[1], at(1)), 1, "63 behind the newest");
    assert_eq!(
        b.session.open(&messages[1], at(1)),
        Verdict::Dropped(Reject::Replayed)
    );
}

#[test]
fn nothing_counts_again_after_the_receiver_restarts() {
    let (mut a, mut b) = acquainted();
    let seen = a.says(B, 11);
    assert_eq!(b.hears(&seen, at(1)), 11);
    let withheld = a.says(B, 12);

    let mut b = Party::new(B, boot(2, 10));
    for (old, now) in [(&seen, at(100)), (&withheld, at(200))] {
        let hello = reply(b.session.open(old, now));
        assert!(hello.len() < seen.len(), "a hello carries no message");
    }
    assert_eq!(b.session.counters().accepted, 0);
    // The sender is taught by the hello to a message of its own.
    let message = a.says(B, 13);
    let hello = reply(b.session.open(&message, at(300)));
    let again = reply(a.session.open(&hello, at(300)));
    assert_eq!(b.hears(&again, at(300)), 13);
}

#[test]
fn nothing_of_an_earlier_boot_counts_after_the_sender_restarts() {
    let (mut a, mut b) = acquainted();
    let withheld = a.says(B, 11);
    let mut a = Party::new(A, boot(1, 6));
    introduce(&mut a, &mut b, at(100));
    assert_eq!(
        b.session.open(&withheld, at(101)),
        Verdict::Dropped(Reject::Replayed)
    );
    // And it has not led b astray.
    let message = b.says(A, 22);
    assert_eq!(a.hears(&message, at(101)), 22);
}

#[test]
fn a_withheld_message_of_a_lost_incarnation_does_not_lock_the_new_one_out() {
    let (mut old_a, mut b) = acquainted();
    let withheld = old_a.says(B, 11);
    let mut a = Party::new(A, boot(3, 1));
    introduce(&mut a, &mut b, at(100));
    // Never delivered before, for this boot: it is late, and the core judges it.
    assert_eq!(b.hears(&withheld, at(101)), 11);
    assert_eq!(
        b.session.open(&withheld, at(102)),
        Verdict::Dropped(Reject::Replayed)
    );
    let message = a.says(B, 12);
    assert_eq!(b.hears(&message, at(103)), 12);
    let message = b.says(A, 22);
    assert_eq!(a.hears(&message, at(103)), 22);
}

#[test]
fn a_replayed_hello_teaches_nothing() {
    let mut a = Party::new(A, boot(1, 5));
    let mut b = Party::new(B, boot(2, 9));
    let first = a.says(B, 10);
    let hello = reply(b.session.open(&first, at(0)));
    reply(a.session.open(&hello, at(0)));
    assert_eq!(
        a.session.open(&hello, at(1)),
        Verdict::Dropped(Reject::Replayed)
    );
    // b restarts; its hello of the earlier boot does not come back to life.
    let mut b = Party::new(B, boot(2, 10));
    introduce(&mut b, &mut a, at(100));
    assert_eq!(
        a.session.open(&hello, at(101)),
        Verdict::Dropped(Reject::Replayed)
    );
    let message = a.says(B, 12);
    assert_eq!(b.hears(&message, at(101)), 12);
    // Nor for a later boot of a.
    let mut a = Party::new(A, boot(1, 6));
    assert_eq!(
        a.session.open(&hello, at(102)),
        Verdict::Dropped(Reject::Misaddressed)
    );
}

#[test]
fn a_hello_must_answer_a_message_that_was_sent() {
    let (mut a, _) = acquainted();
    // A stranger with the key answers a message that a has not sent yet.
    let mut replaced = Party::new(B, boot(7, 1));
    let mut ahead = Party::new(A, boot(1, 5));
    let mut premature = Vec::new();
    for mark in 0..9 {
        premature = ahead.says(B, mark);
    }
    let hello = reply(replaced.session.open(&premature, at(0)));
    assert_eq!(
        a.session.open(&hello, at(1)),
        Verdict::Dropped(Reject::Replayed)
    );
}

#[test]
fn hellos_are_rate_limited() {
    let mut a = Party::new(A, boot(1, 5));
    let mut b = Party::new(B, boot(2, 9));
    let first = a.says(B, 10);
    reply(b.session.open(&first, at(0)));
    assert_eq!(
        b.session.open(&first, at(9)),
        Verdict::Dropped(Reject::Misaddressed)
    );
    reply(b.session.open(&first, at(10)));
}

#[test]
fn a_message_for_a_later_boot_proves_a_rollback() {
    let (mut a, _) = acquainted();
    let message = a.says(B, 11);
    let mut rolled_back = Party::new(B, boot(2, 8));
    let Verdict::RolledBack(envelope) = rolled_back.session.open(&message, at(0)) else {
        panic!("boot 9 of b was heard by a");
    };
    assert_eq!(envelope.from, A);
    assert_eq!(envelope.body, Body::Hello { answer: false });
}

#[test]
fn a_voter_with_a_new_incarnation_takes_only_what_is_meant_for_it() {
    let (mut a, mut b) = acquainted();
    b.own = boot(4, 1);
    let first = b.says(A, 21);
    assert_eq!(a.hears(&first, at(1)), 21, "a's boot is still known to b");
    let message = a.says(B, 11);
    assert_eq!(b.hears(&message, at(1)), 11);
    let mut late = Party::new(A, boot(1, 5));
    let old = late.says(B, 12);
    assert!(matches!(b.session.open(&old, at(50)), Verdict::Reply(_)));
}

#[test]
fn a_reflected_message_is_dropped() {
    let (mut a, _) = acquainted();
    let own = a.says(B, 11);
    assert_eq!(
        a.session.open(&own, at(1)),
        Verdict::Dropped(Reject::Misaddressed)
    );
    let to_arbiter = a.says(NodeId::R, 12);
    let mut b = Party::new(B, boot(2, 9));
    assert_eq!(
        b.session.open(&to_arbiter, at(1)),
        Verdict::Dropped(Reject::Misaddressed)
    );
}

proptest! {
    #[test]
    fn any_reordering_with_duplicates_is_accepted_at_most_once_each(
        order in prop::collection::vec(0usize..200, 1..600)
    ) {
        let (mut a, mut b) = acquainted();
        let messages: Vec<_> = (0..200u8).map(|mark| a.says(B, mark)).collect();
        let mut accepted = [0u8; 200];
        let mut highest = 0;
        for index in order {
            match b.session.open(&messages[index], at(1)) {
                Verdict::Accepted(envelope) => {
                    prop_assert_eq!(usize::from(envelope.report.priority), index);
                    accepted[index] += 1;
                    highest = highest.max(index);
                }
                Verdict::Dropped(Reject::Replayed) => {
                    prop_assert!(accepted[index] == 1 || highest - index >= 64);
                }
                other => prop_assert!(false, "unexpected {:?}", other),
            }
        }
        prop_assert!(accepted.iter().all(|&times| times <= 1));
    }
}
