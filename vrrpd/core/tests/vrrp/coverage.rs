//! Each MUST of the RFCs, and that a test stands for it.
//!
//! A test names what it stands for in its documentation: the identifier, and
//! whether it shows that the rule is followed (`positive`) or that its opposite
//! does not happen (`negative`).

use std::collections::BTreeSet;

/// How a requirement is shown to be met.
enum Proof {
    /// A positive and a negative test.
    Both,
    /// A positive test alone, and why there is no opposite.
    Positive(&'static str),
    /// Not the core's: where it is met, or why it does not apply.
    Elsewhere(&'static str),
}

use Proof::{Both, Elsewhere, Positive};

const KERNEL: &str = "the kernel, which has or has not the address";
const SOCKETS: &str = "vrrpd/sys, which opens the sockets";
const GATE: &str = "vrrpd/sys, which loads the kernel's rules";
const NO_ROUTER_ADVERTISEMENTS: &str =
    "no Router Advertisements are sent: the addresses are servers', not default routers'";
const NO_INTEROPERATION: &str = "one version a virtual router: both at once (§8.4) is not offered";

const REQUIREMENTS: &[(&str, &str, Proof)] = &[
    (
        "RFC9568-5.1.1.2-1",
        "224.0.0.18 is never forwarded",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-5.1.1.3-1",
        "IPv4 is sent with TTL 255",
        Elsewhere(SOCKETS),
    ),
    ("RFC9568-5.1.1.3-2", "another TTL is discarded", Both),
    (
        "RFC9568-5.1.2.2-1",
        "ff02::12 is never forwarded",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-5.1.2.3-1",
        "IPv6 is sent with hop limit 255",
        Elsewhere(SOCKETS),
    ),
    ("RFC9568-5.1.2.3-2", "another hop limit is discarded", Both),
    ("RFC9568-5.2.2-1", "an unknown type is discarded", Both),
    ("RFC9568-5.2.4-1", "the owner uses 255", Both),
    ("RFC9568-5.2.4-2", "backups use 1 to 254", Both),
    (
        "RFC9568-5.2.5-1",
        "a count of 0 is ignored (erratum 8299)",
        Both,
    ),
    (
        "RFC9568-5.2.6-1",
        "reserved bits: 0 when sent, ignored when received",
        Both,
    ),
    ("RFC9568-5.2.8-1", "the checksum is verified", Both),
    (
        "RFC9568-5.2.9-1",
        "the first IPv6 address is link-local (erratum 8300)",
        Both,
    ),
    (
        "RFC9568-5.2.9-2",
        "addresses are of the packet's family",
        Both,
    ),
    (
        "RFC9568-6.1-1",
        "neighbour discovery is not dropped without Accept_Mode",
        Elsewhere(GATE),
    ),
    ("RFC9568-6.4.1-1", "Startup: the owner becomes Active", Both),
    (
        "RFC9568-6.4.1-2",
        "Startup: others listen for Active_Down_Interval",
        Both,
    ),
    ("RFC9568-6.4.2-1", "Backup: no answer to ARP", Both),
    (
        "RFC9568-6.4.2-2",
        "Backup: no answer to neighbour solicitations",
        Both,
    ),
    (
        "RFC9568-6.4.2-3",
        "Backup: no Router Advertisements",
        Elsewhere(NO_ROUTER_ADVERTISEMENTS),
    ),
    (
        "RFC9568-6.4.2-4",
        "Backup: packets for the virtual MAC are discarded",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-6.4.2-5",
        "Backup: packets for the addresses are not accepted",
        Both,
    ),
    (
        "RFC9568-6.4.2-6",
        "Backup: Shutdown ends in Initialize",
        Both,
    ),
    (
        "RFC9568-6.4.2-7",
        "Backup: the Active_Down_Timer makes it Active",
        Both,
    ),
    (
        "RFC9568-6.4.2-8",
        "Backup: priority 0 sets the timer to Skew_Time",
        Both,
    ),
    (
        "RFC9568-6.4.2-9",
        "Backup: an acceptable advertisement re-arms the timer",
        Both,
    ),
    (
        "RFC9568-6.4.2-10",
        "Backup: a lower one is discarded when preempting",
        Both,
    ),
    ("RFC9568-6.4.3-1", "Active: ARP is answered", Both),
    (
        "RFC9568-6.4.3-2",
        "Active: member of the solicited-node groups",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-6.4.3-3",
        "Active: neighbour solicitations are answered",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-6.4.3-4",
        "Active: Router Advertisements",
        Elsewhere(NO_ROUTER_ADVERTISEMENTS),
    ),
    (
        "RFC9568-6.4.3-5",
        "Active: packets for the virtual MAC are forwarded",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-6.4.3-6",
        "Active: the owner, or Accept_Mode, accepts packets",
        Both,
    ),
    ("RFC9568-6.4.3-7", "Active: others do not", Both),
    (
        "RFC9568-6.4.3-8",
        "Active: Shutdown says priority 0 and ends in Initialize",
        Both,
    ),
    (
        "RFC9568-6.4.3-9",
        "Active: the Adver_Timer advertises and is reset",
        Both,
    ),
    (
        "RFC9568-6.4.3-10",
        "Active: priority 0 is answered, the timer reset",
        Both,
    ),
    (
        "RFC9568-6.4.3-11",
        "Active: a higher one, or an equal one of larger address, wins",
        Both,
    ),
    (
        "RFC9568-6.4.3-12",
        "Active: any other is answered at once",
        Both,
    ),
    ("RFC9568-7.1-1", "the version is verified", Both),
    ("RFC9568-7.1-3", "the packet is complete", Both),
    (
        "RFC9568-7.1-4",
        "the VRID is configured on the interface",
        Both,
    ),
    (
        "RFC9568-7.1-5",
        "the interval is not 0 (erratum 8301)",
        Both,
    ),
    ("RFC9568-7.1-6", "what fails a check is discarded", Both),
    ("RFC9568-7.1-7", "and logged, limited in rate", Both),
    (
        "RFC9568-7.1-8",
        "another interval is logged, not dropped",
        Both,
    ),
    (
        "RFC9568-7.1-9",
        "other addresses are logged, not dropped",
        Both,
    ),
    (
        "RFC9568-7.1-10",
        "the owner logs others' advertisements (erratum 8298)",
        Both,
    ),
    (
        "RFC9568-7.2-1",
        "fields and checksum are filled in",
        Positive("what is not filled in so is not read again: 5.2.8-1"),
    ),
    (
        "RFC9568-7.2-2",
        "sent from the virtual MAC",
        Elsewhere(SOCKETS),
    ),
    (
        "RFC9568-7.2-3",
        "sent from the interface's primary address",
        Both,
    ),
    (
        "RFC9568-7.2-4",
        "sent to the group",
        Positive("unicast peers are an extension, configured by name"),
    ),
    (
        "RFC9568-7.4-1",
        "the virtual MAC makes no interface identifiers",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-8.1.2-1",
        "ARP is answered with the virtual MAC where there is one",
        Elsewhere(KERNEL),
    ),
    (
        "RFC9568-8.1.2-2",
        "gratuitous ARP waits until the address is there",
        Both,
    ),
    (
        "RFC9568-8.2.2-4",
        "neighbour advertisements wait until the address is there",
        Both,
    ),
    (
        "RFC9568-8.4.2-1",
        "interoperation: both versions are sent",
        Elsewhere(NO_INTEROPERATION),
    ),
    (
        "RFC3768-5.3-1",
        "VRRPv2's format",
        Positive("what is not so is not read: 7.1-2"),
    ),
    (
        "RFC3768-6.1-1",
        "Skew_Time is in seconds, whatever the interval",
        Both,
    ),
    ("RFC3768-6.4.3-1", "Active: a lower one is discarded", Both),
    ("RFC3768-7.1-2", "the packet is complete", Both),
    ("RFC3768-7.1-4", "the owner discards advertisements", Both),
    (
        "RFC3768-7.1-5",
        "the authentication type is ours: none",
        Both,
    ),
    ("RFC3768-7.1-6", "the interval is ours", Both),
];

const SOURCES: &[&str] = &[
    include_str!("codec.rs"),
    include_str!("conformance.rs"),
    include_str!("limits.rs"),
    include_str!("node.rs"),
    include_str!("rfc3768.rs"),
    include_str!("rfc9568.rs"),
];

/// What the tests of `source` stand for: identifier and side. Only what is
/// written directly before a `#[test]` counts.
fn claims(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// RFC") {
            let (number, side) = text.split_once(' ').expect("an identifier and a side");
            pending.push((format!("RFC{number}"), side.to_owned()));
        } else if line == "#[test]" {
            found.append(&mut pending);
        } else if !line.starts_with("///") {
            assert!(pending.is_empty(), "no test follows {pending:?}");
        }
    }
    found
}

#[test]
fn every_requirement_is_covered() {
    let claimed: BTreeSet<_> = SOURCES.iter().flat_map(|source| claims(source)).collect();
    let has = |id: &str, side: &str| claimed.contains(&(id.to_owned(), side.to_owned()));
    for (id, text, proof) in REQUIREMENTS {
        match proof {
            Both => {
                assert!(has(id, "positive"), "{id} ({text}) has no positive test");
                assert!(has(id, "negative"), "{id} ({text}) has no negative test");
            }
            Positive(why) => {
                assert!(!why.is_empty());
                assert!(has(id, "positive"), "{id} ({text}) has no positive test");
                assert!(
                    !has(id, "negative"),
                    "{id} ({text}) has an opposite after all"
                );
            }
            Elsewhere(place) => {
                assert!(!place.is_empty());
                let any = has(id, "positive") || has(id, "negative");
                assert!(!any, "{id} ({text}) is tested here after all");
            }
        }
    }
}

#[test]
fn every_claim_is_of_a_requirement() {
    let known: BTreeSet<_> = REQUIREMENTS.iter().map(|(id, _, _)| *id).collect();
    assert_eq!(known.len(), REQUIREMENTS.len(), "an identifier twice");
    for (id, side) in SOURCES.iter().flat_map(|source| claims(source)) {
        assert!(known.contains(id.as_str()), "{id} is not in the table");
        assert!(
            matches!(side.as_str(), "positive" | "negative"),
            "{id}: {side}"
        );
    }
}
