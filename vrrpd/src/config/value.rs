//! Values with a form of their own: durations and addresses.

use core::time::Duration;
use std::net::IpAddr;

use vrrpd_core::router::Address;

/// Reads `192.0.2.100/24`; without a prefix length it is the whole address.
pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    let (ip, prefix) = match text.split_once('/') {
        Some((ip, prefix)) => (ip, Some(prefix)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().map_err(|_| "is not an IP address")?;
    let prefix = match prefix {
        None => whole(ip),
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|prefix| (1..=whole(ip)).contains(prefix))
            .ok_or("has a prefix length that does not fit")?,
    };
    let address = Address {
        ip: unicast(ip)?,
        prefix,
    };
    match ip {
        // The last two prefix lengths leave no room for such addresses (RFC 3021).
        IpAddr::V4(ip) if prefix < 31 => {
            let mask = u32::MAX >> prefix;
            match ip.to_bits() & mask {
                0 => Err("is the address of the network, not of a host"),
                host if host == mask => Err("is the broadcast address of its network"),
                _ => Ok(address),
            }
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(address),
    }
}

/// Whether `ip` is in the subnet of `address`.
pub(crate) fn subnet_holds(address: &Address, ip: IpAddr) -> bool {
    let shift = u32::from(whole(ip) - address.prefix.min(whole(ip)));
    match (address.ip, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) >> shift == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) >> shift == 0,
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Whether no other address is in the subnet of `address`.
pub(super) fn is_alone(address: &Address) -> bool {
    address.prefix == whole(address.ip)
}

fn whole(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// Refuses what is no address of one host.
pub(crate) fn unicast(ip: IpAddr) -> Result<IpAddr, &'static str> {
    if ip.is_unspecified() {
        return Err("names no host");
    }
    if ip.is_multicast() {
        return Err("is a multicast address");
    }
    if ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        return Err("is the broadcast address");
    }
    Ok(ip)
}

/// Reads a whole number with its unit: `200ms`, `1s`, `5m`, `1h`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit_ms = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// A duration as a configuration writes it.
pub(crate) fn written(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1_000) {
        format!("{}s", ms / 1_000)
    } else {
        format!("{ms}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(duration("1s"), Some(Duration::from_secs(1)));
        assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
        for wrong in [
            "",
            "200",
            "ms",
            "-1s",
            "1.5s",
            "1d",
            "1s1",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(written(Duration::from_millis(1500)), "1500ms");
        assert_eq!(written(Duration::from_secs(90)), "90s");
    }

    #[test]
    fn addresses_are_of_hosts() {
        let found = address("192.0.2.100/24").unwrap();
        assert_eq!(found.to_string(), "192.0.2.100/24");
        assert!(subnet_holds(&found, "192.0.2.1".parse().unwrap()));
        assert!(!subnet_holds(&found, "192.0.3.1".parse().unwrap()));
        assert!(!subnet_holds(&found, "2001:db8::1".parse().unwrap()));
        assert_eq!(address("192.0.2.100").unwrap().prefix, 32);
        let six = address("fe80::64/64").unwrap();
        assert!(subnet_holds(&six, "fe80::1".parse().unwrap()));
        assert!(!subnet_holds(&six, "fe80:0:0:1::1".parse().unwrap()));
        assert!(address("192.0.2.0/31").is_ok());
        for (wrong, why) in [
            ("service", "is not an IP address"),
            ("192.0.2.100/33", "has a prefix length that does not fit"),
            ("192.0.2.100/0", "has a prefix length that does not fit"),
            ("192.0.2.100/x", "has a prefix length that does not fit"),
            ("fe80::1/129", "has a prefix length that does not fit"),
            ("224.0.0.18/24", "is a multicast address"),
            ("0.0.0.0/24", "names no host"),
            (
                "192.0.2.0/24",
                "is the address of the network, not of a host",
            ),
            ("192.0.2.255/24", "is the broadcast address of its network"),
        ] {
            assert_eq!(address(wrong), Err(why), "{wrong}");
        }
    }
}
