//! Databases on loopback, for the tests of this plugin.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tempfile::TempDir;

const BINARIES: &str = "/usr/lib/postgresql/15/bin";

/// Servers refuse to run as root: then they run as this user.
pub(crate) fn owner() -> Option<User> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = User::from_name("postgres").unwrap();
    Some(user.expect("the user postgres: install postgresql-15"))
}

/// Has a command run as the owner.
pub(crate) fn as_owner(command: &mut Command) -> &mut Command {
    if let Some(user) = owner() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Gives a path to the owner.
pub(crate) fn give(path: &Path) {
    if let Some(user) = owner() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

/// A directory of the owner's that goes with the test.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("vrrpd-plugin-")
        .tempdir_in("/tmp")
        .unwrap();
    give(directory.path());
    directory
}

/// Makes a database.
pub(crate) fn initdb(data: &Path) {
    let mut initdb = Command::new(format!("{BINARIES}/initdb"));
    initdb
        .args(["--username=postgres", "--auth=trust", "--no-sync"])
        .args([
            "--locale=C",
            "--encoding=UTF8",
            "--data-checksums",
            "--pgdata",
        ])
        .arg(data)
        .current_dir("/")
        .stdout(Stdio::null());
    assert!(as_owner(&mut initdb).status().unwrap().success());
}

/// Ends whatever server is left in `data`.
pub(crate) fn clear(data: &Path) {
    if let Ok(text) = fs::read_to_string(data.join("postmaster.pid"))
        && let Some(Ok(pid)) = text.lines().next().map(str::parse)
    {
        let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
    }
}
