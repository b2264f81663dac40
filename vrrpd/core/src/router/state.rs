//! What a virtual router remembers in each of its states.

use core::time::Duration;
use std::net::IpAddr;

use super::action::StateName;
use crate::packet::{Centiseconds, Priority};
use crate::time::Instant;

/// Virtual addresses deleted so often within [`FIGHT_WINDOW`]: another program
/// manages the interface, and this router steps down.
pub(super) const FIGHT_MAX: u8 = 5;

/// How long a deletion counts, and how long the router stays down after it has
/// lost the fight.
pub(super) const FIGHT_WINDOW: Duration = Duration::from_secs(60);

/// RFC 9568 §6.3.
#[derive(Clone, Debug)]
pub(super) enum State {
    Initialize(Initialize),
    Backup(Backup),
    Active(Active),
}

impl State {
    pub(super) const fn name(&self) -> StateName {
        match self {
            Self::Initialize(_) => StateName::Initialize,
            Self::Backup(_) => StateName::Backup,
            Self::Active(_) => StateName::Active,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Initialize(initialize) => initialize.fought_until,
            Self::Backup(backup) => backup.active_down_timer.filter(|_| !backup.ready),
            Self::Active(active) => Some(active.deadline()),
        }
    }
}

/// Not taking part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Initialize {
    /// It gave up putting its addresses back, and stays down until then.
    pub(super) fought_until: Option<Instant>,
}

/// Watching the Active router.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// `None` when governed: the pool decides.
    pub(super) active_down_timer: Option<Instant>,
    /// That timer has expired, and the others of the group are waited for.
    pub(super) ready: bool,
    /// It was run late when the timer expired, and has waited for Skew_Time
    /// since, for what there is to read.
    pub(super) looks_again: bool,
    /// When that timer was last set.
    pub(super) armed_at: Instant,
    /// Learned from the Active router; our own until it is heard.
    pub(super) active_adver_interval: Centiseconds,
    /// Who was last listened to as Active.
    pub(super) active: Option<IpAddr>,
    /// The Active router said that it stops.
    pub(super) stopped: Option<IpAddr>,
    /// An Active router of lower priority that is about to be preempted.
    pub(super) inferior: Option<Inferior>,
    /// After the start, or a tie: whoever is Active is left alone until then,
    /// and nobody is followed.
    pub(super) listen_until: Instant,
}

/// An Active router of lower priority, heard without a break by a better one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inferior {
    pub(super) source: IpAddr,
    pub(super) priority: Priority,
    /// The preempt_delay ends then.
    pub(super) preempt_after: Instant,
    /// It was left alone when it was last heard: the timer waits for it to die.
    pub(super) spared: bool,
}

/// Holding the addresses.
#[derive(Clone, Debug)]
pub(super) struct Active {
    /// When the next advertisement is due.
    pub(super) adver_timer: Instant,
    /// The kernel takes the addresses away then.
    pub(super) until: Instant,
    pub(super) announcing: Announcing,
    /// Another that advertises as Active.
    pub(super) rival: Option<Rival>,
    pub(super) fight: Fight,
}

impl Active {
    fn deadline(&self) -> Instant {
        [
            self.announcing.next,
            self.rival.map(|rival| rival.until),
            self.fight.ends(),
        ]
        .into_iter()
        .flatten()
        .fold(self.adver_timer.min(self.until), Instant::min)
    }
}

/// Gratuitous ARP and neighbour advertisements that are still due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcing {
    /// The next round.
    pub(super) next: Option<Instant>,
    /// Rounds after that one.
    pub(super) rounds: u8,
    /// The last round after the first: what others send causes none sooner
    /// than an interval after it.
    pub(super) again: Option<Instant>,
}

/// Another router that advertises as Active, of lower rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    pub(super) source: IpAddr,
    /// Silent until then, it is gone.
    pub(super) until: Instant,
}

/// Deletions of virtual addresses by somebody else.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fight {
    first: Option<Instant>,
    times: u8,
}

impl Fight {
    /// Counts one more; returns how many there were lately.
    pub(super) fn count(&mut self, now: Instant) -> u8 {
        self.forget(now);
        self.first.get_or_insert(now);
        self.times = self.times.saturating_add(1);
        self.times
    }

    /// Forgets deletions that are long past.
    pub(super) fn forget(&mut self, now: Instant) {
        if self.first.is_some_and(|first| now >= first + FIGHT_WINDOW) {
            *self = Self::default();
        }
    }

    /// How many there were, once there were too many.
    pub(super) fn lost(&self) -> Option<u8> {
        (self.times >= FIGHT_MAX).then_some(self.times)
    }

    fn ends(&self) -> Option<Instant> {
        self.first
            .filter(|_| self.lost().is_some())
            .map(|first| first + FIGHT_WINDOW)
    }
}
