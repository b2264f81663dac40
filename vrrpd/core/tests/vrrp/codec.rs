//! Bytes, written out by hand, and what they say.

use proptest::prelude::*;
use vrrpd_core::packet::{
    self, Addresses, Advert, Centiseconds, Family, Form, Header, Priority, Received, Refusal,
    Version, Vrid,
};

use crate::support::{cs, ip, priority};

/// vrid 51, priority 150, 200 ms, 192.0.2.100; no pseudo-header.
const V3_PLAIN: [u8; 12] = [
    0x31, 0x33, 0x96, 0x01, 0x00, 0x14, 0x76, 0x52, 0xc0, 0x00, 0x02, 0x64,
];
/// The same as keepalived sends it, from 192.0.2.11 to 224.0.0.18.
const V3_PSEUDO: [u8; 12] = [
    0x31, 0x33, 0x96, 0x01, 0x00, 0x14, 0xd3, 0xb7, 0xc0, 0x00, 0x02, 0x64,
];
/// fe80::11 to ff02::12, 1 s, fe80::100 and 2001:db8::100.
const V3_IPV6: [u8; 40] = [
    0x31, 0x33, 0x96, 0x02, 0x00, 0x64, 0x0b, 0xed, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
];
/// VRRPv2: vrid 51, priority 100, 1 s, 192.0.2.100.
const V2: [u8; 20] = [
    0x21, 0x33, 0x64, 0x01, 0x00, 0x01, 0xb8, 0x65, 0xc0, 0x00, 0x02, 0x64, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00,
];

fn header_v4() -> Header {
    Header {
        source: ip("192.0.2.11"),
        destination: ip("224.0.0.18"),
        hop_limit: 255,
    }
}

fn header_v6() -> Header {
    Header {
        source: ip("fe80::11"),
        destination: ip("ff02::12"),
        hop_limit: 255,
    }
}

fn v3_advert() -> Advert {
    Advert {
        version: Version::V3,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(150),
        interval: cs(20),
        addresses: Addresses::V4(vec!["192.0.2.100".parse().unwrap()]),
    }
}

fn ipv6_advert() -> Advert {
    Advert {
        interval: cs(100),
        addresses: Addresses::V6(vec![
            "fe80::100".parse().unwrap(),
            "2001:db8::100".parse().unwrap(),
        ]),
        ..v3_advert()
    }
}

fn v2_advert() -> Advert {
    Advert {
        version: Version::V2,
        priority: Priority::new(100),
        interval: cs(100),
        ..v3_advert()
    }
}

fn refusal_v4(payload: &[u8]) -> Refusal {
    packet::decode(&header_v4(), payload).unwrap_err()
}

/// RFC9568-7.2-1 positive
/// RFC9568-5.2.6-1 positive
#[test]
fn v3_over_ipv4_is_written() {
    let (source, destination) = (ip("192.0.2.11"), ip("224.0.0.18"));
    let plain = packet::encode(&v3_advert(), Form::Plain, source, destination);
    assert_eq!(plain, V3_PLAIN);
    let pseudo = packet::encode(&v3_advert(), Form::PseudoHeader, source, destination);
    assert_eq!(pseudo, V3_PSEUDO);
}

/// RFC9568-5.2.8-1 positive
/// RFC9568-7.1-1 positive
/// RFC9568-7.1-3 positive
/// RFC9568-5.2.2-1 positive
/// RFC9568-5.1.1.3-2 positive
/// RFC9568-5.2.5-1 positive
/// RFC9568-7.1-5 positive
#[test]
fn case_14_v3_over_ipv4_is_read_in_either_form_and_which_is_told() {
    for (bytes, form) in [(V3_PLAIN, Form::Plain), (V3_PSEUDO, Form::PseudoHeader)] {
        let received = packet::decode(&header_v4(), &bytes).unwrap();
        let expected = Received {
            source: ip("192.0.2.11"),
            form,
            advert: v3_advert(),
        };
        assert_eq!(received, expected);
    }
}

/// RFC9568-5.1.2.3-2 positive
/// RFC9568-5.2.9-1 positive
#[test]
fn v3_over_ipv6_is_written_and_read() {
    let (source, destination) = (ip("fe80::11"), ip("ff02::12"));
    // The configured form is of no interest: over IPv6 there is one.
    for form in [Form::Plain, Form::PseudoHeader] {
        let bytes = packet::encode(&ipv6_advert(), form, source, destination);
        assert_eq!(bytes, V3_IPV6);
    }
    let received = packet::decode(&header_v6(), &V3_IPV6).unwrap();
    assert_eq!(received.advert, ipv6_advert());
    assert_eq!(received.form, Form::PseudoHeader);
}

/// RFC3768-5.3-1 positive
/// RFC3768-7.1-2 positive
#[test]
fn v2_is_written_and_read() {
    let (source, destination) = (ip("192.0.2.11"), ip("224.0.0.18"));
    for form in [Form::Plain, Form::PseudoHeader] {
        let bytes = packet::encode(&v2_advert(), form, source, destination);
        assert_eq!(bytes, V2);
    }
    let received = packet::decode(&header_v4(), &V2).unwrap();
    assert_eq!(received.advert, v2_advert());
}

#[test]
fn priority_0_says_that_the_sender_stops() {
    let bytes = [
        0x31, 0x33, 0x00, 0x01, 0x00, 0x14, 0x0c, 0x53, 0xc0, 0x00, 0x02, 0x64,
    ];
    let advert = Advert {
        priority: None,
        ..v3_advert()
    };
    let (source, destination) = (ip("192.0.2.11"), ip("224.0.0.18"));
    assert_eq!(
        packet::encode(&advert, Form::Plain, source, destination),
        bytes
    );
    assert_eq!(packet::decode(&header_v4(), &bytes).unwrap().advert, advert);
}

/// RFC9568-5.2.6-1 negative
#[test]
fn reserved_bits_are_ignored() {
    let bytes = [
        0x31, 0x33, 0x96, 0x01, 0xf0, 0x14, 0x86, 0x51, 0xc0, 0x00, 0x02, 0x64,
    ];
    let received = packet::decode(&header_v4(), &bytes).unwrap();
    assert_eq!(received.advert, v3_advert());
}

#[test]
fn the_longest_interval_and_two_addresses() {
    let bytes = [
        0x31, 0x33, 0x96, 0x02, 0x0f, 0xff, 0xa4, 0x00, 0xc0, 0x00, 0x02, 0x64, 0xc0, 0x00, 0x02,
        0x65,
    ];
    let advert = packet::decode(&header_v4(), &bytes).unwrap().advert;
    assert_eq!(advert.interval, Centiseconds::V3_MAX);
    assert_eq!(
        advert.addresses.iter().collect::<Vec<_>>(),
        [ip("192.0.2.100"), ip("192.0.2.101")]
    );
}

/// RFC9568-5.1.1.3-2 negative
/// RFC9568-5.1.2.3-2 negative
#[test]
fn a_hop_limit_other_than_255_is_refused() {
    for hop_limit in [0, 1, 64, 254] {
        let v4 = Header {
            hop_limit,
            ..header_v4()
        };
        let v6 = Header {
            hop_limit,
            ..header_v6()
        };
        assert_eq!(packet::decode(&v4, &V3_PLAIN), Err(Refusal::HopLimit));
        assert_eq!(packet::decode(&v6, &V3_IPV6), Err(Refusal::HopLimit));
    }
}

/// RFC9568-7.1-1 negative
#[test]
fn an_unknown_version_is_refused() {
    let version_4 = [
        0x41, 0x33, 0x96, 0x01, 0x00, 0x14, 0x66, 0x52, 0xc0, 0x00, 0x02, 0x64,
    ];
    assert_eq!(refusal_v4(&version_4), Refusal::Version);
    let v2_over_ipv6 = [
        0x21, 0x33, 0x64, 0x01, 0x00, 0x01, 0x7d, 0x12, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ];
    assert_eq!(
        packet::decode(&header_v6(), &v2_over_ipv6),
        Err(Refusal::Version)
    );
}

/// RFC9568-5.2.2-1 negative
#[test]
fn an_unknown_type_is_refused() {
    let type_2 = [
        0x32, 0x33, 0x96, 0x01, 0x00, 0x14, 0x75, 0x52, 0xc0, 0x00, 0x02, 0x64,
    ];
    assert_eq!(refusal_v4(&type_2), Refusal::Type);
}

/// RFC9568-7.1-3 negative
/// RFC3768-7.1-2 negative
#[test]
fn a_truncated_message_is_refused() {
    for length in 0..V3_PLAIN.len() {
        assert_eq!(refusal_v4(&V3_PLAIN[..length]), Refusal::Length);
    }
    for length in 0..V2.len() {
        assert_eq!(refusal_v4(&V2[..length]), Refusal::Length);
    }
    for length in 0..V3_IPV6.len() {
        assert_eq!(
            packet::decode(&header_v6(), &V3_IPV6[..length]),
            Err(Refusal::Length)
        );
    }
}

#[test]
fn bytes_after_the_message_are_ignored() {
    for form in [V3_PLAIN, V3_PSEUDO] {
        let longer = [&form[..], &[0xde, 0xad, 0xbe, 0xef, 0x01]].concat();
        let received = packet::decode(&header_v4(), &longer).unwrap();
        assert_eq!(received.advert, v3_advert());
    }
}

/// RFC9568-5.2.8-1 negative
#[test]
fn case_14_every_flipped_bit_is_noticed() {
    for bit in 0..V3_PLAIN.len() * 8 {
        for good in [V3_PLAIN, V3_PSEUDO] {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(packet::decode(&header_v4(), &bad).is_err(), "bit {bit}");
        }
    }
    for bit in 0..V3_IPV6.len() * 8 {
        let mut bad = V3_IPV6;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(packet::decode(&header_v6(), &bad).is_err(), "bit {bit}");
    }
    // Over IPv6 the pseudo-header is no option: from another address it is wrong.
    let elsewhere = Header {
        source: ip("fe80::12"),
        ..header_v6()
    };
    assert_eq!(packet::decode(&elsewhere, &V3_IPV6), Err(Refusal::Checksum));
}

#[test]
fn virtual_router_0_is_refused() {
    let vrid_0 = [
        0x31, 0x00, 0x96, 0x01, 0x00, 0x14, 0x76, 0x85, 0xc0, 0x00, 0x02, 0x64,
    ];
    assert_eq!(refusal_v4(&vrid_0), Refusal::VridZero);
}

/// RFC9568-5.2.5-1 negative
#[test]
fn case_12_count_0_is_refused() {
    let v4 = [0x31, 0x33, 0x96, 0x00, 0x00, 0x14, 0x38, 0xb8];
    assert_eq!(refusal_v4(&v4), Refusal::CountZero);
    let v6 = [0x31, 0x33, 0x96, 0x00, 0x00, 0x64, 0x3a, 0x49];
    assert_eq!(packet::decode(&header_v6(), &v6), Err(Refusal::CountZero));
}

/// RFC9568-7.1-5 negative
#[test]
fn case_12_interval_0_is_refused() {
    let v3 = [
        0x31, 0x33, 0x96, 0x01, 0x00, 0x00, 0x76, 0x66, 0xc0, 0x00, 0x02, 0x64,
    ];
    assert_eq!(refusal_v4(&v3), Refusal::IntervalZero);
    let reserved_bits_do_not_count = [
        0x31, 0x33, 0x96, 0x01, 0xf0, 0x00, 0x86, 0x65, 0xc0, 0x00, 0x02, 0x64,
    ];
    assert_eq!(
        refusal_v4(&reserved_bits_do_not_count),
        Refusal::IntervalZero
    );
    let v2 = [
        0x21, 0x33, 0x64, 0x01, 0x00, 0x00, 0xb8, 0x66, 0xc0, 0x00, 0x02, 0x64, 0, 0, 0, 0, 0, 0,
        0, 0,
    ];
    assert_eq!(refusal_v4(&v2), Refusal::IntervalZero);
}

/// RFC9568-5.2.9-1 negative
#[test]
fn an_ipv6_list_that_begins_with_a_global_address_is_refused() {
    let global = [
        0x31, 0x33, 0x96, 0x01, 0x00, 0x64, 0x0b, 0x7f, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    ];
    assert_eq!(
        packet::decode(&header_v6(), &global),
        Err(Refusal::NotLinkLocal)
    );
}

/// RFC3768-7.1-5 negative
#[test]
fn v2_with_a_password_is_refused() {
    let bytes = [
        0x21, 0x33, 0x64, 0x01, 0x01, 0x01, 0x7b, 0x19, 0xc0, 0x00, 0x02, 0x64, b's', b'e', b'c',
        b'r', b'e', b't', 0, 0,
    ];
    assert_eq!(refusal_v4(&bytes), Refusal::AuthType);
}

/// An IPv4 packet with `options` 4-byte words of options and `padding`.
fn ipv4_packet(options: u8, payload: &[u8], padding: usize) -> Vec<u8> {
    let total = 20 + 4 * usize::from(options) + payload.len();
    let mut packet = vec![0x45 + options, 0xc0];
    packet.extend_from_slice(&u16::try_from(total).unwrap().to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 255, 112, 0, 0, 192, 0, 2, 11, 224, 0, 0, 18]);
    packet.extend(core::iter::repeat_n(1, 4 * usize::from(options)));
    packet.extend_from_slice(payload);
    packet.extend(core::iter::repeat_n(0, padding));
    packet
}

#[test]
fn case_15_options_and_padding_are_passed_over() {
    for options in 0..=10 {
        for padding in [0, 1, 14, 100] {
            let packet = ipv4_packet(options, &V3_PLAIN, padding);
            let (header, payload) = packet::split_ipv4(&packet).unwrap();
            assert_eq!(header, header_v4());
            assert_eq!(payload, V3_PLAIN);
        }
    }
}

#[test]
fn case_15_a_header_that_contradicts_itself_is_refused() {
    let good = ipv4_packet(1, &V3_PLAIN, 0);
    for length in 0..good.len() {
        assert_eq!(
            packet::split_ipv4(&good[..length]),
            Err(Refusal::IpHeader),
            "{length}"
        );
    }
    let with = |place: usize, value: u8| {
        let mut packet = good.clone();
        packet[place] = value;
        packet
    };
    for bad in [
        with(0, 0x65), // IPv6
        with(0, 0x44), // a header of 16 bytes
        with(3, 19),   // a total length within the header
        with(3, 23),   // a total length within the options
        with(2, 0x40), // a total length beyond the packet
    ] {
        assert_eq!(packet::split_ipv4(&bad), Err(Refusal::IpHeader));
    }
    // The options reach to the end: an empty payload, refused as too short.
    let only_options = with(3, 24);
    let (header, payload) = packet::split_ipv4(&only_options).unwrap();
    assert_eq!(packet::decode(&header, payload), Err(Refusal::Length));
}

#[test]
fn case_15_255_addresses_are_read_and_written() {
    let list: Vec<_> = (0..255u8).map(|last| [192, 0, 2, last].into()).collect();
    let advert = Advert {
        addresses: Addresses::V4(list),
        ..v3_advert()
    };
    let bytes = packet::encode(&advert, Form::Plain, ip("192.0.2.11"), ip("224.0.0.18"));
    assert_eq!(bytes.len(), 8 + 255 * 4);
    assert_eq!(packet::decode(&header_v4(), &bytes).unwrap().advert, advert);
    assert_eq!(refusal_v4(&bytes[..bytes.len() - 1]), Refusal::Length);
}

#[test]
#[should_panic(expected = "an interval that the version cannot carry")]
fn v3_cannot_carry_more_than_40_95_s() {
    let advert = Advert {
        interval: cs(4096),
        ..v3_advert()
    };
    packet::encode(&advert, Form::Plain, ip("192.0.2.11"), ip("224.0.0.18"));
}

#[test]
fn newtypes_hold_only_what_is_legal() {
    assert_eq!(Vrid::new(0), None);
    assert_eq!(Priority::new(0), None);
    assert!(Priority::new(255).unwrap().is_owner());
    assert_eq!(Centiseconds::new(0), None);
    assert_eq!(Centiseconds::new(25_501), None);
    let from = |millis| Centiseconds::from_duration(core::time::Duration::from_millis(millis));
    assert_eq!(from(200), Some(cs(20)));
    assert_eq!(from(205), None);
    assert_eq!(from(0), None);
    assert!(Version::V3.carries(cs(4095)) && !Version::V3.carries(cs(4096)));
    assert!(Version::V2.carries(cs(25_500)) && !Version::V2.carries(cs(150)));
}

#[test]
fn a_refusal_is_counted_under_its_own_reason() {
    let mut refusals = packet::Refusals::default();
    for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal as usize, place);
        assert_eq!(refusals.count(refusal), 1);
    }
    assert_eq!(refusals.count(Refusal::Checksum), 2);
    assert_eq!(refusals.total(), Refusal::ALL.len() as u64 + 1);
    assert_eq!(refusals.of(Refusal::Length), 1);
}

fn any_advert() -> impl Strategy<Value = Advert> {
    let addresses = prop_oneof![
        proptest::collection::vec(any::<[u8; 4]>(), 1..=255)
            .prop_map(|list| Addresses::V4(list.into_iter().map(Into::into).collect())),
        proptest::collection::vec(any::<[u8; 16]>(), 1..=255).prop_map(|mut list| {
            list[0][..2].copy_from_slice(&[0xfe, 0x80]);
            Addresses::V6(list.into_iter().map(Into::into).collect())
        }),
    ];
    let fields = (
        1..=255u8,
        any::<u8>(),
        1..=4095u16,
        any::<bool>(),
        addresses,
    );
    fields.prop_map(|(vrid, value, interval, old, addresses)| {
        let v2 = old && addresses.family() == Family::V4;
        Advert {
            version: if v2 { Version::V2 } else { Version::V3 },
            vrid: Vrid::new(vrid).unwrap(),
            priority: Priority::new(value),
            interval: if v2 {
                cs((interval % 255 + 1) * 100)
            } else {
                cs(interval)
            },
            addresses,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        advert in any_advert(),
        pseudo in any::<bool>(),
        trailer in proptest::collection::vec(any::<u8>(), 0..32),
    ) {
        let header = match advert.addresses.family() {
            Family::V4 => header_v4(),
            Family::V6 => header_v6(),
        };
        let form = if pseudo { Form::PseudoHeader } else { Form::Plain };
        let mut bytes = packet::encode(&advert, form, header.source, header.destination);
        bytes.extend(trailer);
        let received = packet::decode(&header, &bytes).unwrap();
        prop_assert_eq!(received.advert, advert);
    }

    #[test]
    fn case_15_arbitrary_bytes_are_no_reason_to_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        v6 in any::<bool>(),
    ) {
        let header = if v6 { header_v6() } else { header_v4() };
        let _verdict = packet::decode(&header, &bytes);
        let _vrid = packet::peek_vrid(&bytes);
        if let Ok((_, payload)) = packet::split_ipv4(&bytes) {
            prop_assert!(payload.len() + 20 <= bytes.len());
        }
    }

    /// Nearly legal: what follows the checks is reached, too.
    #[test]
    fn case_15_a_disturbed_message_is_no_reason_to_panic(
        advert in any_advert(),
        at in any::<proptest::sample::Index>(),
        value in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let header = match advert.addresses.family() {
            Family::V4 => header_v4(),
            Family::V6 => header_v6(),
        };
        let mut bytes = packet::encode(&advert, Form::Plain, header.source, header.destination);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let cut = cut.index(bytes.len() + 1);
        if let Ok(received) = packet::decode(&header, &bytes[..cut]) {
            prop_assert_eq!(
                received.advert.addresses.count(),
                usize::from(bytes[3])
            );
        }
    }

    #[test]
    fn what_is_read_can_be_written(bytes in proptest::collection::vec(any::<u8>(), 8..64)) {
        // The checksum is put right, so that most get further.
        let mut bytes = bytes;
        bytes[0] = 0x31;
        bytes[3] %= 4;
        let length = 8 + 4 * usize::from(bytes[3]);
        bytes.resize(length, 7);
        bytes[6..8].fill(0);
        let sum: u64 = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1])).sum();
        let folded = (sum >> 16) + (sum & 0xffff);
        let folded = (folded >> 16) + (folded & 0xffff);
        bytes[6..8].copy_from_slice(&(!(folded as u16)).to_be_bytes());
        if let Ok(received) = packet::decode(&header_v4(), &bytes) {
            prop_assert_eq!(received.form, Form::Plain);
            bytes[4] &= 0x0f;
            bytes[6..8].fill(0);
            let (source, destination) = (ip("192.0.2.11"), ip("224.0.0.18"));
            let mut again = packet::encode(&received.advert, Form::Plain, source, destination);
            again[6..8].fill(0);
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn priorities_compare_as_numbers() {
    assert!(priority(101) > priority(99));
    assert!(Priority::OWNER > Priority::BACKUP_MAX);
}
