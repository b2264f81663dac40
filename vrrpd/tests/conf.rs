//! Every file that is shipped under `conf/` is legal and does what it says.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use vrrpd::config::{Config, HookEvent, Host, arbiter};
use vrrpd::seal::Key;

/// A host where everything that the examples name is installed.
struct Installed;

impl Host for Installed {
    fn key(&self, _: &Path) -> Result<Key, String> {
        Key::parse(&"5a".repeat(32))
    }

    fn program(&self, path: &Path) -> Result<(), String> {
        let source = match path.strip_prefix("/usr/lib/vrrpd/checks") {
            Ok(check) => conf().join("checks").join(check),
            Err(_) => return Err("is not among what is shipped: ship it".to_owned()),
        };
        let mode = fs::metadata(source).map_err(|error| error.to_string())?;
        assert_eq!(mode.permissions().mode() & 0o111, 0o111);
        Ok(())
    }
}

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}

fn names(directory: &str) -> BTreeSet<String> {
    fs::read_dir(conf().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

fn manager(name: &str) -> Config {
    let file = conf().join(name);
    let text = fs::read_to_string(&file).unwrap();
    Config::parse(&text, &file, &Installed).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn voter(name: &str) -> arbiter::Config {
    let file = conf().join(name);
    let text = fs::read_to_string(&file).unwrap();
    arbiter::Config::parse(&text, &file, &Installed).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn every_configuration_is_legal() {
    let files = names(".");
    assert!(files.contains("master.toml") && files.contains("arbiter.toml"));
    for file in files {
        if file == "arbiter.toml" {
            voter(&file);
        } else {
            manager(&file);
        }
    }
}

#[test]
fn the_three_examples_of_a_pool_form_one() {
    let (master, backup) = (manager("master.toml"), manager("backup.toml"));
    let (a, b) = (master.pool.unwrap(), backup.pool.unwrap());
    let arbiter = voter("arbiter.toml");
    let r = &arbiter.pools[0];
    assert_eq!(a.member.offer, b.member.offer);
    assert_eq!(a.member.offer, r.member.offer);
    assert_eq!((a.address, a.peer), (b.peer, b.address));
    assert_eq!((a.arbiter, b.arbiter), (arbiter.address, arbiter.address));
    let shared = |config: &[vrrpd_core::router::Config]| {
        let routers = config.iter();
        let same =
            |router: &vrrpd_core::router::Config| (router.identity.vrid, router.addresses.clone());
        routers.map(same).collect::<Vec<_>>()
    };
    assert_eq!(
        shared(&master.virtual_routers),
        shared(&backup.virtual_routers)
    );
    assert!(a.member.active && a.priority > b.priority);
}

/// What a script runs in the end, when that is replaced by one that prints its
/// arguments, one a line.
fn runs(script: &str, arguments: &[&str], environment: &[(&str, &str)], program: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arguments");
    symlink(stand_in, directory.path().join(program)).unwrap();
    let output = Command::new(conf().join(script))
        .args(arguments)
        .env_clear()
        .env("PATH", directory.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn checks_run_what_they_say() {
    assert_eq!(
        names("checks"),
        BTreeSet::from(["ping".to_owned(), "postgresql".to_owned()])
    );
    assert_eq!(
        runs("checks/ping", &["192.0.2.1"], &[], "ping"),
        "-n\n-q\n-c\n1\n-i\n0.2\n-w\n1\n192.0.2.1\n"
    );
    assert_eq!(
        runs("checks/ping", &["192.0.2.1", "3"], &[], "ping"),
        "-n\n-q\n-c\n1\n-i\n0.2\n-w\n3\n192.0.2.1\n"
    );
    assert_eq!(
        runs("checks/postgresql", &[], &[], "pg_isready"),
        "-q\n-t\n1\n-h\n/var/run/postgresql\n-p\n5432\n"
    );
    let usage = Command::new(conf().join("checks/ping")).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn hooks_say_what_they_are_told() {
    assert_eq!(
        names("hooks"),
        BTreeSet::from(["log".to_owned(), "notify".to_owned()])
    );
    let environment = [
        ("VRRPD_NODE", "manager-a"),
        ("VRRPD_NAME", "service"),
        ("VRRPD_OLD", "Backup"),
        ("VRRPD_NEW", "Active"),
        ("VRRPD_PRIORITY", "150"),
        ("VRRPD_EPOCH", "7.a"),
    ];
    assert_eq!(
        runs("hooks/log", &[], &environment, "logger"),
        "-t\nvrrpd-hook\nservice on manager-a: Backup -> Active, priority 150, epoch 7.a\n"
    );
    assert_eq!(
        runs("hooks/log", &[], &environment[..5], "logger"),
        "-t\nvrrpd-hook\nservice on manager-a: Backup -> Active, priority 150\n"
    );
    for (state, urgency) in [("MASTER", "notice"), ("BACKUP", "info"), ("FAULT", "err")] {
        assert_eq!(
            runs(
                "hooks/notify",
                &["INSTANCE", "service", state, "150"],
                &[],
                "logger"
            ),
            format!(
                "-t\nvrrpd-hook\n-p\ndaemon.{urgency}\nINSTANCE service is {state}, priority 150\n"
            )
        );
    }
}

#[test]
fn hooks_are_named_after_events() {
    let names: Vec<_> = HookEvent::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["primary", "online", "active", "backup", "fault", "stop"]
    );
}
