//! Field units: clients that write through the virtual IP and reconnect by themselves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::wait_for;
use crate::fault::{self, Attempt};
use crate::ledger::Ledger;
use crate::namespace::Namespace;
use crate::wire::{Answer, Connection, Trouble};

/// The table that the units write to.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS report (
    unit integer NOT NULL, number bigint NOT NULL, PRIMARY KEY (unit, number))";

/// How units behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// How many there are, each with a connection of its own.
    pub units: u32,
    /// Between an acknowledgement and the next commit.
    pub pace: Duration,
    /// So long a unit waits for an answer before it connects anew. Also the
    /// server's session is given up then: its commit is unknown.
    pub patience: Duration,
    /// So long it waits for a connection before it tries anew.
    pub connect: Duration,
}

impl Default for Habits {
    /// Four units, some hundred commits a second each.
    fn default() -> Self {
        Self {
            units: 4,
            pace: Duration::from_millis(3),
            patience: Duration::from_millis(250),
            connect: Duration::from_millis(50),
        }
    }
}

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(5);

/// Between two looks of the unit that reads.
const LOOK: Duration = Duration::from_millis(20);

/// Units at work; they stop when this is dropped.
#[derive(Debug)]
pub struct FieldUnits {
    ledger: Ledger,
    next: u32,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl FieldUnits {
    /// Sets units to work on `client`, against the database at `address`: the
    /// writers, whose first is number `first`, and one that reads what they wrote.
    /// What they are told goes to `ledger`.
    ///
    /// # Errors
    ///
    /// No threads are left.
    pub fn start(
        client: &Namespace,
        address: SocketAddr,
        first: u32,
        habits: Habits,
        ledger: &Ledger,
    ) -> fault::Result<Self> {
        let mut units = Self {
            ledger: ledger.clone(),
            next: first + habits.units,
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        let numbers = first..first + habits.units;
        for number in numbers.clone() {
            let mut unit = units.unit(address, habits);
            units.spawn(client, format!("unit-{number}"), move || unit.write(number))?;
        }
        let mut reader = units.unit(address, habits);
        units.spawn(client, "unit-reader".into(), move || reader.read(numbers))?;
        Ok(units)
    }

    /// Waits until `count` more commits are acknowledged.
    ///
    /// # Errors
    ///
    /// They are not within `patience`.
    pub fn commits(&self, count: usize, patience: Duration) -> fault::Result<()> {
        let goal = self.ledger.count() + count;
        wait_for("commits through the virtual IP", patience, || {
            let now = self.ledger.count();
            if now >= goal {
                return Ok(());
            }
            Err(format!("{} of {count} acknowledged", count - (goal - now)))
        })
    }

    /// The number after those of its units.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// What they were told so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn unit(&self, address: SocketAddr, habits: Habits) -> Unit {
        Unit {
            address,
            habits,
            ledger: self.ledger.clone(),
            stop: self.stop.clone(),
            connection: None,
        }
    }

    fn spawn(
        &mut self,
        client: &Namespace,
        name: String,
        work: impl FnOnce() + Send + 'static,
    ) -> fault::Result<()> {
        let entry = client.entry()?;
        let thread = thread::Builder::new().name(name).spawn(move || {
            entry.enter().expect("a thread of root enters a network");
            work();
        });
        self.threads
            .push(thread.attempt(|| "start a thread".into())?);
        Ok(())
    }
}

impl Drop for FieldUnits {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A unit that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

/// One unit.
struct Unit {
    address: SocketAddr,
    habits: Habits,
    ledger: Ledger,
    stop: Arc<AtomicBool>,
    connection: Option<Connection>,
}

impl Unit {
    /// Commits one numbered report after the other; a number is never used again.
    fn write(&mut self, unit: u32) {
        for number in 1.. {
            let statement = format!("INSERT INTO report VALUES ({unit}, {number})");
            let Some(result) = self.query(&statement) else {
                return;
            };
            match result {
                // A cancelled wait for the other copy is told as a warning.
                Ok(answer) if answer.warnings.is_empty() => {
                    self.ledger.acknowledged((unit, number));
                }
                Ok(_) | Err(Trouble::Lost(_)) => self.ledger.unknown((unit, number)),
                Err(Trouble::Refused(..)) => {
                    self.ledger.refused();
                    thread::park_timeout(RETRY);
                }
            }
            thread::park_timeout(self.habits.pace);
        }
    }

    /// Notes the newest report of each unit, again and again.
    fn read(&mut self, units: std::ops::Range<u32>) {
        let newest: Vec<String> = units
            .clone()
            .map(|unit| format!("(SELECT max(number) FROM report WHERE unit = {unit})"))
            .collect();
        let statement = format!("SELECT {}", newest.join(", "));
        while let Some(result) = self.query(&statement) {
            let row = result
                .ok()
                .and_then(|answer| answer.rows.into_iter().next());
            for (unit, number) in units.clone().zip(row.into_iter().flatten()) {
                // Empty: nothing of this unit yet.
                if let Ok(number) = number.parse() {
                    self.ledger.seen((unit, number));
                }
            }
            thread::park_timeout(LOOK);
        }
    }

    /// The answer to `statement`; none when the units stop.
    fn query(&mut self, statement: &str) -> Option<Result<Answer, Trouble>> {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(connection) = &mut self.connection else {
                match Connection::tcp(self.address, self.habits.connect) {
                    Ok(connection) => self.connection = Some(connection),
                    Err(_) => thread::park_timeout(RETRY),
                }
                continue;
            };
            let result = connection.query(statement, self.habits.patience);
            if result.is_err() {
                // Also one that refuses to write: another may be Primary now.
                self.connection = None;
            }
            return Some(result);
        }
        None
    }
}
