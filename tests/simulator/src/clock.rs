//! A host's CLOCK_BOOTTIME against true time.

use vrrpd_core::time::Instant;

/// True time, in nanoseconds since the world began.
pub type Nanos = u64;

/// One microsecond.
pub const MICROS: Nanos = 1_000;

/// One millisecond.
pub const MILLIS: Nanos = 1_000_000;

/// One second.
pub const SECONDS: Nanos = 1_000_000_000;

const MILLION: i128 = 1_000_000;

/// A clock with an offset and a rate of its own, piecewise linear.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    since: Nanos,
    local: Nanos,
    /// Parts per million by which it is fast; -1,000,000 stands still.
    drift: i64,
}

impl Clock {
    /// A clock that shows `offset` at the beginning, `drift` ppm fast.
    pub const fn new(offset: Nanos, drift: i64) -> Self {
        Self {
            since: 0,
            local: offset,
            drift,
        }
    }

    /// What it shows at `now`.
    pub fn nanos(&self, now: Nanos) -> Nanos {
        let elapsed = i128::from(now.saturating_sub(self.since));
        let run = elapsed * (MILLION + i128::from(self.drift)) / MILLION;
        self.local + u64::try_from(run).unwrap_or(0)
    }

    /// What it shows at `now`, as the core sees it.
    pub fn instant(&self, now: Nanos) -> Instant {
        Instant::from_nanos(self.nanos(now))
    }

    /// The first moment at which it shows `local` or later; the end of time
    /// if it stands still.
    pub fn when(&self, local: Nanos) -> Nanos {
        if local <= self.local {
            return self.since;
        }
        let rate = MILLION + i128::from(self.drift);
        if rate <= 0 {
            return Nanos::MAX;
        }
        let wanted = i128::from(local - self.local) * MILLION;
        let elapsed = (wanted + rate - 1) / rate;
        self.since
            .saturating_add(u64::try_from(elapsed).unwrap_or(Nanos::MAX))
    }

    /// Runs at another rate from `now` on.
    pub fn set_drift(&mut self, now: Nanos, drift: i64) {
        self.local = self.nanos(now);
        self.since = now;
        self.drift = drift.max(-1_000_000);
    }

    /// Jumps forward; the core is never given a clock that goes back.
    pub fn jump(&mut self, now: Nanos, by: Nanos) {
        self.local = self.nanos(now) + by;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, MILLIS, SECONDS};

    #[test]
    fn when_is_the_first_moment_that_shows_it() {
        for drift in [-5000, -3, 0, 7, 5000] {
            let clock = Clock::new(123, drift);
            for local in [124, 1_000_003, 77 * MILLIS, 5 * SECONDS + 1] {
                let when = clock.when(local);
                assert!(clock.nanos(when) >= local);
                assert!(clock.nanos(when - 1) < local);
            }
        }
    }

    #[test]
    fn a_jump_keeps_the_rate() {
        let mut clock = Clock::new(0, 0);
        clock.jump(SECONDS, 5 * SECONDS);
        assert_eq!(clock.nanos(SECONDS), 6 * SECONDS);
        assert_eq!(clock.nanos(2 * SECONDS), 7 * SECONDS);
    }

    #[test]
    fn a_clock_that_stands_still_never_gets_there() {
        let mut clock = Clock::new(0, 0);
        clock.set_drift(SECONDS, -1_000_000);
        assert_eq!(clock.nanos(9 * SECONDS), SECONDS);
        assert_eq!(clock.when(2 * SECONDS), u64::MAX);
    }
}
