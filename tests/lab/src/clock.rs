//! The lab's clock: the one the daemons use, so that their words and ours line up.

use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::fault::{Fault, Result};

/// A moment on `CLOCK_BOOTTIME`, in nanoseconds since the machine's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    ///
    /// # Panics
    ///
    /// Never on Linux, which has the clock since 2.6.39.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME is read");
        Self(
            Duration::from(time)
                .as_nanos()
                .try_into()
                .expect("584 years are not over"),
        )
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long ago this was.
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// This moment and `later` more.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0 + nanoseconds(later))
    }

    /// `earlier` before this moment, or the boot.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(earlier)))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Milliseconds with one decimal, as the lab prints durations.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Asks `question` until it has an answer, every 2 ms, for `patience` at most.
///
/// # Errors
///
/// `not within …: what`, and what `question` said last.
pub fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut question: impl FnMut() -> std::result::Result<T, String>,
) -> Result<T> {
    let start = Moment::now();
    loop {
        match question() {
            Ok(answer) => return Ok(answer),
            Err(why) if start.elapsed() > patience => {
                return Err(Fault::new(format!(
                    "not within {} s: {what}: {why}",
                    patience.as_secs_f64()
                )));
            }
            // A moment for the others: their progress is what is waited for.
            Err(_) => thread::park_timeout(Duration::from_millis(2)),
        }
    }
}
