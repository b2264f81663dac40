//! The processes of the server: the postmaster and what it leaves behind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A server log above this many bytes is put aside at the next start.
const LOG_MAX: u64 = 16 << 20;

/// A running postmaster, whoever started it.
#[derive(Debug)]
pub struct Postmaster {
    /// Its process id.
    pub id: i32,
    /// Whether it was started with our configuration file.
    pub ours: bool,
    pidfd: OwnedFd,
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Where `postgres` is.
    pub binaries: PathBuf,
    /// The data directory, without links in it.
    pub data: PathBuf,
    /// Our configuration file.
    pub config_file: PathBuf,
    /// What the server writes until its own logging begins.
    pub log: PathBuf,
}

impl Postmaster {
    /// Finds the one that runs in `data`.
    pub fn find(data: &Path, config_file: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let id: i32 = text.lines().next()?.trim().parse().ok()?;
        let pid = Pid::from_raw(id)?;
        // First the descriptor, then the look: the number may be another's.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        if !is_server(id, data) {
            return None;
        }
        Some(Self {
            id,
            ours: has_argument(id, &config_argument(config_file)),
            pidfd,
        })
    }

    /// Starts one that outlives this process.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn start(launch: &Launch) -> io::Result<(Self, Child)> {
        let log = open_log(&launch.log)?;
        let child = Command::new(launch.binaries.join("postgres"))
            .arg("-D")
            .arg(&launch.data)
            .arg("-c")
            .arg(config_argument(&launch.config_file))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // What is sent to our group, such as a terminal's Ctrl-C, is not for it.
            .process_group(0)
            .spawn()?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let id = i32::try_from(child.id()).map_err(io::Error::other)?;
        let postmaster = Self {
            id,
            ours: true,
            pidfd,
        };
        Ok((postmaster, child))
    }

    /// Sends a signal; one that has ended takes none.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Waits at most `span` for its end; true if it has ended.
    pub fn has_ended_within(&self, span: Duration) -> bool {
        ends_within(&self.pidfd, span)
    }
}

/// Kills what a dead postmaster of `data` has left, and waits until it is gone.
/// True if nothing is left.
pub fn sweep(data: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = servers(data);
        if left.is_empty() {
            return true;
        }
        for pidfd in &left {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        for pidfd in &left {
            ends_within(pidfd, deadline.saturating_duration_since(Instant::now()));
        }
        if Instant::now() >= deadline {
            return servers(data).is_empty();
        }
    }
}

/// Waits for the child's exit status, so that it does not stay a zombie.
pub fn reap(mut child: Child) {
    thread::spawn(move || drop(child.wait()));
}

fn ends_within(pidfd: &OwnedFd, span: Duration) -> bool {
    let deadline = Instant::now() + span;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else {
            return false;
        };
        let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

fn config_argument(config_file: &Path) -> String {
    format!("config_file={}", config_file.display())
}

/// All server processes that work in `data`.
fn servers(data: &Path) -> Vec<OwnedFd> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&id| is_server(id, data))
        .filter_map(|id| {
            let pidfd = pidfd_open(Pid::from_raw(id)?, PidfdFlags::empty()).ok()?;
            // Again: between the look and the descriptor the number may have
            // become another's.
            is_server(id, data).then_some(pidfd)
        })
        .collect()
}

/// Every process of a server works in its data directory.
fn is_server(id: i32, data: &Path) -> bool {
    let link = |name: &str| fs::read_link(format!("/proc/{id}/{name}"));
    link("cwd").is_ok_and(|cwd| cwd == data)
        && link("exe").is_ok_and(|exe| {
            exe.file_name()
                .and_then(|name| name.to_str())
                // An executable that was upgraded meanwhile shows as deleted.
                .is_some_and(|name| name.split(' ').next() == Some("postgres"))
        })
}

fn has_argument(id: i32, argument: &str) -> bool {
    fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| {
        line.split(|&byte| byte == 0)
            .any(|part| part == argument.as_bytes())
    })
}

fn open_log(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_MAX) {
        fs::rename(path, path.with_added_extension("1"))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}
