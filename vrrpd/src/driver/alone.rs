//! A manager in no pool: its database is read-write.
//!
//! No I/O: the reports go in, the orders come out.

use vrrpd_core::pool::database::{Desired, Observed, Role, Server, Ticket};
use vrrpd_core::pool::record::{CopyId, Epoch};

/// What is ordered. A database starts as a standby and is promoted then; one
/// that has failed while read-write is first a standby again.
#[derive(Debug)]
pub(super) struct Alone {
    desired: Desired,
    /// It was read-write under the present order.
    served: bool,
}

impl Alone {
    /// Of one run of the daemon, which `seed` tells from every other.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            desired: Desired {
                ticket: Ticket(seed << 32),
                epoch: Epoch::ZERO,
                role: Role::Standby,
                copy: None,
                follow: None,
                synchronous: None,
            },
            served: false,
        }
    }

    /// What holds now.
    pub(super) fn desired(&self) -> Desired {
        self.desired
    }

    /// The database reported; the order that follows from it.
    pub(super) fn on_observed(&mut self, observed: &Observed) -> Option<Desired> {
        if !observed.ticket.covers(self.desired.ticket) {
            return None;
        }
        let copy = observed.copy?;
        match (self.desired.role, observed.server) {
            (Role::Standby, Server::Standby) if observed.healthy => {
                self.order(Role::Primary, Some(copy))
            }
            (Role::Primary, Server::Primary) => {
                self.served = true;
                None
            }
            (Role::Primary, Server::Down) => self.order(Role::Standby, None),
            // It was started anew, or other data were put there.
            (Role::Primary, Server::Standby) if self.served || Some(copy) != self.desired.copy => {
                self.order(Role::Standby, None)
            }
            _ => None,
        }
    }

    /// The replicator is lost; one that comes knows nothing of what was before,
    /// and makes nothing read-write that was not ordered to stand by first.
    pub(super) fn on_lost(&mut self) {
        self.order(Role::Standby, None);
    }

    fn order(&mut self, role: Role, copy: Option<CopyId>) -> Option<Desired> {
        self.served = false;
        self.desired.ticket = Ticket(self.desired.ticket.0 + 1);
        self.desired.role = role;
        self.desired.copy = copy;
        Some(self.desired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: CopyId = CopyId(7);

    fn observed(alone: &Alone, server: Server) -> Observed {
        Observed {
            ticket: alone.desired().ticket,
            server,
            healthy: true,
            copy: Some(COPY),
            run: 1,
            synchronous: None,
            position: None,
            follower: None,
            checkpointed: false,
        }
    }

    fn ordered(alone: &mut Alone, server: Server) -> Option<(Role, Option<CopyId>)> {
        let report = observed(alone, server);
        alone
            .on_observed(&report)
            .map(|desired| (desired.role, desired.copy))
    }

    #[test]
    fn a_standby_is_promoted_and_stays_so() {
        let mut alone = Alone::new(1);
        assert_eq!(alone.desired().role, Role::Standby);
        assert_eq!(ordered(&mut alone, Server::Busy), None);
        assert_eq!(
            ordered(&mut alone, Server::Standby),
            Some((Role::Primary, Some(COPY)))
        );
        assert_eq!(ordered(&mut alone, Server::Standby), None);
        assert_eq!(ordered(&mut alone, Server::Primary), None);
        assert_eq!(ordered(&mut alone, Server::Busy), None);
    }

    #[test]
    fn one_that_died_is_a_standby_first() {
        let mut alone = Alone::new(1);
        for died in [Server::Down, Server::Standby] {
            assert!(ordered(&mut alone, Server::Standby).is_some());
            assert_eq!(ordered(&mut alone, Server::Primary), None);
            assert_eq!(ordered(&mut alone, died), Some((Role::Standby, None)));
        }
    }

    #[test]
    fn a_report_of_an_older_order_orders_nothing() {
        let mut alone = Alone::new(1);
        let report = observed(&alone, Server::Standby);
        assert!(alone.on_observed(&report).is_some());
        assert_eq!(alone.on_observed(&report), None);
    }
}
