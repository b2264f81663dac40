//! The times that follow from priority and interval (RFC 9568 §6.1, RFC 3768 §6.1).

use core::time::Duration;

use crate::packet::{Centiseconds, Priority, Version};

/// Skew_Time: the higher the priority, the shorter.
///
/// v3: `((256 - priority) * Active_Adver_Interval) / 256`; v2: `(256 -
/// priority) / 256` seconds, whatever the interval. In nanoseconds, and divided
/// last: nothing is lost to rounding.
pub(super) fn skew_time(
    version: Version,
    priority: Priority,
    active_adver_interval: Centiseconds,
) -> Duration {
    let unit = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => active_adver_interval.duration(),
    };
    unit * (256 - u32::from(priority.as_u8())) / 256
}

/// Active_Down_Interval: `(3 * Active_Adver_Interval) + Skew_Time`.
pub(super) fn active_down_interval(
    version: Version,
    priority: Priority,
    active_adver_interval: Centiseconds,
) -> Duration {
    active_adver_interval.duration() * 3 + skew_time(version, priority, active_adver_interval)
}

/// How long an advertisement gives the right to the addresses: as long as the
/// most eager of the others, of priority 254, waits for the next one.
pub(super) fn lease(version: Version, advertise_interval: Centiseconds) -> Duration {
    active_down_interval(version, Priority::BACKUP_MAX, advertise_interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(value: u8) -> Priority {
        Priority::new(value).unwrap()
    }

    fn centiseconds(value: u16) -> Centiseconds {
        Centiseconds::new(value).unwrap()
    }

    #[test]
    fn v3_skew_scales_with_the_interval_and_is_divided_last() {
        let skew = |p, cs| skew_time(Version::V3, priority(p), centiseconds(cs));
        // (256 - 100) * 1 s / 256, exactly.
        assert_eq!(skew(100, 100), Duration::from_nanos(609_375_000));
        // 1 cs: truncated to centiseconds it would be 0.
        assert_eq!(skew(100, 1), Duration::from_nanos(6_093_750));
        assert_eq!(skew(255, 100), Duration::from_nanos(3_906_250));
        assert_eq!(skew(1, 4095), Duration::from_nanos(40_790_039_062));
    }

    #[test]
    fn v2_skew_ignores_the_interval() {
        let skew = |p, cs| skew_time(Version::V2, priority(p), centiseconds(cs));
        assert_eq!(skew(100, 100), Duration::from_nanos(609_375_000));
        assert_eq!(skew(100, 1000), Duration::from_nanos(609_375_000));
    }

    #[test]
    fn active_down_interval_is_three_intervals_and_skew() {
        let down = |version, p, cs| active_down_interval(version, priority(p), centiseconds(cs));
        assert_eq!(
            down(Version::V3, 100, 100),
            Duration::from_nanos(3_609_375_000)
        );
        assert_eq!(
            down(Version::V2, 100, 200),
            Duration::from_nanos(6_609_375_000)
        );
    }

    #[test]
    fn lease_ends_no_later_than_anybody_takes_over() {
        for version in [Version::V2, Version::V3] {
            let interval = centiseconds(100);
            let lease = lease(version, interval);
            for other in 1..=254 {
                assert!(lease <= active_down_interval(version, priority(other), interval));
            }
        }
    }
}
