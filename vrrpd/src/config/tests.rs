//! Files as operators write them, and what they are told.

use core::time::Duration;
use std::path::Path;

use vrrpd_core::packet::{Centiseconds, Priority, Version};
use vrrpd_core::pool::Durability;
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::priority::Effect;
use vrrpd_core::router::Checksum;

use super::*;
use crate::seal::Key;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Every key file and program is there, but for paths that say otherwise.
pub(super) struct Prepared;

impl Host for Prepared {
    fn key(&self, path: &Path) -> Result<Key, String> {
        match path.to_str() {
            Some("/open.key") => {
                Err("has mode 0644, so others can read it: chmod 0600 /open.key".to_owned())
            }
            Some("/other.key") => Key::parse(OTHER_KEY),
            _ => Key::parse(KEY),
        }
    }

    fn program(&self, path: &Path) -> Result<(), String> {
        if path.ends_with("missing") {
            return Err("cannot be found: install it, or correct the path".to_owned());
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<Config, Mistakes> {
    Config::parse(text, Path::new("v.toml"), &Prepared)
}

/// The mistakes of `text`, each `LINE:COL: what: how to mend it`.
fn mistakes(text: &str) -> Vec<String> {
    let mistakes = parse(text).expect_err("it has mistakes");
    stripped(&mistakes, "v.toml:", "; see vrrpd.toml(5)")
}

fn stripped(mistakes: &Mistakes, before: &str, after: &str) -> Vec<String> {
    let strip = |line: &String| {
        let line = line.strip_prefix(before)?.strip_suffix(after)?;
        Some(line.to_owned())
    };
    mistakes
        .lines()
        .iter()
        .map(|line| strip(line).unwrap_or_else(|| panic!("no place or page: {line}")))
        .collect()
}

const PLAIN: &str = r#"[node]
name = "router-1"
[[virtual_router]]
name = "lan"
interface = "eth0"
vrid = 10
addresses = ["192.0.2.1/24"]
"#;

const POOL: &str = r#"[node]
name = "manager-a"

[pool]
mode       = "master"
active     = true
address    = "192.0.2.11"
peer       = "192.0.2.12"
arbiter    = "192.0.2.13"
key_file   = "/etc/vrrpd/pool.key"

[[virtual_router]]
name               = "service"
interface          = "eth0"
vrid               = 51
priority           = 150
advertise_interval = "200ms"
addresses          = ["192.0.2.100/24"]

[replication]
plugin = "postgresql"
[replication.postgresql]
data_directory = "/var/lib/postgresql/15/main"
"#;

#[test]
fn a_plain_router_has_the_defaults_of_the_rfc() {
    let config = parse(PLAIN).unwrap();
    assert_eq!(config.node, "router-1");
    assert_eq!(config.pool, None);
    let [router] = &config.virtual_routers[..] else {
        panic!("one router");
    };
    assert_eq!(router.version, Version::V3);
    assert_eq!(Some(router.priority), Priority::new(100));
    assert_eq!(Some(router.advertise_interval), Centiseconds::new(100));
    assert!(!router.governed);
    assert_eq!(router.check(), Ok(()));
    assert!(router.preempt);
    assert_eq!(router.checksum, Checksum::Auto);
    assert_eq!(
        config.paths.control_socket(),
        Path::new("/run/vrrpd/control.sock")
    );
    assert_eq!(config.hooks, Hooks::default());
    assert_eq!(config.process.log, log::LevelFilter::Info);
}

#[test]
fn a_pool_derives_its_timing_from_the_interval() {
    let config = parse(POOL).unwrap();
    let pool = config.pool.unwrap();
    assert_eq!(pool.id, NodeId::A);
    assert_eq!(pool.priority, 150);
    assert_eq!(
        (pool.port, pool.peer_port, pool.arbiter_port),
        (8112, 8112, 8112)
    );
    assert_eq!(pool.member.advertise_interval, Duration::from_millis(200));
    assert_eq!(pool.member.lease, Duration::from_millis(600));
    assert_eq!(pool.member.remove_after, Duration::from_millis(600));
    assert_eq!(pool.member.switchover_timeout, Duration::from_secs(10));
    assert_eq!(pool.member.promote_timeout, Duration::from_secs(30));
    assert_eq!(pool.member.replicator_timeout, Duration::from_secs(2));
    assert_eq!(pool.member.stable, Duration::from_secs(30));
    assert_eq!(pool.member.durability, Durability::Available);
    assert!(pool.member.active);
    assert_eq!(
        pool.member.offer,
        Some(offer(
            Duration::from_millis(200),
            Duration::from_millis(600)
        ))
    );
    assert_eq!(config.replication.unwrap().port, 5432);
}

#[test]
fn a_fast_pool_does_not_remove_a_copy_before_400_ms() {
    let config = parse(&POOL.replace("200ms", "20ms")).unwrap();
    let member = config.pool.unwrap().member;
    assert_eq!(member.lease, Duration::from_millis(60));
    assert_eq!(member.remove_after, Duration::from_millis(400));
}

#[test]
fn ports_default_to_the_own_one() {
    let text = POOL.replace("active ", "port = 9000\npeer_port = 9001\nactive ");
    let pool = parse(&text).unwrap().pool.unwrap();
    assert_eq!(
        (pool.port, pool.peer_port, pool.arbiter_port),
        (9000, 9001, 9000)
    );
}

#[test]
fn a_standalone_manager_keeps_its_sections_for_later() {
    let text = POOL.replace("\"master\"", "\"standalone\"") + "[gate]\ntcp_ports = [5432]\n";
    let config = parse(&text).unwrap();
    assert_eq!(config.pool, None);
    assert_eq!(config.gate.tcp_ports, [5432]);
}

#[test]
fn a_priority_out_of_range_is_told_with_its_place() {
    let text = POOL.replace("priority           = 150", "priority = 300");
    let error = parse(&text).unwrap_err().to_string();
    assert_eq!(
        error,
        "v.toml:16:12: priority 300 is out of range: use 1 to 254, or 255 if this node owns the \
         address; see vrrpd.toml(5)"
    );
}

#[test]
fn all_mistakes_are_told_in_one_go() {
    let text = r#"[node]
nam = "router-1"
[[virtual_router]]
name = "lan one"
interface = "a-very-long-interface"
vrid = 0
version = 4
advert_interval = "1s"
addresses = ["192.0.2.1/24", "lan", "2001:db8::1/64"]
unicast_peers = ["224.0.0.18"]
accept = "yes"
mac = "virtual"
[[check]]
name = "gateway"
command = "/opt/missing"
interval = 5
timeout = "2s"
weight = 0
[hook]
"#;
    assert_eq!(
        mistakes(text),
        [
            "1:1: name is missing in [node]: add name = \"manager-a\"",
            "2:1: unknown key \"nam\" in [node]: did you mean name?",
            "4:8: name \"lan one\" is no name: use up to 64 letters, digits, full stops, - and _",
            "5:13: interface \"a-very-long-interface\" is no interface name: `ip link` shows them",
            "6:8: vrid 0 is out of range: use 1 to 255",
            "7:11: version 4 is out of range: use 2 or 3",
            "8:1: unknown key \"advert_interval\" in [[virtual_router]]: did you mean \
             advertise_interval?",
            "9:30: addresses \"lan\" is not an IP address: write e.g. \"192.0.2.100/24\"",
            "9:37: address 2001:db8::1/64 is of another family than 192.0.2.1/24: give each family \
             a virtual router of its own, with the same vrid if you like",
            "10:18: unicast_peers \"224.0.0.18\" is a multicast address: write e.g. \"192.0.2.12\"",
            "11:10: accept is a string: it must be true or false",
            "12:7: mac \"virtual\" is not in this version: use mac = \"physical\", the interface's \
             own, announced by gratuitous ARP",
            "15:11: command /opt/missing cannot be found: install it, or correct the path",
            "16:12: interval is a number: it must be a duration in quotes, e.g. \"200ms\"",
            "17:11: timeout \"2s\" is longer than the interval \"1s\": shorten it, or lengthen the \
             interval",
            "18:10: weight 0 changes nothing: leave it out to make a failure a fault",
            "19:2: unknown section \"hook\": did you mean hooks?",
        ]
    );
}

#[test]
fn broken_toml_is_told_alone() {
    assert_eq!(
        mistakes("[node]\nname = \"a\nvrid = 1\nname = ]\n"),
        [
            "2:10: invalid basic string, expected `\"`: mend the TOML",
            "4:1: duplicate key: mend the TOML",
            "4:8: missing array opening, expected `[`: mend the TOML",
        ]
    );
}

#[test]
fn an_empty_file_says_what_it_needs() {
    assert_eq!(
        mistakes(""),
        [
            "1:1: node is missing: add [node] with name = \"manager-a\"",
            "1:1: [[virtual_router]] is missing: add one with name, interface, vrid and addresses",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_no_default() {
    assert_eq!(
        Config::load(Path::new("/nonexistent/vrrpd.toml"))
            .unwrap_err()
            .to_string(),
        "/nonexistent/vrrpd.toml: cannot be read: No such file or directory (os error 2): name the \
         file with -c; see vrrpd.toml(5)"
    );
}

/// One change to a good file, and the one mistake that it makes.
#[track_caller]
fn one_mistake(good: &str, from: &str, to: &str, expected: &str) {
    assert!(good.contains(from), "{from} is not in the file");
    assert_eq!(mistakes(&good.replacen(from, to, 1)), [expected]);
}

#[test]
fn parties_of_a_pool_are_three() {
    one_mistake(
        POOL,
        "\"192.0.2.12\"",
        "\"192.0.2.11\"",
        "8:14: peer is the same as address: the three parties are three machines",
    );
    one_mistake(
        POOL,
        "\"192.0.2.13\"",
        "\"2001:db8::13\"",
        "9:14: arbiter is of another family than address: use one family for all three",
    );
    one_mistake(
        POOL,
        "arbiter    = \"192.0.2.13\"\n",
        "",
        "4:1: arbiter is missing in [pool]: add arbiter = \"192.0.2.13\"",
    );
    // On one machine they differ by their ports.
    let text = POOL
        .replace("\"192.0.2.12\"", "\"192.0.2.11\"")
        .replace("active ", "peer_port = 8113\nactive ");
    parse(&text).unwrap();
}

#[test]
fn the_virtual_address_is_inside_the_subnet_and_nobodys_own() {
    one_mistake(
        POOL,
        "192.0.2.100/24",
        "192.0.2.12/24",
        "18:23: virtual address 192.0.2.12 is peer in [pool]: choose one that no machine has",
    );
    one_mistake(
        POOL,
        "192.0.2.100/24",
        "198.51.100.1/24",
        "7:14: address 192.0.2.11 is outside the subnet of virtual address 198.51.100.1/24: \
         correct one of them, or the prefix length",
    );
    parse(&POOL.replace("192.0.2.100/24", "198.51.100.1/32")).unwrap();
}

#[test]
fn a_pools_routers_move_together() {
    let second = "[[virtual_router]]\nname = \"b\"\ninterface = \"eth0\"\nvrid = 52\npriority = 149\n\
                  advertise_interval = \"1s\"\naddresses = [\"192.0.2.101/24\"]\n";
    assert_eq!(
        mistakes(&format!("{POOL}{second}")),
        [
            "28:12: priority 149 differs from 150 of the first virtual router: all virtual routers \
             of a pool move together, give them the same priority",
            "29:22: advertise_interval 1s differs from 200ms of the first virtual router: all \
             virtual routers of a pool move together, give them the same advertise_interval",
        ]
    );
    one_mistake(
        POOL,
        "vrid               = 51",
        "vrid = 51\npreempt = false",
        "16:1: preempt is decided by the pool: use active in the Master's [pool]",
    );
    one_mistake(
        POOL,
        "= 150",
        "= 255",
        "16:22: priority 255 says that this node owns the address, but a pool's addresses move: \
         use 1 to 254",
    );
}

#[test]
fn a_pools_keys_are_checked() {
    one_mistake(
        POOL,
        "/etc/vrrpd/pool.key",
        "/open.key",
        "10:14: key_file /open.key has mode 0644, so others can read it: chmod 0600 /open.key",
    );
    one_mistake(
        POOL,
        "\"master\"",
        "\"backup\"",
        "6:14: active is the Master's option: remove it here, and set it in the Master's \
         configuration",
    );
    one_mistake(
        POOL,
        "active     = true",
        "lease = \"500ms\"",
        "6:9: lease \"500ms\" is shorter than three times advertise_interval: 3 x 200ms = 600ms, \
         use that or more",
    );
    one_mistake(
        POOL,
        "active     = true",
        "durability = \"safe\"",
        "6:14: durability \"safe\" is unknown: use \"available\" or \"strict\"",
    );
    one_mistake(
        POOL,
        "active     = true",
        "remove_after = \"100ms\"",
        "6:16: remove_after \"100ms\" is out of range: use \"600ms\" to \"3600s\"",
    );
}

#[test]
fn a_pool_keeps_a_database() {
    let without = &POOL[..POOL.find("[replication]").unwrap()];
    assert_eq!(
        mistakes(without),
        [
            "1:1: replication is missing: add [replication] with plugin = \"postgresql\", for the \
             database that the pool keeps"
        ]
    );
    assert_eq!(
        mistakes(&POOL.replace("data_directory", "data_dir")),
        [
            "22:1: data_directory is missing in [replication.postgresql]: add data_directory = \
             \"/var/lib/postgresql/15/main\"",
            "23:1: unknown key \"data_dir\" in [replication.postgresql]: did you mean \
             data_directory?",
        ]
    );
    let other = POOL.replace("\"postgresql\"", "\"stone\"").replace(
        "[replication.postgresql]",
        "[replication.stone]\nport = 7000\nanything = 1",
    );
    let replication = parse(&other).unwrap().replication.unwrap();
    assert_eq!(
        (replication.plugin.as_str(), replication.port),
        ("stone", 7000)
    );
}

#[test]
fn sections_of_a_pool_need_one() {
    let text = format!(
        "{PLAIN}[gate]\ntcp_ports = [5432, 0, 5432]\n[hooks]\non_primary = \"/h\"\n[replication]\nplugin = \"postgresql\"\n\
         [replication.postgresql]\ndata_directory = \"/d\"\n[[check]]\nname = \"c\"\nreach = \"peer\"\n"
    );
    assert_eq!(
        mistakes(&text),
        [
            "8:2: [gate] never opens without [pool]: add [pool], or remove [gate]",
            "9:20: tcp_ports holds what is out of range: use numbers from 1 to 65535",
            "9:23: port 5432 is there twice: remove one",
            "11:1: on_primary never happens without [pool]: use on_active",
            "12:2: [replication] has no use without [pool]: add [pool], or remove [replication]",
            "18:9: reach needs a pool: add [pool], or remove this check",
        ]
    );
}

#[test]
fn version_2_has_whole_seconds_and_ipv4() {
    let v2 = PLAIN.replace(
        "vrid = 10",
        "vrid = 10\nversion = 2\nadvertise_interval = \"2s\"",
    );
    let router = parse(&v2).unwrap().virtual_routers.remove(0);
    assert_eq!(router.version, Version::V2);
    one_mistake(
        &v2,
        "\"2s\"",
        "\"1500ms\"",
        "8:22: advertise_interval \"1500ms\" cannot be told to peers: use a multiple of 1s",
    );
    one_mistake(
        &v2,
        "192.0.2.1/24",
        "fe80::1/64",
        "9:14: address fe80::1/64 is IPv6: VRRP version 2 has IPv4 only, use version = 3",
    );
    one_mistake(
        &v2,
        "version = 2",
        "version = 2\nchecksum = \"auto\"",
        "8:12: checksum has one form only but for version 3 over IPv4: remove it",
    );
}

#[test]
fn version_3_intervals_are_centiseconds() {
    let v3 = PLAIN.replace("vrid = 10", "vrid = 10\nadvertise_interval = \"250ms\"");
    parse(&v3).unwrap();
    one_mistake(
        &v3,
        "250ms",
        "255ms",
        "7:22: advertise_interval \"255ms\" cannot be told to peers: use a multiple of 10ms",
    );
    one_mistake(
        &v3,
        "250ms",
        "41s",
        "7:22: advertise_interval \"41s\" is out of range: use \"10ms\" to \"40950ms\"",
    );
}

#[test]
fn ipv6_begins_with_a_link_local_address() {
    parse(&PLAIN.replace("192.0.2.1/24", "fe80::1/64\", \"2001:db8::1/64")).unwrap();
    one_mistake(
        PLAIN,
        "192.0.2.1/24",
        "2001:db8::1/64",
        "7:14: address 2001:db8::1/64 is first but not link-local: put a link-local virtual \
         address first, e.g. \"fe80::100/64\" (RFC 9568 section 5.2.9)",
    );
}

#[test]
fn routers_are_told_apart() {
    let again = PLAIN.replace("[node]\nname = \"router-1\"\n", "");
    assert_eq!(
        mistakes(&format!("{PLAIN}{again}")),
        [
            "8:1: vrid 10 on eth0 is virtual router lan's already: give this one another vrid",
            "9:8: virtual router lan is there twice: remove one",
            "12:14: virtual address 192.0.2.1 is there twice: remove one",
        ]
    );
    let six = again
        .replace("lan", "lan6")
        .replace("192.0.2.1/24", "fe80::1/64");
    parse(&format!("{PLAIN}{six}")).unwrap();
}

const CHECK: &str =
    "[[check]]\nname = \"gateway\"\ncommand = [\"/c/ping\", \"192.0.2.254\"]\nweight = -60\n";

#[test]
fn a_check_is_read() {
    let config = parse(&format!(
        "{PLAIN}{CHECK}interval = \"2s\"\nrise = 4\nrouters = [\"lan\"]\n"
    ))
    .unwrap();
    assert_eq!(
        config.checks,
        [Check {
            name: "gateway".to_owned(),
            probe: Probe::Command {
                argv: vec!["/c/ping".to_owned(), "192.0.2.254".to_owned()],
                interval: Duration::from_secs(2),
                timeout: Duration::from_secs(2),
            },
            rise: 4,
            fall: 3,
            effect: Effect::Weight(-60),
            routers: vec!["lan".to_owned()],
        }]
    );
}

#[test]
fn weights_that_never_matter_are_refused_with_the_arithmetic() {
    let plain = format!("{PLAIN}{CHECK}");
    one_mistake(
        &plain,
        "vrid = 10",
        "vrid = 10\npreempt = false",
        "12:10: check gateway can never change who is Active for lan: 100 - 60 makes its priority \
         40 instead of 100, but with preempt = false nobody takes over from an Active router for \
         its lower priority: leave weight out to make a failure a fault (priority 0), or set \
         preempt = true",
    );
    one_mistake(
        &plain,
        "vrid = 10",
        "vrid = 10\npriority = 255",
        "12:10: check gateway can never change who is Active for lan: an owner's priority is 255 \
         whatever the checks say: leave weight out to make a failure a fault, or lower the \
         priority",
    );
    one_mistake(
        &plain.replace("vrid = 10", "vrid = 10\npriority = 254"),
        "weight = -60",
        "weight = 20",
        "12:10: check gateway can never change who is Active for lan: 254 + 20 is held to 254, so \
         its priority is 254 when the check fails and when it is good: choose another priority or \
         weight",
    );
    let pool = format!("{POOL}{CHECK}");
    parse(&pool).unwrap();
    one_mistake(
        &pool,
        "active     = true",
        "active     = false",
        "27:10: check gateway can never change who is Active for service: 150 - 60 makes its \
         priority 90 instead of 150, but with active = false nobody takes over from an Active \
         router for its lower priority: leave weight out to make a failure a fault (priority 0), \
         or set active = true",
    );
    parse(
        &plain
            .replace("vrid = 10", "vrid = 10\npreempt = false")
            .replace("weight = -60\n", ""),
    )
    .unwrap();
}

#[test]
fn a_check_looks_at_one_thing() {
    let plain = format!("{PLAIN}{CHECK}");
    one_mistake(
        &plain,
        "weight = -60",
        "weight = -60\ninterface = \"eth1\"",
        "12:1: interface and command are two checks: give each a [[check]] of its own",
    );
    one_mistake(
        &plain,
        "command = [\"/c/ping\", \"192.0.2.254\"]",
        "interface = \"eth1\"\nfall = 2",
        "11:1: fall is for a command: what is told when it changes is believed at once, remove it",
    );
    one_mistake(
        &plain,
        "weight = -60",
        "routers = [\"wan\"]",
        "11:12: virtual router \"wan\" is unknown: name one of this file",
    );
    one_mistake(
        &plain,
        "command = [\"/c/ping\", \"192.0.2.254\"]\n",
        "",
        "8:1: command is missing in [[check]]: add command = [\"/path/of/program\"], or interface \
         = \"eth1\", or reach = \"arbiter\"",
    );
}

#[test]
fn hooks_and_process_are_read() {
    let config = parse(&format!(
        "{PLAIN}[hooks]\non_active = [\"/h/notify\", \"--mail\"]\non_any = \"/h/any\"\ntimeout = \"5s\"\n\
         style = \"keepalived\"\n[process]\nrealtime = 10\nlock_memory = true\nuser = \"vrrpd\"\nlog = \"debug\"\n\
         [paths]\nstate = \"/tmp/a\"\n"
    ))
    .unwrap();
    assert_eq!(
        config.hooks,
        Hooks {
            commands: vec![(
                HookEvent::Active,
                vec!["/h/notify".to_owned(), "--mail".to_owned()]
            )],
            any: Some(vec!["/h/any".to_owned()]),
            timeout: Duration::from_secs(5),
            style: HookStyle::Keepalived,
        }
    );
    assert_eq!(
        config.process,
        Process {
            realtime: Some(10),
            lock_memory: true,
            user: Some("vrrpd".to_owned()),
            log: log::LevelFilter::Debug,
        }
    );
    assert_eq!(config.paths.state, Path::new("/tmp/a"));
    assert_eq!(
        mistakes(&format!(
            "{PLAIN}[paths]\nrun = \"run\"\n[process]\nrealtime = 100\n"
        )),
        [
            "9:7: run \"run\" is a relative path: begin it with /",
            "11:12: realtime 100 is out of range: use 1 to 99, or leave it out",
        ]
    );
}

const ARBITER: &str =
    "address = \"192.0.2.13\"\n[[pool]]\nname = \"site-1\"\nkey_file = \"/pool.key\"\n";

fn arbiter_mistakes(text: &str) -> Vec<String> {
    let mistakes = arbiter::Config::parse(text, Path::new("a.toml"), &Prepared).unwrap_err();
    stripped(&mistakes, "a.toml:", "; see arbiter.toml(5)")
}

#[test]
fn an_arbiter_and_a_manager_with_the_same_timing_make_the_same_offer() {
    let arbiter = arbiter::Config::parse(ARBITER, Path::new("a.toml"), &Prepared).unwrap();
    assert_eq!(arbiter.port, 8112);
    assert_eq!(arbiter.state, Path::new("/var/lib/arbiterd"));
    let [pool] = &arbiter.pools[..] else {
        panic!("one pool");
    };
    assert_eq!(pool.member.id, NodeId::R);
    let manager = parse(POOL).unwrap().pool.unwrap();
    assert_eq!(pool.member.offer, manager.member.offer);
    assert_eq!(pool.key.pool_id(), manager.key.pool_id());
}

#[test]
fn an_arbiters_mistakes_are_told_in_one_go() {
    let text = format!(
        "{ARBITER}[[pool]]\nname = \"site-1\"\nkey_file = \"/pool.key\"\nlease = \"11s\"\n[[pool]]\nname = \"../x\"\nkey_file = \"/other.key\"\nkeyfile = 1\n"
    );
    assert_eq!(
        arbiter_mistakes(&text),
        [
            "6:8: pool site-1 is there twice: remove one",
            "6:8: pool site-1 has the key of pool site-1: give each pool a key of its own, made \
             with `vrrpctl keygen`",
            "8:1: lease \"11s\" is longer than lease_max \"10s\": shorten it here and on the \
             managers, or raise lease_max",
            "10:8: name \"../x\" is no directory name: use up to 64 letters, digits, full stops, - \
             and _",
            "12:1: unknown key \"keyfile\" in [[pool]]: did you mean key_file?",
        ]
    );
    assert_eq!(
        arbiter_mistakes(""),
        [
            "1:1: address is missing: add address = \"192.0.2.13\"",
            "1:1: pool is missing: add [[pool]] with name and key_file",
        ]
    );
}

const GROUP: &str = r#"[node]
name = "router-1"
[[virtual_router]]
name = "wan"
interface = "eth0"
vrid = 51
addresses = ["192.0.2.1/24"]
sync_group = "both"
[[virtual_router]]
name = "lan"
interface = "eth1"
vrid = 52
addresses = ["198.51.100.1/24"]
sync_group = "both"
"#;

#[test]
fn a_group_is_told_to_the_core_and_a_check_of_one_is_the_others() {
    let check = "[[check]]\nname = \"uplink\"\ninterface = \"eth2\"\nrouters = [\"wan\"]\n";
    let config = parse(&format!("{GROUP}{check}")).unwrap();
    for router in &config.virtual_routers {
        let group = router.group.as_ref().map(|group| &*group.name);
        assert_eq!(group, Some("both"));
        assert_eq!(router.check(), Ok(()));
    }
    assert_eq!(config.checks[0].routers, ["wan", "lan"]);
}

#[test]
fn a_group_moves_together() {
    let text = GROUP
        .replace("vrid = 52", "vrid = 52\npriority = 150\npreempt = false")
        .replace("vrid = 51", "vrid = 51\npreempt_delay = \"1s\"");
    assert_eq!(
        mistakes(&text),
        [
            "14:12: priority 150 differs from 100 of wan: the virtual routers of sync_group \
             \"both\" move together, give them the same priority",
            "15:11: preempt false differs from true of wan: the virtual routers of sync_group \
             \"both\" move together, give them the same preempt",
        ]
    );
}

#[test]
fn a_group_has_members_that_compete() {
    let text = GROUP.replacen("\"both\"", "\"alone\"", 1);
    let text = text.replace("vrid = 52", "vrid = 52\npriority = 255");
    assert_eq!(
        mistakes(&text),
        [
            "8:14: sync_group \"alone\" has one member: put another virtual router into it, or \
             remove it",
            "13:12: priority 255 says that this node owns the address, which does not move with \
             sync_group \"both\": remove sync_group, or use 1 to 254",
            "15:14: sync_group \"both\" has one member: put another virtual router into it, or \
             remove it",
        ]
    );
    let pooled = POOL.replace(
        "vrid               = 51",
        "vrid = 51\nsync_group = \"both\"",
    );
    let lines = mistakes(&pooled);
    assert!(
        lines.contains(&"16:1: sync_group is decided by the pool: remove it".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_lower_ttl_is_for_unicast_peers() {
    let with = |keys: &str| PLAIN.replace("vrid = 10", &format!("vrid = 10\n{keys}"));
    let config = parse(&with("unicast_peers = [\"198.51.100.7\"]\nmin_ttl = 250")).unwrap();
    assert_eq!(config.virtual_routers[0].min_hop_limit, 250);
    let config = parse(PLAIN).unwrap();
    assert_eq!(config.virtual_routers[0].min_hop_limit, 255);
    assert_eq!(
        mistakes(&with("min_ttl = 250")),
        [
            "7:11: min_ttl 250 is for unicast peers that are routers away: name them in \
             unicast_peers, or remove it"
        ]
    );
    assert_eq!(
        mistakes(&with("min_ttl = 0")),
        ["7:11: min_ttl 0 is out of range: use 1 to 255"]
    );
}
