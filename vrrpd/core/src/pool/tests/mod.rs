//! The pool member as tables of events and actions.

mod codec;
mod forming;
mod matrix;
mod pause;

use super::database::{Follower, Observed, Position, Role, Server, Ticket};
use super::member::Member;
use super::message::{Body, Envelope, Report};
use super::record::{CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters};
use super::{Action, Config, Durability, Event, Pause};
use crate::time::{Duration, Instant};

pub(super) const INTERVAL: Duration = Duration::from_millis(100);
pub(super) const LEASE: Duration = Duration::from_millis(300);
pub(super) const COPY_A: CopyId = CopyId(0xa);
pub(super) const COPY_B: CopyId = CopyId(0xb);
pub(super) const VOTERS: Voters = Voters([Incarnation(1), Incarnation(2), Incarnation(3)]);

pub(super) fn config(id: NodeId) -> Config {
    Config {
        id,
        advertise_interval: INTERVAL,
        lease: LEASE,
        remove_after: Duration::from_millis(400),
        switchover_timeout: Duration::from_secs(10),
        promote_timeout: Duration::from_secs(30),
        replicator_timeout: Duration::from_secs(2),
        stable: Duration::from_secs(30),
        active: false,
        durability: Durability::Available,
        offer: Some(7),
    }
}

pub(super) fn epoch(counter: u64, node: NodeId) -> Epoch {
    Epoch { counter, node }
}

/// The record of a's reign 5.a with the given set.
pub(super) fn reign_of_a(version: u32, in_sync: InSync) -> Record {
    Record {
        epoch: epoch(5, NodeId::A),
        version,
        primary: NodeId::A,
        in_sync,
        voters: VOTERS,
        forced: false,
    }
}

pub(super) fn both() -> InSync {
    InSync {
        a: Some(COPY_A),
        b: Some(COPY_B),
    }
}

pub(super) fn durable(id: NodeId, record: Record) -> Durable {
    Durable {
        incarnation: VOTERS.of(id),
        boots: 1,
        promised: record.epoch,
        reserved: record.epoch.counter,
        record: Some(record),
        effective: Some(record),
        released: Epoch::ZERO,
        pause: Pause::default(),
    }
}

/// A healthy database of `node` in `server`'s state.
pub(super) fn observed(node: NodeId, server: Server) -> Observed {
    Observed {
        ticket: Ticket::default(),
        server,
        healthy: true,
        copy: Some(if node == NodeId::A { COPY_A } else { COPY_B }),
        run: 1,
        synchronous: None,
        position: Some(Position {
            timeline: 1,
            lsn: 1_000,
        }),
        follower: None,
        checkpointed: false,
    }
}

pub(super) fn follower(copy: CopyId, flushed: u64) -> Option<Follower> {
    Some(Follower { copy, flushed })
}

pub(super) fn report(node: NodeId) -> Report {
    Report {
        priority: if node == NodeId::R { 0 } else { 100 },
        active: false,
        blank: false,
        primary: false,
        healthy: node != NodeId::R,
        copy: match node {
            NodeId::A => Some(COPY_A),
            NodeId::B => Some(COPY_B),
            NodeId::R => None,
        },
        position: None,
        offer: None,
        pause: Pause::default(),
    }
}

pub(super) fn message(from: NodeId, to: NodeId, body: Body) -> Event {
    Event::Received(Envelope {
        from,
        to,
        incarnation: VOTERS.of(from),
        boots: 1,
        seen: None,
        report: report(from),
        body,
    })
}

/// A member and its clock.
#[derive(Clone)]
pub(super) struct Party {
    pub(super) member: Member,
    pub(super) now: Instant,
    /// Of the last order: its database has always reconciled.
    ticket: Ticket,
}

impl Party {
    pub(super) fn new(id: NodeId, durable: Option<Durable>) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut party = Self {
            member: Member::new(config(id), durable, 42, now),
            now,
            ticket: Ticket::default(),
        };
        party.start();
        party
    }

    fn start(&mut self) {
        let mut out = Vec::new();
        self.member.start(self.now, &mut out);
        self.note(&out);
    }

    fn note(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Database(desired) = action {
                self.ticket = desired.ticket;
            }
        }
    }

    pub(super) fn after(&mut self, span: Duration) -> &mut Self {
        self.now = self.now + span;
        self
    }

    pub(super) fn feed(&mut self, event: Event) -> Vec<Action> {
        let event = match event {
            Event::Database(observed) => Event::Database(Observed {
                ticket: self.ticket,
                ..observed
            }),
            other => other,
        };
        let mut out = Vec::new();
        self.member.handle(event, self.now, &mut out);
        self.note(&out);
        out
    }
}

/// One action in a few words, for tables.
pub(super) fn words(action: &Action) -> String {
    match action {
        Action::Persist(durable) => {
            let record = durable.record.map_or("blank".to_owned(), |r| {
                format!("{}v{}{}", r.epoch, r.version, r.in_sync)
            });
            format!("persist {} {record}", durable.promised)
        }
        Action::Send(envelope) => format!("{} to {}", said(&envelope.body), envelope.to),
        Action::Hold { .. } => "hold".to_owned(),
        Action::Drop => "drop".to_owned(),
        Action::OpenGate { .. } => "open".to_owned(),
        Action::CloseGate => "close".to_owned(),
        Action::Database(desired) => {
            let role = match desired.role {
                Role::Standby => "standby",
                Role::Primary => "primary",
                Role::Retiring => "retiring",
                Role::Stopped => "stopped",
            };
            let follow = desired.follow.map_or(String::new(), |n| format!(" of {n}"));
            let sync = desired
                .synchronous
                .map_or(String::new(), |c| format!(" sync {:x}", c.0));
            format!("{role}{follow}{sync}")
        }
        Action::Decided(_) => "note".to_owned(),
        Action::Refused(refusal) => format!("refused: {refusal}"),
    }
}

fn said(body: &Body) -> String {
    match body {
        Body::Hello { answer: true } => "hello?".to_owned(),
        Body::Hello { answer: false } => "hello".to_owned(),
        Body::Claim { epoch, .. } => format!("claim {epoch}"),
        Body::Deny { reason, .. } => format!("deny ({reason:?})"),
        Body::Promise { epoch, .. } => format!("promise {epoch}"),
        Body::Accept { record, .. } => format!("accept {}", record.epoch),
        Body::Accepted { epoch, .. } => format!("accepted {epoch}"),
        Body::Renew {
            record, effective, ..
        } => format!(
            "renew {}v{}{}",
            record.epoch,
            record.version,
            if *effective { "" } else { "?" }
        ),
        Body::Renewed { epoch, version, .. } => format!("renewed {epoch}v{version}"),
        Body::Release { epoch, .. } => format!("release {epoch}"),
    }
}

/// The actions in a few words, without the journal.
pub(super) fn line(actions: &[Action]) -> String {
    let words: Vec<_> = actions
        .iter()
        .map(words)
        .filter(|words| words != "note")
        .collect();
    words.join(", ")
}
