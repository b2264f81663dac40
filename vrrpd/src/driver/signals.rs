//! Signals as a file descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::signal::{SigSet, Signal as Unix};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// TERM or INT: stop.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: the state to the log.
    State,
    /// USR2: the counters to the log.
    Statistics,
}

/// The signals that were caught; readable when there is one.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Catches them from now on, in this thread and those it starts.
    ///
    /// # Errors
    ///
    /// Any of signalfd(2).
    pub fn catch() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Unix::SIGTERM,
            Unix::SIGINT,
            Unix::SIGHUP,
            Unix::SIGUSR1,
            Unix::SIGUSR2,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            fd: SignalFd::with_flags(&set, flags)?,
        })
    }

    /// The next one, if there is one.
    ///
    /// # Errors
    ///
    /// Any of read(2).
    pub fn take(&mut self) -> io::Result<Option<Signal>> {
        let Some(info) = self.fd.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).map_err(io::Error::other)?;
        Ok(Some(match Unix::try_from(number)? {
            Unix::SIGHUP => Signal::Reload,
            Unix::SIGUSR1 => Signal::State,
            Unix::SIGUSR2 => Signal::Statistics,
            _ => Signal::Stop,
        }))
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }
}
