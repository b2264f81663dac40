//! Starting a process and watching it without waiting for it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// What a child's standard input and output are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pipes {
    /// Nothing: `/dev/null`.
    #[default]
    None,
    /// Output and errors can be read from [`Child::output`] and
    /// [`Child::errors`].
    Output,
    /// Also its input can be written, to [`Child::input`].
    InputAndOutput,
}

/// A program to run: no shell is between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Set in its environment, besides `PATH` as ours is.
    pub environment: BTreeMap<OsString, OsString>,
    /// What its standard input and output are.
    pub pipes: Pipes,
    /// It is killed when we end, however we end. Of our own helpers; a hook may
    /// outlive us.
    pub dies_with_us: bool,
}

/// A running child, the first of a process group of its own.
///
/// Dropping it leaves the process running; [`Child::kill`] it first.
#[derive(Debug)]
pub struct Child {
    child: process::Child,
    pidfd: OwnedFd,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
}

impl Program {
    /// Starts it. It inherits no file but its three standard ones, no blocked
    /// signal, and no environment but `PATH` and what was set.
    ///
    /// # Errors
    ///
    /// `NotFound` or `PermissionDenied` when it cannot be executed.
    pub fn start(&self) -> io::Result<Child> {
        let (input, output) = match self.pipes {
            Pipes::None => (Stdio::null(), false),
            Pipes::Output => (Stdio::null(), true),
            Pipes::InputAndOutput => (Stdio::piped(), true),
        };
        let pipe = || {
            if output {
                Stdio::piped()
            } else {
                Stdio::null()
            }
        };
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| (OsString::from("PATH"), path)))
            .envs(&self.environment)
            .stdin(input)
            .stdout(pipe())
            .stderr(pipe())
            .process_group(0);
        let (dies_with_us, parent) = (self.dies_with_us, process::id());
        // SAFETY: `prepare` calls nothing but async-signal-safe system calls and
        // allocates nothing, as the child of a fork must.
        unsafe { command.pre_exec(move || prepare(dies_with_us, parent)) };
        let mut child = command.spawn()?;
        let pidfd = match pidfd_of(&child) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                // Nothing could tell us of its end.
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        for fd in [
            input.as_ref().map(AsFd::as_fd),
            output.as_ref().map(AsFd::as_fd),
            errors.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        {
            do_not_block(fd)?;
        }
        Ok(Child {
            child,
            pidfd,
            input,
            output,
            errors,
        })
    }
}

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The number of [`Child::pidfd`], for a poll.
    pub fn raw_pidfd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// Its standard input, non-blocking; dropping it ends the input.
    pub fn input(&mut self) -> &mut Option<ChildStdin> {
        &mut self.input
    }

    /// Its standard output, non-blocking.
    pub fn output(&mut self) -> &mut Option<ChildStdout> {
        &mut self.output
    }

    /// Its standard error, non-blocking.
    pub fn errors(&mut self) -> &mut Option<ChildStderr> {
        &mut self.errors
    }

    /// How it ended, once it has. Never waits.
    pub fn ended(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.child.try_wait()?.map(Ended::from))
    }

    /// Kills it and every process of its group. The end still has to be fetched
    /// with [`Child::ended`].
    ///
    /// # Errors
    ///
    /// `EPERM` when it has changed its user; nothing when it has ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(nix::sys::signal::Signal::SIGKILL)
    }

    /// Asks it and every process of its group to end.
    ///
    /// # Errors
    ///
    /// As [`Child::kill`].
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal(nix::sys::signal::Signal::SIGTERM)
    }

    fn signal(&mut self, signal: nix::sys::signal::Signal) -> io::Result<()> {
        // While it has not been fetched, its number is not given to another; a
        // group lives as long as one process of it.
        let group = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        match nix::sys::signal::killpg(group, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            (None, None) => Self::Exited(-1),
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with status {code}"),
            Self::Killed(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}

/// Runs in the child between fork and exec.
fn prepare(dies_with_us: bool, parent: u32) -> io::Result<()> {
    // SAFETY: plain system calls on integers and a local signal set.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        // Before Linux 5.11 this fails; every file we open closes on exec anyway.
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        if dies_with_us {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the signal was asked for.
            if libc::getppid().cast_unsigned() != parent {
                libc::_exit(1);
            }
        }
    }
    Ok(())
}

fn pidfd_of(child: &process::Child) -> io::Result<OwnedFd> {
    // SAFETY: takes integers only; the process has not been waited for, so its
    // number is still its own.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was opened just now and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn do_not_block(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
