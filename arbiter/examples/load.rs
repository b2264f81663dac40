//! What an arbiter costs: many pools' Primaries renew their leases with it.
//!
//! ```text
//! load prepare DIRECTORY POOLS      writes DIRECTORY/arbiter.toml, keys and states
//! arbiterd -c DIRECTORY/arbiter.toml &
//! load run DIRECTORY POOLS MILLISECONDS SECONDS PID
//! ```
//!
//! Every pool renews each so many milliseconds, spread over them. The last line
//! is JSON: renewals, how many were answered, and the processor time of PID.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vrrpd::seal::{Boot, Key, MAX_DATAGRAM, PoolId, Session, Verdict, pool_of};
use vrrpd::store::Store;
use vrrpd_core::pool::message::{Body, Envelope, Nonce, Report};
use vrrpd_core::pool::record::{
    CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters,
};

const PORT: u16 = 18_112;
const COPY: CopyId = CopyId(0xc0);
const VOTERS: Voters = Voters([Incarnation(0xa), Incarnation(0xb), Incarnation(0xc)]);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", directory, pools] => prepare(&std::path::absolute(directory)?, pools.parse()?),
        ["run", directory, pools, interval, seconds, pid] => {
            let interval = Duration::from_millis(interval.parse()?);
            let time = Duration::from_secs(seconds.parse()?);
            run(Path::new(directory), pools.parse()?, interval, time, pid)
        }
        _ => Err(
            "usage: load prepare DIRECTORY POOLS | run DIRECTORY POOLS MILLISECONDS SECONDS PID"
                .into(),
        ),
    }
}

fn record() -> Record {
    let (a, b) = (NodeId::A, NodeId::B);
    Record {
        epoch: Epoch {
            counter: 1,
            node: a,
        },
        version: 0,
        primary: a,
        in_sync: InSync::only(a, COPY).with(b, Some(CopyId(0xc1))),
        voters: VOTERS,
        forced: false,
    }
}

fn key_file(directory: &Path, pool: usize) -> PathBuf {
    directory.join(format!("pool{pool}.key"))
}

fn prepare(directory: &Path, pools: usize) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let state = directory.join("state");
    let mut config = format!(
        "address = \"127.0.0.1\"\nport = {PORT}\n[paths]\nstate = \"{}\"\n",
        state.display()
    );
    for pool in 0..pools {
        let path = key_file(directory, pool);
        fs::write(&path, Key::generate()?.to_hex())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        config += &format!(
            "[[pool]]\nname = \"pool{pool}\"\nkey_file = \"{}\"\nadvertise_interval = \"100ms\"\nlease = \"300ms\"\n",
            path.display()
        );
        Store::open(&state.join(format!("pool{pool}")))?.save(&Durable {
            record: Some(record()),
            effective: Some(record()),
            promised: record().epoch,
            ..Durable::blank(VOTERS.of(NodeId::R))
        })?;
    }
    fs::write(directory.join("arbiter.toml"), config)?;
    Ok(())
}

/// A Primary, as far as an arbiter can tell.
struct Primary {
    id: PoolId,
    session: Session,
    count: u64,
}

impl Primary {
    fn new(directory: &Path, pool: usize, boots: u64) -> Result<Self, Box<dyn Error>> {
        let key = Key::read(&key_file(directory, pool))?;
        let own = Boot {
            incarnation: VOTERS.of(NodeId::A),
            boots,
        };
        Ok(Self {
            id: key.pool_id(),
            session: Session::new(&key, NodeId::A, own),
            count: 0,
        })
    }

    fn renewal(&mut self, boots: u64) -> Vec<u8> {
        self.count += 1;
        self.session.stamp(&Envelope {
            from: NodeId::A,
            to: NodeId::R,
            incarnation: VOTERS.of(NodeId::A),
            boots,
            seen: None,
            report: Report {
                priority: 150,
                active: false,
                blank: false,
                primary: true,
                healthy: true,
                copy: Some(COPY),
                position: None,
                offer: None,
                pause: Default::default(),
            },
            body: Body::Renew {
                record: record(),
                effective: true,
                nonce: Nonce {
                    boots,
                    count: self.count,
                },
            },
        })
    }
}

fn run(
    directory: &Path,
    pools: usize,
    interval: Duration,
    time: Duration,
    pid: &str,
) -> Result<(), Box<dyn Error>> {
    // Later than any run before.
    let boots = vrrpd::driver::now().as_nanos();
    let mut primaries = (0..pools)
        .map(|pool| Primary::new(directory, pool, boots))
        .collect::<Result<Vec<_>, _>>()?;
    let places: std::collections::HashMap<PoolId, usize> = primaries
        .iter()
        .enumerate()
        .map(|(n, primary)| (primary.id, n))
        .collect();
    let arbiter = SocketAddr::from(([127, 0, 0, 1], PORT));
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let mut buffer = [0; MAX_DATAGRAM];
    let (mut sent, mut answered) = (0_u64, 0_u64);
    let gap = interval / u32::try_from(pools)?;
    let start = Instant::now();
    let before = processor_ms(pid)?;
    let mut next = start;
    while start.elapsed() < time {
        while next <= Instant::now() {
            let pool = usize::try_from(sent)? % pools;
            let datagram = primaries[pool].renewal(boots);
            if socket.send_to(&datagram, arbiter).is_ok() {
                sent += 1;
            }
            next += gap;
        }
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            let Some(&place) = pool_of(&buffer[..length]).and_then(|id| places.get(&id)) else {
                continue;
            };
            match primaries[place]
                .session
                .open(&buffer[..length], vrrpd::driver::now())
            {
                Verdict::Accepted(envelope) => {
                    answered += u64::from(matches!(envelope.body, Body::Renewed { .. }));
                }
                Verdict::Reply(datagram) => {
                    socket.send_to(&datagram, arbiter)?;
                }
                Verdict::RolledBack(_) | Verdict::Dropped(_) => {}
            }
        }
        std::thread::park_timeout(Duration::from_micros(500));
    }
    let used = processor_ms(pid)? - before;
    let percent = 100.0 * used / (start.elapsed().as_secs_f64() * 1_000.0);
    println!("{{\"renewals\":{sent},\"answered\":{answered},\"cpu_percent\":{percent:.1}}}");
    Ok(())
}

/// User and system time of a process so far, in milliseconds.
fn processor_ms(pid: &str) -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanos = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(nanos.parse::<f64>()? / 1e6)
}
