//! Streaming replication between the managers' databases, over a link that
//! is slower and fails by itself.

use vrrpd_core::pool::database::{Desired, Follower, Server};
use vrrpd_core::pool::record::NodeId;

use super::{What, World};
use crate::clock::{MICROS, MILLIS, Nanos};
use crate::manager::Task;

/// A broken connection is retried so often.
const RETRANSMIT: Nanos = 20 * MILLIS;

/// How many entries arrive at once, about.
const BATCH: u64 = 16;

/// How many in a thousand tries are the last one.
const GIVES_UP: u32 = 40;

impl World {
    /// Whether `id` can connect to the read-write server of `leader`.
    pub(crate) fn can_follow(&self, id: NodeId, leader: NodeId) -> bool {
        self.manager(leader).server == Server::Primary
            && self.host(leader).is_awake()
            && self.streams(id, leader)
            && self.streams(leader, id)
    }

    /// Whether the log of `id` is the beginning of `leader`'s.
    pub(crate) fn is_prefix(&self, id: NodeId, leader: NodeId) -> bool {
        let theirs = &self.manager(leader).directory.log;
        self.manager(id).directory.is_prefix_of(theirs)
    }

    /// A standby that follows keeps following, or begins to; a history that
    /// has parted from the leader's is given up for a copy.
    pub(crate) fn tend_stream(&mut self, id: NodeId, order: &Desired) {
        let follow = order.follow;
        let following = self.manager(id).leader;
        if following.is_some() && following != follow {
            self.end_stream(id);
        }
        let Some(leader) = follow else {
            return;
        };
        if following == follow {
            return;
        }
        if !self.can_follow(id, leader) || !self.is_meant(leader, order) {
            self.reconcile_later(id);
        } else if self.is_prefix(id, leader) {
            self.begin_stream(id, leader);
        } else {
            self.end_server(id, Server::Down);
            self.begin(id, Task::Copy(leader));
        }
    }

    fn begin_stream(&mut self, id: NodeId, leader: NodeId) {
        let Some(copy) = self.manager(id).directory.copy else {
            return;
        };
        let stream = self.manager(id).stream.max(self.manager(leader).stream) + 1;
        let flushed = self.manager(id).directory.end();
        let standby = self.manager_mut(id);
        standby.leader = Some(leader);
        standby.stream = stream;
        let primary = self.manager_mut(leader);
        primary.stream = stream;
        primary.follower = Some(Follower { copy, flushed });
        primary.shipping = false;
        self.say(format_args!("{id}'s database follows {leader}'s"));
        self.release_waiting(leader);
        self.ship(leader);
        self.report(leader);
    }

    /// A standby stops following; the leader notices.
    pub(crate) fn end_stream(&mut self, id: NodeId) {
        let Some(leader) = self.manager_mut(id).leader.take() else {
            return;
        };
        let stream = self.manager(id).stream;
        self.manager_mut(id).stream += 1;
        let primary = self.manager_mut(leader);
        if primary.stream == stream {
            primary.stream += 1;
            primary.follower = None;
            primary.shipping = false;
            self.report(leader);
        }
    }

    /// A leader ends; the standby notices, and looks for one again.
    pub(crate) fn lose_follower(&mut self, id: NodeId) {
        let Some(peer) = id.peer() else {
            return;
        };
        let primary = self.manager_mut(id);
        primary.follower = None;
        primary.shipping = false;
        let stream = primary.stream;
        primary.stream += 1;
        let standby = self.manager_mut(peer);
        if standby.leader == Some(id) && standby.stream == stream {
            standby.leader = None;
            standby.stream += 1;
            self.reconcile_later(peer);
        }
    }

    /// Sends what the follower does not have, one batch at a time.
    pub(crate) fn ship(&mut self, leader: NodeId) {
        let Some(peer) = leader.peer() else {
            return;
        };
        let primary = self.manager(leader);
        let end = primary.directory.log.len();
        let Some(flushed) = primary.follower.map(|follower| follower.flushed) else {
            return;
        };
        let behind = (end as u64).saturating_sub(flushed);
        if behind == 0 || primary.shipping {
            return;
        }
        let stream = primary.stream;
        // A long way to catch up arrives in pieces.
        let piece = 1 + self.random.below(2 * BATCH);
        let end = end - usize::try_from(behind.saturating_sub(piece)).unwrap_or(0);
        self.manager_mut(leader).shipping = true;
        let delay = self.replication_delay();
        self.after(delay, What::Ship(peer, stream, end));
    }

    fn replication_delay(&mut self) -> Nanos {
        let slowest = self.weather.slowest;
        self.random.between(100 * MICROS, 400 * MICROS) + self.random.below(slowest)
    }

    pub(crate) fn on_ship(&mut self, id: NodeId, stream: u32, end: usize) {
        let Some(leader) = self
            .manager(id)
            .leader
            .filter(|_| self.manager(id).stream == stream)
        else {
            return;
        };
        if !self.streams(leader, id) || !self.host(id).is_awake() {
            self.retransmit(id, stream, What::Ship(id, stream, end));
            return;
        }
        self.take_log(id, leader, end);
        self.report(id);
        let delay = self.replication_delay();
        self.after(delay, What::Flushed(leader, stream, end));
    }

    fn take_log(&mut self, id: NodeId, leader: NodeId, end: usize) {
        let from = self.manager(id).directory.log.len();
        let [a, b] = &mut self.managers;
        let (standby, primary) = match (id, leader) {
            (NodeId::A, _) => (a, b),
            _ => (b, a),
        };
        if let Some(new) = primary.directory.log.get(from..end) {
            standby.directory.log.extend_from_slice(new);
        }
        standby.visible = standby.directory.log.len();
    }

    /// TCP tries again; after a while an end gives the connection up.
    fn retransmit(&mut self, standby: NodeId, stream: u32, what: What) {
        if self.random.chance(GIVES_UP) && self.manager(standby).stream == stream {
            self.end_stream(standby);
            self.reconcile_later(standby);
        } else {
            self.after(RETRANSMIT, what);
        }
    }

    pub(crate) fn on_flushed(&mut self, leader: NodeId, stream: u32, end: usize) {
        let Some(standby) = leader.peer() else {
            return;
        };
        if self.manager(leader).stream != stream {
            return;
        }
        if !self.streams(standby, leader) || !self.host(leader).is_awake() {
            self.retransmit(standby, stream, What::Flushed(leader, stream, end));
            return;
        }
        let primary = self.manager_mut(leader);
        primary.shipping = false;
        if let Some(follower) = &mut primary.follower {
            follower.flushed = follower.flushed.max(end as u64);
        }
        self.release_waiting(leader);
        self.report(leader);
        self.ship(leader);
    }

    /// A clean stop waits until a follower that keeps up has everything.
    pub(crate) fn ship_at_once(&mut self, leader: NodeId) {
        let Some(peer) = leader.peer() else {
            return;
        };
        let end = self.manager(leader).directory.log.len();
        let follows = self.manager(leader).follower.is_some()
            && self.manager(peer).leader == Some(leader)
            && self.manager(peer).stream == self.manager(leader).stream;
        if follows && self.streams(leader, peer) && self.host(peer).is_awake() {
            self.take_log(peer, leader, end);
            self.report(peer);
        }
    }
}
