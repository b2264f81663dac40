//! What RFC 9568 demands of the states, one rule a test.

use std::sync::Arc;

use vrrpd_core::packet::{Addresses, Family, Refusal};
use vrrpd_core::priority::{Check, CheckState, Effect, standing};
use vrrpd_core::router::{Config, Event, Identity, Mistake, Standing, StateName};

use crate::support::*;

fn owner() -> Config {
    Config {
        priority: priority(255),
        ..config()
    }
}

fn ipv6() -> Config {
    let identity = Identity {
        family: Family::V6,
        ..(*config().identity).clone()
    };
    Config {
        identity: Arc::new(identity),
        addresses: vec![address("fe80::100/64"), address("2001:db8::100/64")],
        ..config()
    }
}

fn any(lines: &[String], what: &str) -> bool {
    lines.iter().any(|line| line.starts_with(what))
}

/// RFC9568-5.2.4-1 positive
/// RFC9568-6.4.1-1 positive
#[test]
fn the_owner_advertises_255_from_the_start() {
    let mut bench = Bench::new(owner());
    bench.hear(Event::InterfaceUp);
    bench.hear(Event::SourceChanged(Some(ip(OWN))));
    let lines = bench.hear(Event::Startup);
    assert_eq!(lines[0], "advert 255 from 192.0.2.11");
    assert_eq!(bench.state(), StateName::Active);
    assert_eq!(bench.patience(), ms(200));
}

/// RFC9568-5.2.4-1 negative
/// RFC9568-5.2.4-2 negative
#[test]
fn no_weight_makes_a_backup_an_owner_or_nothing() {
    for (base, weight) in [(200, 253), (1, -253), (254, 1)] {
        let check = Check {
            name: "bonus".into(),
            effect: Effect::Weight(weight),
            routers: Vec::new(),
        };
        let state = if weight > 0 {
            CheckState::Good
        } else {
            CheckState::Failing
        };
        let standing = standing(priority(base), "service", [(&check, state)].into_iter());
        let Standing::Fit { priority, .. } = standing else {
            panic!("a weight is no fault");
        };
        assert!((1..=254).contains(&priority.as_u8()));
    }
}

/// RFC9568-5.2.4-2 positive
#[test]
fn backups_advertise_what_is_configured() {
    for value in [1, 100, 254] {
        let mut bench = Bench::started(Config {
            priority: priority(value),
            ..config()
        });
        assert_eq!(bench.wake()[0], format!("advert {value} from 192.0.2.11"));
    }
}

/// RFC9568-5.2.9-2 positive
#[test]
fn ipv6_addresses_are_advertised_over_ipv6() {
    let mut bench = Bench::started(ipv6());
    assert_eq!(bench.wake()[0], "advert 150 from fe80::11");
    let bytes = bench
        .router
        .advert(Some(priority(150)), ip("fe80::11"), ip("ff02::12"));
    assert_eq!(bytes.len(), 8 + 2 * 16);
    assert_eq!(bytes[8..10], [0xfe, 0x80]);
}

/// RFC9568-5.2.9-2 negative
#[test]
fn addresses_of_the_other_family_are_a_mistake() {
    let mixed = Config {
        addresses: vec![address("fe80::100/64"), address("192.0.2.100/24")],
        ..ipv6()
    };
    assert_eq!(mixed.check(), Err(Mistake::Family));
    let unsorted = Config {
        addresses: vec![address("2001:db8::100/64"), address("fe80::100/64")],
        ..ipv6()
    };
    assert_eq!(unsorted.check(), Err(Mistake::NotLinkLocal));
}

/// RFC9568-6.4.1-1 negative
/// RFC9568-6.4.1-2 positive
#[test]
fn others_listen_first() {
    let bench = Bench::started(config());
    assert_eq!(bench.state(), StateName::Backup);
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
}

/// RFC9568-6.4.1-2 negative
#[test]
fn nothing_before_the_active_down_interval_makes_it_active() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline().unwrap();
    bench.now = due - core::time::Duration::from_nanos(1);
    assert_eq!(bench.hear(Event::Wake), [""; 0]);
    assert_eq!(bench.state(), StateName::Backup);
    assert_eq!(bench.router.deadline(), Some(due));
}

/// RFC9568-6.4.2-1 positive
/// RFC9568-6.4.2-5 positive
/// RFC9568-6.4.3-1 negative
#[test]
fn backup_has_no_address() {
    let mut bench = Bench::active(config());
    assert_eq!(
        bench.receive(advert(LARGER, 200))[0],
        "remove 192.0.2.100/24"
    );
    for _ in 0..20 {
        let mut lines = bench.receive(advert(LARGER, 200));
        lines.extend(bench.hear(Event::AddressDeleted(ip("192.0.2.100"))));
        lines.extend(bench.hear(Event::InterfaceUp));
        lines.extend(bench.pass(ms(200)).into_iter().map(|(_, line)| line));
        assert!(!any(&lines, "add"), "{lines:?}");
    }
}

/// RFC9568-6.4.2-1 negative
/// RFC9568-6.4.2-5 negative
/// RFC9568-6.4.3-1 positive
#[test]
fn active_has_the_address() {
    let mut bench = Bench::started(config());
    assert!(any(&bench.wake(), "add 192.0.2.100/24"));
    let lines = bench.pass(ms(10_000));
    assert_eq!(count(&lines, "remove"), 0);
    assert_eq!(count(&lines, "renew"), 50);
}

/// RFC9568-6.4.2-2 positive
#[test]
fn ipv6_backup_has_no_address() {
    let mut bench = Bench::started(ipv6());
    let mut lines = bench.pass(ms(600));
    lines.retain(|(_, line)| line.starts_with("add"));
    assert_eq!(lines, []);
}

/// RFC9568-6.4.2-2 negative
#[test]
fn ipv6_active_has_the_addresses() {
    let mut bench = Bench::started(ipv6());
    assert_eq!(
        bench.wake()[1],
        "add fe80::100/64 2001:db8::100/64 for 601.5625ms"
    );
}

/// RFC9568-6.4.2-6 positive
#[test]
fn backup_shutdown_cancels_the_timer() {
    let mut bench = Bench::started(config());
    assert_eq!(
        bench.hear(Event::Shutdown),
        ["Backup -> Initialize: shutdown"]
    );
    assert_eq!(bench.router.deadline(), None);
}

/// RFC9568-6.4.2-6 negative
#[test]
fn backup_without_shutdown_keeps_the_timer() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    for event in [Event::Startup, Event::InterfaceUp, Event::Drop] {
        bench.hear(event);
        assert_eq!(bench.router.deadline(), due);
    }
}

/// RFC9568-6.4.2-7 positive
/// RFC9568-8.1.2-2 positive
/// RFC9568-8.2.2-4 positive
#[test]
fn backup_timer_advertises_adds_and_then_announces() {
    for config in [config(), ipv6()] {
        let mut bench = Bench::started(config);
        let lines = bench.wake();
        let begins: Vec<_> = lines
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(begins, ["advert", "add", "announce", "Backup"]);
        assert_eq!(bench.patience(), ms(200));
    }
}

/// RFC9568-6.4.2-7 negative
#[test]
fn backup_does_none_of_it_while_it_hears_the_active() {
    let mut bench = Bench::started(config());
    for _ in 0..100 {
        bench.receive(advert(LARGER, 200));
        assert_eq!(bench.pass(ms(600)), []);
    }
}

/// RFC9568-8.1.2-2 negative
/// RFC9568-8.2.2-4 negative
#[test]
fn nothing_is_announced_while_the_interface_is_not_ready() {
    for config in [config(), ipv6(), owner()] {
        let mut bench = Bench::new(config);
        let mut lines = bench.hear(Event::Startup);
        lines.extend(bench.hear(Event::InterfaceUp));
        bench.freeze(ms(100_000));
        lines.extend(bench.hear(Event::Wake));
        assert!(!any(&lines, "announce") && !any(&lines, "advert"));
    }
}

/// RFC9568-6.4.2-8 positive
#[test]
fn backup_priority_0_sets_skew_time() {
    let mut bench = Bench::started(config());
    bench.receive(advert(LARGER, 0));
    assert_eq!(bench.patience().as_nanos(), 82_812_500);
}

/// RFC9568-6.4.2-8 negative
#[test]
fn backup_priority_1_does_not() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    bench.receive(advert(LARGER, 1));
    assert_eq!(bench.router.deadline(), due);
}

/// RFC9568-6.4.2-9 positive
#[test]
fn backup_acceptable_advert_learns_and_rearms() {
    for (preempt, value) in [(true, 150), (true, 255), (false, 1)] {
        let mut bench = Bench::started(Config {
            preempt,
            ..config()
        });
        bench.freeze(ms(300));
        bench.receive(advert_every(LARGER, value, 100));
        assert_eq!(bench.patience().as_nanos(), 3_414_062_500);
    }
}

/// RFC9568-6.4.2-9 negative
/// RFC9568-6.4.2-10 positive
#[test]
fn backup_discards_a_lower_one_when_preempting() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    bench.freeze(ms(300));
    bench.receive(advert_every(LARGER, 149, 4095));
    assert_eq!(bench.router.deadline(), due);
    // Nor was its interval learned.
    bench.receive(advert(LARGER, 0));
    assert_eq!(bench.patience().as_nanos(), 82_812_500);
}

/// RFC9568-6.4.2-10 negative
#[test]
fn backup_does_not_discard_an_equal_one() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    bench.freeze(ms(300));
    bench.receive(advert(SMALLER, 150));
    assert!(bench.router.deadline() > due);
}

/// RFC9568-6.4.3-6 positive
#[test]
fn active_accepts_as_owner_or_by_accept_mode() {
    let mut accepting = Bench::started(Config {
        accept: true,
        ..config()
    });
    assert_eq!(accepting.wake()[1], "add 192.0.2.100/24 for 601.5625ms");
    let mut owner = Bench::new(Config {
        accept: false,
        ..owner()
    });
    owner.hear(Event::InterfaceUp);
    owner.hear(Event::SourceChanged(Some(ip(OWN))));
    assert_eq!(
        owner.hear(Event::Startup)[1],
        "add 192.0.2.100/24 for 601.5625ms"
    );
}

/// RFC9568-6.4.3-6 negative
/// RFC9568-6.4.3-7 positive
#[test]
fn active_does_not_accept_otherwise() {
    let mut bench = Bench::started(Config {
        accept: false,
        ..config()
    });
    assert!(bench.wake()[1].ends_with(", not accepted"));
    let lines = bench.hear(Event::AddressDeleted(ip("192.0.2.100")));
    assert!(lines[0].ends_with(", not accepted"), "nor when put back");
}

/// RFC9568-6.4.3-7 negative
#[test]
fn active_with_accept_mode_accepts_what_is_put_back() {
    let mut bench = Bench::active(config());
    let lines = bench.hear(Event::AddressDeleted(ip("192.0.2.100")));
    assert!(!lines[0].ends_with(", not accepted"));
}

/// RFC9568-6.4.3-8 positive
#[test]
fn active_shutdown_says_priority_0() {
    let mut bench = Bench::active(config());
    let lines = bench.hear(Event::Shutdown);
    assert!(any(&lines, "advert 0 "));
    assert_eq!(bench.state(), StateName::Initialize);
    assert_eq!(
        bench.router.deadline(),
        None,
        "the Adver_Timer is cancelled"
    );
}

/// RFC9568-6.4.3-8 negative
#[test]
fn a_backup_never_says_priority_0() {
    for event in [
        Event::Shutdown,
        Event::InterfaceDown,
        Event::StandingChanged(failed()),
    ] {
        let mut bench = Bench::started(config());
        assert!(!any(&bench.hear(event), "advert"));
    }
}

/// RFC9568-6.4.3-9 positive
#[test]
fn active_advertises_every_interval() {
    let mut bench = Bench::active(config());
    let lines = bench.pass(ms(1000));
    assert_eq!(times(&lines, "advert 150"), [200, 400, 600, 800, 1000]);
}

/// RFC9568-6.4.3-9 negative
#[test]
fn active_does_not_advertise_before_it_is_due() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(199));
    assert_eq!(bench.hear(Event::Wake), [""; 0]);
    // A learned interval is no business of the Active router.
    bench.receive(advert_every(LARGER, 200, 4095));
    bench.wake();
    assert_eq!(bench.state(), StateName::Active);
    assert_eq!(times(&bench.pass(ms(400)), "advert"), [200, 400]);
}

/// RFC9568-6.4.3-10 positive
#[test]
fn active_priority_0_is_answered_and_the_timer_reset() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(120));
    assert_eq!(
        bench.receive(advert(SMALLER, 0))[0],
        "advert 150 from 192.0.2.11"
    );
    assert_eq!(bench.patience(), ms(200));
}

/// RFC9568-6.4.3-10 negative
/// RFC9568-6.4.3-12 positive
#[test]
fn active_answers_a_lower_one_without_a_reset() {
    for (source, value) in [(SMALLER, 149), (LARGER, 1), (SMALLER, 150)] {
        let mut bench = Bench::active(config());
        bench.freeze(ms(120));
        assert_eq!(
            bench.receive(advert(source, value))[0],
            "advert 150 from 192.0.2.11"
        );
        assert_eq!(bench.patience(), ms(80));
        assert_eq!(bench.state(), StateName::Active);
    }
}

/// RFC9568-6.4.3-11 positive
/// RFC9568-6.4.3-12 negative
#[test]
fn active_yields_and_learns() {
    for (source, value) in [(SMALLER, 151), (LARGER, 150), (SMALLER, 255)] {
        let mut bench = Bench::active(config());
        let lines = bench.receive(advert_every(source, value, 100));
        assert!(!any(&lines, "advert"));
        assert_eq!(bench.state(), StateName::Backup);
        assert_eq!(bench.patience().as_nanos(), 3_414_062_500);
        assert_eq!(bench.router.active(), Some(ip(source)));
    }
}

/// RFC9568-6.4.3-11 negative
#[test]
fn active_does_not_yield_to_less() {
    for (source, value) in [(LARGER, 149), (SMALLER, 150), (LARGER, 0)] {
        let mut bench = Bench::active(config());
        bench.receive(advert(source, value));
        assert_eq!(bench.state(), StateName::Active);
    }
}

#[test]
fn addresses_compare_as_numbers_in_network_order() {
    // As text 192.0.2.9 would be larger than 192.0.2.11.
    let mut bench = Bench::active(config());
    bench.receive(advert("192.0.2.9", 150));
    assert_eq!(bench.state(), StateName::Active);
    // As a signed or little-endian number it would be smaller.
    let mut bench = Bench::active(config());
    bench.receive(advert("200.0.0.1", 150));
    assert_eq!(bench.state(), StateName::Backup);
}

/// RFC9568-7.1-6 positive
#[test]
fn what_is_refused_has_no_effect() {
    for state in [Bench::started(config()), Bench::active(config())] {
        for refusal in Refusal::ALL {
            let mut bench = state.clone();
            let due = bench.router.deadline();
            bench.freeze(ms(50));
            let source = ip(LARGER);
            let lines = bench.hear(Event::PacketRefused { refusal, source });
            assert!(lines.iter().all(|line| line.starts_with("notice")));
            assert_eq!(bench.router.deadline(), due);
            assert_eq!(bench.state(), state.state());
        }
    }
}

/// RFC9568-7.1-6 negative
#[test]
fn what_is_not_refused_has_an_effect() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    bench.freeze(ms(50));
    bench.receive(advert(LARGER, 200));
    assert_ne!(bench.router.deadline(), due);
}

/// RFC9568-7.1-7 positive
#[test]
fn a_refusal_is_logged_once_a_minute() {
    let mut bench = Bench::started(config());
    let mut said = Vec::new();
    for second in 0..180u64 {
        let (refusal, source) = (Refusal::Checksum, ip(LARGER));
        for line in bench.hear(Event::PacketRefused { refusal, source }) {
            said.push((second, line));
        }
        // Nobody is Active here; that is not what is looked at.
        bench.pass(ms(1000));
    }
    let seconds: Vec<_> = said.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [0, 60, 120]);
    assert_eq!(
        said[2].1,
        "notice: refused a packet from 192.0.2.110 (121 so far): its checksum is wrong"
    );
}

/// RFC9568-7.1-7 negative
/// RFC9568-7.1-8 negative
/// RFC9568-7.1-9 negative
/// RFC9568-7.1-10 negative
#[test]
fn an_advertisement_like_ours_is_not_logged() {
    let mut bench = Bench::started(config());
    for value in [150, 200, 100, 255] {
        assert_eq!(bench.receive(advert(LARGER, value)), [""; 0]);
    }
}

/// RFC9568-7.1-8 positive
#[test]
fn another_interval_is_logged_once_and_accepted() {
    let mut bench = Bench::started(config());
    assert_eq!(
        bench.receive(advert_every(LARGER, 200, 150)),
        ["notice: 192.0.2.110 advertises every 1.5 s, this router every 200 ms"]
    );
    for _ in 0..100 {
        assert_eq!(bench.receive(advert_every(LARGER, 200, 150)), [""; 0]);
        bench.pass(ms(1500));
    }
    assert_eq!(bench.router.statistics().intervals_differ, 101);
    assert_eq!(bench.state(), StateName::Backup);
}

/// RFC9568-7.1-9 positive
#[test]
fn other_addresses_are_logged_and_accepted() {
    let mut bench = Bench::started(config());
    let mut other = advert(LARGER, 200);
    other.advert.addresses = Addresses::V4(vec!["192.0.2.7".parse().unwrap()]);
    bench.freeze(ms(300));
    assert_eq!(
        bench.receive(other),
        ["notice: 192.0.2.110 advertises other addresses than ours: 192.0.2.7"]
    );
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
}

/// RFC9568-7.1-10 positive
#[test]
fn the_owner_logs_others_once_a_minute() {
    let mut bench = Bench::active(owner());
    let text = "notice: 192.0.2.110 advertises the addresses that this router owns";
    let said = |lines: &[String]| any(lines, text);
    assert!(said(&bench.receive(advert(LARGER, 100))));
    assert!(!said(&bench.receive(advert(LARGER, 100))));
    bench.pass(ms(60_000));
    assert!(said(&bench.receive(advert(LARGER, 100))));
    assert_eq!(bench.state(), StateName::Active);
}

#[test]
fn of_two_owners_one_is_left() {
    let mut bench = Bench::active(owner());
    bench.receive(advert(SMALLER, 255));
    assert_eq!(bench.state(), StateName::Active);
    let lines = bench.receive(advert(LARGER, 255));
    assert!(any(&lines, "remove 192.0.2.100/24, its own"), "{lines:?}");
    assert_eq!(bench.state(), StateName::Backup);
}

#[test]
fn an_owner_that_stops_says_that_the_addresses_are_its_own() {
    let mut bench = Bench::active(owner());
    assert_eq!(
        bench.hear(Event::Shutdown)[0],
        "remove 192.0.2.100/24, its own"
    );
    // Nor are they another's before a reload makes it a backup.
    let mut bench = Bench::active(owner());
    let lines = bench.hear(Event::Reload {
        config: Box::new(Config {
            addresses: vec![address("192.0.2.101/24")],
            ..config()
        }),
        standing: fit(150),
    });
    assert_eq!(lines[0], "remove 192.0.2.100/24, its own");
    assert_eq!(bench.hear(Event::Shutdown)[0], "remove 192.0.2.101/24");
}

/// RFC9568-7.2-3 positive
#[test]
fn sent_from_the_primary_address() {
    let mut bench = Bench::active(config());
    assert_eq!(bench.wake()[0], "advert 150 from 192.0.2.11");
    bench.hear(Event::SourceChanged(Some(ip("192.0.2.77"))));
    assert_eq!(bench.wake()[0], "advert 150 from 192.0.2.77");
}

/// RFC9568-7.2-3 negative
#[test]
fn not_sent_without_one() {
    let mut bench = Bench::new(config());
    bench.hear(Event::InterfaceUp);
    bench.hear(Event::Startup);
    assert_eq!(bench.router.deadline(), None);
    bench.freeze(ms(10_000));
    assert_eq!(bench.hear(Event::Wake), [""; 0]);
}
