//! The host's clock since boot, suspension included, and a timer on it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Clock, clock_gettime};

/// `CLOCK_BOOTTIME` now, in nanoseconds.
///
/// # Panics
///
/// When the kernel has no such clock (before Linux 2.6.39).
pub fn now() -> u64 {
    let time = clock_gettime(Clock::CLOCK_BOOTTIME).expect("the kernel has CLOCK_BOOTTIME");
    u64::try_from(Duration::from(time).as_nanos()).expect("less than 584 years since boot")
}

/// An alarm on `CLOCK_BOOTTIME`: a file descriptor that becomes readable.
///
/// It rings at once when the host wakes from a suspension that was longer than
/// the time left; poll's own timeout would sleep on.
#[derive(Debug)]
pub struct Timer {
    fd: TimerFd,
    armed: Option<u64>,
}

impl Timer {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self {
            fd: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?,
            armed: None,
        })
    }

    /// Rings once at `at`, in nanoseconds of [`now`]; at once when that has
    /// passed; never with `None`.
    ///
    /// Setting it anew silences an alarm that rang and was not read, so an
    /// edge-triggered poll needs no read in between.
    pub fn set(&mut self, at: Option<u64>) -> io::Result<()> {
        match at {
            // Zero would disarm it.
            Some(at) => self.fd.set(
                Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(at.max(1)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?,
            None if self.armed.is_some() => self.fd.unset()?,
            None => {}
        }
        self.armed = at;
        Ok(())
    }

    /// What it was last set to.
    pub fn armed(&self) -> Option<u64> {
        self.armed
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn rings_within(timer: &Timer, milliseconds: u16) -> bool {
        let mut fds = [PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(milliseconds)).expect("poll") == 1
    }

    #[test]
    fn clock_goes_forward() {
        let before = now();
        assert!(now() >= before);
    }

    #[test]
    fn timer_rings_at_its_time_and_not_before() {
        let mut timer = Timer::new().expect("timer");
        let at = now() + 30_000_000;
        timer.set(Some(at)).expect("set");
        assert!(!rings_within(&timer, 0));
        assert!(rings_within(&timer, 1_000));
        assert!(now() >= at);
    }

    #[test]
    fn timer_set_in_the_past_rings_at_once() {
        let mut timer = Timer::new().expect("timer");
        timer.set(Some(0)).expect("set");
        assert!(rings_within(&timer, 1_000));
    }

    #[test]
    fn timer_set_anew_is_silent() {
        let mut timer = Timer::new().expect("timer");
        timer.set(Some(1)).expect("set");
        assert!(rings_within(&timer, 1_000));
        timer.set(Some(now() + 60_000_000_000)).expect("set");
        assert!(!rings_within(&timer, 0));
        timer.set(None).expect("unset");
        assert!(!rings_within(&timer, 0));
    }
}
