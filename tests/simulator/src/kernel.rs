//! What a host's kernel ends by itself: the gate and the virtual address.

use crate::clock::{Clock, Nanos};

/// A fence on a kernel timer, of the host's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fence {
    until: Option<Nanos>,
}

impl Fence {
    /// Open until `until` on the host's clock, unless open for longer.
    pub fn extend(&mut self, until: Nanos) {
        self.until = Some(self.until.unwrap_or(0).max(until));
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        self.until = None;
    }

    /// Whether it is open at `now`.
    pub fn is_open(&self, clock: &Clock, now: Nanos) -> bool {
        self.until.is_some_and(|until| clock.nanos(now) < until)
    }

    /// When it ends, in true time, if it is set.
    pub fn ends(&self, clock: &Clock) -> Option<Nanos> {
        self.until.map(|until| clock.when(until))
    }

    /// The machine slept for `span` of its clock, from `since` on: a timer
    /// that ran then stood still meanwhile.
    pub fn delay(&mut self, span: Nanos, since: Nanos) {
        self.until = self.until.map(|until| {
            if until > since {
                until.saturating_add(span)
            } else {
                until
            }
        });
    }
}

/// What the kernel of one host holds for its daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel {
    /// Admits clients while open.
    pub gate: Fence,
    /// The host answers for the virtual address while open.
    pub address: Fence,
}

#[cfg(test)]
mod tests {
    use super::Fence;
    use crate::clock::Clock;

    #[test]
    fn a_shorter_opening_does_not_shorten() {
        let clock = Clock::new(0, 0);
        let mut fence = Fence::default();
        fence.extend(100);
        fence.extend(50);
        assert!(fence.is_open(&clock, 99));
        assert!(!fence.is_open(&clock, 100));
    }

    #[test]
    fn an_end_is_at_once() {
        let clock = Clock::new(0, 0);
        let mut fence = Fence::default();
        fence.extend(100);
        fence.end();
        assert!(!fence.is_open(&clock, 1));
    }
}
