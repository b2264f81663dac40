//! Three blank parties become a pool, and one of them dies.

use super::*;
use crate::pool::status::Standing;

/// The three parties on a perfect network, with databases that obey at once.
pub(super) struct Pool {
    pub(super) parties: [Party; 3],
    /// What each database reported last, and says again and again.
    reports: [Option<Observed>; 3],
    pub(super) down: [bool; 3],
    pub(super) open: [bool; 3],
}

impl Pool {
    fn blank() -> Self {
        let mut parties = NodeId::ALL.map(|id| Party::new(id, None));
        // Different seeds: otherwise three equal incarnations.
        for (party, seed) in parties.iter_mut().zip(1..) {
            party.member = Member::new(config(party.member.config.id), None, seed, party.now);
            party.start();
        }
        Self {
            parties,
            reports: [None; 3],
            down: [false; 3],
            open: [false; 3],
        }
    }

    /// Delivers an event, and everything that follows from it.
    pub(super) fn deliver(&mut self, to: NodeId, event: Event) {
        let mut queue = std::collections::VecDeque::from([(to, event)]);
        while let Some((to, event)) = queue.pop_front() {
            if self.down[to.index()] {
                continue;
            }
            if let Event::Database(observed) = event {
                self.reports[to.index()] = Some(observed);
            }
            for action in self.parties[to.index()].feed(event) {
                match action {
                    Action::Send(envelope) => {
                        queue.push_back((envelope.to, Event::Received(envelope)))
                    }
                    Action::Database(desired) => {
                        let server = match desired.role {
                            Role::Standby => Server::Standby,
                            Role::Primary | Role::Retiring => Server::Primary,
                            Role::Stopped => Server::Stopped,
                        };
                        let mut now = observed(to, server);
                        now.synchronous = desired.synchronous;
                        now.checkpointed = desired.role == Role::Retiring;
                        if server == Server::Primary && !self.down[1 - to.index()] {
                            let other = if to == NodeId::A { COPY_B } else { COPY_A };
                            now.follower = follower(other, 1_000);
                        }
                        queue.push_back((to, Event::Database(now)));
                    }
                    Action::OpenGate { .. } => self.open[to.index()] = true,
                    Action::CloseGate => self.open[to.index()] = false,
                    Action::Persist(_)
                    | Action::Hold { .. }
                    | Action::Drop
                    | Action::Decided(_)
                    | Action::Refused(_) => {}
                }
            }
            assert!(!(self.open[0] && self.open[1]), "two gates are open");
        }
    }

    pub(super) fn run(&mut self, span: Duration) {
        let step = Duration::from_millis(5);
        let mut left = span;
        while left > Duration::ZERO {
            for id in NodeId::ALL {
                self.parties[id.index()].after(step);
            }
            for id in NodeId::ALL {
                let report = self.reports[id.index()].map(Event::Database);
                self.deliver(id, report.unwrap_or(Event::Wake));
            }
            left = left.saturating_sub(step);
        }
    }

    fn start(&mut self) {
        for id in [NodeId::A, NodeId::B] {
            self.deliver(id, Event::Database(observed(id, Server::Standby)));
        }
    }

    pub(super) fn standing(&self, id: NodeId) -> Standing {
        let party = &self.parties[id.index()];
        party.member.status(party.now).standing
    }

    fn in_sync(&self, id: NodeId) -> Option<InSync> {
        let party = &self.parties[id.index()];
        let durable = party.member.status(party.now).durable;
        durable.effective.map(|record| record.in_sync)
    }
}

pub(super) fn formed() -> Pool {
    let mut pool = Pool::blank();
    pool.start();
    pool.run(Duration::from_secs(2));
    pool
}

#[test]
fn blank_parties_form_a_pool_with_both_copies_in_sync() {
    let pool = formed();
    assert_eq!(pool.standing(NodeId::A), Standing::Serving);
    assert_eq!(pool.standing(NodeId::B), Standing::Online);
    for id in NodeId::ALL {
        assert_eq!(pool.in_sync(id), Some(both()), "at {id}");
    }
}

#[test]
fn nobody_forms_a_pool_of_two() {
    let mut pool = Pool::blank();
    pool.down[NodeId::R.index()] = true;
    pool.start();
    pool.run(Duration::from_secs(2));
    assert_eq!(pool.standing(NodeId::A), Standing::Blank);
    assert_eq!(pool.standing(NodeId::B), Standing::Blank);
}

#[test]
fn host_death_makes_the_other_primary_within_the_active_down_interval() {
    let mut pool = formed();
    pool.down[NodeId::A.index()] = true;
    pool.open[NodeId::A.index()] = false;
    pool.run(Duration::from_millis(400));
    assert_eq!(pool.standing(NodeId::B), Standing::Serving);
    assert_eq!(
        pool.in_sync(NodeId::R),
        Some(InSync::only(NodeId::B, COPY_B))
    );
}

#[test]
fn switchover_moves_the_role_there_and_back() {
    let mut pool = formed();
    for (from, to) in [(NodeId::A, NodeId::B), (NodeId::B, NodeId::A)] {
        let epoch = pool.parties[from.index()].member.reign();
        let order = super::super::Order::Switchover { epoch };
        pool.deliver(from, Event::Order(order));
        pool.run(Duration::from_millis(50));
        assert_eq!(pool.standing(to), Standing::Serving, "from {from} to {to}");
        assert_eq!(pool.standing(from), Standing::Online);
        pool.run(Duration::from_secs(3));
        assert_eq!(pool.in_sync(NodeId::R), Some(both()));
    }
}

#[test]
fn death_of_both_others_leaves_the_primary_alone_by_right() {
    let mut pool = formed();
    pool.down[NodeId::B.index()] = true;
    pool.deliver(
        NodeId::A,
        Event::Database(Observed {
            follower: None,
            synchronous: Some(COPY_B),
            ..observed(NodeId::A, Server::Primary)
        }),
    );
    pool.run(Duration::from_secs(1));
    assert_eq!(
        pool.in_sync(NodeId::R),
        Some(InSync::only(NodeId::A, COPY_A))
    );
    pool.down[NodeId::R.index()] = true;
    pool.run(Duration::from_secs(1));
    assert_eq!(pool.standing(NodeId::A), Standing::Serving);
}

#[test]
fn death_of_both_others_at_once_ends_the_reign() {
    let mut pool = formed();
    pool.down[NodeId::B.index()] = true;
    pool.down[NodeId::R.index()] = true;
    pool.run(Duration::from_secs(1));
    assert!(!pool.open[NodeId::A.index()]);
    assert_ne!(pool.standing(NodeId::A), Standing::Serving);
}

#[test]
fn what_was_said_before_this_boot_forms_no_pool() {
    let mut master = Party::new(NodeId::A, None);
    let own = master.member.status(master.now).durable;
    let mut hello = |from: NodeId, seen| {
        let Event::Received(mut envelope) = message(from, NodeId::A, Body::Hello { answer: false })
        else {
            unreachable!("a message");
        };
        envelope.report.blank = true;
        envelope.report.offer = Some(7);
        envelope.seen = seen;
        master.feed(Event::Received(envelope));
        master.feed(Event::Database(observed(NodeId::A, Server::Standby)));
        master.member.status(master.now).standing
    };
    // Both were blank once, and one is not any more: its Hello comes late.
    let known = Some((own.incarnation, own.boots));
    assert_eq!(hello(NodeId::R, known), Standing::Blank);
    assert_eq!(hello(NodeId::B, None), Standing::Blank);
    assert_eq!(
        hello(NodeId::B, Some((own.incarnation, 0))),
        Standing::Blank
    );
    assert_eq!(hello(NodeId::B, known), Standing::Promoting);
}
