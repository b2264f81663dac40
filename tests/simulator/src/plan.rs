//! What one schedule does: its timing, its weather and its faults, from a seed.

use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::rule::Rule;
use vrrpd_core::pool::{Config, Durability};
use vrrpd_core::time::Duration;

use crate::check::Invariant;
use crate::clock::{MICROS, MILLIS, Nanos, SECONDS};
use crate::random::Random;

/// What pool datagrams meet on their way.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The shortest way.
    pub fastest: Nanos,
    /// The longest usual way; two messages on it may change places.
    pub slowest: Nanos,
    /// Lost, in a thousand.
    pub loss: u32,
    /// Sent twice, in a thousand.
    pub duplicate: u32,
    /// Very late, in a thousand.
    pub late: u32,
    /// How late at most.
    pub latest: Nanos,
}

impl Weather {
    /// Nothing is lost.
    pub const FAIR: Self = Self {
        fastest: 50 * MICROS,
        slowest: 400 * MICROS,
        loss: 0,
        duplicate: 0,
        late: 0,
        latest: 0,
    };
}

/// What the faults do; each is drawn with its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Two hosts do not reach one another.
    Cut,
    /// One way only.
    CutOneWay,
    /// A host reaches nobody.
    Isolate,
    /// Only replication between the managers is cut.
    CutReplication,
    /// A link that comes and goes.
    Flap,
    /// The daemon's process dies and is started again.
    KillDaemon,
    /// The daemon dies between two actions of its next list.
    KillBetweenActions,
    /// The daemon is stopped and continued (SIGSTOP).
    StopDaemon,
    /// The daemon is stopped between two actions of its next list.
    StopBetweenActions,
    /// The host loses its power.
    KillHost,
    /// All three do.
    KillAll,
    /// The machine is suspended: its clock goes on, its kernel timers do not.
    Suspend,
    /// The machine is paused by its host: its clock stands still too.
    Pause,
    /// The clock jumps, or changes its rate beyond all assumptions.
    BreakClock,
    /// State reaches the disk slowly.
    SlowDisk,
    /// The database dies.
    KillDatabase,
    /// Writes hang.
    HangDatabase,
    /// Changes of synchronous replication take long (checkpointer busy).
    SlowCheckpointer,
    /// The next promotion dies half-way.
    HalfPromotion,
    /// The next promotion hangs.
    HangPromotion,
    /// The replicator dies and is started again.
    KillReplicator,
    /// Orders and reports take long.
    SlowReplicator,
    /// The data directory is lost.
    LoseData,
    /// An older copy of the data directory is put back by hand.
    RestoreData,
    /// The daemon's state directory is lost.
    LoseState,
    /// Both directories.
    LoseDisk,
    /// The state directory goes back to an earlier boot.
    RollBack,
    /// Messages of one kind do not pass, one way.
    Mute,
    /// Messages are lost, doubled and late.
    Storm,
    /// An operator orders a switchover.
    Switchover,
    /// The same, of a reign that has passed.
    StaleSwitchover,
    /// Checks change a priority.
    Priority,
    /// An operator forces a manager.
    Force,
    /// The same, the others being off.
    ForceAlone,
}

impl Fault {
    /// Those that any schedule may have.
    const COMMON: &'static [Self] = &[
        Self::Cut,
        Self::CutOneWay,
        Self::Isolate,
        Self::CutReplication,
        Self::Flap,
        Self::KillDaemon,
        Self::KillBetweenActions,
        Self::StopDaemon,
        Self::StopBetweenActions,
        Self::KillHost,
        Self::KillAll,
        Self::SlowDisk,
        Self::KillDatabase,
        Self::HangDatabase,
        Self::SlowCheckpointer,
        Self::HalfPromotion,
        Self::HangPromotion,
        Self::KillReplicator,
        Self::SlowReplicator,
        Self::LoseData,
        Self::RestoreData,
        Self::LoseState,
        Self::LoseDisk,
        Self::RollBack,
        Self::Mute,
        Self::Storm,
        Self::Switchover,
        Self::StaleSwitchover,
        Self::Priority,
    ];
}

/// What the simulator itself does wrong, to show that it would notice: rules
/// that the database's side or the driver keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A rewound or restored directory keeps its copy id.
    KeepsCopyId,
    /// Synchronous replication is reported when it was ordered.
    ReportsSynchronousEarly,
    /// The position of a report is read before its `synchronous`, and late.
    ReadsPositionEarly,
    /// A database that died under a Primary is started again unasked.
    RestartsUnasked,
    /// Synchronous replication is switched off, as it is no longer ordered,
    /// before a server that is to be a standby is stopped.
    RelaxesBeforeStopping,
    /// A copy that the order is not meant for is promoted, or followed.
    IgnoresCopy,
    /// A message leaves before what it depends on is on disk.
    SendsBeforePersisting,
    /// The kernel does not end the gate and the address.
    FencesDoNotExpire,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &'static [Self] = &[
        Self::KeepsCopyId,
        Self::ReportsSynchronousEarly,
        Self::ReadsPositionEarly,
        Self::RestartsUnasked,
        Self::RelaxesBeforeStopping,
        Self::IgnoresCopy,
        Self::SendsBeforePersisting,
        Self::FencesDoNotExpire,
    ];
}

/// Everything that a schedule is drawn from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of every random number in the world.
    pub seed: u64,
    /// Renewals.
    pub advertise_interval: Duration,
    /// Grants.
    pub lease: Duration,
    /// Before a silent copy is removed.
    pub remove_after: Duration,
    /// The Master's option.
    pub active: bool,
    /// Whether commits may be acknowledged by one copy.
    pub durability: Durability,
    /// The pool exists at the beginning; otherwise it forms.
    pub founded: bool,
    /// How long the faults go on.
    pub faults_for: Nanos,
    /// The mean time between two faults.
    pub pace: Nanos,
    /// How many in a thousand decisions provoke a fault.
    pub provoked: u32,
    /// The usual weather.
    pub weather: Weather,
    /// Which faults, each with its weight.
    pub faults: Vec<(Fault, u32)>,
    /// Disks may be lost though the pool is not whole: it may end without any
    /// Primary, waiting for an operator.
    pub ruthless: bool,
    /// Between two writes of a client.
    pub write_every: Nanos,
    /// Only a violation of this invariant counts, for a rule that is broken.
    pub watch: Option<Invariant>,
    /// The rule of the core that is broken.
    pub rule: Option<Rule>,
    /// The rule of the simulator's own side that is broken.
    pub flaw: Option<Flaw>,
}

impl Plan {
    /// A founded pool in fair weather, without faults.
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            advertise_interval: Duration::from_millis(100),
            lease: Duration::from_millis(300),
            remove_after: Duration::from_millis(400),
            active: false,
            durability: Durability::Available,
            founded: true,
            faults_for: 0,
            pace: SECONDS,
            provoked: 0,
            weather: Weather::FAIR,
            faults: Vec::new(),
            ruthless: false,
            write_every: 20 * MILLIS,
            watch: None,
            rule: None,
            flaw: None,
        }
    }

    /// The schedule of `seed`: which faults are on, and how strong.
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x706c_616e);
        let interval = random.pick(&[20u64, 50, 100, 100, 200]);
        let lease = interval * random.pick(&[3u64, 3, 3, 4, 6]);
        let broken = random.chance(120);
        let mut plan = Self {
            advertise_interval: Duration::from_millis(interval),
            lease: Duration::from_millis(lease),
            remove_after: Duration::from_millis(lease.max(random.pick(&[300u64, 400, 800]))),
            active: random.chance(300),
            durability: if random.chance(100) {
                Durability::Strict
            } else {
                Durability::Available
            },
            founded: !random.chance(80),
            faults_for: random.between(2, 30) * lease * MILLIS,
            pace: random.pick(&[1u64, 2, 4, 10]) * lease * MILLIS / 4,
            provoked: random.pick(&[0, 0, 50, 200, 400]),
            ruthless: random.chance(100),
            write_every: random.pick(&[5u64, 10, 20, 50]) * MILLIS,
            ..Self::calm(seed)
        };
        if random.chance(400) {
            plan.weather = Self::bad_weather(&mut random, lease * MILLIS);
        }
        let few = random.chance(500);
        for &fault in Fault::COMMON {
            if random.chance(if few { 150 } else { 500 }) {
                let weight = random.pick(&[1u32, 1, 3, 10]);
                plan.faults.push((fault, Self::tamed(fault, weight)));
            }
        }
        if random.chance(100) {
            plan.faults.push((Fault::Suspend, 4));
        }
        if random.chance(60) {
            plan.faults.push((Fault::Force, 2));
            plan.faults.push((Fault::ForceAlone, 2));
        }
        if broken {
            plan.faults.push((Fault::BreakClock, 10));
            plan.faults.push((Fault::Pause, 4));
        }
        plan
    }

    /// Disasters are rare even where they are on.
    const fn tamed(fault: Fault, weight: u32) -> u32 {
        match fault {
            Fault::KillAll | Fault::LoseDisk | Fault::LoseState | Fault::LoseData => 1,
            _ => weight,
        }
    }

    /// Loss, duplicates and delays of a strength of their own.
    pub fn bad_weather(random: &mut Random, lease: Nanos) -> Weather {
        Weather {
            fastest: 50 * MICROS,
            slowest: random.pick(&[400 * MICROS, 5 * MILLIS, lease / 10, lease / 3]),
            loss: random.pick(&[0, 10, 100, 300]),
            duplicate: random.pick(&[0, 10, 200]),
            late: random.pick(&[0, 5, 50]),
            latest: lease * random.pick(&[1, 3, 20]),
        }
    }

    /// Whether clocks may break the assumptions: only the data fence remains.
    pub fn breaks_clocks(&self) -> bool {
        self.has(Fault::BreakClock) || self.has(Fault::Pause)
    }

    /// Whether `fault` may happen.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|&(one, _)| one == fault)
    }

    /// A fault by its weight, if there is any.
    pub fn draw(&self, random: &mut Random) -> Option<Fault> {
        let total: u64 = self
            .faults
            .iter()
            .map(|&(_, weight)| u64::from(weight))
            .sum();
        let mut at = random.below(total);
        for &(fault, weight) in &self.faults {
            if at < u64::from(weight) {
                return Some(fault);
            }
            at -= u64::from(weight);
        }
        None
    }

    /// The lease, in nanoseconds.
    pub fn lease_nanos(&self) -> Nanos {
        u64::try_from(self.lease.as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// The same schedule, with the rule or flaw of that name broken; `None`
    /// if there is none.
    pub fn breaking(mut self, name: &str) -> Option<Self> {
        self.rule = Rule::ALL
            .iter()
            .copied()
            .find(|rule| format!("{rule:?}") == name);
        self.flaw = Flaw::ALL
            .iter()
            .copied()
            .find(|flaw| format!("{flaw:?}") == name);
        (self.rule.is_some() || self.flaw.is_some()).then_some(self)
    }

    /// What the member of `id` is told.
    pub fn config(&self, id: NodeId) -> Config {
        Config {
            id,
            advertise_interval: self.advertise_interval,
            lease: self.lease,
            remove_after: self.remove_after,
            switchover_timeout: self.lease * 8,
            promote_timeout: self.lease * 10,
            replicator_timeout: (self.lease * 3).max(Duration::from_millis(600)),
            stable: self.lease * 4,
            active: self.active,
            durability: self.durability,
            offer: Some(0x0ffe_0000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Plan};
    use crate::random::Random;

    #[test]
    fn a_drawn_fault_is_one_of_the_plan() {
        let mut plan = Plan::calm(1);
        plan.faults = vec![(Fault::Cut, 1), (Fault::Storm, 3)];
        let mut random = Random::new(1);
        for _ in 0..100 {
            assert!(plan.draw(&mut random).is_some_and(|fault| plan.has(fault)));
        }
    }

    #[test]
    fn a_plan_without_faults_draws_none() {
        assert_eq!(Plan::calm(1).draw(&mut Random::new(1)), None);
    }

    #[test]
    fn equal_seeds_give_equal_plans() {
        let (one, two) = (Plan::from_seed(9), Plan::from_seed(9));
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
}
