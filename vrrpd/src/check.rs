//! Checks: what adjusts a priority, or makes it a fault.
//!
//! Scripts are started from time to time and judged by their end; links and
//! parties of the pool are told when they change. What a check says last is
//! told to the core, which derives the priorities.

use core::time::Duration;

use log::Level;
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::priority::CheckState;
use vrrpd_core::time::Instant;

use crate::config::{self, Probe};
use crate::job::{self, Command, Order, Outcome, Owner};

/// A wake-up later than this is the host's doing: a script that has overrun by
/// then is given this long before it is killed.
const LATE: Duration = Duration::from_millis(50);

/// What the checks hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The deadline has come.
    Wake,
    /// A script ended.
    Ended(job::Id, Outcome),
    /// An interface is up and has its carrier, or not.
    Link(String, bool),
    /// A party of the pool answers, or not.
    Reachable(NodeId, bool),
}

/// What the driver is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// For the [`job::Runner`].
    Order(Order),
    /// For the core.
    Checked {
        /// Its place in the configuration.
        check: usize,
        /// What it says now.
        state: CheckState,
    },
}

/// All checks of a configuration.
#[derive(Debug)]
pub struct Checks {
    checks: Vec<Check>,
    launched: u64,
}

#[derive(Debug)]
struct Check {
    config: config::Check,
    state: CheckState,
    /// Results in a row that speak against `state`.
    against: u32,
    /// When its script is started next.
    next: Instant,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    id: job::Id,
    /// When it is killed; `None` once it was.
    until: Option<Instant>,
}

/// What one look has found.
#[derive(Debug)]
enum Finding {
    Good,
    /// Why.
    Bad(String),
    /// The script has not said anything in time.
    Unknown(String),
}

impl Checks {
    /// Nothing is known yet; the scripts start at the first [`Event::Wake`],
    /// which is due at once.
    pub fn new(checks: Vec<config::Check>, now: Instant) -> Self {
        Self {
            checks: checks
                .into_iter()
                .map(|config| Check::new(config, now))
                .collect(),
            launched: 0,
        }
    }

    /// Handles one event; `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        match event {
            Event::Wake => self.on_wake(now, out),
            Event::Ended(id, outcome) => self.on_ended(id, &outcome, out),
            Event::Link(interface, up) => {
                let probe = Probe::Interface(interface);
                self.on_told(&probe, up, "its link is down", out);
            }
            Event::Reachable(NodeId::R, yes) => {
                self.on_told(&Probe::Arbiter, yes, "the arbiter does not answer", out);
            }
            Event::Reachable(NodeId::A | NodeId::B, yes) => {
                self.on_told(&Probe::Peer, yes, "the other manager does not answer", out);
            }
        }
    }

    /// When [`Event::Wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.checks.iter().filter_map(Check::deadline).min()
    }

    /// What each check says, in the configuration's order.
    pub fn states(&self) -> impl Iterator<Item = (&config::Check, CheckState)> {
        self.checks.iter().map(|check| (&check.config, check.state))
    }

    /// A new configuration after a reload. What was known of a check that is
    /// still there, unchanged, stays known; tell the core the new setup first.
    pub fn reconfigure(&mut self, checks: Vec<config::Check>, now: Instant, out: &mut Vec<Action>) {
        let mut old = core::mem::take(&mut self.checks);
        for (place, config) in checks.into_iter().enumerate() {
            let known = old.iter().position(|check| check.config == config);
            let check = match known {
                Some(at) => old.swap_remove(at),
                None => Check::new(config, now),
            };
            out.push(Action::Checked {
                check: place,
                state: check.state,
            });
            self.checks.push(check);
        }
        for running in old.iter().filter_map(|check| check.running.as_ref()) {
            out.push(Action::Order(Order::Kill(running.id)));
        }
    }

    fn on_wake(&mut self, now: Instant, out: &mut Vec<Action>) {
        for (place, check) in self.checks.iter_mut().enumerate() {
            check.overrun(place, now, out);
            if check.running.is_none()
                && check.next <= now
                && let Probe::Command {
                    argv,
                    interval,
                    timeout,
                } = &check.config.probe
            {
                self.launched += 1;
                let id = job::Id {
                    owner: Owner::Check,
                    number: self.launched,
                };
                // A start that comes late does not make the next ones bunch up.
                check.next = now + *interval;
                check.running = Some(Running {
                    id,
                    until: Some(now + *timeout),
                });
                let command = Command {
                    argv: argv.clone(),
                    environment: vec![("VRRPD_CHECK".to_owned(), check.config.name.clone())],
                };
                out.push(Action::Order(Order::Launch(id, command)));
            }
        }
    }

    fn on_ended(&mut self, id: job::Id, outcome: &Outcome, out: &mut Vec<Action>) {
        for (place, check) in self.checks.iter_mut().enumerate() {
            let Some(running) = check.running.take_if(|running| running.id == id) else {
                continue;
            };
            // What was killed has been judged already.
            if running.until.is_some() {
                let finding = if outcome.is_success() {
                    Finding::Good
                } else {
                    Finding::Bad(outcome.to_string())
                };
                check.judge(place, finding, out);
            }
        }
    }

    fn on_told(&mut self, probe: &Probe, good: bool, why: &str, out: &mut Vec<Action>) {
        for (place, check) in self.checks.iter_mut().enumerate() {
            if check.config.probe == *probe {
                let finding = if good {
                    Finding::Good
                } else {
                    Finding::Bad(why.to_owned())
                };
                check.judge(place, finding, out);
            }
        }
    }
}

impl Check {
    fn new(config: config::Check, now: Instant) -> Self {
        Self {
            config,
            state: CheckState::Unknown,
            against: 0,
            next: now,
            running: None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match (&self.config.probe, &self.running) {
            (Probe::Command { .. }, None) => Some(self.next),
            (Probe::Command { .. }, Some(running)) => running.until,
            (Probe::Interface(_) | Probe::Arbiter | Probe::Peer, _) => None,
        }
    }

    /// Kills a script that has run for too long.
    fn overrun(&mut self, place: usize, now: Instant, out: &mut Vec<Action>) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(until) = running.until.filter(|&until| until <= now) else {
            return;
        };
        if until.until(now) > LATE {
            // This process was not run in time, so neither was the script.
            running.until = Some(now + LATE);
            return;
        }
        running.until = None;
        out.push(Action::Order(Order::Kill(running.id)));
        let timeout = match &self.config.probe {
            Probe::Command { timeout, .. } => *timeout,
            Probe::Interface(_) | Probe::Arbiter | Probe::Peer => Duration::ZERO,
        };
        let why = format!("no result within {} ms", timeout.as_millis());
        self.judge(place, Finding::Unknown(why), out);
    }

    /// The first result decides at once, an unknown one after `fall`; later
    /// ones after `rise` or `fall` in a row.
    fn judge(&mut self, place: usize, finding: Finding, out: &mut Vec<Action>) {
        let name = &self.config.name;
        let (next, needed, why) = match (self.state, finding) {
            (CheckState::Good, Finding::Good) => {
                self.against = 0;
                return;
            }
            (CheckState::Failing, Finding::Bad(_) | Finding::Unknown(_)) => {
                self.against = 0;
                return;
            }
            (CheckState::Unknown, Finding::Good) => (CheckState::Good, 1, String::new()),
            (CheckState::Failing, Finding::Good) => {
                (CheckState::Good, self.config.rise, String::new())
            }
            (CheckState::Unknown, Finding::Bad(why)) => (CheckState::Failing, 1, why),
            (CheckState::Unknown | CheckState::Good, Finding::Unknown(why))
            | (CheckState::Good, Finding::Bad(why)) => (CheckState::Failing, self.config.fall, why),
        };
        self.against += 1;
        let said = if why.is_empty() { "good" } else { why.as_str() };
        if self.against < needed {
            let line = format!("check {name}: {said} ({} of {needed})", self.against);
            out.push(Action::Order(Order::Say(Level::Info, line)));
            return;
        }
        let line = format!(
            "check {name}: {} -> {}: {said}",
            named(self.state),
            named(next)
        );
        out.push(Action::Order(Order::Say(Level::Info, line)));
        self.state = next;
        self.against = 0;
        out.push(Action::Checked {
            check: place,
            state: next,
        });
    }
}

fn named(state: CheckState) -> &'static str {
    match state {
        CheckState::Unknown => "unknown",
        CheckState::Good => "good",
        CheckState::Failing => "failing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrrpd_core::priority::Effect;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn check(name: &str, probe: Probe, rise: u32, fall: u32) -> config::Check {
        config::Check {
            name: name.to_owned(),
            probe,
            rise,
            fall,
            effect: Effect::Fault,
            routers: Vec::new(),
        }
    }

    fn script(rise: u32, fall: u32) -> config::Check {
        let probe = Probe::Command {
            argv: vec!["/c/ping".to_owned()],
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
        };
        check("gateway", probe, rise, fall)
    }

    fn id(number: u64) -> job::Id {
        job::Id {
            owner: Owner::Check,
            number,
        }
    }

    /// One script, and the lines and orders it makes, written short.
    struct Table {
        checks: Checks,
        launched: u64,
    }

    impl Table {
        fn new(config: config::Check) -> Self {
            Self {
                checks: Checks::new(vec![config], at(0)),
                launched: 0,
            }
        }

        fn told(&mut self, event: Event, now: u64) -> Vec<String> {
            let mut out = Vec::new();
            self.checks.handle(event, at(now), &mut out);
            out.into_iter()
                .map(|action| match action {
                    Action::Order(Order::Launch(id, command)) => {
                        self.launched = id.number;
                        format!("launch {}", command.argv.join(" "))
                    }
                    Action::Order(Order::Kill(id)) => format!("kill {}", id.number),
                    Action::Order(Order::Say(_, line)) => line,
                    Action::Checked { check, state } => format!("{check} is {}", named(state)),
                })
                .collect()
        }

        /// Runs the script once, with this outcome.
        fn runs(&mut self, outcome: Outcome, now: u64) -> Vec<String> {
            assert_eq!(self.told(Event::Wake, now), ["launch /c/ping"]);
            self.told(Event::Ended(id(self.launched), outcome), now + 10)
        }
    }

    #[test]
    fn first_result_decides_at_once() {
        let mut good = Table::new(script(2, 3));
        assert_eq!(
            good.runs(Outcome::Exited(0), 0),
            ["check gateway: unknown -> good: good", "0 is good"]
        );
        let mut bad = Table::new(script(2, 3));
        assert_eq!(
            bad.runs(Outcome::Exited(1), 0),
            [
                "check gateway: unknown -> failing: exit status 1",
                "0 is failing"
            ]
        );
    }

    #[test]
    fn fall_and_rise_count_results_in_a_row() {
        let mut table = Table::new(script(2, 3));
        table.runs(Outcome::Exited(0), 0);
        let bad = || Outcome::Exited(1);
        assert_eq!(
            table.runs(bad(), 1000),
            ["check gateway: exit status 1 (1 of 3)"]
        );
        assert_eq!(
            table.runs(bad(), 2000),
            ["check gateway: exit status 1 (2 of 3)"]
        );
        assert_eq!(table.runs(Outcome::Exited(0), 3000), [""; 0]);
        assert_eq!(
            table.runs(bad(), 4000),
            ["check gateway: exit status 1 (1 of 3)"]
        );
        table.runs(bad(), 5000);
        assert_eq!(
            table.runs(Outcome::Signalled(11), 6000),
            [
                "check gateway: good -> failing: ended by signal 11",
                "0 is failing"
            ]
        );
        assert_eq!(table.runs(bad(), 7000), [""; 0]);
        assert_eq!(
            table.runs(Outcome::Exited(0), 8000),
            ["check gateway: good (1 of 2)"]
        );
        assert_eq!(
            table.runs(Outcome::Exited(0), 9000),
            ["check gateway: failing -> good: good", "0 is good"]
        );
    }

    #[test]
    fn an_overrun_is_killed_said_and_counts_towards_fall() {
        let mut table = Table::new(script(1, 2));
        table.runs(Outcome::Exited(0), 0);
        assert_eq!(table.checks.deadline(), Some(at(1000)));
        assert_eq!(table.told(Event::Wake, 1000), ["launch /c/ping"]);
        assert_eq!(table.checks.deadline(), Some(at(1500)));
        assert_eq!(
            table.told(Event::Wake, 1500),
            ["kill 2", "check gateway: no result within 500 ms (1 of 2)"]
        );
        assert_eq!(table.checks.deadline(), None, "its end will be told");
        // While it has not ended no second one is started.
        assert_eq!(table.told(Event::Wake, 2000), [""; 0]);
        assert_eq!(
            table.told(Event::Ended(id(2), Outcome::Signalled(9)), 2100),
            [""; 0]
        );
        assert_eq!(table.checks.deadline(), Some(at(2000)));
        assert_eq!(table.told(Event::Wake, 2101), ["launch /c/ping"]);
        assert_eq!(
            table.told(Event::Wake, 2601),
            [
                "kill 3",
                "check gateway: good -> failing: no result within 500 ms",
                "0 is failing"
            ]
        );
    }

    #[test]
    fn an_overrun_at_start_is_no_failure_before_fall() {
        let mut table = Table::new(script(1, 2));
        table.told(Event::Wake, 0);
        assert_eq!(
            table.told(Event::Wake, 500),
            ["kill 1", "check gateway: no result within 500 ms (1 of 2)"]
        );
    }

    #[test]
    fn a_late_wake_up_is_not_the_scripts_fault() {
        let mut table = Table::new(script(1, 1));
        table.told(Event::Wake, 0);
        assert_eq!(table.told(Event::Wake, 551), [""; 0]);
        assert_eq!(table.checks.deadline(), Some(at(601)));
        assert_eq!(
            table.told(Event::Ended(id(1), Outcome::Exited(0)), 600),
            ["check gateway: unknown -> good: good", "0 is good"]
        );
    }

    #[test]
    fn what_cannot_be_started_is_bad() {
        let mut table = Table::new(script(1, 1));
        assert_eq!(
            table.runs(Outcome::NotStarted("No such file".to_owned()), 0),
            [
                "check gateway: unknown -> failing: could not be started: No such file",
                "0 is failing"
            ]
        );
    }

    #[test]
    fn links_and_parties_are_believed_at_once() {
        let mut out = Vec::new();
        let mut checks = Checks::new(
            vec![
                check("uplink", Probe::Interface("eth1".to_owned()), 1, 1),
                check("arbiter", Probe::Arbiter, 1, 1),
                check("peer", Probe::Peer, 1, 1),
            ],
            at(0),
        );
        assert_eq!(checks.deadline(), None);
        for event in [
            Event::Link("eth1".to_owned(), false),
            Event::Link("eth2".to_owned(), true),
            Event::Reachable(NodeId::R, true),
            Event::Reachable(NodeId::B, false),
            Event::Reachable(NodeId::B, false),
        ] {
            checks.handle(event, at(0), &mut out);
        }
        out.retain(|action| matches!(action, Action::Checked { .. }));
        assert_eq!(
            out,
            [
                (0, CheckState::Failing),
                (1, CheckState::Good),
                (2, CheckState::Failing)
            ]
            .map(|(check, state)| Action::Checked { check, state })
        );
    }

    #[test]
    fn reload_keeps_what_is_known_and_kills_what_is_gone() {
        let mut checks = Checks::new(vec![script(2, 3), script(9, 9)], at(0));
        let mut out = Vec::new();
        checks.handle(Event::Wake, at(0), &mut out);
        checks.handle(Event::Ended(id(1), Outcome::Exited(0)), at(1), &mut out);
        out.clear();
        let peer = check("peer", Probe::Peer, 1, 1);
        checks.reconfigure(vec![peer, script(2, 3)], at(2), &mut out);
        assert_eq!(
            out,
            [
                Action::Checked {
                    check: 0,
                    state: CheckState::Unknown
                },
                Action::Checked {
                    check: 1,
                    state: CheckState::Good
                },
                Action::Order(Order::Kill(id(2))),
            ]
        );
    }
}
