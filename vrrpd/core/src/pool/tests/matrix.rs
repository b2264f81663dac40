//! What manager a does in each of its states for each event: the ordered
//! actions, journal lines left out. `-` is nothing.

use super::*;
use crate::pool::Order;
use crate::pool::message::{Nonce, Reason};

const STATES: [&str; 8] = [
    "blank",
    "online",
    "asking",
    "accepting",
    "primary",
    "alone",
    "handing over",
    "releasing",
];

const EVENTS: [&str; 17] = [
    "wake",
    "hello",
    "claim 9.b",
    "forced claim 9.b",
    "claim 4.b",
    "deny",
    "deny with record 9.b",
    "promise",
    "accept 9.b",
    "accepted",
    "renew 9.b",
    "renew 4.b",
    "release 5.b",
    "database down",
    "replicator lost",
    "switchover",
    "force",
];

/// The rows of `matrix.txt`: state, event, actions.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = include_str!("matrix.txt").lines();
    lines.filter(|line| !line.starts_with('#')).map(|line| {
        let (state, rest) = line.split_once(" | ").expect("three cells a line");
        let (event, actions) = rest.split_once(" | ").expect("three cells a line");
        (state, event, actions)
    })
}

/// b's record, when b was Primary before, with both in sync.
fn reign_of_b(counter: u64) -> Record {
    Record {
        epoch: epoch(counter, NodeId::B),
        version: 0,
        primary: NodeId::B,
        in_sync: both(),
        voters: VOTERS,
        forced: false,
    }
}

fn database(server: Server) -> Event {
    Event::Database(Observed {
        follower: if server == Server::Primary {
            follower(COPY_B, 1_000)
        } else {
            None
        },
        synchronous: None,
        ..observed(NodeId::A, server)
    })
}

/// The nonce of the last request that left.
fn last_nonce(actions: &[Action]) -> Option<Nonce> {
    actions.iter().rev().find_map(|action| match action {
        Action::Send(envelope) => match envelope.body {
            Body::Accept { nonce, .. } | Body::Renew { nonce, .. } => Some(nonce),
            _ => None,
        },
        _ => None,
    })
}

/// Manager a in `state`, and the nonce that an answer would carry.
fn party(state: &str) -> (Party, Nonce) {
    let none = Nonce { boots: 0, count: 0 };
    if state == "blank" {
        return (Party::new(NodeId::A, None), none);
    }
    let mut party = Party::new(NodeId::A, Some(durable(NodeId::A, reign_of_b(5))));
    party.feed(database(Server::Standby));
    if state == "online" {
        return (party, none);
    }
    party.after(Duration::from_millis(700)).feed(Event::Wake);
    if state == "asking" {
        return (party, none);
    }
    let mine = epoch(6, NodeId::A);
    let promise = Body::Promise {
        epoch: mine,
        record: Some(reign_of_b(5)),
        effective: Some(reign_of_b(5)),
    };
    let out = party.feed(message(NodeId::R, NodeId::A, promise));
    let nonce = last_nonce(&out).expect("an Accept leaves");
    if state == "accepting" {
        return (party, nonce);
    }
    answer(&mut party, nonce, 0);
    party.feed(database(Server::Primary));
    if state == "alone" {
        party.after(LEASE).feed(Event::Wake);
        let out = party.after(INTERVAL).feed(Event::Wake);
        return (party, last_nonce(&out).expect("a Renew leaves"));
    }
    add_b(&mut party);
    match state {
        "primary" => {}
        "handing over" => {
            party.feed(Event::Order(Order::Switchover { epoch: mine }));
            party.feed(Event::Database(Observed {
                checkpointed: true,
                follower: follower(COPY_B, 1_000),
                synchronous: Some(COPY_B),
                ..observed(NodeId::A, Server::Primary)
            }));
        }
        "releasing" => {
            let hung = Observed {
                healthy: false,
                ..observed(NodeId::A, Server::Primary)
            };
            party.feed(Event::Database(hung));
        }
        other => panic!("no state {other}"),
    }
    (party, none)
}

fn answer(party: &mut Party, nonce: Nonce, version: u32) {
    let mine = epoch(6, NodeId::A);
    let body = if version == 0 {
        Body::Accepted {
            epoch: mine,
            version,
            nonce,
        }
    } else {
        Body::Renewed {
            epoch: mine,
            version,
            nonce,
        }
    };
    party.feed(message(NodeId::R, NodeId::A, body));
}

/// Has the copy of b added to the in-sync set.
fn add_b(party: &mut Party) {
    party.feed(message(NodeId::B, NodeId::A, Body::Hello { answer: false }));
    let out = party.feed(Event::Database(Observed {
        follower: follower(COPY_B, 1_000),
        synchronous: Some(COPY_B),
        ..observed(NodeId::A, Server::Primary)
    }));
    let nonce = last_nonce(&out).or_else(|| last_nonce(&party.feed(Event::Wake)));
    answer(party, nonce.expect("a proposal leaves"), 1);
}

fn event(name: &str, state: &str, nonce: Nonce) -> Event {
    let b = |body| message(NodeId::B, NodeId::A, body);
    let claim = |counter, force| Body::Claim {
        epoch: epoch(counter, NodeId::B),
        record: Some(reign_of_b(5)),
        effective: true,
        copy: COPY_B,
        force,
    };
    let record = match state {
        "blank" | "online" | "asking" => epoch(5, NodeId::B),
        _ => epoch(6, NodeId::A),
    };
    match name {
        "wake" => Event::Wake,
        "hello" => b(Body::Hello { answer: true }),
        "claim 9.b" => b(claim(9, false)),
        "forced claim 9.b" => b(claim(9, true)),
        "claim 4.b" => b(claim(4, false)),
        "deny" | "deny with record 9.b" => b(Body::Deny {
            epoch: epoch(6, NodeId::A),
            promised: epoch(9, NodeId::B),
            record: (name != "deny").then(|| reign_of_b(9)),
            retry_after: Duration::ZERO,
            reason: Reason::Outbid,
        }),
        "promise" => b(Body::Promise {
            epoch: epoch(6, NodeId::A),
            record: Some(reign_of_b(5)),
            effective: Some(reign_of_b(5)),
        }),
        "accept 9.b" => b(Body::Accept {
            record: reign_of_b(9),
            nonce,
        }),
        "accepted" => b(Body::Accepted {
            epoch: epoch(6, NodeId::A),
            version: 0,
            nonce,
        }),
        "renew 9.b" | "renew 4.b" => b(Body::Renew {
            record: reign_of_b(if name == "renew 4.b" { 4 } else { 9 }),
            effective: true,
            nonce,
        }),
        "release 5.b" => b(Body::Release {
            epoch: epoch(5, NodeId::B),
            position: None,
        }),
        "database down" => database(Server::Down),
        "replicator lost" => Event::ReplicatorLost,
        "switchover" => Event::Order(Order::Switchover { epoch: record }),
        "force" => Event::Order(Order::Force {
            epoch: record,
            alone: false,
        }),
        other => panic!("no event {other}"),
    }
}

fn outcome(state: &str, name: &str) -> String {
    let (mut party, nonce) = party(state);
    let actions = line(&party.feed(event(name, state, nonce)));
    if actions.is_empty() {
        "-".to_owned()
    } else {
        actions
    }
}

#[test]
fn every_state_answers_every_event_as_the_table_says() {
    let mut wrong = Vec::new();
    for (state, event, expected) in rows() {
        let found = outcome(state, event);
        if found != expected {
            wrong.push(format!(
                "{state} | {event} | {found}\n  the table: {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_a_row_for_every_state_and_event() {
    for state in STATES {
        for event in EVENTS {
            let count = rows()
                .filter(|row| (row.0, row.1) == (state, event))
                .count();
            assert_eq!(count, 1, "{state} | {event} | {}", outcome(state, event));
        }
    }
}
