//! Compares what the field units were told with what the databases hold.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::wait_for;
use crate::fault::{Attempt, Fault, Result};
use crate::host::Name;
use crate::ledger::{Id, Ledger};
use crate::pool::{PATIENCE, Pool};
use crate::wire::Connection;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Commits that were acknowledged.
    pub acknowledged: usize,
    /// Those of them that are gone.
    pub lost: Vec<Id>,
    /// Commits that a client has read and that are gone.
    pub vanished: Vec<Id>,
}

impl Verdict {
    /// Nothing, if nothing is gone.
    ///
    /// # Errors
    ///
    /// What is gone, and where.
    pub fn judge(&self, name: Name) -> Result<()> {
        let lost = gone(&self.lost, "acknowledged");
        let vanished = gone(&self.vanished, "read by a client");
        match lost.or(vanished) {
            Some(what) => Err(Fault::new(format!("on {name}: {what}"))),
            None => Ok(()),
        }
    }
}

/// Compares `ledger` with the database of `name`.
///
/// # Errors
///
/// The database does not answer.
pub fn check(pool: &Pool, name: Name, ledger: &Ledger) -> Result<Verdict> {
    let held = held(&mut pool.database(name)?, name)?;
    Ok(compare(&held, ledger))
}

fn compare(held: &BTreeSet<Id>, ledger: &Ledger) -> Verdict {
    let promises = ledger.promises();
    let missing = |ids: &BTreeSet<Id>| ids.difference(held).copied().collect();
    Verdict {
        acknowledged: promises.len(),
        lost: missing(&promises),
        vanished: missing(&ledger.sightings()),
    }
}

/// Compares `ledger` with both databases, the second when it holds what the
/// Primary's does. The field units have to be at rest.
///
/// # Errors
///
/// Something is gone, or the second does not catch up.
pub fn check_both(pool: &Pool, ledger: &Ledger) -> Result<Verdict> {
    let primary = pool.wait_any_primary()?;
    let verdict = check(pool, primary, ledger)?;
    verdict.judge(primary)?;
    let other = primary.other();
    if !pool.host(other).is_powered() {
        return Ok(verdict);
    }
    let goal = held(&mut pool.database(primary)?, primary)?.len();
    wait_for(
        &format!("{other} holds what {primary} does"),
        PATIENCE,
        || {
            let rows = pool
                .database(other)
                .and_then(|mut database| held(&mut database, other))
                .map_err(|fault| fault.to_string())?
                .len();
            if rows == goal {
                return Ok(());
            }
            Err(format!("{rows} of {goal} rows"))
        },
    )?;
    check(pool, other, ledger)?.judge(other)?;
    Ok(verdict)
}

/// All reports that a database holds.
fn held(database: &mut Connection, name: Name) -> Result<BTreeSet<Id>> {
    let answer = database
        .query("SELECT unit, number FROM report", Duration::from_secs(30))
        .attempt(|| format!("read the reports on {name}"))?;
    let id = |row: &Vec<String>| Some((row.first()?.parse().ok()?, row.get(1)?.parse().ok()?));
    answer
        .rows
        .iter()
        .map(id)
        .collect::<Option<_>>()
        .ok_or_else(|| Fault::new(format!("the reports on {name} are no numbers")))
}

fn gone(ids: &[Id], what: &str) -> Option<String> {
    let (unit, number) = ids.first()?;
    Some(format!(
        "{} commits LOST that were {what}, the first is number {number} of unit {unit}",
        ids.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_are_gone_are_told_from_those_that_nobody_knows_of() {
        let ledger = Ledger::default();
        ledger.acknowledged((0, 1));
        ledger.acknowledged((0, 2));
        ledger.unknown((0, 3));
        ledger.seen((0, 4));
        let verdict = compare(&BTreeSet::from([(0, 1)]), &ledger);
        assert_eq!(verdict.acknowledged, 2);
        assert_eq!(verdict.lost, [(0, 2)]);
        assert_eq!(verdict.vanished, [(0, 4)]);
        let fault = verdict.judge(Name::ManagerB).expect_err("two are gone");
        assert_eq!(
            fault.to_string(),
            "on manager-b: 1 commits LOST that were acknowledged, the first is number 2 of unit 0"
        );
        let verdict = compare(&BTreeSet::from([(0, 1), (0, 2), (0, 4)]), &ledger);
        assert_eq!(verdict.judge(Name::ManagerB), Ok(()));
    }
}
