//! VRRP.md's conformance cases, as far as they are events and actions. Those
//! of the kernel and the wall clock (18, 19) and of slow hooks (25) have their
//! other half in the lab.

use vrrpd_core::packet::{Addresses, Form, Refusal};
use vrrpd_core::router::{Action, Config, Event, Fault, Router, StateName};

use crate::support::*;

#[test]
fn case_01_active_down_timer_expires() {
    let mut bench = Bench::started(config());
    // 3 * 200 ms + (256 - 150) * 200 ms / 256.
    assert_eq!(
        bench.patience(),
        core::time::Duration::from_nanos(682_812_500)
    );
    assert_eq!(
        bench.wake(),
        [
            "advert 150 from 192.0.2.11",
            "add 192.0.2.100/24 for 601.5625ms",
            "announce 192.0.2.100/24 x1",
            "Backup -> Active: Active_Down_Timer expired after 0.683 s",
        ]
    );
}

#[test]
fn case_01_the_log_line_says_which_router_and_why() {
    let mut bench = Bench::started(config());
    bench.now = bench.router.deadline().unwrap();
    let mut out = Vec::new();
    bench.router.handle(Event::Wake, bench.now, &mut out);
    let Some(Action::Transition(transition)) = out.last() else {
        panic!("a transition comes last: {out:?}");
    };
    assert_eq!(
        transition.to_string(),
        "service (vrid 51, eth0): Backup -> Active: Active_Down_Timer expired after 0.683 s"
    );
}

#[test]
fn case_02_priority_0_in_backup_takes_over_at_skew_time() {
    let mut bench = Bench::started(config());
    bench.receive(advert_every(LARGER, 200, 100));
    bench.freeze(ms(500));
    assert_eq!(bench.receive(advert_every(LARGER, 0, 100)), [""; 0]);
    // (256 - 150) * 1 s / 256, of the learned interval.
    assert_eq!(
        bench.patience(),
        core::time::Duration::from_nanos(414_062_500)
    );
    let lines = bench.wake();
    assert_eq!(
        lines.last().unwrap(),
        "Backup -> Active: 192.0.2.110 stopped (priority 0), Skew_Time of 0.414 s passed"
    );
}

#[test]
fn case_03_priority_0_in_active_is_answered_at_once() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(150));
    assert_eq!(
        bench.receive(advert(SMALLER, 0)),
        [
            "advert 150 from 192.0.2.11",
            "renew for 601.5625ms",
            "notice: 192.0.2.10 was Active too, and stops: announced again",
            "announce 192.0.2.100/24 x1",
        ]
    );
    assert_eq!(bench.patience(), ms(200), "the timer is reset");
}

#[test]
fn case_04_lower_priority_in_active_is_answered_at_once() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(150));
    assert_eq!(
        bench.receive(advert(LARGER, 100)),
        [
            "advert 150 from 192.0.2.11",
            "renew for 601.5625ms",
            "notice: 192.0.2.110 advertises too, with priority 100: announced again",
            "announce 192.0.2.100/24 x1",
        ]
    );
    assert_eq!(bench.state(), StateName::Active);
    assert_eq!(bench.patience(), ms(50), "the timer is not reset");
}

#[test]
fn case_05_higher_priority_in_active_wins_with_preemption_off() {
    let mut bench = Bench::active(Config {
        preempt: false,
        ..config()
    });
    assert_eq!(
        bench.receive(advert(SMALLER, 151)),
        [
            "remove 192.0.2.100/24",
            "Active -> Backup: 192.0.2.10 has the higher priority 151 (ours is 150)",
        ]
    );
}

#[test]
fn case_06_equal_priority_in_active_is_decided_by_the_address() {
    let mut bench = Bench::active(config());
    assert_eq!(
        bench.receive(advert(LARGER, 150)),
        [
            "remove 192.0.2.100/24",
            "Active -> Backup: 192.0.2.110 has the same priority 150 and the larger address",
        ]
    );
    let mut bench = Bench::active(config());
    bench.receive(advert(SMALLER, 150));
    assert_eq!(bench.state(), StateName::Active);
}

#[test]
fn case_07_equal_priority_in_backup_is_accepted() {
    for source in [SMALLER, LARGER] {
        let mut bench = Bench::started(config());
        bench.freeze(ms(600));
        bench.receive(advert(source, 150));
        assert_eq!(bench.patience().as_nanos(), 682_812_500);
        assert_eq!(bench.router.active(), Some(ip(source)));
    }
}

#[test]
fn case_08_lower_priority_in_backup_is_ignored_with_preemption_on() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    for _ in 0..3 {
        bench.freeze(ms(200));
        assert_eq!(bench.receive(advert(LARGER, 149)), [""; 0]);
        assert_eq!(bench.router.deadline(), due, "the timer is not re-armed");
    }
    assert_eq!(
        bench.wake().last().unwrap(),
        "Backup -> Active: Active_Down_Timer expired after 0.683 s, preempts 192.0.2.110 of priority 149"
    );
}

#[test]
fn case_09_lower_priority_in_backup_rearms_with_preemption_off() {
    let mut bench = Bench::started(Config {
        preempt: false,
        ..config()
    });
    bench.freeze(ms(600));
    bench.receive(advert_every(LARGER, 1, 100));
    assert_eq!(bench.patience().as_nanos(), 3_414_062_500, "learned");
}

#[test]
fn case_10_the_down_interval_follows_the_active_router() {
    let mut bench = Bench::started(config());
    let skew = |interval: u64| interval * 106 / 256;
    for interval in [100u16, 10, 100] {
        bench.receive(advert_every(LARGER, 200, interval));
        let nanos = u64::from(interval) * 10_000_000;
        let down = u128::from(3 * nanos + skew(nanos));
        assert_eq!(bench.patience().as_nanos(), down);
    }
    // It advertises at its own.
    bench.wake();
    assert_eq!(bench.patience(), ms(200));
}

#[test]
fn case_11_v2_interval_mismatch_is_dropped_and_counted() {
    let mut bench = Bench::started(config_v2());
    let due = bench.router.deadline();
    bench.freeze(ms(100));
    assert_eq!(
        bench.receive(advert_v2(LARGER, 200, 200)),
        [
            "notice: refused a packet from 192.0.2.110 (1 so far): its interval differs from ours: VRRPv2 needs the same on both routers"
        ]
    );
    assert_eq!(bench.router.deadline(), due);
    let refused = bench.router.statistics().refused;
    assert_eq!(refused.of(Refusal::IntervalMismatch), 1);
    assert_eq!(bench.router.statistics().adverts_received, 0);
    bench.receive(advert_v2(LARGER, 200, 100));
    assert_ne!(bench.router.deadline(), due, "the same interval is heard");
}

#[test]
fn case_13_refused_packets_do_not_change_the_cadence() {
    let mut quiet = Bench::active(config());
    let mut noisy = quiet.clone();
    let expected = quiet.pass(ms(60_000));
    let begin = noisy.now;
    let mut lines = Vec::new();
    let junk = [Refusal::HopLimit, Refusal::Checksum, Refusal::Version];
    for refusal in junk.into_iter().cycle().take(60_000 / 140 - 1) {
        let offset = begin.until(noisy.now).as_millis();
        let passed = noisy.pass(ms(140));
        lines.extend(passed.into_iter().map(|(at, line)| (offset + at, line)));
        let source = ip(LARGER);
        let said = noisy.hear(Event::PacketRefused { refusal, source });
        assert!(said.iter().all(|line| line.starts_with("notice: refused")));
        // Nor does what is refused by the router itself.
        noisy.receive(advert_v2(LARGER, 255, 20));
        noisy.receive(advert(OWN, 255));
    }
    let offset = begin.until(noisy.now).as_millis();
    let rest = noisy.pass(ms(60_000) - begin.until(noisy.now));
    lines.extend(rest.into_iter().map(|(at, line)| (offset + at, line)));
    assert_eq!(times(&lines, "advert"), times(&expected, "advert"));
    assert_eq!(count(&lines, "advert"), 300);
    let refused = noisy.router.statistics().refused;
    assert_eq!(refused.total(), 3 * (60_000 / 140 - 1));
}

#[test]
fn case_13_refused_packets_rearm_no_backup() {
    let mut bench = Bench::started(config());
    let due = bench.router.deadline();
    for refusal in Refusal::ALL {
        bench.freeze(ms(10));
        let source = ip(LARGER);
        bench.hear(Event::PacketRefused { refusal, source });
    }
    assert_eq!(bench.router.deadline(), due);
}

#[test]
fn case_14_auto_sends_the_form_that_the_peer_was_understood_in() {
    let mut bench = Bench::started(config());
    let bytes = |router: &Router| router.advert(Some(priority(150)), ip(OWN), ip("224.0.0.18"));
    assert_eq!(bytes(&bench.router)[6..8], [0x76, 0x52], "RFC 9568's first");
    let mut pseudo = advert(LARGER, 200);
    pseudo.form = Form::PseudoHeader;
    assert_eq!(
        bench.receive(pseudo),
        ["notice: sends checksums with pseudo-header from now on, as 192.0.2.110 does"]
    );
    assert_eq!(bytes(&bench.router)[6..8], [0xd3, 0xb7]);
    bench.receive(advert(LARGER, 200));
    assert_eq!(bytes(&bench.router)[6..8], [0x76, 0x52]);
}

#[test]
fn case_14_a_configured_form_is_kept() {
    for (form, bytes) in [
        (Form::Plain, [0x76, 0x52]),
        (Form::PseudoHeader, [0xd3, 0xb7]),
    ] {
        let mut bench = Bench::started(Config {
            checksum: vrrpd_core::router::Checksum::Fixed(form),
            ..config()
        });
        for theirs in [Form::Plain, Form::PseudoHeader] {
            let mut received = advert(LARGER, 200);
            received.form = theirs;
            bench.receive(received);
            let advert = bench
                .router
                .advert(Some(priority(150)), ip(OWN), ip("224.0.0.18"));
            assert_eq!(advert[6..8], bytes);
        }
    }
}

#[test]
fn case_16_other_addresses_are_accepted_and_said_once() {
    let mut bench = Bench::started(config());
    let mut other = advert(LARGER, 200);
    other.advert.addresses = Addresses::V4(vec![
        "192.0.2.100".parse().unwrap(),
        "192.0.2.101".parse().unwrap(),
    ]);
    bench.freeze(ms(600));
    assert_eq!(
        bench.receive(other.clone()),
        ["notice: 192.0.2.110 advertises other addresses than ours: 192.0.2.100 192.0.2.101"]
    );
    assert_eq!(bench.patience().as_nanos(), 682_812_500, "accepted");
    for _ in 0..1000 {
        bench.freeze(ms(200));
        assert_eq!(bench.receive(other.clone()), [""; 0], "said once");
    }
    assert_eq!(bench.router.statistics().addresses_differ, 1001);
    assert_eq!(bench.state(), StateName::Backup);
}

#[test]
fn case_16_the_order_of_the_addresses_is_no_difference() {
    let mut bench = Bench::started(Config {
        addresses: vec![address("192.0.2.100/24"), address("192.0.2.101/24")],
        ..config()
    });
    let mut other = advert(LARGER, 200);
    other.advert.addresses = Addresses::V4(vec![
        "192.0.2.101".parse().unwrap(),
        "192.0.2.100".parse().unwrap(),
    ]);
    assert_eq!(bench.receive(other), [""; 0]);
}

#[test]
fn case_17_a_frozen_active_demotes_before_it_looks_at_anything() {
    // Whatever comes first after it goes on.
    for event in [
        Event::Wake,
        Event::AdvertReceived(advert(SMALLER, 100)),
        Event::InterfaceUp,
    ] {
        let mut bench = Bench::active(config());
        bench.freeze(ms(2000));
        let lines = bench.hear(event);
        assert_eq!(
            lines[..2],
            [
                "remove 192.0.2.100/24",
                "Active -> Backup: woke 1800 ms late: another may have taken over",
            ]
        );
        assert_eq!(count_adverts(&lines), 0);
        assert_eq!(bench.state(), StateName::Backup);
        assert_eq!(bench.patience().as_nanos(), 682_812_500, "it listens");
        assert_eq!(bench.router.statistics().late, 1);
    }
}

fn count_adverts(lines: &[String]) -> usize {
    lines
        .iter()
        .filter(|line| line.starts_with("advert"))
        .count()
}

#[test]
fn case_17_a_frozen_backup_looks_at_the_network_before_it_takes_over() {
    let frozen = || {
        let mut bench = Bench::started(config());
        bench.receive(advert(LARGER, 200));
        bench.freeze(ms(10_000));
        assert_eq!(bench.hear(Event::Wake), ["notice: woke 9317 ms late"]);
        // Skew_Time: (256 - 150) * 200 ms / 256.
        assert_eq!(bench.patience().as_nanos(), 82_812_500);
        bench
    };
    // The Active router is there: its packets have waited.
    let mut bench = frozen();
    bench.receive(advert(LARGER, 200));
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
    assert_eq!(bench.state(), StateName::Backup);
    // It is not, and nothing is waited for twice, however late.
    let mut bench = frozen();
    bench.freeze(ms(10_000));
    bench.hear(Event::Wake);
    assert_eq!(bench.state(), StateName::Active);
}

#[test]
fn case_17_late_within_the_lease_stays_and_says_so() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(601));
    assert_eq!(
        bench.hear(Event::Wake),
        [
            "notice: woke 401 ms late",
            "advert 150 from 192.0.2.11",
            "renew for 601.5625ms",
        ]
    );
}

#[test]
fn case_18_every_right_to_the_addresses_ends_by_itself() {
    // What the kernel is told never reaches further than anybody waits.
    let mut bench = Bench::active(config());
    for _ in 0..100 {
        bench.now = bench.router.deadline().unwrap();
        let mut out = Vec::new();
        bench.router.handle(Event::Wake, bench.now, &mut out);
        for action in &out {
            if let Action::AddAddresses { until, .. } | Action::RenewAddresses { until } = action {
                assert_eq!(bench.now.until(*until).as_nanos(), 601_562_500);
            }
        }
        let renewed = |action: &Action| matches!(action, Action::RenewAddresses { .. });
        let advertised = |action: &Action| matches!(action, Action::SendAdvert { .. });
        assert_eq!(
            out.iter().filter(|action| renewed(action)).count(),
            out.iter().filter(|action| advertised(action)).count(),
            "renewed by advertisements, and only by them"
        );
    }
}

#[test]
fn case_20_a_deleted_address_is_put_back() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(100));
    assert_eq!(
        bench.hear(Event::AddressDeleted(ip("192.0.2.100"))),
        [
            "add 192.0.2.100/24 for 501.5625ms",
            "announce 192.0.2.100/24 x1",
            "notice: another program deleted 192.0.2.100: put back (1 times lately)",
        ]
    );
    assert_eq!(bench.state(), StateName::Active);
    assert_eq!(bench.hear(Event::AddressDeleted(ip("192.0.2.99"))), [""; 0]);
}

#[test]
fn case_20_the_fifth_deletion_in_a_short_while_steps_down() {
    let mut bench = Bench::active(config());
    for _ in 0..4 {
        bench.pass(ms(1000));
        bench.hear(Event::AddressDeleted(ip("192.0.2.100")));
        assert_eq!(bench.state(), StateName::Active);
    }
    let reason = "its addresses were deleted 5 times by another program: find which one manages the interface";
    assert_eq!(
        bench.hear(Event::AddressDeleted(ip("192.0.2.100"))),
        [
            "remove 192.0.2.100/24".to_owned(),
            "advert 0 from 192.0.2.11".to_owned(),
            format!("Active -> Initialize: {reason}"),
        ]
    );
    // It comes back after a while, and listens.
    assert_eq!(bench.patience(), ms(60_000));
    assert_eq!(
        bench.wake(),
        [format!("Initialize -> Backup: over: {reason}")]
    );
}

#[test]
fn case_20_rare_deletions_are_put_back_for_ever() {
    let mut bench = Bench::active(config());
    for _ in 0..50 {
        bench.pass(ms(20_000));
        bench.hear(Event::AddressDeleted(ip("192.0.2.100")));
        assert_eq!(bench.state(), StateName::Active);
    }
    assert_eq!(bench.router.statistics().put_back, 50);
}

#[test]
fn case_21_link_down_is_a_fault_and_link_up_listens() {
    let mut bench = Bench::active(Config {
        preempt: false,
        ..config()
    });
    assert_eq!(
        bench.hear(Event::InterfaceDown),
        [
            "remove 192.0.2.100/24",
            "advert 0 from 192.0.2.11",
            "Active -> Initialize: the interface is down",
        ]
    );
    assert_eq!(bench.router.deadline(), None);
    assert_eq!(bench.router.fault(), Some(Fault::InterfaceDown));
    bench.freeze(ms(3000));
    assert_eq!(
        bench.hear(Event::InterfaceUp),
        ["Initialize -> Backup: over: the interface is down"]
    );
    // A whole Active_Down_Interval, and nobody is preempted.
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
    for _ in 0..20 {
        bench.freeze(ms(200));
        bench.receive(advert(LARGER, 100));
        assert_eq!(bench.state(), StateName::Backup);
    }
}

#[test]
fn case_21_the_address_lost_is_a_fault_and_its_return_listens() {
    let mut bench = Bench::active(config());
    assert_eq!(
        bench.hear(Event::SourceChanged(None)),
        [
            "remove 192.0.2.100/24",
            "advert 0 from 192.0.2.11",
            "Active -> Initialize: the interface has no address to advertise from",
        ]
    );
    assert_eq!(
        bench.hear(Event::SourceChanged(Some(ip("192.0.2.12")))),
        ["Initialize -> Backup: over: the interface has no address to advertise from"]
    );
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
}

#[test]
fn case_22_advertisements_follow_the_primary_address() {
    let mut bench = Bench::active(config());
    assert_eq!(
        bench.hear(Event::SourceChanged(Some(ip("192.0.2.12")))),
        ["notice: advertises from 192.0.2.12 from now on"]
    );
    assert_eq!(
        bench.wake(),
        ["advert 150 from 192.0.2.12", "renew for 601.5625ms"]
    );
}

fn reload(bench: &mut Bench, config: Config) -> Vec<String> {
    let standing = fit(config.priority.as_u8());
    bench.hear(Event::Reload {
        config: Box::new(config),
        standing,
    })
}

#[test]
fn case_23_reload_of_the_same_changes_nothing() {
    let mut bench = Bench::active(config());
    let due = bench.router.deadline();
    assert_eq!(reload(&mut bench, config()), [""; 0]);
    assert_eq!(bench.router.deadline(), due);
}

#[test]
fn case_23_reload_of_the_priority_is_told_at_once() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(150));
    let changed = Config {
        priority: priority(120),
        ..config()
    };
    assert_eq!(
        reload(&mut bench, changed),
        [
            "notice: priority 150 -> 120",
            "advert 120 from 192.0.2.11",
            "renew for 601.5625ms",
        ]
    );
    assert_eq!(bench.patience(), ms(200));
}

#[test]
fn case_23_reload_of_the_interval_is_told_at_once() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(150));
    let changed = Config {
        advertise_interval: cs(100),
        ..config()
    };
    // Before the others, who know of 200 ms, could miss one.
    assert_eq!(
        reload(&mut bench, changed),
        ["advert 150 from 192.0.2.11", "renew for 3.0078125s"]
    );
    assert_eq!(bench.patience(), ms(1000));
    let bytes = bench
        .router
        .advert(Some(priority(150)), ip(OWN), ip("224.0.0.18"));
    assert_eq!(bytes[4..6], [0, 100]);
}

#[test]
fn case_23_reload_adds_and_removes_addresses_in_place() {
    let mut bench = Bench::active(Config {
        addresses: vec![address("192.0.2.100/24"), address("192.0.2.101/24")],
        ..config()
    });
    bench.freeze(ms(150));
    let changed = Config {
        addresses: vec![address("192.0.2.101/24"), address("192.0.2.102/24")],
        ..config()
    };
    assert_eq!(
        reload(&mut bench, changed),
        [
            "remove 192.0.2.100/24",
            "add 192.0.2.102/24 for 451.5625ms",
            "announce 192.0.2.102/24 x1",
            "advert 150 from 192.0.2.11",
            "renew for 601.5625ms",
        ]
    );
    assert_eq!(bench.state(), StateName::Active);
}

#[test]
fn case_24_shutdown_demotes_removes_and_only_then_says_0() {
    let mut bench = Bench::active(config());
    assert_eq!(
        bench.hear(Event::Shutdown),
        [
            "remove 192.0.2.100/24",
            "advert 0 from 192.0.2.11",
            "Active -> Initialize: shutdown",
        ]
    );
    assert_eq!(bench.router.deadline(), None);
    // Nothing brings it back.
    for event in [Event::InterfaceUp, Event::Startup, Event::Wake] {
        assert_eq!(bench.hear(event), [""; 0]);
    }
}

#[test]
fn case_25_active_backup_active_is_told_in_order_and_whole() {
    let mut bench = Bench::active(config());
    let mut lines = bench.receive(advert(LARGER, 200));
    lines.extend(bench.receive(advert(LARGER, 0)));
    lines.extend(bench.wake());
    let transitions: Vec<_> = lines.iter().filter(|line| line.contains(" -> ")).collect();
    assert_eq!(
        transitions,
        [
            "Active -> Backup: 192.0.2.110 has the higher priority 200 (ours is 150)",
            "Backup -> Active: 192.0.2.110 stopped (priority 0), Skew_Time of 0.083 s passed",
        ]
    );
}
