//! Where VRRPv2 differs.

use vrrpd_core::packet::Refusal;
use vrrpd_core::router::{Config, StateName};

use crate::support::*;

/// RFC3768-6.1-1 positive
#[test]
fn v2_skew_is_in_seconds() {
    let bench = Bench::started(Config {
        advertise_interval: cs(1000),
        ..config_v2()
    });
    // 3 * 10 s + (256 - 150) / 256 s.
    assert_eq!(bench.patience().as_nanos(), 30_414_062_500);
}

/// RFC3768-6.1-1 negative
#[test]
fn v3_skew_is_not() {
    let bench = Bench::started(Config {
        advertise_interval: cs(1000),
        ..config()
    });
    assert_eq!(bench.patience().as_nanos(), 34_140_625_000);
}

/// RFC3768-6.4.3-1 positive
#[test]
fn v2_lower_priority_in_active_is_discarded_and_announced() {
    let mut bench = Bench::active(config_v2());
    bench.freeze(ms(500));
    assert_eq!(
        bench.receive(advert_v2(LARGER, 100, 100)),
        [
            "notice: 192.0.2.110 advertises too, with priority 100: announced again",
            "announce 192.0.2.100/24 x1",
        ]
    );
    assert_eq!(bench.patience(), ms(500));
}

/// RFC3768-6.4.3-1 negative
#[test]
fn v2_higher_priority_in_active_is_not_discarded() {
    let mut bench = Bench::active(config_v2());
    bench.receive(advert_v2(SMALLER, 200, 100));
    assert_eq!(bench.state(), StateName::Backup);
}

/// RFC3768-7.1-4 positive
#[test]
fn v2_owner_discards_advertisements() {
    let mut bench = Bench::active(Config {
        priority: priority(255),
        ..config_v2()
    });
    let due = bench.router.deadline();
    bench.freeze(ms(300));
    for value in [0, 100, 255] {
        let lines = bench.receive(advert_v2(LARGER, value, 100));
        assert!(lines.iter().all(|line| line.starts_with("notice: refused")));
    }
    assert_eq!(bench.router.deadline(), due);
    assert_eq!(bench.state(), StateName::Active);
    assert_eq!(bench.router.statistics().refused.of(Refusal::Owner), 3);
}

/// RFC3768-7.1-4 negative
/// RFC3768-7.1-5 positive
/// RFC3768-7.1-6 positive
#[test]
fn v2_others_do_not() {
    let mut bench = Bench::active(config_v2());
    bench.receive(advert_v2(LARGER, 255, 100));
    assert_eq!(bench.state(), StateName::Backup);
    assert_eq!(bench.router.statistics().refused.total(), 0);
}

/// RFC3768-7.1-6 negative
#[test]
fn v2_another_interval_is_discarded_by_active_too() {
    let mut bench = Bench::active(config_v2());
    bench.receive(advert_v2(LARGER, 255, 200));
    assert_eq!(bench.state(), StateName::Active);
    let refused = bench.router.statistics().refused;
    assert_eq!(refused.of(Refusal::IntervalMismatch), 1);
}

#[test]
fn v2_reload_of_the_interval_changes_what_a_backup_waits_for() {
    let mut bench = Bench::started(config_v2());
    bench.hear(vrrpd_core::router::Event::Reload {
        config: Box::new(Config {
            advertise_interval: cs(200),
            ..config_v2()
        }),
        standing: fit(150),
    });
    bench.receive(advert_v2(LARGER, 200, 200));
    assert_eq!(bench.patience().as_nanos(), 6_414_062_500);
}
