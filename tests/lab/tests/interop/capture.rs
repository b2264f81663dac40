//! What passed a host's link: kept by tcpdump, read as it grows, dissected by
//! tshark in the end.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab::clock::wait_for;
use lab::fault::{Attempt, Fault, Result};
use lab::host::Host;
use lab::pool::PATIENCE;
use lab::process::Program;

/// An advertisement on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advert {
    /// Since 1970, by the machine's clock.
    pub(crate) at: Duration,
    pub(crate) source: IpAddr,
    pub(crate) version: u8,
    /// 0: its sender stops.
    pub(crate) priority: u8,
}

/// What tshark says of one sender's packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    /// Whose checksum is right with the pseudo-header only.
    pub(crate) with_pseudo_header: usize,
    /// Whose checksum is right without it only.
    pub(crate) without: usize,
    /// Whose checksum has one form.
    pub(crate) one_form: usize,
}

#[derive(Debug)]
pub(crate) struct Capture(PathBuf);

impl Capture {
    /// Keeps the VRRP packets on `eth0` of `host` from now on.
    pub(crate) fn start(host: &mut Host) -> Result<Self> {
        let path = host.log().join("vrrp.pcap");
        host.start(&Program {
            name: "tcpdump".into(),
            path: "/usr/bin/tcpdump".into(),
            arguments: [
                "-q",
                "-Z",
                "root",
                "-i",
                "eth0",
                "-U",
                "--immediate-mode",
                "-w",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain([path.display().to_string(), "proto 112".into()])
            .collect(),
            environment: Vec::new(),
            user: None,
        })?;
        let capture = Self(path);
        wait_for("tcpdump listens", PATIENCE, || {
            let length = fs::metadata(&capture.0).map(|file| file.len());
            match length {
                Ok(24..) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        Ok(capture)
    }

    /// All advertisements so far.
    pub(crate) fn adverts(&self) -> Result<Vec<Advert>> {
        let bytes = fs::read(&self.0).attempt(|| format!("read {}", self.0.display()))?;
        Ok(read(&bytes))
    }

    /// Waits until `question` has an answer in what has passed.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        question: impl Fn(&[Advert]) -> Option<T>,
    ) -> Result<T> {
        wait_for(what, PATIENCE, || {
            let adverts = self.adverts().map_err(|fault| fault.to_string())?;
            let last: Vec<_> = adverts.iter().rev().take(4).collect();
            question(&adverts).ok_or_else(|| format!("{last:?}"))
        })
    }

    /// What tshark says of the packets that `source` sent.
    ///
    /// # Errors
    ///
    /// It finds one malformed, of another TTL, or of a checksum of no form.
    pub(crate) fn dissect(&self, source: IpAddr, hop_limit: u8) -> Result<Verdict> {
        // Two looks at the same packets, while tcpdump goes on.
        let copy = self.0.with_extension("copy");
        let bytes = fs::read(&self.0).attempt(|| format!("read {}", self.0.display()))?;
        fs::write(&copy, whole(&bytes)).attempt(|| format!("write {}", copy.display()))?;
        let with = dissect(&copy, source, hop_limit, "FALSE")?;
        let without = dissect(&copy, source, hop_limit, "TRUE")?;
        if with.is_empty() || with.len() != without.len() {
            return Err(Fault::new(format!(
                "tshark saw {} and {} packets of {source}",
                with.len(),
                without.len()
            )));
        }
        let mut verdict = Verdict::default();
        for (number, pair) in with.into_iter().zip(without).enumerate() {
            match pair {
                (true, true) => verdict.one_form += 1,
                (true, false) => verdict.with_pseudo_header += 1,
                (false, true) => verdict.without += 1,
                (false, false) => {
                    let text = format!("the checksum of packet {number} of {source} is bad");
                    return Err(Fault::new(text));
                }
            }
        }
        Ok(verdict)
    }
}

/// For each packet of `source`, whether the checksum is right.
fn dissect(path: &Path, source: IpAddr, hop_limit: u8, as_in_v2: &str) -> Result<Vec<bool>> {
    let fields = [
        "vrrp.checksum.status",
        "_ws.malformed",
        "_ws.expert.severity",
        "ip.ttl",
        "ipv6.hlim",
        "ip.dsfield",
        "ipv6.tclass",
    ];
    let family = if source.is_ipv4() { "ip" } else { "ipv6" };
    let mut tshark = Command::new("tshark");
    tshark
        .args(["-n", "-r"])
        .arg(path)
        .args(["-o", &format!("vrrp.v3_checksum_as_in_v2:{as_in_v2}")])
        .args(["-o", "ip.check_checksum:TRUE"])
        .args(["-Y", &format!("vrrp && {family}.src == {source}")])
        .args(["-T", "fields", "-E", "separator=|"])
        .args(fields.iter().flat_map(|field| ["-e", field]));
    let output = tshark.output().attempt(|| "run tshark".into())?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Fault::new(format!("tshark: {}", errors.trim_end())));
    }
    let text = String::from_utf8(output.stdout).attempt(|| "read what tshark says".into())?;
    text.lines()
        .map(|line| judge(line, source, hop_limit))
        .collect()
}

/// One line of fields.
fn judge(line: &str, source: IpAddr, hop_limit: u8) -> Result<bool> {
    let fields: Vec<&str> = line.split('|').collect();
    let [status, malformed, severity, ttl, limit, field, class] = fields[..] else {
        return Err(Fault::new(format!("tshark says: {line}")));
    };
    // A checksum of the other form is the only thing to remark on.
    let remarks = !severity.is_empty() && status == "1";
    let class = if field.is_empty() { class } else { field };
    let (class, limit) = (
        class.trim_start_matches("0x").trim_start_matches('0'),
        format!("{ttl}{limit}"),
    );
    if !malformed.is_empty() || remarks || limit != hop_limit.to_string() || class != "c0" {
        return Err(Fault::new(format!(
            "tshark says of a packet of {source}: {line}"
        )));
    }
    Ok(status == "1")
}

/// A pcap file without a last record that is not whole yet.
fn whole(bytes: &[u8]) -> &[u8] {
    let rest = records(bytes)
        .last()
        .map_or(bytes.get(24..), |record| Some(record.rest));
    &bytes[..bytes.len() - rest.map_or(0, <[u8]>::len)]
}

/// The advertisements of a pcap file.
fn read(bytes: &[u8]) -> Vec<Advert> {
    records(bytes)
        .filter_map(|record| advert(record.at, record.frame))
        .collect()
}

/// A packet that was kept.
struct Record<'a> {
    at: Duration,
    frame: &'a [u8],
    /// What follows it in the file.
    rest: &'a [u8],
}

/// The whole records of a pcap file.
fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = bytes.get(24..).unwrap_or(&[]);
    std::iter::from_fn(move || {
        let (header, after) = rest.split_first_chunk::<16>()?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (frame, after) = after.split_at_checked(word(8) as usize)?;
        rest = after;
        let at = Duration::new(word(0).into(), word(4) * 1_000);
        Some(Record { at, frame, rest })
    })
}

fn advert(at: Duration, frame: &[u8]) -> Option<Advert> {
    let packet = frame.get(14..)?;
    let (source, payload): (IpAddr, &[u8]) = if packet.first()? >> 4 == 4 {
        let source: [u8; 4] = *packet.get(12..)?.first_chunk()?;
        (
            source.into(),
            packet.get(usize::from(packet[0] & 15) * 4..)?,
        )
    } else {
        let source: [u8; 16] = *packet.get(8..)?.first_chunk()?;
        (Ipv6Addr::from(source).into(), packet.get(40..)?)
    };
    Some(Advert {
        at,
        source,
        version: payload.first()? >> 4,
        priority: *payload.get(2)?,
    })
}
