//! Preemption's delays, announcements and their limits, owners, unicast peers,
//! accept mode, IPv6, and the governed router.

use core::time::Duration;

use vrrpd_core::packet::{Refusal, Version};
use vrrpd_core::router::{Announce, Config, Event, Fault, Mistake, StateName};

use crate::support::*;

#[test]
fn preempt_delay_leaves_a_lower_active_alone_for_so_long() {
    let mut bench = Bench::started(Config {
        preempt_delay: ms(3000),
        ..config()
    });
    let mut waited = 0;
    while bench.state() == StateName::Backup {
        bench.receive(advert(LARGER, 100));
        bench.pass(ms(200));
        waited += 200;
        assert!(waited < 10_000, "preempts in the end");
    }
    // The delay, the Active_Down_Interval since the last one spared (at
    // 2.8 s), in steps of 200 ms.
    assert_eq!(waited, 3600);
}

#[test]
fn preempt_delay_begins_anew_when_a_better_one_was_active() {
    let mut bench = Bench::started(Config {
        preempt_delay: ms(1000),
        ..config()
    });
    for _ in 0..10 {
        bench.receive(advert(LARGER, 100));
        bench.pass(ms(200));
        bench.receive(advert(SMALLER, 200));
        bench.pass(ms(200));
    }
    assert_eq!(bench.state(), StateName::Backup);
}

#[test]
fn preempt_delay_does_not_delay_the_takeover_from_a_dead_one() {
    let mut bench = Bench::started(Config {
        preempt_delay: ms(60_000),
        ..config()
    });
    bench.receive(advert(LARGER, 100));
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
    assert_eq!(
        bench.wake().last().unwrap(),
        "Backup -> Active: Active_Down_Timer expired after 0.683 s",
        "it died, and is not preempted"
    );
}

#[test]
fn startup_delay_outlasts_an_active_that_dies_or_stops() {
    let delayed = Config {
        startup_delay: ms(5000),
        ..config()
    };
    for last in [200, 100, 0] {
        let mut bench = Bench::started(delayed.clone());
        bench.pass(ms(100));
        bench.receive(advert(LARGER, last));
        assert_eq!(bench.patience(), ms(4900), "priority {last}");
        // Later it makes no difference.
        bench.pass(ms(4800));
        bench.receive(advert(LARGER, last));
        let waits = if last == 0 { 100_000_000 } else { 682_812_500 };
        assert_eq!(bench.patience().as_nanos(), waits, "priority {last}");
    }
}

#[test]
fn startup_delay_listens_for_so_long() {
    let mut bench = Bench::started(Config {
        startup_delay: ms(5000),
        ..config()
    });
    assert_eq!(bench.patience(), ms(5000));
    // A lower one is spared meanwhile, and preempted after.
    let mut waited = 0;
    while bench.state() == StateName::Backup {
        bench.receive(advert(LARGER, 100));
        bench.pass(ms(200));
        waited += 200;
    }
    assert!((5000..6000).contains(&waited), "{waited}");
    // Not after a fault: only the daemon's start is slow.
    bench.hear(Event::InterfaceDown);
    bench.hear(Event::InterfaceUp);
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
}

#[test]
fn without_preemption_the_start_listens_for_a_whole_active_down_interval() {
    let mut bench = Bench::started(Config {
        preempt: false,
        ..config()
    });
    assert_eq!(bench.patience().as_nanos(), 682_812_500);
    for _ in 0..50 {
        bench.pass(ms(200));
        bench.receive(advert(LARGER, 1));
    }
    assert_eq!(bench.state(), StateName::Backup);
}

#[test]
fn announced_at_once_repeated_and_refreshed() {
    let mut bench = Bench::active(Config {
        announce: Announce {
            count: 3,
            repeat_after: ms(1000),
            repeats: 2,
            refresh: Some(ms(10_000)),
        },
        ..config()
    });
    let lines = bench.pass(ms(25_000));
    assert_eq!(times(&lines, "announce"), [1000, 2000, 12_000, 22_000]);
}

#[test]
fn a_flood_of_lower_adverts_announces_once_an_interval() {
    let mut bench = Bench::active(config());
    let (mut announced, mut said) = (0, 0);
    for _ in 0..1000 {
        let heard = bench.receive(advert(LARGER, 100));
        announced += heard
            .iter()
            .filter(|line| line.starts_with("announce"))
            .count();
        said += heard
            .iter()
            .filter(|line| line.starts_with("notice"))
            .count();
        announced += count(&bench.pass(ms(1)), "announce");
    }
    assert!((5..=7).contains(&announced), "{announced} in a second");
    assert_eq!(said, 1);
    assert_eq!(bench.router.statistics().rivals, 1000);
}

#[test]
fn the_end_of_a_double_mastership_is_announced() {
    let mut bench = Bench::active(Config {
        announce: Announce {
            count: 1,
            repeat_after: ms(60_000),
            repeats: 0,
            refresh: None,
        },
        ..config()
    });
    bench.receive(advert(LARGER, 100));
    let lines = bench.pass(ms(10_000));
    // 3 intervals and Skew_Time after it was last heard.
    assert_eq!(times(&lines, "announce"), [682]);
    assert_eq!(
        times(&lines, "notice: 192.0.2.110 does not advertise any more"),
        [682]
    );
}

#[test]
fn the_owner_takes_its_addresses_without_listening() {
    let owner = Config {
        priority: priority(255),
        accept: false,
        ..config()
    };
    let mut bench = Bench::new(owner);
    bench.hear(Event::InterfaceUp);
    bench.hear(Event::SourceChanged(Some(ip(OWN))));
    assert_eq!(
        bench.hear(Event::Startup),
        [
            "advert 255 from 192.0.2.11",
            "add 192.0.2.100/24 for 601.5625ms",
            "announce 192.0.2.100/24 x1",
            "Initialize -> Active: it owns the addresses",
        ]
    );
    assert_eq!(
        bench.receive(advert(LARGER, 254))[0],
        "notice: 192.0.2.110 advertises the addresses that this router owns: check its configuration"
    );
    assert_eq!(bench.state(), StateName::Active);
}

#[test]
fn only_unicast_peers_are_heard_when_there_are_any() {
    let mut bench = Bench::started(Config {
        unicast_peers: vec![ip(SMALLER)],
        ..config()
    });
    let due = bench.router.deadline();
    bench.freeze(ms(100));
    bench.receive(advert(LARGER, 200));
    assert_eq!(bench.router.deadline(), due);
    let refused = bench.router.statistics().refused;
    assert_eq!(refused.of(Refusal::UnknownPeer), 1);
    bench.receive(advert(SMALLER, 200));
    assert_ne!(bench.router.deadline(), due);
}

#[test]
fn the_other_version_and_our_own_packets_are_refused() {
    let mut bench = Bench::active(config());
    bench.receive(advert_v2(LARGER, 200, 100));
    bench.receive(advert(OWN, 200));
    assert_eq!(bench.state(), StateName::Active);
    let refused = bench.router.statistics().refused;
    assert_eq!(refused.of(Refusal::VersionMismatch), 1);
    assert_eq!(refused.of(Refusal::OwnAddress), 1);
}

#[test]
fn checks_move_the_priority_and_the_others_hear_of_it_at_once() {
    let mut bench = Bench::active(config());
    bench.freeze(ms(100));
    assert_eq!(
        bench.hear(Event::StandingChanged(vrrpd_core::router::Standing::Fit {
            priority: priority(90),
            why: "150 - 60 (gateway)".into(),
        })),
        [
            "notice: priority 150 -> 90: 150 - 60 (gateway)",
            "advert 90 from 192.0.2.11",
            "renew for 601.5625ms",
        ]
    );
    assert_eq!(
        bench.hear(Event::StandingChanged(failed())),
        [
            "remove 192.0.2.100/24",
            "advert 0 from 192.0.2.11",
            "Active -> Initialize: check gateway fails",
        ]
    );
    assert_eq!(
        bench.hear(Event::StandingChanged(fit(150))),
        ["Initialize -> Backup: over: check gateway fails"]
    );
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let mut bench = Bench::new(config());
    assert_eq!(
        bench.hear(Event::Startup),
        [
            "remove 192.0.2.100/24",
            "notice: Initialize: the interface is down",
        ]
    );
    assert_eq!(
        bench.hear(Event::InterfaceUp),
        ["notice: Initialize: the interface has no address to advertise from"]
    );
    assert_eq!(
        bench.hear(Event::SourceChanged(Some(ip(OWN)))),
        ["Initialize -> Backup: over: the interface has no address to advertise from"]
    );
}

#[test]
fn accept_mode_is_told_with_the_addresses() {
    let mut bench = Bench::started(Config {
        accept: false,
        ..config()
    });
    assert_eq!(
        bench.wake()[1],
        "add 192.0.2.100/24 for 601.5625ms, not accepted"
    );
    assert_eq!(
        bench.hear(Event::Reload {
            config: Box::new(config()),
            standing: fit(150)
        }),
        ["add 192.0.2.100/24 for 601.5625ms"]
    );
}

#[test]
fn a_configuration_is_checked_before_it_is_run() {
    let check = |config: Config| config.check().unwrap_err();
    let interval = Config {
        advertise_interval: cs(4096),
        ..config()
    };
    assert_eq!(check(interval), Mistake::Interval);
    let fraction = Config {
        version: Version::V2,
        advertise_interval: cs(150),
        ..config()
    };
    assert_eq!(check(fraction), Mistake::Interval);
    let none = Config {
        addresses: Vec::new(),
        ..config()
    };
    assert_eq!(check(none), Mistake::Count);
    let many = Config {
        addresses: vec![address("192.0.2.100/24"); 256],
        ..config()
    };
    assert_eq!(check(many), Mistake::Count);
    let mixed = Config {
        addresses: vec![address("192.0.2.100/24"), address("fe80::1/64")],
        ..config()
    };
    assert_eq!(check(mixed), Mistake::Family);
    let distant = Config {
        min_hop_limit: 254,
        ..config()
    };
    assert_eq!(check(distant), Mistake::HopLimit);
    assert_eq!(config().check(), Ok(()));
}

fn hold(bench: &mut Bench, millis: u64) -> Vec<String> {
    let until = bench.now + ms(millis);
    bench.hear(Event::Hold { until })
}

#[test]
fn governed_it_never_competes() {
    let mut bench = Bench::started(governed());
    assert_eq!(bench.state(), StateName::Backup);
    assert_eq!(bench.router.deadline(), None);
    bench.receive(advert(LARGER, 1));
    bench.receive(advert(LARGER, 0));
    bench.freeze(ms(100_000));
    assert_eq!(bench.hear(Event::Wake), [""; 0]);
    assert_eq!(bench.router.deadline(), None);
}

#[test]
fn governed_it_holds_and_drops_as_the_pool_says() {
    let mut bench = Bench::started(governed());
    assert_eq!(
        hold(&mut bench, 594),
        [
            "advert 150 from 192.0.2.11",
            "add 192.0.2.100/24 for 594ms",
            "announce 192.0.2.100/24 x1",
            "Backup -> Active: this manager is Primary",
        ]
    );
    bench.freeze(ms(100));
    assert_eq!(hold(&mut bench, 594), ["renew for 594ms"]);
    assert_eq!(hold(&mut bench, 500), [""; 0], "held longer already");
    bench.freeze(ms(100));
    // Advertises at its interval; that renews nothing.
    assert_eq!(bench.hear(Event::Wake), ["advert 150 from 192.0.2.11"]);
    assert_eq!(
        bench.hear(Event::Drop),
        [
            "remove 192.0.2.100/24",
            "advert 0 from 192.0.2.11",
            "Active -> Backup: this manager is not Primary",
        ]
    );
    assert_eq!(bench.hear(Event::Drop), ["remove 192.0.2.100/24"]);
}

#[test]
fn governed_no_advertisement_deposes_it() {
    let mut bench = Bench::active(governed());
    assert_eq!(
        bench.receive(advert(LARGER, 255)),
        [
            "notice: 192.0.2.110 advertises too, with priority 255: announced again",
            "announce 192.0.2.100/24 x1",
        ]
    );
    for value in [0, 1, 150, 254, 255] {
        let lines = bench.receive(advert(LARGER, value));
        assert_eq!(lines, [""; 0], "limited");
    }
    assert_eq!(bench.state(), StateName::Active);
    assert_eq!(bench.router.statistics().rivals, 6);
}

#[test]
fn governed_the_right_ends_when_it_is_not_renewed() {
    let mut bench = Bench::started(governed());
    hold(&mut bench, 250);
    let lines = bench.pass(ms(1000));
    assert_eq!(
        lines,
        [
            (200, "advert 150 from 192.0.2.11".to_owned()),
            (250, "remove 192.0.2.100/24".to_owned()),
            (
                250,
                "Active -> Backup: the right to the addresses was not renewed in time".to_owned()
            ),
        ]
    );
    // A right that has ended already is none.
    let until = bench.now;
    assert_eq!(bench.hear(Event::Hold { until }), [""; 0]);
}

#[test]
fn governed_a_fault_is_told_and_the_pool_decides() {
    for (event, fault) in [
        (Event::InterfaceDown, Fault::InterfaceDown),
        (Event::SourceChanged(None), Fault::NoSource),
        (
            Event::StandingChanged(failed()),
            Fault::Check("check gateway fails".into()),
        ),
    ] {
        let mut bench = Bench::active(governed());
        assert_eq!(bench.hear(event), [""; 0]);
        assert_eq!(bench.state(), StateName::Active);
        assert_eq!(bench.router.fault(), Some(fault.clone()));
        let lines = bench.hear(Event::Drop);
        assert_eq!(bench.state(), StateName::Initialize);
        assert_eq!(
            lines.last().unwrap(),
            &format!("Backup -> Initialize: {fault}")
        );
        // Alone by right, it may be told to hold with a fault.
        assert_eq!(
            hold(&mut bench, 500).last().unwrap(),
            "Initialize -> Active: this manager is Primary"
        );
    }
}

#[test]
fn governed_a_fight_for_the_address_becomes_a_fault() {
    let mut bench = Bench::active(governed());
    for times in 1..=5u8 {
        let lines = bench.hear(Event::AddressDeleted(ip("192.0.2.100")));
        assert_eq!(lines[0], "add 192.0.2.100/24 for 1s");
        let lost = bench.router.fault().is_some();
        assert_eq!(lost, times == 5, "after {times}");
    }
    assert_eq!(bench.state(), StateName::Active);
    bench.hear(Event::Drop);
    assert_eq!(bench.state(), StateName::Initialize);
    assert_eq!(bench.patience(), Duration::from_secs(60));
    assert_eq!(bench.wake().len(), 1);
    assert_eq!(bench.state(), StateName::Backup);
}

#[test]
fn governed_the_link_back_up_puts_the_addresses_back() {
    let mut bench = Bench::active(governed());
    bench.hear(Event::InterfaceDown);
    assert_eq!(
        bench.hear(Event::InterfaceUp),
        ["add 192.0.2.100/24 for 1s", "announce 192.0.2.100/24 x1",]
    );
    assert_eq!(bench.hear(Event::InterfaceUp), [""; 0]);
}

#[test]
fn a_competing_router_has_no_pool_to_obey() {
    let mut bench = Bench::started(config());
    assert_eq!(hold(&mut bench, 1000), [""; 0]);
    let mut bench = Bench::active(config());
    assert_eq!(bench.hear(Event::Drop), [""; 0]);
    assert_eq!(bench.state(), StateName::Active);
}
