//! Performs what checks and hooks order, and watches the children.

use std::ffi::OsString;
use std::io;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use vrrpd_sys::child::{Child, Ended, Pipes, Program};

use super::{Command, Id, Order, Outcome, Owner};

/// The children that run. Uses [`Runner::TOKENS`] mio tokens.
#[derive(Debug)]
pub struct Runner {
    first: Token,
    /// A slot a token.
    slots: Vec<Option<(Id, Child)>>,
}

impl Runner {
    /// How many tokens it uses, from its first: as many jobs run at a time.
    pub const TOKENS: usize = 64;

    /// Nothing runs yet.
    pub fn new(first: Token) -> Self {
        Self {
            first,
            slots: (0..Self::TOKENS).map(|_| None).collect(),
        }
    }

    /// Whether `token` is one of its own.
    pub fn owns(&self, token: Token) -> bool {
        (self.first.0..self.first.0 + Self::TOKENS).contains(&token.0)
    }

    /// Performs `orders`; how those ended that could not be started is added to
    /// `ended`, to be told to their owners.
    pub fn perform(
        &mut self,
        orders: impl IntoIterator<Item = Order>,
        registry: &Registry,
        ended: &mut Vec<(Id, Outcome)>,
    ) {
        for order in orders {
            match order {
                Order::Launch(id, command) => {
                    if let Err(why) = self.launch(id, &command, registry) {
                        ended.push((id, Outcome::NotStarted(why)));
                    }
                }
                Order::Kill(id) => self.kill(id),
                Order::Say(level, line) => log::log!(level, "{line}"),
            }
        }
    }

    /// A child of `token` has ended, perhaps.
    pub fn on_ready(&mut self, token: Token, registry: &Registry, ended: &mut Vec<(Id, Outcome)>) {
        let slot = &mut self.slots[token.0 - self.first.0];
        let Some((id, child)) = slot else {
            return;
        };
        let outcome = match child.ended() {
            Ok(None) => return,
            Ok(Some(Ended::Exited(status))) => Outcome::Exited(status),
            Ok(Some(Ended::Killed(signal))) => Outcome::Signalled(signal),
            Err(error) => Outcome::NotStarted(format!("it was lost sight of: {error}")),
        };
        ended.push((*id, outcome));
        // Closing the descriptor would do; the registry shall know.
        if let Err(error) = registry.deregister(&mut SourceFd(&child.raw_pidfd())) {
            log::warn!("cannot stop watching a child that has ended: {error}");
        }
        *slot = None;
    }

    fn launch(&mut self, id: Id, command: &Command, registry: &Registry) -> Result<(), String> {
        let free = self
            .slots
            .iter()
            .position(Option::is_none)
            .ok_or_else(|| format!("{} programs run already", Self::TOKENS))?;
        let mut child = program(id, command)
            .start()
            .map_err(|error| error.to_string())?;
        let token = Token(self.first.0 + free);
        let fd = child.raw_pidfd();
        if let Err(error) = registry.register(&mut SourceFd(&fd), token, Interest::READABLE) {
            // Nothing would tell us of its end.
            child.kill().map_err(|error| error.to_string())?;
            return Err(error.to_string());
        }
        self.slots[free] = Some((id, child));
        Ok(())
    }

    fn kill(&mut self, id: Id) {
        let running = self.slots.iter_mut().flatten();
        for (_, child) in running.filter(|(running, _)| *running == id) {
            if let Err(error) = child.kill() {
                log::warn!("cannot kill process {}: {error}", child.id());
            }
        }
    }
}

fn program(id: Id, command: &Command) -> Program {
    Program {
        path: command.argv[0].clone().into(),
        arguments: command.argv[1..].iter().map(OsString::from).collect(),
        environment: command
            .environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        pipes: Pipes::None,
        // A hook that tells of our end may outlive us.
        dies_with_us: match id.owner {
            Owner::Check => true,
            Owner::Hook => false,
        },
    }
}

/// Kills the checks; hooks run on.
impl Drop for Runner {
    fn drop(&mut self) {
        let running = self.slots.iter_mut().flatten();
        for (_, child) in running.filter(|(id, _)| id.owner == Owner::Check) {
            let killed: io::Result<()> = child.kill();
            if let Err(error) = killed {
                log::warn!("cannot kill process {}: {error}", child.id());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::{Duration, Instant};

    fn id(number: u64) -> Id {
        Id {
            owner: Owner::Hook,
            number,
        }
    }

    fn command(argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
            environment: vec![("VRRPD_EVENT".to_owned(), "primary".to_owned())],
        }
    }

    /// Waits until `count` jobs have ended.
    fn wait(poll: &mut Poll, runner: &mut Runner, count: usize) -> Vec<(Id, Outcome)> {
        let mut ended = Vec::new();
        let mut events = Events::with_capacity(8);
        let deadline = Instant::now() + Duration::from_secs(20);
        while ended.len() < count {
            assert!(Instant::now() < deadline, "only {ended:?} ended");
            poll.poll(&mut events, Some(Duration::from_secs(1)))
                .unwrap();
            for event in &events {
                assert!(runner.owns(event.token()));
                runner.on_ready(event.token(), poll.registry(), &mut ended);
            }
        }
        ended
    }

    #[test]
    fn every_end_is_told_once() {
        let mut poll = Poll::new().unwrap();
        let mut runner = Runner::new(Token(100));
        let mut ended = Vec::new();
        let orders = [
            Order::Launch(
                id(1),
                command(&["/bin/sh", "-c", "test \"$VRRPD_EVENT\" = primary"]),
            ),
            Order::Launch(id(2), command(&["/bin/sh", "-c", "exit 3"])),
            Order::Launch(id(3), command(&["/bin/sleep", "1000"])),
            Order::Launch(id(4), command(&["/nonexistent/hook"])),
            Order::Kill(id(3)),
        ];
        runner.perform(orders, poll.registry(), &mut ended);
        assert_eq!(
            ended,
            [(
                id(4),
                Outcome::NotStarted("No such file or directory (os error 2)".to_owned())
            )]
        );
        let mut ended = wait(&mut poll, &mut runner, 3);
        ended.sort_by_key(|(id, _)| *id);
        assert_eq!(
            ended,
            [
                (id(1), Outcome::Exited(0)),
                (id(2), Outcome::Exited(3)),
                (id(3), Outcome::Signalled(9)),
            ]
        );
        assert!(runner.slots.iter().all(Option::is_none));
    }

    #[test]
    fn no_more_run_than_there_are_slots() {
        let poll = Poll::new().unwrap();
        let mut runner = Runner::new(Token(0));
        let mut ended = Vec::new();
        let checks = (0..=Runner::TOKENS as u64).map(|number| {
            let id = Id {
                owner: Owner::Check,
                number,
            };
            Order::Launch(id, command(&["/bin/sleep", "1000"]))
        });
        runner.perform(checks, poll.registry(), &mut ended);
        assert_eq!(ended.len(), 1);
        assert_eq!(
            ended[0].1,
            Outcome::NotStarted("64 programs run already".to_owned())
        );
    }
}
