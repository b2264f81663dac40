//! The rules as `nft` reads them.

use std::fmt::Write;
use std::net::IpAddr;

use super::Rules;

/// The longest table name we make; the kernel's limit is 255.
const NAME_MAX: usize = 64;

/// The tables' name for the daemon called `name`.
pub(super) fn table(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!(
        "vrrpd_{}",
        name.chars().take(NAME_MAX).map(safe).collect::<String>()
    )
}

/// Replaces whatever is there by the rules, all sets empty.
pub(super) fn fresh(table: &str, rules: &Rules) -> String {
    format!("{}{}", removed(table), tables(table, rules))
}

/// Replaces the rules; the sets keep their elements.
pub(super) fn changed(table: &str, rules: &Rules) -> String {
    format!(
        "flush table inet {table}\nflush table arp {table}\n{}",
        tables(table, rules)
    )
}

/// Removes the tables, whether or not they are there.
pub(super) fn removed(table: &str) -> String {
    format!(
        "table inet {table} {{}}\ndelete table inet {table}\n\
         table arp {table} {{}}\ndelete table arp {table}\n"
    )
}

fn tables(table: &str, rules: &Rules) -> String {
    let v4: Vec<String> = texts(rules.virtual_addresses.iter().filter(|a| a.is_ipv4()));
    let v6: Vec<String> = texts(rules.virtual_addresses.iter().filter(|a| a.is_ipv6()));
    let mut input = String::new();
    let mut output = String::new();
    for address in &rules.virtual_addresses {
        if let IpAddr::V6(address) = address {
            // The target of a solicitation stands 8 bytes into ICMPv6.
            line(
                &mut input,
                &format!(
                    "icmpv6 type nd-neighbor-solicit @th,64,128 {:#034x} iifname != @held drop",
                    u128::from(*address)
                ),
            );
        }
    }
    if !v6.is_empty() {
        line(
            &mut output,
            &format!(
                "ip6 saddr {{ {} }} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} \
                 oifname != @held drop",
                v6.join(", ")
            ),
        );
    }
    unaccepted(&mut input, rules);
    if !rules.tcp_ports.is_empty() {
        line(&mut input, "iifname \"lo\" accept");
        line(&mut output, "oifname \"lo\" accept");
        exempt(&mut input, "saddr", rules);
        exempt(&mut output, "daddr", rules);
        let ports = texts(&rules.tcp_ports).join(", ");
        line(
            &mut input,
            &format!("tcp dport {{ {ports} }} tcp dport != @open reject with tcp reset"),
        );
        // An acknowledgement that is late must not leave; the resets that tell
        // clients to look for the new Primary must.
        line(
            &mut output,
            &format!("tcp sport {{ {ports} }} tcp flags & rst == 0 tcp sport != @open drop"),
        );
    }
    let mut arp_input = String::new();
    let mut arp_output = String::new();
    if !v4.is_empty() {
        let addresses = v4.join(", ");
        line(
            &mut arp_input,
            &format!(
                "arp operation request arp daddr ip {{ {addresses} }} arp daddr ip != @held drop"
            ),
        );
        // The kernel's own requests name the address as their sender, and so
        // would turn the neighbours' caches back to this host.
        line(
            &mut arp_output,
            &format!("arp saddr ip {{ {addresses} }} arp saddr ip != @held drop"),
        );
    }
    format!(
        "table inet {table} {{\n\
         \tset open {{ type inet_service; flags timeout; }}\n\
         \tset held {{ type ifname; flags timeout; }}\n\
         {}{}}}\n\
         table arp {table} {{\n\
         \tset held {{ type ipv4_addr; flags timeout; }}\n\
         {}{}}}\n",
        chain("input", &input),
        chain("output", &output),
        chain("input", &arp_input),
        chain("output", &arp_output),
    )
}

fn chain(hook: &str, rules: &str) -> String {
    format!(
        "\tchain {hook} {{\n\t\ttype filter hook {hook} priority filter; policy accept;\n{rules}\t}}\n"
    )
}

fn unaccepted(out: &mut String, rules: &Rules) {
    let v4 = texts(rules.unaccepted.iter().filter(|a| a.is_ipv4()));
    if !v4.is_empty() {
        line(out, &format!("ip daddr {{ {} }} drop", v4.join(", ")));
    }
    let v6 = texts(rules.unaccepted.iter().filter(|a| a.is_ipv6()));
    if !v6.is_empty() {
        // RFC 9568 §6.4.3: neighbour discovery goes on.
        let discovery = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }";
        line(out, &format!("{discovery} accept"));
        line(out, &format!("ip6 daddr {{ {} }} drop", v6.join(", ")));
    }
}

fn exempt(out: &mut String, end: &str, rules: &Rules) {
    for (family, hosts) in [
        ("ip", texts(rules.exempt.iter().filter(|a| a.is_ipv4()))),
        ("ip6", texts(rules.exempt.iter().filter(|a| a.is_ipv6()))),
    ] {
        if !hosts.is_empty() {
            line(
                out,
                &format!("{family} {end} {{ {} }} accept", hosts.join(", ")),
            );
        }
    }
}

fn line(out: &mut String, rule: &str) {
    writeln!(out, "\t\t{rule}").expect("a String takes all");
}

/// As texts, each once: nft refuses an element that is there twice.
fn texts<'a, T: ToString + 'a>(items: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    let mut texts: Vec<String> = items.into_iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_name_holds_only_what_nft_reads_as_a_name() {
        assert_eq!(table("manager-a"), "vrrpd_manager_a");
        assert_eq!(table("x; flush ruleset"), "vrrpd_x__flush_ruleset");
    }

    #[test]
    fn rules_admit_by_set_and_exempt_by_host() {
        let rules = Rules {
            name: "a".into(),
            tcp_ports: vec![5432, 5432],
            exempt: vec!["192.0.2.12".parse().expect("address")],
            virtual_addresses: vec![
                "192.0.2.100".parse().expect("address"),
                "fd00::100".parse().expect("address"),
            ],
            unaccepted: vec![],
        };
        let expected = "table inet vrrpd_a {\n\
            \tset open { type inet_service; flags timeout; }\n\
            \tset held { type ifname; flags timeout; }\n\
            \tchain input {\n\
            \t\ttype filter hook input priority filter; policy accept;\n\
            \t\ticmpv6 type nd-neighbor-solicit @th,64,128 0xfd000000000000000000000000000100 iifname != @held drop\n\
            \t\tiifname \"lo\" accept\n\
            \t\tip saddr { 192.0.2.12 } accept\n\
            \t\ttcp dport { 5432 } tcp dport != @open reject with tcp reset\n\
            \t}\n\
            \tchain output {\n\
            \t\ttype filter hook output priority filter; policy accept;\n\
            \t\tip6 saddr { fd00::100 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } oifname != @held drop\n\
            \t\toifname \"lo\" accept\n\
            \t\tip daddr { 192.0.2.12 } accept\n\
            \t\ttcp sport { 5432 } tcp flags & rst == 0 tcp sport != @open drop\n\
            \t}\n\
            }\n\
            table arp vrrpd_a {\n\
            \tset held { type ipv4_addr; flags timeout; }\n\
            \tchain input {\n\
            \t\ttype filter hook input priority filter; policy accept;\n\
            \t\tarp operation request arp daddr ip { 192.0.2.100 } arp daddr ip != @held drop\n\
            \t}\n\
            \tchain output {\n\
            \t\ttype filter hook output priority filter; policy accept;\n\
            \t\tarp saddr ip { 192.0.2.100 } arp saddr ip != @held drop\n\
            \t}\n\
            }\n";
        assert_eq!(tables("vrrpd_a", &rules), expected);
    }
}
