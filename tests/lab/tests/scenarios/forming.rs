//! The operator forms a pool from two standalone managers, and leaves it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lab::clock::wait_for;
use lab::directory::Directory;
use lab::fault::{Attempt, Fault, Result};
use lab::host::Name::{self, Arbiter, ManagerA, ManagerB};
use lab::pool::{MANAGERS, PATIENCE, Pool, Settings};
use lab::postgres;
use lab::timeline::Timeline;

const QUERY: Duration = Duration::from_secs(5);

/// Two standalone managers with a database of its own each, and a new arbiter.
fn standalone(formation_timeout: &str, story: impl FnOnce(&mut Pool) -> Result<()>) {
    let timeline = Timeline::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let settings = Settings {
            pool_extra: format!("formation_timeout = \"{formation_timeout}\" # of the lab\n"),
            ..Settings::default()
        };
        let mut pool = Pool::new(settings, Directory::new()?, &timeline)?;
        for name in MANAGERS {
            let data = pool.host(name).disk().join("postgresql/main");
            if name == ManagerB {
                fs::remove_dir_all(&data).attempt(|| format!("remove {}", data.display()))?;
                postgres::initialize(&data)?;
            }
            make_standalone(&pool, name)?;
            pool.start_daemons(name)?;
        }
        pool.start_daemons(Arbiter)?;
        for name in MANAGERS {
            wait_writable(&pool, name)?;
            let statement =
                format!("CREATE TABLE mine (word text); INSERT INTO mine VALUES ('{name}')");
            query(&pool, name, &statement)?;
        }
        story(&mut pool)
    }));
    if !matches!(outcome, Ok(Ok(()))) {
        let entries = timeline.entries();
        for entry in &entries[entries.len().saturating_sub(160)..] {
            println!("{:<22} {}", entry.who, entry.what);
        }
        panic!("{outcome:?}");
    }
}

/// Leaves only the mode, the key and the timeout of `[pool]`.
fn make_standalone(pool: &Pool, name: Name) -> Result<()> {
    let file = pool.config(name);
    let text = fs::read_to_string(&file).attempt(|| format!("read {}", file.display()))?;
    let kept = |line: &&str| {
        !["active =", "address =", "peer =", "arbiter ="]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let lines: Vec<&str> = text.lines().filter(kept).collect();
    let text = lines.join("\n") + "\n";
    let text = text
        .replace("\"master\"", "\"standalone\"")
        .replace("\"backup\"", "\"standalone\"");
    fs::write(&file, text).attempt(|| format!("write {}", file.display()))
}

fn query(pool: &Pool, name: Name, statement: &str) -> Result<Vec<Vec<String>>> {
    let answer = pool.database(name)?.query(statement, QUERY);
    answer
        .map(|answer| answer.rows)
        .map_err(|trouble| Fault::new(format!("{statement} on {name}: {trouble}")))
}

/// Standalone, and its database takes writes.
fn wait_writable(pool: &Pool, name: Name) -> Result<()> {
    let what = format!("{name} is standalone and writable");
    wait_for(&what, PATIENCE, || {
        let status = pool.status(name).map_err(|fault| fault.to_string())?;
        if status["mode"] != "standalone" || status["database"]["server"] != "primary" {
            return Err(status.to_string());
        }
        query(pool, name, "CREATE TEMPORARY TABLE proof ()").map_err(|fault| fault.to_string())
    })?;
    pool.timeline().mark(what);
    Ok(())
}

fn words(pool: &Pool, name: Name) -> Result<Vec<String>> {
    let rows = query(pool, name, "SELECT word FROM mine ORDER BY word")?;
    Ok(rows.into_iter().flatten().collect())
}

fn refused(pool: &Pool, name: Name, words: &[&str], why: &str) -> Result<()> {
    match pool.vrrpctl(name, words) {
        Err(refusal) if refusal.to_string().contains(why) => Ok(()),
        Err(refusal) => Err(Fault::new(format!("not refused for {why:?}: {refusal}"))),
        Ok(said) => Err(Fault::new(format!("not refused: {said}"))),
    }
}

const VIRTUAL_IP: [&str; 4] = ["--virtual-ip", "192.0.2.100/24", "--arbiter", "192.0.2.13"];

fn command<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["configure"], words, &VIRTUAL_IP, &["--yes"]].concat()
}

#[test]
fn two_standalone_managers_form_a_pool_and_leave_it() {
    standalone("60s", |pool| {
        let process = pool.host(ManagerA).named("vrrpd")?;
        let join = command(&["backup", "--master", "192.0.2.11", "--no-wait"]);
        pool.vrrpctl(ManagerB, &join)?;
        // Returns when this manager is Primary.
        pool.vrrpctl(ManagerA, &command(&["master", "--backup", "192.0.2.12"]))?;
        assert_eq!(
            pool.host(ManagerA).named("vrrpd")?,
            process,
            "the process stays"
        );
        pool.wait_ok()?;
        let there = ManagerA.to_string();
        assert_eq!(
            words(pool, ManagerB)?,
            std::slice::from_ref(&there),
            "the Master's data are on the Backup"
        );
        refused(
            pool,
            ManagerA,
            &command(&["master", "--backup", "192.0.2.12"]),
            "leave it first",
        )?;
        pool.vrrpctl(ManagerB, &["configure", "standalone", "--yes"])?;
        wait_writable(pool, ManagerB)?;
        query(pool, ManagerB, "INSERT INTO mine VALUES ('left')")?;
        query(pool, ManagerA, "INSERT INTO mine VALUES ('goes on')")?;
        assert_eq!(words(pool, ManagerA)?, ["goes on".to_owned(), there]);
        pool.vrrpctl(ManagerA, &["configure", "standalone", "--yes"])?;
        wait_writable(pool, ManagerA)?;
        query(pool, ManagerA, "INSERT INTO mine VALUES ('alone')").map(drop)
    });
}

#[test]
fn a_pool_that_does_not_form_leaves_the_manager_standalone_and_writable() {
    standalone("3s", |pool| {
        let file = pool.config(ManagerA);
        let read = || fs::read_to_string(&file).attempt(|| format!("read {}", file.display()));
        let before = read()?;
        let wrong = ["master", "--backup", "192.0.2.12", "--local", "192.0.2.77"];
        refused(
            pool,
            ManagerA,
            &command(&wrong),
            "no address of this server",
        )?;
        assert_eq!(read()?, before, "a refusal changes nothing");
        refused(
            pool,
            ManagerA,
            &command(&["master", "--backup", "192.0.2.12"]),
            "the pool has not formed within 3s: the backup at 192.0.2.12 does not answer",
        )?;
        wait_writable(pool, ManagerA)?;
        assert_eq!(words(pool, ManagerA)?, [ManagerA.to_string()]);
        assert!(read()?.contains("mode = \"standalone\"\n"), "{}", read()?);
        let status = pool.status(ManagerA)?;
        assert!(status["not_formed"].is_string(), "{status}");
        Ok(())
    });
}
