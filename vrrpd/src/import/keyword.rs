//! keepalived's keywords, and what each is here: docs/keepalived.md is this
//! table, and a test keeps the two the same.

/// A keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// keepalived's.
    pub name: &'static str,
    /// Ours.
    pub ours: Ours,
    /// Why, or what is different.
    pub remark: &'static str,
}

/// What a keyword is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// Keys of vrrpd.toml(5).
    Keys(&'static [&'static str]),
    /// It needs no telling.
    Needless,
    /// There is none.
    None,
}

/// The keywords that may stand in a block.
#[derive(Debug)]
pub struct Block {
    /// The block's keyword; empty for the file itself.
    pub name: &'static str,
    /// Every keyword, in the order of keepalived.conf(5).
    pub keywords: &'static [Keyword],
}

impl Block {
    /// What the block says of `name`.
    pub fn find(&self, name: &str) -> Option<&'static Keyword> {
        self.keywords.iter().find(|keyword| keyword.name == name)
    }
}

const fn key(name: &'static str, keys: &'static [&'static str], remark: &'static str) -> Keyword {
    let ours = Ours::Keys(keys);
    Keyword { name, ours, remark }
}

const fn needless(name: &'static str, remark: &'static str) -> Keyword {
    let ours = Ours::Needless;
    Keyword { name, ours, remark }
}

const fn none(name: &'static str, remark: &'static str) -> Keyword {
    let ours = Ours::None;
    Keyword { name, ours, remark }
}

/// All blocks.
pub const BLOCKS: [&Block; 7] = [
    &FILE,
    &GLOBAL,
    &SCRIPT,
    &PROCESS,
    &TRACK_FILE,
    &GROUP,
    &INSTANCE,
];

const LVS: &str =
    "vrrpd does no load balancing: leave LVS to keepalived without VRRP, or to another program";
const BFD: &str = "vrrpd has no BFD: watch the path with a check, or let a routing daemon run BFD";
const SYSTEM: &str =
    "it does not move with the role: it belongs in the network configuration of the system";
const MAIL: &str = "vrrpd sends no mail: send it from a hook";
const FIFO: &str = "there is no fifo: a hook is told every transition in order, one at a time";
const FIREWALL: &str =
    "vrrpd keeps its rules in an nftables table of its own, vrrpd_ and the node's name";
const UNIT: &str = "it is the service manager's: set it in a drop-in of vrrpd.service";
const ONE_PROCESS: &str = "vrrpd is one process";
const BUFFERS: &str = "buffers need no setting";
const SNMP: &str = "vrrpd has no SNMP: vrrpctl status --json tells the same";
const DBUS: &str = "vrrpd has no D-Bus interface: vrrpctl watch and hooks tell the same";
const MAC: &str = "the address is on the interface's own MAC address, and announced";
const TOLD: &str =
    "one hook serves all virtual routers and groups, which VRRPD_KIND and VRRPD_NAME tell apart";
const WHOSE: &str = "hooks and checks run as the user of vrrpd, who is not root";
const ROUTES: &str = "vrrpd moves addresses only: let on_active and on_backup run ip(8)";
const DEBUGGING: &str = "vrrpctl status --json tells what is, vrrpctl log what was";
const ONE_FILE: &str = "vrrpd.toml is one file, read once and refused whole if it has a mistake";
const LOWER: &str = "the addresses are announced once more, at once";

/// The file itself.
pub const FILE: Block = Block {
    name: "",
    keywords: &[
        needless(
            "include",
            "what it includes is imported in its place; vrrpd.toml is one file",
        ),
        needless("global_defs", "its keywords are below"),
        key(
            "vrrp_script",
            &["name"],
            "a [[check]] for each weight that it is tracked with",
        ),
        key(
            "vrrp_track_process",
            &["name"],
            "a [[check]] whose command is pgrep(1)",
        ),
        key(
            "track_file",
            &["name"],
            "a [[check]] whose command reads the file; for weight 0 only",
        ),
        key("vrrp_track_file", &["name"], "the old name of track_file"),
        key(
            "vrrp_sync_group",
            &["sync_group"],
            "of each member; two or more, of the same priority and the same preempt",
        ),
        key("vrrp_instance", &["name"], "a [[virtual_router]]"),
        none("bfd_instance", BFD),
        none(
            "garp_group",
            "announcements are not spread over time by interface",
        ),
        none("track_group", SYSTEM),
        none("static_ipaddress", SYSTEM),
        none("static_routes", SYSTEM),
        none("static_rules", SYSTEM),
        none("interface_up_down_delays", "a carrier is believed at once"),
        none(
            "linkbeat_interfaces",
            "the kernel tells of each change of a carrier by netlink",
        ),
        none(
            "linkbeat_use_polling",
            "the kernel tells of each change of a carrier by netlink",
        ),
        none(
            "net_namespace",
            "it is the service manager's: NetworkNamespacePath= in a drop-in of vrrpd.service",
        ),
        none("net_namespace_ipvs", LVS),
        needless("namespace_with_ipsets", FIREWALL),
        none(
            "instance",
            "daemons that run side by side have files of their own: vrrpd -c FILE, with [node] name and [paths] of their own",
        ),
        needless("use_pid_dir", "vrrpd writes no pid file"),
        needless("child_wait_time", ONE_PROCESS),
        none("virtual_server_group", LVS),
        none("virtual_server", LVS),
        none("SSL", LVS),
    ],
};

/// `global_defs`.
pub const GLOBAL: Block = Block {
    name: "global_defs",
    keywords: &[
        none("tmp_config_directory", ONE_FILE),
        none("config_save_dir", DEBUGGING),
        needless("process_names", ONE_PROCESS),
        needless("process_name", ONE_PROCESS),
        needless("vrrp_process_name", ONE_PROCESS),
        needless("checker_process_name", ONE_PROCESS),
        needless("bfd_process_name", ONE_PROCESS),
        none("startup_script", UNIT),
        none("startup_script_timeout", UNIT),
        none("shutdown_script", UNIT),
        none("shutdown_script_timeout", UNIT),
        none("notification_email", MAIL),
        none("notification_email_from", MAIL),
        none("smtp_server", MAIL),
        none("smtp_helo_name", MAIL),
        none("smtp_connect_timeout", MAIL),
        none("smtp_alert", MAIL),
        none("smtp_alert_vrrp", MAIL),
        none("smtp_alert_checker", LVS),
        none("checker_log_all_failures", LVS),
        none("no_email_faults", MAIL),
        key("router_id", &["name"], "the name in [node]"),
        none(
            "vrrp_mcast_group4",
            "advertisements go to 224.0.0.18, as RFC 9568 has it",
        ),
        none(
            "vrrp_mcast_group6",
            "advertisements go to ff02::12, as RFC 9568 has it",
        ),
        key(
            "default_interface",
            &["interface"],
            "of each virtual router that names none",
        ),
        none("lvs_sync_daemon", LVS),
        none("lvs_sync_daemon_interface", LVS),
        none("lvs_timeouts", LVS),
        none("lvs_flush", LVS),
        none("lvs_flush_on_stop", LVS),
        key(
            "vrrp_garp_master_delay",
            &["repeat_after", "repeats"],
            "in [virtual_router.announce] of each; 0 is repeats = 0",
        ),
        key(
            "vrrp_garp_master_repeat",
            &["count"],
            "in [virtual_router.announce] of each",
        ),
        none("vrrp_garp_lower_prio_delay", LOWER),
        none("vrrp_down_timer_adverts", "three, as RFC 9568 has it"),
        none("vrrp_garp_lower_prio_repeat", LOWER),
        key(
            "vrrp_garp_master_refresh",
            &["refresh"],
            "in [virtual_router.announce] of each",
        ),
        none(
            "vrrp_garp_master_refresh_repeat",
            "the address is announced once at a refresh",
        ),
        none(
            "vrrp_garp_interval",
            "announcements are not spread over time by interface",
        ),
        none(
            "vrrp_gna_interval",
            "announcements are not spread over time by interface",
        ),
        key(
            "vrrp_min_garp",
            &["count", "repeats"],
            "count = 1 and repeats = 0",
        ),
        none(
            "vrrp_garp_extra_if",
            "all addresses are on the interface of their virtual router",
        ),
        none(
            "vrrp_lower_prio_no_advert",
            "an Active router answers a lower priority with an advertisement (RFC 9568 section 6.4.3)",
        ),
        none(
            "vrrp_higher_prio_send_advert",
            "an Active router that hears a higher priority goes at once (RFC 9568 section 6.4.3)",
        ),
        key(
            "vrrp_version",
            &["version"],
            "of each virtual router; keepalived's default is 2, ours is 3",
        ),
        needless("nftables", FIREWALL),
        needless("nftables_priority", FIREWALL),
        needless("nftables_counters", FIREWALL),
        needless("nftables_ifindex", FIREWALL),
        none("nftables_ipvs", LVS),
        none("nftables_ipvs_priority", LVS),
        none("nftables_ipvs_start_fwmark", LVS),
        needless("vrrp_iptables", FIREWALL),
        needless("vrrp_ipsets", FIREWALL),
        needless(
            "disable_local_igmp",
            "there are no interfaces with a virtual MAC address",
        ),
        needless(
            "vrrp_check_unicast_src",
            "advertisements are accepted from unicast_peers only",
        ),
        needless(
            "vrrp_skip_check_adv_addr",
            "a list of addresses that differs is logged once and never a reason to drop an advertisement",
        ),
        key(
            "vrrp_strict",
            &["accept"],
            "of its effects only accept = false; the rest is refused or right in any case",
        ),
        none(
            "vrrp_notify_priority_changes",
            "a hook is told of transitions; vrrpctl watch tells of priorities",
        ),
        none(
            "max_auto_priority",
            "the priority of the process does not change by itself: use realtime",
        ),
        none(
            "min_auto_priority_delay",
            "the priority of the process does not change by itself: use realtime",
        ),
        none("vrrp_priority", UNIT),
        none("checker_priority", ONE_PROCESS),
        none("bfd_priority", ONE_PROCESS),
        key("vrrp_no_swap", &["lock_memory"], "in [process]"),
        needless("checker_no_swap", ONE_PROCESS),
        needless("bfd_no_swap", ONE_PROCESS),
        none("vrrp_cpu_affinity", UNIT),
        none("checker_cpu_affinity", ONE_PROCESS),
        none("bfd_cpu_affinity", ONE_PROCESS),
        key("vrrp_rt_priority", &["realtime"], "in [process]"),
        none("checker_rt_priority", ONE_PROCESS),
        none("bfd_rt_priority", ONE_PROCESS),
        none("vrrp_rlimit_rttime", UNIT),
        none("checker_rlimit_rttime", ONE_PROCESS),
        none("bfd_rlimit_rttime", ONE_PROCESS),
        none("snmp_socket", SNMP),
        none("enable_snmp_keepalived", SNMP),
        none("enable_snmp_vrrp", SNMP),
        none("enable_snmp_checker", SNMP),
        none("enable_snmp_rfc", SNMP),
        none("enable_snmp_rfcv2", SNMP),
        none("enable_snmp_rfcv3", SNMP),
        none("enable_traps", SNMP),
        none("enable_dbus", DBUS),
        none("dbus_service_name", DBUS),
        none("script_user", WHOSE),
        needless("enable_script_security", WHOSE),
        none("notify_fifo", FIFO),
        none("notify_fifo_script", FIFO),
        none("vrrp_notify_fifo", FIFO),
        none("vrrp_notify_fifo_script", FIFO),
        none("lvs_notify_fifo", LVS),
        none("lvs_notify_fifo_script", LVS),
        none("fifo_write_vrrp_states_on_reload", FIFO),
        needless(
            "dynamic_interfaces",
            "an interface may come up later, or go and come again",
        ),
        needless("vrrp_netlink_cmd_rcv_bufs", BUFFERS),
        needless("vrrp_netlink_cmd_rcv_bufs_force", BUFFERS),
        needless("vrrp_netlink_monitor_rcv_bufs", BUFFERS),
        needless("vrrp_netlink_monitor_rcv_bufs_force", BUFFERS),
        needless("lvs_netlink_cmd_rcv_bufs", BUFFERS),
        needless("lvs_netlink_cmd_rcv_bufs_force", BUFFERS),
        needless("lvs_netlink_monitor_rcv_bufs", BUFFERS),
        needless("lvs_netlink_monitor_rcv_bufs_force", BUFFERS),
        needless("process_monitor_rcv_bufs", BUFFERS),
        needless("process_monitor_rcv_bufs_force", BUFFERS),
        needless("vrrp_rx_bufs_policy", BUFFERS),
        needless("vrrp_rx_bufs_multiplier", BUFFERS),
        none("rs_init_notifies", LVS),
        none("no_checker_emails", LVS),
        none("umask", UNIT),
        key(
            "vrrp_startup_delay",
            &["startup_delay"],
            "of each virtual router",
        ),
        none(
            "log_unknown_vrids",
            "advertisements of other virtual routers are nobody's business here",
        ),
        needless("vmac_prefix", MAC),
        needless("vmac_addr_prefix", MAC),
        none("random_seed", "nothing in vrrpd.toml is drawn at random"),
        needless("reload_check_config", ONE_FILE),
        needless("include_check", ONE_FILE),
        none(
            "reload_time_file",
            "reload at a time with systemd-run(1) and vrrpctl reload",
        ),
        none(
            "reload_repeat",
            "reload at a time with systemd-run(1) and vrrpctl reload",
        ),
        none(
            "reload_file",
            "put the new file in place with mv(1), which nobody sees half done",
        ),
        none("data_use_instance", DEBUGGING),
    ],
};

/// `vrrp_script`.
pub const SCRIPT: Block = Block {
    name: "vrrp_script",
    keywords: &[
        key(
            "script",
            &["command"],
            "a list of the program, by its absolute path, and its arguments; a shell only if it is named",
        ),
        key("interval", &["interval"], ""),
        key("timeout", &["timeout"], "at most the interval"),
        key(
            "weight",
            &["weight"],
            "0 is none, so that a failure is a fault; there is no reverse: let the script exit the other way",
        ),
        key("rise", &["rise"], "keepalived's default is 1, ours is 2"),
        key("fall", &["fall"], "keepalived's default is 1, ours is 3"),
        none("user", WHOSE),
        needless(
            "init_fail",
            "until a check has answered, one with a weight adds nothing, and one without is a fault",
        ),
    ],
};

/// `vrrp_track_process`.
pub const PROCESS: Block = Block {
    name: "vrrp_track_process",
    keywords: &[
        key(
            "process",
            &["command"],
            "pgrep -x, once a second; there is no matching of its arguments",
        ),
        none("param_match", "use a command with pgrep -f and a pattern"),
        key(
            "weight",
            &["weight"],
            "keepalived's default is 1; there is no reverse",
        ),
        none(
            "quorum",
            "use a command with pgrep -c that compares the number; 1 is taken",
        ),
        none(
            "quorum_max",
            "use a command with pgrep -c that compares the number",
        ),
        none("fork_delay", "use rise, which counts good answers"),
        none("terminate_delay", "use fall, which counts bad answers"),
        none("delay", "use rise and fall, which count answers"),
        none("full_command", "use a command with pgrep -f and a pattern"),
    ],
};

/// `track_file`.
pub const TRACK_FILE: Block = Block {
    name: "track_file",
    keywords: &[
        key(
            "file",
            &["command"],
            "a shell that reads it, once a second; a file that is not there is 0",
        ),
        key(
            "weight",
            &["weight"],
            "0 only, for which another number than 0 in the file is a fault; keepalived's default is 1, which adds that number",
        ),
        none("init_file", "create the file with tmpfiles.d(5)"),
    ],
};

/// `vrrp_sync_group`.
pub const GROUP: Block = Block {
    name: "vrrp_sync_group",
    keywords: &[
        key("group", &["sync_group"], "each member names its group"),
        key(
            "track_interface",
            &["interface", "routers"],
            "a [[check]] of all members",
        ),
        key(
            "track_script",
            &["command", "routers"],
            "a [[check]] of all members",
        ),
        key(
            "track_file",
            &["command", "routers"],
            "a [[check]] of all members",
        ),
        key(
            "track_process",
            &["command", "routers"],
            "a [[check]] of all members",
        ),
        none("track_bfd", BFD),
        key("notify_master", &["on_active"], TOLD),
        key("notify_backup", &["on_backup"], TOLD),
        key("notify_fault", &["on_fault"], TOLD),
        key("notify_stop", &["on_stop"], TOLD),
        none(
            "notify_deleted",
            "a virtual router that is taken out of the file stops: use on_stop",
        ),
        key(
            "notify",
            &["on_any", "style"],
            "style = \"keepalived\" gives the same four arguments, GROUP first",
        ),
        none("notify_priority_changes", FIFO),
        none("smtp_alert", MAIL),
        needless("global_tracking", "a check of one member is a check of all"),
        needless(
            "sync_group_tracking_weight",
            "a check of one member is a check of all, with its weight; where this is missing, keepalived ignores what members track with a weight, and it is left out",
        ),
    ],
};

/// `vrrp_instance`.
pub const INSTANCE: Block = Block {
    name: "vrrp_instance",
    keywords: &[
        needless(
            "state",
            "every router begins as Backup and the priority decides, 255 at once",
        ),
        key("interface", &["interface"], "required"),
        none(
            "vrf",
            "enslave the interface to the VRF and name the interface",
        ),
        none("use_vmac", MAC),
        none("use_vmac_addr", MAC),
        none("vmac_xmit_base", MAC),
        none("use_ipvlan", MAC),
        needless("native_ipv6", "the addresses tell the family"),
        none(
            "dont_track_primary",
            "without its interface a virtual router is at fault",
        ),
        key(
            "track_interface",
            &["interface", "weight", "routers"],
            "a [[check]] for each interface and weight; there is no reverse",
        ),
        key(
            "track_script",
            &["command", "weight", "routers"],
            "a [[check]] for each script and weight; there is no reverse",
        ),
        key(
            "track_file",
            &["command", "routers"],
            "a [[check]] for each file; weight 0 only",
        ),
        key(
            "track_process",
            &["command", "weight", "routers"],
            "a [[check]] for each process and weight; there is no reverse",
        ),
        none("track_bfd", BFD),
        none(
            "mcast_src_ip",
            "advertisements leave from the interface's first address",
        ),
        none(
            "unicast_src_ip",
            "advertisements leave from the interface's first address",
        ),
        none(
            "mcast_dst_ip",
            "advertisements go to the group of RFC 9568, or to unicast_peers",
        ),
        needless("track_src_ip", "an interface without an address is a fault"),
        key(
            "version",
            &["version"],
            "keepalived's default is 2, ours is 3",
        ),
        needless(
            "check_unicast_src",
            "advertisements are accepted from unicast_peers only",
        ),
        key("unicast_peer", &["unicast_peers"], ""),
        key(
            "min_ttl",
            &["min_ttl"],
            "of unicast_peer: one for all peers, the lowest; without it keepalived accepts any TTL, vrrpd 255 only",
        ),
        none("max_ttl", "of unicast_peer: only a low TTL is suspect"),
        none(
            "unicast_fault_no_peer",
            "without unicast_peers advertisements go to the group",
        ),
        none(
            "unicast_ttl",
            "an advertisement has the TTL 255 (RFC 9568 section 5.1.1.3)",
        ),
        none(
            "old_unicast_checksum",
            "either form of the checksum is accepted; see checksum in vrrpd.toml(5)",
        ),
        key(
            "garp_master_delay",
            &["repeat_after", "repeats"],
            "in [virtual_router.announce]; 0 is repeats = 0",
        ),
        key(
            "garp_master_repeat",
            &["count"],
            "in [virtual_router.announce]",
        ),
        none("garp_lower_prio_delay", LOWER),
        none("garp_lower_prio_repeat", LOWER),
        key(
            "garp_master_refresh",
            &["refresh"],
            "in [virtual_router.announce]",
        ),
        none(
            "garp_master_refresh_repeat",
            "the address is announced once at a refresh",
        ),
        none(
            "garp_extra_if",
            "all addresses are on the interface of their virtual router",
        ),
        none("down_timer_adverts", "three, as RFC 9568 has it"),
        none(
            "lower_prio_no_advert",
            "an Active router answers a lower priority with an advertisement (RFC 9568 section 6.4.3)",
        ),
        none(
            "higher_prio_send_advert",
            "an Active router that hears a higher priority goes at once (RFC 9568 section 6.4.3)",
        ),
        key("virtual_router_id", &["vrid"], ""),
        key("priority", &["priority"], ""),
        key(
            "advert_int",
            &["advertise_interval"],
            "version 3 in steps of 10 ms, version 2 in whole seconds",
        ),
        none(
            "authentication",
            "RFC 3768 took it out of VRRP: remove it on the peers first, they drop what is without it",
        ),
        none("auth_type", "of authentication"),
        none("auth_pass", "of authentication"),
        key(
            "virtual_ipaddress",
            &["addresses"],
            "those of one family; an address has no options of its own",
        ),
        key(
            "virtual_ipaddress_excluded",
            &["addresses"],
            "advertised like the others; those of the other family get a virtual router of their own",
        ),
        needless(
            "promote_secondaries",
            "an address that goes away with another is put back",
        ),
        none("virtual_routes", ROUTES),
        none("virtual_rules", ROUTES),
        key("accept", &["accept"], "accept = true, the default"),
        key("no_accept", &["accept"], "accept = false"),
        key("nopreempt", &["preempt"], "preempt = false"),
        key("preempt", &["preempt"], "preempt = true, the default"),
        key("preempt_delay", &["preempt_delay"], ""),
        needless(
            "skip_check_adv_addr",
            "a list of addresses that differs is logged once and never a reason to drop an advertisement",
        ),
        key(
            "strict_mode",
            &["accept"],
            "of its effects only accept = false; the rest is refused or right in any case",
        ),
        none("debug", "use log in [process]"),
        key("notify_master", &["on_active"], TOLD),
        key("notify_backup", &["on_backup"], TOLD),
        key("notify_fault", &["on_fault"], TOLD),
        key("notify_stop", &["on_stop"], TOLD),
        none(
            "notify_deleted",
            "a virtual router that is taken out of the file stops: use on_stop",
        ),
        key(
            "notify",
            &["on_any", "style"],
            "style = \"keepalived\" gives the same four arguments",
        ),
        none(
            "notify_master_rx_lower_pri",
            "the log tells of it, no hook does",
        ),
        none("notify_priority_changes", FIFO),
        none("smtp_alert", MAIL),
        needless("kernel_rx_buf_size", BUFFERS),
        none(
            "linkbeat_use_polling",
            "the kernel tells of each change of a carrier by netlink",
        ),
    ],
};
