//! Every state meets every event: exact orders, in order.

use vrrpd_core::packet::Refusal;
use vrrpd_core::router::{Config, Event, StateName};

use crate::support::*;

/// What can be heard, with a label for the table.
const EVENTS: [&str; 24] = [
    "Startup",
    "Shutdown",
    "Wake, due",
    "AdvertReceived, priority 0",
    "AdvertReceived, lower",
    "AdvertReceived, equal, smaller address",
    "AdvertReceived, equal, larger address",
    "AdvertReceived, higher",
    "PacketRefused",
    "InterfaceUp",
    "InterfaceDown",
    "SourceChanged, another",
    "SourceChanged, lost",
    "StandingChanged, lower",
    "StandingChanged, fault",
    "AddressDeleted",
    "Reload, same",
    "Reload, other address",
    "Hold",
    "Hold, passed",
    "Drop",
    "MateFault",
    "MateLeft",
    "MatesReady",
];

/// The label's event. Each variant of [`Event`] stands for at least one label.
fn event(label: &str, bench: &Bench, config: &Config) -> Event {
    let reload = |config: Config| Event::Reload {
        config: Box::new(config),
        standing: fit(150),
    };
    match label {
        "Startup" => Event::Startup,
        "Shutdown" => Event::Shutdown,
        "Wake, due" => Event::Wake,
        "AdvertReceived, priority 0" => Event::AdvertReceived(advert(LARGER, 0)),
        "AdvertReceived, lower" => Event::AdvertReceived(advert(LARGER, 100)),
        "AdvertReceived, equal, smaller address" => Event::AdvertReceived(advert(SMALLER, 150)),
        "AdvertReceived, equal, larger address" => Event::AdvertReceived(advert(LARGER, 150)),
        "AdvertReceived, higher" => Event::AdvertReceived(advert(SMALLER, 200)),
        "PacketRefused" => Event::PacketRefused {
            refusal: Refusal::Checksum,
            source: ip(LARGER),
        },
        "InterfaceUp" => Event::InterfaceUp,
        "InterfaceDown" => Event::InterfaceDown,
        "SourceChanged, another" => Event::SourceChanged(Some(ip("192.0.2.12"))),
        "SourceChanged, lost" => Event::SourceChanged(None),
        "StandingChanged, lower" => Event::StandingChanged(fit(90)),
        "StandingChanged, fault" => Event::StandingChanged(failed()),
        "AddressDeleted" => Event::AddressDeleted(ip("192.0.2.100")),
        "Reload, same" => reload(config.clone()),
        "Reload, other address" => reload(Config {
            addresses: vec![address("192.0.2.101/24")],
            ..config.clone()
        }),
        "Hold" => Event::Hold {
            until: bench.now + ms(2000),
        },
        "Hold, passed" => Event::Hold { until: bench.now },
        "Drop" => Event::Drop,
        "MateFault" => Event::MateFault(Some("lan: the interface is down".into())),
        "MateLeft" => Event::MateLeft("lan".into()),
        "MatesReady" => Event::MatesReady,
        other => panic!("no such event: {other}"),
    }
}

/// The variant that a label stands for; a new variant does not compile until
/// it is here.
fn variant(event: &Event) -> &'static str {
    match event {
        Event::Startup => "Startup",
        Event::Shutdown => "Shutdown",
        Event::Wake => "Wake",
        Event::AdvertReceived(_) => "AdvertReceived",
        Event::PacketRefused { .. } => "PacketRefused",
        Event::InterfaceUp => "InterfaceUp",
        Event::InterfaceDown => "InterfaceDown",
        Event::SourceChanged(_) => "SourceChanged",
        Event::StandingChanged(_) => "StandingChanged",
        Event::AddressDeleted(_) => "AddressDeleted",
        Event::Reload { .. } => "Reload",
        Event::Hold { .. } => "Hold",
        Event::Drop => "Drop",
        Event::MateFault(_) => "MateFault",
        Event::MateLeft(_) => "MateLeft",
        Event::MatesReady => "MatesReady",
    }
}

const VARIANTS: [&str; 16] = [
    "Startup",
    "Shutdown",
    "Wake",
    "AdvertReceived",
    "PacketRefused",
    "InterfaceUp",
    "InterfaceDown",
    "SourceChanged",
    "StandingChanged",
    "AddressDeleted",
    "Reload",
    "Hold",
    "Drop",
    "MateFault",
    "MateLeft",
    "MatesReady",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// Not started; the interface is up and has its address.
    NotStarted,
    /// Started; the interface is down.
    Down,
    /// The virtual addresses were deleted too often.
    Fought,
    /// Told to stop.
    Stopped,
    Backup,
    Active,
    /// The timer has expired, and its group is waited for.
    Ready,
    /// Of a group.
    GroupActive,
    /// Another of its group cannot take part.
    MateDown,
    /// The pool decides.
    GovernedBackup,
    GovernedActive,
}

const STATES: [From; 11] = [
    From::NotStarted,
    From::Down,
    From::Fought,
    From::Stopped,
    From::Backup,
    From::Active,
    From::Ready,
    From::GroupActive,
    From::MateDown,
    From::GovernedBackup,
    From::GovernedActive,
];

impl From {
    fn config(self) -> Config {
        match self {
            Self::NotStarted
            | Self::Down
            | Self::Fought
            | Self::Stopped
            | Self::Backup
            | Self::Active => config(),
            Self::Ready | Self::GroupActive | Self::MateDown => grouped(),
            Self::GovernedBackup | Self::GovernedActive => governed(),
        }
    }

    fn bench(self) -> Bench {
        let config = self.config();
        match self {
            Self::NotStarted => {
                let mut bench = Bench::new(config);
                bench.hear(Event::InterfaceUp);
                bench.hear(Event::SourceChanged(Some(ip(OWN))));
                bench
            }
            Self::Down => {
                let mut bench = Bench::started(config);
                bench.hear(Event::InterfaceDown);
                bench
            }
            Self::Fought => {
                let mut bench = Bench::active(config);
                for _ in 0..5 {
                    bench.hear(Event::AddressDeleted(ip("192.0.2.100")));
                }
                bench
            }
            Self::Stopped => {
                let mut bench = Bench::active(config);
                bench.hear(Event::Shutdown);
                bench
            }
            Self::Ready => {
                let mut bench = Bench::started(config);
                bench.wake();
                bench
            }
            Self::GroupActive => {
                let mut bench = Bench::started(config);
                bench.wake();
                bench.hear(Event::MatesReady);
                bench
            }
            Self::MateDown => {
                let mut bench = Bench::started(config);
                bench.hear(Event::MateFault(Some("lan: the interface is down".into())));
                bench
            }
            Self::Backup | Self::GovernedBackup => Bench::started(config),
            Self::Active | Self::GovernedActive => Bench::active(config),
        }
    }
}

use StateName::{Active, Backup, Initialize};

const REFUSED: &str = "notice: refused a packet from 192.0.2.110 (1 so far): its checksum is wrong";
const ADVERT: &str = "advert 150 from 192.0.2.11";
const RENEW: &str = "renew for 601.5625ms";
const REMOVE: &str = "remove 192.0.2.100/24";
const STOPS: &str = "advert 0 from 192.0.2.11";
const ANNOUNCE: &str = "announce 192.0.2.100/24 x1";
const SOURCE: &str = "notice: advertises from 192.0.2.12 from now on";
const PRIORITY: &str = "notice: priority 150 -> 90";
const LOWER: &str = "notice: 192.0.2.110 advertises too, with priority 100: announced again";

const FOUGHT_OVER: &str = "Initialize -> Backup: over: its addresses were deleted 5 times by another program: find which one manages the interface";

type Row = (From, &'static str, StateName, &'static [&'static str]);

const MATRIX: &[Row] = &[
    (
        From::NotStarted,
        "Startup",
        Backup,
        &[REMOVE, "Initialize -> Backup: started, listens first"],
    ),
    (From::NotStarted, "Shutdown", Initialize, &[]),
    (From::NotStarted, "Wake, due", Initialize, &[]),
    (
        From::NotStarted,
        "AdvertReceived, priority 0",
        Initialize,
        &[],
    ),
    (From::NotStarted, "AdvertReceived, lower", Initialize, &[]),
    (
        From::NotStarted,
        "AdvertReceived, equal, smaller address",
        Initialize,
        &[],
    ),
    (
        From::NotStarted,
        "AdvertReceived, equal, larger address",
        Initialize,
        &[],
    ),
    (From::NotStarted, "AdvertReceived, higher", Initialize, &[]),
    (From::NotStarted, "PacketRefused", Initialize, &[REFUSED]),
    (From::NotStarted, "InterfaceUp", Initialize, &[]),
    (From::NotStarted, "InterfaceDown", Initialize, &[]),
    (From::NotStarted, "SourceChanged, another", Initialize, &[]),
    (From::NotStarted, "SourceChanged, lost", Initialize, &[]),
    (
        From::NotStarted,
        "StandingChanged, lower",
        Initialize,
        &[PRIORITY],
    ),
    (From::NotStarted, "StandingChanged, fault", Initialize, &[]),
    (From::NotStarted, "AddressDeleted", Initialize, &[]),
    (From::NotStarted, "Reload, same", Initialize, &[]),
    (From::NotStarted, "Reload, other address", Initialize, &[]),
    (From::NotStarted, "Hold", Initialize, &[]),
    (From::NotStarted, "Hold, passed", Initialize, &[]),
    (From::NotStarted, "Drop", Initialize, &[]),
    //
    (From::Down, "Startup", Initialize, &[]),
    (From::Down, "Shutdown", Initialize, &[]),
    (From::Down, "Wake, due", Initialize, &[]),
    (From::Down, "AdvertReceived, priority 0", Initialize, &[]),
    (From::Down, "AdvertReceived, lower", Initialize, &[]),
    (
        From::Down,
        "AdvertReceived, equal, smaller address",
        Initialize,
        &[],
    ),
    (
        From::Down,
        "AdvertReceived, equal, larger address",
        Initialize,
        &[],
    ),
    (From::Down, "AdvertReceived, higher", Initialize, &[]),
    (From::Down, "PacketRefused", Initialize, &[REFUSED]),
    (
        From::Down,
        "InterfaceUp",
        Backup,
        &["Initialize -> Backup: over: the interface is down"],
    ),
    (From::Down, "InterfaceDown", Initialize, &[]),
    (From::Down, "SourceChanged, another", Initialize, &[]),
    (From::Down, "SourceChanged, lost", Initialize, &[]),
    (
        From::Down,
        "StandingChanged, lower",
        Initialize,
        &[PRIORITY],
    ),
    (From::Down, "StandingChanged, fault", Initialize, &[]),
    (From::Down, "AddressDeleted", Initialize, &[]),
    (From::Down, "Reload, same", Initialize, &[]),
    (From::Down, "Reload, other address", Initialize, &[]),
    (From::Down, "Hold", Initialize, &[]),
    (From::Down, "Hold, passed", Initialize, &[]),
    (From::Down, "Drop", Initialize, &[]),
    //
    (From::Fought, "Startup", Initialize, &[]),
    (From::Fought, "Shutdown", Initialize, &[]),
    (From::Fought, "Wake, due", Backup, &[FOUGHT_OVER]),
    (From::Fought, "AdvertReceived, priority 0", Initialize, &[]),
    (From::Fought, "AdvertReceived, lower", Initialize, &[]),
    (
        From::Fought,
        "AdvertReceived, equal, smaller address",
        Initialize,
        &[],
    ),
    (
        From::Fought,
        "AdvertReceived, equal, larger address",
        Initialize,
        &[],
    ),
    (From::Fought, "AdvertReceived, higher", Initialize, &[]),
    (From::Fought, "PacketRefused", Initialize, &[REFUSED]),
    (From::Fought, "InterfaceUp", Initialize, &[]),
    (
        From::Fought,
        "InterfaceDown",
        Initialize,
        &["notice: Initialize: the interface is down"],
    ),
    (From::Fought, "SourceChanged, another", Initialize, &[]),
    (
        From::Fought,
        "SourceChanged, lost",
        Initialize,
        &["notice: Initialize: the interface has no address to advertise from"],
    ),
    (
        From::Fought,
        "StandingChanged, lower",
        Initialize,
        &[PRIORITY],
    ),
    (
        From::Fought,
        "StandingChanged, fault",
        Initialize,
        &["notice: Initialize: check gateway fails"],
    ),
    (From::Fought, "AddressDeleted", Initialize, &[]),
    (From::Fought, "Reload, same", Initialize, &[]),
    (From::Fought, "Reload, other address", Initialize, &[]),
    (From::Fought, "Hold", Initialize, &[]),
    (From::Fought, "Hold, passed", Initialize, &[]),
    (From::Fought, "Drop", Initialize, &[]),
    //
    (From::Stopped, "Startup", Initialize, &[]),
    (From::Stopped, "Shutdown", Initialize, &[]),
    (From::Stopped, "Wake, due", Initialize, &[]),
    (From::Stopped, "AdvertReceived, priority 0", Initialize, &[]),
    (From::Stopped, "AdvertReceived, lower", Initialize, &[]),
    (
        From::Stopped,
        "AdvertReceived, equal, smaller address",
        Initialize,
        &[],
    ),
    (
        From::Stopped,
        "AdvertReceived, equal, larger address",
        Initialize,
        &[],
    ),
    (From::Stopped, "AdvertReceived, higher", Initialize, &[]),
    (From::Stopped, "PacketRefused", Initialize, &[REFUSED]),
    (From::Stopped, "InterfaceUp", Initialize, &[]),
    (From::Stopped, "InterfaceDown", Initialize, &[]),
    (From::Stopped, "SourceChanged, another", Initialize, &[]),
    (From::Stopped, "SourceChanged, lost", Initialize, &[]),
    (
        From::Stopped,
        "StandingChanged, lower",
        Initialize,
        &[PRIORITY],
    ),
    (From::Stopped, "StandingChanged, fault", Initialize, &[]),
    (From::Stopped, "AddressDeleted", Initialize, &[]),
    (From::Stopped, "Reload, same", Initialize, &[]),
    (From::Stopped, "Reload, other address", Initialize, &[]),
    (From::Stopped, "Hold", Initialize, &[]),
    (From::Stopped, "Hold, passed", Initialize, &[]),
    (From::Stopped, "Drop", Initialize, &[]),
    //
    (From::Backup, "Startup", Backup, &[]),
    (
        From::Backup,
        "Shutdown",
        Initialize,
        &["Backup -> Initialize: shutdown"],
    ),
    (
        From::Backup,
        "Wake, due",
        Active,
        &[
            ADVERT,
            "add 192.0.2.100/24 for 601.5625ms",
            ANNOUNCE,
            "Backup -> Active: Active_Down_Timer expired after 0.683 s",
        ],
    ),
    (From::Backup, "AdvertReceived, priority 0", Backup, &[]),
    (From::Backup, "AdvertReceived, lower", Backup, &[]),
    (
        From::Backup,
        "AdvertReceived, equal, smaller address",
        Backup,
        &[],
    ),
    (
        From::Backup,
        "AdvertReceived, equal, larger address",
        Backup,
        &[],
    ),
    (From::Backup, "AdvertReceived, higher", Backup, &[]),
    (From::Backup, "PacketRefused", Backup, &[REFUSED]),
    (From::Backup, "InterfaceUp", Backup, &[]),
    (
        From::Backup,
        "InterfaceDown",
        Initialize,
        &["Backup -> Initialize: the interface is down"],
    ),
    (From::Backup, "SourceChanged, another", Backup, &[SOURCE]),
    (
        From::Backup,
        "SourceChanged, lost",
        Initialize,
        &["Backup -> Initialize: the interface has no address to advertise from"],
    ),
    (From::Backup, "StandingChanged, lower", Backup, &[PRIORITY]),
    (
        From::Backup,
        "StandingChanged, fault",
        Initialize,
        &["Backup -> Initialize: check gateway fails"],
    ),
    (From::Backup, "AddressDeleted", Backup, &[]),
    (From::Backup, "Reload, same", Backup, &[]),
    (From::Backup, "Reload, other address", Backup, &[]),
    (From::Backup, "Hold", Backup, &[]),
    (From::Backup, "Hold, passed", Backup, &[]),
    (From::Backup, "Drop", Backup, &[]),
    //
    (From::Active, "Startup", Active, &[]),
    (
        From::Active,
        "Shutdown",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: shutdown"],
    ),
    (From::Active, "Wake, due", Active, &[ADVERT, RENEW]),
    (
        From::Active,
        "AdvertReceived, priority 0",
        Active,
        &[
            ADVERT,
            "notice: 192.0.2.110 was Active too, and stops: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::Active,
        "AdvertReceived, lower",
        Active,
        &[ADVERT, LOWER, ANNOUNCE],
    ),
    (
        From::Active,
        "AdvertReceived, equal, smaller address",
        Active,
        &[
            ADVERT,
            "notice: 192.0.2.10 advertises too, with priority 150: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::Active,
        "AdvertReceived, equal, larger address",
        Backup,
        &[
            REMOVE,
            "Active -> Backup: 192.0.2.110 has the same priority 150 and the larger address",
        ],
    ),
    (
        From::Active,
        "AdvertReceived, higher",
        Backup,
        &[
            REMOVE,
            "Active -> Backup: 192.0.2.10 has the higher priority 200 (ours is 150)",
        ],
    ),
    (From::Active, "PacketRefused", Active, &[REFUSED]),
    (From::Active, "InterfaceUp", Active, &[]),
    (
        From::Active,
        "InterfaceDown",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: the interface is down"],
    ),
    (From::Active, "SourceChanged, another", Active, &[SOURCE]),
    (
        From::Active,
        "SourceChanged, lost",
        Initialize,
        &[
            REMOVE,
            STOPS,
            "Active -> Initialize: the interface has no address to advertise from",
        ],
    ),
    (
        From::Active,
        "StandingChanged, lower",
        Active,
        &[PRIORITY, "advert 90 from 192.0.2.11"],
    ),
    (
        From::Active,
        "StandingChanged, fault",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: check gateway fails"],
    ),
    (
        From::Active,
        "AddressDeleted",
        Active,
        &[
            "add 192.0.2.100/24 for 601.5625ms",
            ANNOUNCE,
            "notice: another program deleted 192.0.2.100: put back (1 times lately)",
        ],
    ),
    (From::Active, "Reload, same", Active, &[]),
    (
        From::Active,
        "Reload, other address",
        Active,
        &[
            REMOVE,
            "add 192.0.2.101/24 for 601.5625ms",
            "announce 192.0.2.101/24 x1",
            ADVERT,
        ],
    ),
    (From::Active, "Hold", Active, &[]),
    (From::Active, "Hold, passed", Active, &[]),
    (From::Active, "Drop", Active, &[]),
    //
    (From::GovernedBackup, "Startup", Backup, &[]),
    (
        From::GovernedBackup,
        "Shutdown",
        Initialize,
        &["Backup -> Initialize: shutdown"],
    ),
    (From::GovernedBackup, "Wake, due", Backup, &[]),
    (
        From::GovernedBackup,
        "AdvertReceived, priority 0",
        Backup,
        &[],
    ),
    (From::GovernedBackup, "AdvertReceived, lower", Backup, &[]),
    (
        From::GovernedBackup,
        "AdvertReceived, equal, smaller address",
        Backup,
        &[],
    ),
    (
        From::GovernedBackup,
        "AdvertReceived, equal, larger address",
        Backup,
        &[],
    ),
    (From::GovernedBackup, "AdvertReceived, higher", Backup, &[]),
    (From::GovernedBackup, "PacketRefused", Backup, &[REFUSED]),
    (From::GovernedBackup, "InterfaceUp", Backup, &[]),
    (
        From::GovernedBackup,
        "InterfaceDown",
        Initialize,
        &["Backup -> Initialize: the interface is down"],
    ),
    (
        From::GovernedBackup,
        "SourceChanged, another",
        Backup,
        &[SOURCE],
    ),
    (
        From::GovernedBackup,
        "SourceChanged, lost",
        Initialize,
        &["Backup -> Initialize: the interface has no address to advertise from"],
    ),
    (
        From::GovernedBackup,
        "StandingChanged, lower",
        Backup,
        &[PRIORITY],
    ),
    (
        From::GovernedBackup,
        "StandingChanged, fault",
        Initialize,
        &["Backup -> Initialize: check gateway fails"],
    ),
    (From::GovernedBackup, "AddressDeleted", Backup, &[]),
    (From::GovernedBackup, "Reload, same", Backup, &[]),
    (From::GovernedBackup, "Reload, other address", Backup, &[]),
    (
        From::GovernedBackup,
        "Hold",
        Active,
        &[
            ADVERT,
            "add 192.0.2.100/24 for 2s",
            ANNOUNCE,
            "Backup -> Active: this manager is Primary",
        ],
    ),
    (From::GovernedBackup, "Hold, passed", Backup, &[]),
    (From::GovernedBackup, "Drop", Backup, &[REMOVE]),
    //
    (From::GovernedActive, "Startup", Active, &[]),
    (
        From::GovernedActive,
        "Shutdown",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: shutdown"],
    ),
    (From::GovernedActive, "Wake, due", Active, &[ADVERT]),
    (
        From::GovernedActive,
        "AdvertReceived, priority 0",
        Active,
        &[
            "notice: 192.0.2.110 was Active too, and stops: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::GovernedActive,
        "AdvertReceived, lower",
        Active,
        &[LOWER, ANNOUNCE],
    ),
    (
        From::GovernedActive,
        "AdvertReceived, equal, smaller address",
        Active,
        &[
            "notice: 192.0.2.10 advertises too, with priority 150: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::GovernedActive,
        "AdvertReceived, equal, larger address",
        Active,
        &[
            "notice: 192.0.2.110 advertises too, with priority 150: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::GovernedActive,
        "AdvertReceived, higher",
        Active,
        &[
            "notice: 192.0.2.10 advertises too, with priority 200: announced again",
            ANNOUNCE,
        ],
    ),
    (From::GovernedActive, "PacketRefused", Active, &[REFUSED]),
    (From::GovernedActive, "InterfaceUp", Active, &[]),
    (From::GovernedActive, "InterfaceDown", Active, &[]),
    (
        From::GovernedActive,
        "SourceChanged, another",
        Active,
        &[SOURCE],
    ),
    (From::GovernedActive, "SourceChanged, lost", Active, &[]),
    (
        From::GovernedActive,
        "StandingChanged, lower",
        Active,
        &[PRIORITY, "advert 90 from 192.0.2.11"],
    ),
    (From::GovernedActive, "StandingChanged, fault", Active, &[]),
    (
        From::GovernedActive,
        "AddressDeleted",
        Active,
        &[
            "add 192.0.2.100/24 for 1s",
            ANNOUNCE,
            "notice: another program deleted 192.0.2.100: put back (1 times lately)",
        ],
    ),
    (From::GovernedActive, "Reload, same", Active, &[]),
    (
        From::GovernedActive,
        "Reload, other address",
        Active,
        &[
            REMOVE,
            "add 192.0.2.101/24 for 1s",
            "announce 192.0.2.101/24 x1",
            ADVERT,
        ],
    ),
    (From::GovernedActive, "Hold", Active, &["renew for 2s"]),
    (From::GovernedActive, "Hold, passed", Active, &[]),
    (
        From::GovernedActive,
        "Drop",
        Backup,
        &[
            REMOVE,
            STOPS,
            "Active -> Backup: this manager is not Primary",
        ],
    ),
    // Groups.
    (From::NotStarted, "MateFault", Initialize, &[]),
    (From::NotStarted, "MateLeft", Initialize, &[]),
    (From::NotStarted, "MatesReady", Initialize, &[]),
    //
    (From::Down, "MateFault", Initialize, &[]),
    (From::Down, "MateLeft", Initialize, &[]),
    (From::Down, "MatesReady", Initialize, &[]),
    //
    (From::Fought, "MateFault", Initialize, &[]),
    (From::Fought, "MateLeft", Initialize, &[]),
    (From::Fought, "MatesReady", Initialize, &[]),
    //
    (From::Stopped, "MateFault", Initialize, &[]),
    (From::Stopped, "MateLeft", Initialize, &[]),
    (From::Stopped, "MatesReady", Initialize, &[]),
    //
    (From::Backup, "MateFault", Backup, &[]),
    (From::Backup, "MateLeft", Backup, &[]),
    (From::Backup, "MatesReady", Backup, &[]),
    //
    (From::Active, "MateFault", Active, &[]),
    (From::Active, "MateLeft", Active, &[]),
    (From::Active, "MatesReady", Active, &[]),
    //
    (From::Ready, "Startup", Backup, &[]),
    (
        From::Ready,
        "Shutdown",
        Initialize,
        &["Backup -> Initialize: shutdown"],
    ),
    (From::Ready, "Wake, due", Backup, &[]),
    (From::Ready, "AdvertReceived, priority 0", Backup, &[]),
    (From::Ready, "AdvertReceived, lower", Backup, &[]),
    (
        From::Ready,
        "AdvertReceived, equal, smaller address",
        Backup,
        &[],
    ),
    (
        From::Ready,
        "AdvertReceived, equal, larger address",
        Backup,
        &[],
    ),
    (From::Ready, "AdvertReceived, higher", Backup, &[]),
    (From::Ready, "PacketRefused", Backup, &[REFUSED]),
    (From::Ready, "InterfaceUp", Backup, &[]),
    (
        From::Ready,
        "InterfaceDown",
        Initialize,
        &["Backup -> Initialize: the interface is down"],
    ),
    (From::Ready, "SourceChanged, another", Backup, &[SOURCE]),
    (
        From::Ready,
        "SourceChanged, lost",
        Initialize,
        &["Backup -> Initialize: the interface has no address to advertise from"],
    ),
    (From::Ready, "StandingChanged, lower", Backup, &[PRIORITY]),
    (
        From::Ready,
        "StandingChanged, fault",
        Initialize,
        &["Backup -> Initialize: check gateway fails"],
    ),
    (From::Ready, "AddressDeleted", Backup, &[]),
    (From::Ready, "Reload, same", Backup, &[]),
    (From::Ready, "Reload, other address", Backup, &[]),
    (From::Ready, "Hold", Backup, &[]),
    (From::Ready, "Hold, passed", Backup, &[]),
    (From::Ready, "Drop", Backup, &[]),
    (
        From::Ready,
        "MateFault",
        Initialize,
        &["Backup -> Initialize: its group cannot take part: lan: the interface is down"],
    ),
    (From::Ready, "MateLeft", Backup, &[]),
    (
        From::Ready,
        "MatesReady",
        Active,
        &[
            ADVERT,
            "add 192.0.2.100/24 for 601.5625ms",
            ANNOUNCE,
            "Backup -> Active: Active_Down_Timer expired after 0.683 s",
        ],
    ),
    //
    (From::GroupActive, "Startup", Active, &[]),
    (
        From::GroupActive,
        "Shutdown",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: shutdown"],
    ),
    (From::GroupActive, "Wake, due", Active, &[ADVERT, RENEW]),
    (
        From::GroupActive,
        "AdvertReceived, priority 0",
        Active,
        &[
            ADVERT,
            "notice: 192.0.2.110 was Active too, and stops: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::GroupActive,
        "AdvertReceived, lower",
        Active,
        &[ADVERT, LOWER, ANNOUNCE],
    ),
    (
        From::GroupActive,
        "AdvertReceived, equal, smaller address",
        Active,
        &[
            ADVERT,
            "notice: 192.0.2.10 advertises too, with priority 150: announced again",
            ANNOUNCE,
        ],
    ),
    (
        From::GroupActive,
        "AdvertReceived, equal, larger address",
        Backup,
        &[
            REMOVE,
            "Active -> Backup: 192.0.2.110 has the same priority 150 and the larger address",
        ],
    ),
    (
        From::GroupActive,
        "AdvertReceived, higher",
        Backup,
        &[
            REMOVE,
            "Active -> Backup: 192.0.2.10 has the higher priority 200 (ours is 150)",
        ],
    ),
    (From::GroupActive, "PacketRefused", Active, &[REFUSED]),
    (From::GroupActive, "InterfaceUp", Active, &[]),
    (
        From::GroupActive,
        "InterfaceDown",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: the interface is down"],
    ),
    (
        From::GroupActive,
        "SourceChanged, another",
        Active,
        &[SOURCE],
    ),
    (
        From::GroupActive,
        "SourceChanged, lost",
        Initialize,
        &[
            REMOVE,
            STOPS,
            "Active -> Initialize: the interface has no address to advertise from",
        ],
    ),
    (
        From::GroupActive,
        "StandingChanged, lower",
        Active,
        &[PRIORITY, "advert 90 from 192.0.2.11"],
    ),
    (
        From::GroupActive,
        "StandingChanged, fault",
        Initialize,
        &[REMOVE, STOPS, "Active -> Initialize: check gateway fails"],
    ),
    (
        From::GroupActive,
        "AddressDeleted",
        Active,
        &[
            "add 192.0.2.100/24 for 601.5625ms",
            ANNOUNCE,
            "notice: another program deleted 192.0.2.100: put back (1 times lately)",
        ],
    ),
    (From::GroupActive, "Reload, same", Active, &[]),
    (
        From::GroupActive,
        "Reload, other address",
        Active,
        &[
            REMOVE,
            "add 192.0.2.101/24 for 601.5625ms",
            "announce 192.0.2.101/24 x1",
            ADVERT,
        ],
    ),
    (From::GroupActive, "Hold", Active, &[]),
    (From::GroupActive, "Hold, passed", Active, &[]),
    (From::GroupActive, "Drop", Active, &[]),
    (
        From::GroupActive,
        "MateFault",
        Initialize,
        &[
            REMOVE,
            STOPS,
            "Active -> Initialize: its group cannot take part: lan: the interface is down",
        ],
    ),
    (
        From::GroupActive,
        "MateLeft",
        Backup,
        &[
            REMOVE,
            STOPS,
            "Active -> Backup: goes with lan of its group",
        ],
    ),
    (From::GroupActive, "MatesReady", Active, &[]),
    //
    (From::MateDown, "Startup", Initialize, &[]),
    (From::MateDown, "Shutdown", Initialize, &[]),
    (From::MateDown, "Wake, due", Initialize, &[]),
    (
        From::MateDown,
        "AdvertReceived, priority 0",
        Initialize,
        &[],
    ),
    (From::MateDown, "AdvertReceived, lower", Initialize, &[]),
    (
        From::MateDown,
        "AdvertReceived, equal, smaller address",
        Initialize,
        &[],
    ),
    (
        From::MateDown,
        "AdvertReceived, equal, larger address",
        Initialize,
        &[],
    ),
    (From::MateDown, "AdvertReceived, higher", Initialize, &[]),
    (From::MateDown, "PacketRefused", Initialize, &[REFUSED]),
    (From::MateDown, "InterfaceUp", Initialize, &[]),
    (
        From::MateDown,
        "InterfaceDown",
        Initialize,
        &["notice: Initialize: the interface is down"],
    ),
    (From::MateDown, "SourceChanged, another", Initialize, &[]),
    (
        From::MateDown,
        "SourceChanged, lost",
        Initialize,
        &["notice: Initialize: the interface has no address to advertise from"],
    ),
    (
        From::MateDown,
        "StandingChanged, lower",
        Initialize,
        &[PRIORITY],
    ),
    (
        From::MateDown,
        "StandingChanged, fault",
        Initialize,
        &["notice: Initialize: check gateway fails"],
    ),
    (From::MateDown, "AddressDeleted", Initialize, &[]),
    (From::MateDown, "Reload, same", Initialize, &[]),
    (From::MateDown, "Reload, other address", Initialize, &[]),
    (From::MateDown, "Hold", Initialize, &[]),
    (From::MateDown, "Hold, passed", Initialize, &[]),
    (From::MateDown, "Drop", Initialize, &[]),
    (From::MateDown, "MateFault", Initialize, &[]),
    (From::MateDown, "MateLeft", Initialize, &[]),
    (From::MateDown, "MatesReady", Initialize, &[]),
    //
    (From::GovernedBackup, "MateFault", Backup, &[]),
    (From::GovernedBackup, "MateLeft", Backup, &[]),
    (From::GovernedBackup, "MatesReady", Backup, &[]),
    //
    (From::GovernedActive, "MateFault", Active, &[]),
    (From::GovernedActive, "MateLeft", Active, &[]),
    (From::GovernedActive, "MatesReady", Active, &[]),
];

#[test]
fn every_state_meets_every_event() {
    for &(from, label, to, lines) in MATRIX {
        let mut bench = from.bench();
        if label == "Wake, due"
            && let Some(deadline) = bench.router.deadline()
        {
            bench.now = deadline;
        }
        let event = event(label, &bench, &from.config());
        assert_eq!(bench.hear(event), lines, "{from:?}: {label}");
        assert_eq!(bench.state(), to, "{from:?}: {label}");
        let deadline = bench.router.deadline();
        assert!(
            deadline.is_none_or(|deadline| deadline > bench.now),
            "{from:?}: {label}: a deadline that is not ahead"
        );
    }
}

#[test]
fn the_matrix_is_whole() {
    let rows: Vec<_> = MATRIX.iter().map(|row| (row.0, row.1)).collect();
    for from in STATES {
        for label in EVENTS {
            let times = rows.iter().filter(|row| **row == (from, label)).count();
            assert_eq!(times, 1, "{from:?}: {label}");
        }
    }
    assert_eq!(rows.len(), STATES.len() * EVENTS.len());
    let bench = From::Backup.bench();
    for wanted in VARIANTS {
        let mut events = EVENTS.iter().map(|label| event(label, &bench, &config()));
        assert!(
            events.any(|event| variant(&event) == wanted),
            "no row for {wanted}"
        );
    }
}
