//! What `vrrpctl import` makes of keepalived configurations: each
//! `tests/import/NAME.conf` becomes `NAME.toml`, with the words of `NAME.notes`.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use vrrpd::config::{Config, HookEvent, HookStyle, Host, Probe};
use vrrpd::import::keyword::{BLOCKS, Keyword, Ours};
use vrrpd::import::{Around, Imported, Verdict, import};
use vrrpd::seal::Key;
use vrrpd_core::packet::{Form, Priority, Version};
use vrrpd_core::priority::Effect;
use vrrpd_core::router::{Checksum, Config as Router};

/// The machine of the samples: their folder, and a few programs.
struct Samples;

impl Around for Samples {
    fn read(&self, file: &Path) -> io::Result<String> {
        fs::read_to_string(folder().join(file))
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder().join(directory)) else {
            return Vec::new();
        };
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        ["killall", "pgrep", "test"]
            .contains(&name)
            .then(|| Path::new("/usr/bin").join(name))
    }

    fn host_name(&self) -> String {
        "main.example.net".to_owned()
    }
}

/// A host where every program is installed.
struct WellKept;

impl Host for WellKept {
    fn key(&self, _: &Path) -> Result<Key, String> {
        Err("is not asked for".to_owned())
    }

    fn program(&self, path: &Path) -> Result<(), String> {
        assert!(path.is_absolute(), "{}", path.display());
        Ok(())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn imported(text: &str, config_id: Option<&str>) -> Imported {
    import(text, Path::new("k.conf"), config_id, &Samples).unwrap_or_else(|why| panic!("{why}"))
}

fn parsed(toml: &str) -> Config {
    Config::parse(toml, Path::new("vrrpd.toml"), &WellKept)
        .unwrap_or_else(|mistakes| panic!("{mistakes}\n{toml}"))
}

fn sample(name: &str) -> Config {
    let text = fs::read_to_string(folder().join(format!("{name}.conf"))).unwrap();
    parsed(&imported(&text, None).toml)
}

fn router<'a>(config: &'a Config, name: &str) -> &'a Router {
    let mut routers = config.virtual_routers.iter();
    routers
        .find(|router| router.identity.name == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

fn addresses(router: &Router) -> Vec<String> {
    router.addresses.iter().map(ToString::to_string).collect()
}

fn command(config: &Config, name: &str) -> Vec<String> {
    let check = config.checks.iter().find(|check| check.name == name);
    match &check.unwrap_or_else(|| panic!("no {name}")).probe {
        Probe::Command { argv, .. } => argv.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn samples_become_what_stands_beside_them() {
    let mut samples = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        samples += 1;
        let text = fs::read_to_string(&path).unwrap();
        let Imported { toml, notes } = imported(&text, None);
        parsed(&toml);
        let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
        for (made, beside) in [(toml, "toml"), (notes, "notes")] {
            let beside = path.with_extension(beside);
            let wanted = fs::read_to_string(&beside).unwrap_or_default();
            assert_eq!(made, wanted, "{}:\n{made}", beside.display());
        }
    }
    assert_eq!(samples, 5);
}

#[test]
fn a_gateway_keeps_its_values() {
    let config = sample("gateway");
    assert_eq!(config.node, "gw-a");
    let lan = router(&config, "LAN");
    assert_eq!(lan.identity.interface, "eth0");
    assert_eq!(lan.identity.vrid.as_u8(), 51);
    assert_eq!(lan.version, Version::V2);
    assert_eq!(lan.priority, Priority::new(150).unwrap());
    assert_eq!(lan.advertise_interval.duration(), Duration::from_secs(1));
    assert_eq!(addresses(lan), ["192.0.2.1/24", "192.0.2.2/24"]);
    assert!(lan.preempt && lan.accept);
    assert_eq!(lan.announce.repeat_after, Duration::from_secs(10));
    assert_eq!(lan.announce.refresh, Some(Duration::from_secs(60)));
    let [eth1, uplink, weaker] = &config.checks[..] else {
        panic!("{:?}", config.checks);
    };
    assert_eq!((uplink.rise, uplink.fall), (2, 2));
    assert_eq!(uplink.effect, Effect::Weight(-60));
    assert_eq!(uplink.routers, ["LAN"]);
    assert_eq!(
        uplink.probe,
        Probe::Command {
            argv: [
                "/usr/lib/nagios/plugins/check_ping",
                "-H",
                "198.51.100.1",
                "-w",
                "100,20%",
                "-c",
                "200,60%"
            ]
            .map(str::to_owned)
            .to_vec(),
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
        }
    );
    assert_eq!(eth1.probe, Probe::Interface("eth1".to_owned()));
    assert_eq!(eth1.effect, Effect::Fault);
    assert_eq!(weaker.effect, Effect::Weight(-30));
    assert_eq!(weaker.routers, ["DMZ"]);
    assert_eq!(config.hooks.style, HookStyle::Keepalived);
    assert_eq!(
        config.hooks.any,
        Some(vec!["/usr/local/sbin/vrrp-notify".to_owned()])
    );
    assert_eq!(config.hooks.commands[0].0, HookEvent::Active);
}

#[test]
fn both_families_keep_their_values() {
    let config = sample("dual-stack");
    let web = router(&config, "web");
    assert_eq!(web.version, Version::V3);
    assert_eq!(web.checksum, Checksum::Fixed(Form::PseudoHeader));
    assert_eq!(
        web.advertise_interval.duration(),
        Duration::from_millis(260)
    );
    assert!(!web.preempt && !web.accept);
    let peers = ["192.0.2.12", "192.0.2.13"].map(|peer| peer.parse::<IpAddr>().unwrap());
    assert_eq!(web.unicast_peers, peers);
    assert_eq!(web.min_hop_limit, 250);
    assert_eq!(web.startup_delay, Duration::from_millis(5_500));
    assert_eq!((web.announce.count, web.announce.repeats), (1, 0));
    let six = router(&config, "web-ipv6");
    assert_eq!(six.identity.vrid, web.identity.vrid);
    assert!(six.group.is_some());
    assert_eq!(six.group, web.group);
    assert_eq!(addresses(six), ["fe80::a/64", "2001:db8::100/64"]);
    let web6 = router(&config, "web6");
    assert_eq!(web6.version, Version::V3);
    assert_eq!(web6.preempt_delay, Duration::from_secs(30));
    assert_eq!(addresses(web6), ["fe80::1:1/64", "2001:db8:1::1/64"]);
    assert_eq!(web6.announce.count, 20);
    assert_eq!(config.process.realtime, Some(50));
    assert!(config.process.lock_memory);
}

#[test]
fn conditions_are_decided_by_the_machine_or_by_hand() {
    let text = fs::read_to_string(folder().join("template.conf")).unwrap();
    let priorities = |config_id| {
        let config = parsed(&imported(&text, config_id).toml);
        let routers = config.virtual_routers.iter();
        let values = routers.map(|router| (router.identity.name.clone(), router.priority.as_u8()));
        values.collect::<Vec<_>>()
    };
    let with = |priority| {
        ["VI_10", "VI_20", "VI_30", "many", "extra"].map(|name| (name.to_owned(), priority))
    };
    assert_eq!(priorities(None), with(200));
    assert_eq!(priorities(Some("spare")), with(100));
}

#[test]
fn what_is_watched_is_watched() {
    let config = sample("balancer");
    assert_eq!(
        command(&config, "chk_haproxy"),
        ["/usr/bin/killall", "-0", "haproxy"]
    );
    assert_eq!(
        command(&config, "chk_port"),
        ["/bin/bash", "-c", "</dev/tcp/127.0.0.1/443"]
    );
    assert_eq!(
        command(&config, "proc_bird"),
        ["/usr/bin/pgrep", "-x", "bird"]
    );
    let names: Vec<_> = config
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["chk_port", "eth2", "chk_haproxy", "proc_bird", "drain"]
    );
    assert!(
        config.checks[..2]
            .iter()
            .all(|check| check.routers.is_empty())
    );
    let group = |name| {
        router(&config, name)
            .group
            .clone()
            .map(|group| group.name.to_string())
    };
    assert_eq!(group("outside").as_deref(), Some("inside_outside"));
    assert_eq!(group("inside"), group("outside"));
    let outside = router(&config, "outside");
    assert!(!outside.accept && router(&config, "inside").accept);
}

/// What a hook runs, its arguments one a line.
fn told(argv: &[String], kind: &str, name: &str, more: &[&str]) -> String {
    let output = std::process::Command::new(&argv[0])
        .args(&argv[1..])
        .args(more)
        .env("VRRPD_KIND", kind)
        .env("VRRPD_NAME", name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn hooks_run_what_keepalived_would_with_its_arguments() {
    let printf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arguments");
    let printf = printf.display();
    let instance = |name: &str, vrid: u8, lines: &str| {
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n\
             virtual_ipaddress {{ 192.0.2.{vrid} }}\n{lines}\n}}\n"
        )
    };
    let text = instance(
        "a",
        1,
        &format!("notify_master \"{printf} 'it is' up\"\nnotify \"{printf} x\""),
    ) + &instance("b", 2, &format!("notify \"{printf}\""))
        + &instance("c", 3, "");
    let config = parsed(&imported(&text, None).toml);
    let more = ["INSTANCE", "a", "MASTER", "100"];
    let [(HookEvent::Active, master)] = &config.hooks.commands[..] else {
        panic!("{:?}", config.hooks);
    };
    assert_eq!(told(master, "router", "a", &more), "it is\nup\n");
    assert_eq!(told(master, "router", "b", &more), "");
    let any = config.hooks.any.unwrap();
    assert_eq!(
        told(&any, "router", "a", &more),
        "x\nINSTANCE\na\nMASTER\n100\n"
    );
    assert_eq!(
        told(&any, "router", "b", &more),
        "INSTANCE\na\nMASTER\n100\n"
    );
    assert_eq!(told(&any, "router", "c", &more), "");
}

#[test]
fn a_file_that_is_not_zero_is_bad() {
    let config = sample("balancer");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("drain");
    let mut argv = command(&config, "drain");
    assert_eq!(argv.pop().unwrap(), "/etc/keepalived/drain");
    let good = || {
        let status = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .arg(&file)
            .status();
        status.unwrap().success()
    };
    assert!(good());
    for (text, is_good) in [("0\n", true), ("1\n", false), ("-5", false), ("", true)] {
        fs::write(&file, text).unwrap();
        assert_eq!(good(), is_good, "{text:?}");
    }
}

#[test]
fn hooks_tell_a_group_from_a_virtual_router() {
    let arguments = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arguments");
    let arguments = arguments.display();
    let instance = |name: &str, vrid: u8, lines: &str| {
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n\
             virtual_ipaddress {{ 192.0.2.{vrid} }}\n{lines}\n}}\n"
        )
    };
    let text = format!(
        "{}{}vrrp_sync_group b {{\ngroup {{\na\nb\n}}\nnotify \"{arguments} group\"\n\
         notify_master \"{arguments} up\"\n}}\n",
        instance("a", 1, ""),
        instance("b", 2, &format!("notify \"{arguments} alone\"")),
    );
    let config = parsed(&imported(&text, None).toml);
    let any = config.hooks.any.clone().unwrap();
    assert_eq!(told(&any, "group", "b", &["GROUP"]), "group\nGROUP\n");
    assert_eq!(
        told(&any, "router", "b", &["INSTANCE"]),
        "alone\nINSTANCE\n"
    );
    assert_eq!(told(&any, "router", "a", &["INSTANCE"]), "");
    let [(HookEvent::Active, master)] = &config.hooks.commands[..] else {
        panic!("{:?}", config.hooks);
    };
    assert_eq!(told(master, "group", "b", &["GROUP"]), "up\n");
    assert_eq!(told(master, "router", "b", &["INSTANCE"]), "");
}

/// A configuration in which every keyword of ours stands in its block.
fn all_of(keys: impl Fn(&Keyword) -> bool) -> String {
    let value = |name: &str| match name {
        "interface" | "default_interface" => "eth0",
        "virtual_ipaddress" | "virtual_ipaddress_excluded" | "unicast_peer" => "{ 192.0.2.9 }",
        "track_script" | "track_interface" | "track_process" | "track_file" => "{ eth7 }",
        "script" | "process" | "file" | "notify" => "/bin/true",
        name if name.starts_with("notify_") => "/bin/true",
        _ => "2",
    };
    let mut text = String::new();
    for block in BLOCKS.iter().filter(|block| !block.name.is_empty()) {
        text.push_str(&format!("{} eth7 {{\n", block.name));
        for keyword in block.keywords.iter().filter(|keyword| keys(keyword)) {
            text.push_str(&format!("{} {}\n", keyword.name, value(keyword.name)));
        }
        text.push_str("}\n");
    }
    text
}

#[test]
fn every_keyword_is_known_where_it_stands() {
    let with_keys = imported(
        &all_of(|keyword| matches!(keyword.ours, Ours::Keys(_))),
        None,
    );
    for note in &with_keys.notes {
        assert!(
            !matches!(note.verdict, Verdict::Unknown | Verdict::NoCounterpart(_))
                || note.subject == "eth7",
            "{note}"
        );
    }
    let without = imported(&all_of(|keyword| keyword.ours == Ours::None), None);
    for note in &without.notes {
        assert_ne!(note.verdict, Verdict::Unknown, "{note}");
        assert!(!matches!(note.verdict, Verdict::Taken(_)), "{note}");
    }
}

#[test]
fn the_manual_of_the_move_is_the_table() {
    let page = include_str!("../../docs/keepalived.md");
    for block in BLOCKS {
        let mut table = String::from("| keepalived | vrrpd | |\n| --- | --- | --- |\n");
        for keyword in block.keywords {
            let ours = match keyword.ours {
                Ours::Keys(keys) => {
                    let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
                    keys.join(", ")
                }
                Ours::Needless => "not needed".to_owned(),
                Ours::None => "none".to_owned(),
            };
            table.push_str(&format!(
                "| `{}` | {ours} | {} |\n",
                keyword.name, keyword.remark
            ));
        }
        let name = if block.name.is_empty() {
            "the file itself"
        } else {
            block.name
        };
        assert!(
            page.contains(&table),
            "docs/keepalived.md lacks, of {name}:\n\n{table}"
        );
    }
}

#[test]
fn the_keys_that_are_named_are_in_the_manual() {
    let page = include_str!("../../man/vrrpd.toml.5");
    let known: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .filter_map(|line| line.split(" No = ").next())
        .flat_map(|keys| keys.split(" , "))
        .collect();
    assert!(
        known.contains("vrid") && known.contains("on_active"),
        "{known:?}"
    );
    for keyword in BLOCKS.iter().flat_map(|block| block.keywords) {
        let Ours::Keys(keys) = keyword.ours else {
            continue;
        };
        assert!(!keys.is_empty(), "{}", keyword.name);
        for key in keys {
            assert!(known.contains(key), "{}: {key}", keyword.name);
        }
    }
}

#[test]
fn keywords_are_told_once() {
    for block in BLOCKS {
        let names: BTreeSet<_> = block.keywords.iter().map(|keyword| keyword.name).collect();
        assert_eq!(names.len(), block.keywords.len(), "{}", block.name);
    }
}

/// A line of keepalived's, sound or not.
fn line() -> impl Strategy<Value = String> {
    let keywords: Vec<_> = BLOCKS
        .iter()
        .flat_map(|block| block.keywords)
        .map(|keyword| keyword.name)
        .collect();
    let value = prop_oneof![
        Just(String::new()),
        (0_u32..400).prop_map(|number| number.to_string()),
        (0_u32..40, 0_u32..1000).prop_map(|(a, b)| format!("{a}.{b}")),
        "[a-z]{1,3}( weight -?[0-9]{1,3})?( reverse)?",
        "(MASTER|BACKUP|on|off|eth[0-2])",
        "\"/bin/[a-z]{1,4} [ -~]{0,8}\"",
        "[0-9]{1,3}\\.0\\.2\\.[0-9]{1,3}(/[0-9]{1,2})?",
        "(fe80|2001:db8)::[0-9a-f]{1,2}(/64)?",
    ];
    prop_oneof![
        8 => (proptest::sample::select(keywords), value.clone()).prop_map(|(keyword, value)| format!("{keyword} {value}")),
        4 => value,
        1 => "[~@$]?(SEQ|LST|\\^|A=|\\{A\\})?[ -~]{0,12}",
    ]
}

/// A file whose braces match.
fn balanced() -> impl Strategy<Value = String> {
    let names = [
        "unicast_peer",
        "virtual_ipaddress",
        "virtual_ipaddress_excluded",
        "track_script",
        "track_interface",
    ];
    let inner = (
        proptest::sample::select(names.to_vec()),
        prop::collection::vec(line(), 0..4),
    )
        .prop_map(|(name, lines)| format!("{name} {{\n{}\n}}", lines.join("\n")));
    let instance = (
        0_u8..4,
        0_u8..4,
        1_u8..9,
        prop::collection::vec(prop_oneof![3 => line(), 2 => inner], 0..12),
    )
        .prop_map(|(name, vrid, host, lines)| {
            format!(
                "vrrp_instance i{name} {{\ninterface eth{vrid}\nvirtual_router_id {vrid}\n\
                 virtual_ipaddress {{\n192.0.2.{host}\n}}\n{}\n}}",
                lines.join("\n")
            )
        });
    let script = ("[a-c]{1,2}", prop::collection::vec(line(), 0..5)).prop_map(|(name, lines)| {
        format!(
            "vrrp_script {name} {{\nscript /bin/x\n{}\n}}",
            lines.join("\n")
        )
    });
    let group = (
        0_u8..3,
        prop::collection::vec(0_u8..4, 0..4),
        prop::collection::vec(line(), 0..3),
    )
        .prop_map(|(name, members, lines)| {
            let members: String = members
                .iter()
                .map(|member| format!("i{member}\n"))
                .collect();
            format!(
                "vrrp_sync_group g{name} {{\ngroup {{\n{members}}}\n{}\n}}",
                lines.join("\n")
            )
        });
    let global = prop::collection::vec(line(), 0..6)
        .prop_map(|lines| format!("global_defs {{\n{}\n}}", lines.join("\n")));
    prop::collection::vec(
        prop_oneof![4 => instance, 2 => script, 1 => group, 1 => global],
        0..6,
    )
    .prop_map(|blocks| blocks.join("\n"))
}

proptest! {
    /// Whatever is read, what is written lacks at most a virtual router.
    #[test]
    fn what_is_written_is_legal(text in balanced()) {
        if let Ok(made) = import(&text, Path::new("k.conf"), None, &Samples) {
            let config = Config::parse(&made.toml, Path::new("vrrpd.toml"), &WellKept);
            if let Err(mistakes) = config {
                let lines = mistakes.lines();
                prop_assert_eq!(lines.len(), 1, "{}\n{}", mistakes, made.toml);
                prop_assert!(lines[0].contains("[[virtual_router]] is missing"), "{}\n{}", mistakes, made.toml);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), id in "[a-z]{0,2}") {
        let _ = import(&text, Path::new("k.conf"), Some(&id), &Samples);
    }

    #[test]
    fn no_lines_make_it_panic(lines in prop::collection::vec(prop_oneof![4 => line(), 1 => "[{}\"'\\\\!#~$ (),a]{0,6}"], 0..30)) {
        if let Ok(made) = import(&lines.join("\n"), Path::new("k.conf"), Some("a"), &Samples) {
            prop_assert!(made.notes.iter().all(|note| !note.to_string().contains('\n')));
        }
    }
}
