//! The lab's own instruments, on hosts that run none of the daemons: what is
//! meant to see a fault has to see one.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use lab::clock::{Moment, wait_for};
use lab::directory::Directory;
use lab::fault::Result;
use lab::host::{Host, Name};
use lab::ledger::Ledger;
use lab::net::Switch;
use lab::pool::{PATIENCE, VIRTUAL_IP};
use lab::postgres;
use lab::probe::Probe;
use lab::process::Program;
use lab::timeline::Timeline;
use lab::wire::Connection;
use lab::writer::{FieldUnits, Habits, TABLE};
use nix::sys::signal::Signal;

struct Rig {
    a: Host,
    b: Host,
    client: Host,
    switch: Switch,
    timeline: Timeline,
    _directory: Directory,
}

fn rig() -> Result<Rig> {
    let directory = Directory::new()?;
    let timeline = Timeline::new();
    let switch = Switch::new()?;
    let host = |name| -> Result<Host> {
        let mut host = Host::new(name, directory.path(), &timeline)?;
        host.power_on(&switch)?;
        Ok(host)
    };
    Ok(Rig {
        a: host(Name::ManagerA)?,
        b: host(Name::ManagerB)?,
        client: host(Name::Client)?,
        switch,
        timeline,
        _directory: directory,
    })
}

fn listen(host: &Host) -> TcpListener {
    let everywhere = (Ipv4Addr::UNSPECIFIED, postgres::PORT);
    let bind = move || TcpListener::bind(everywhere);
    host.namespace()
        .expect("power")
        .run(bind)
        .expect("nobody listens there")
}

fn hold(host: &Host) -> Result<()> {
    host.namespace()?
        .ip(&format!("address add {VIRTUAL_IP}/24 dev eth0"))
}

fn reaches(from: &Host, to: &Host) -> bool {
    let address = SocketAddr::from((to.name().address(), postgres::PORT));
    let connect = move || TcpStream::connect_timeout(&address, Duration::from_millis(300));
    from.namespace().expect("power").run(connect).is_ok()
}

#[test]
fn probe_sees_two_hosts_at_once() -> Result<()> {
    let rig = rig()?;
    let listeners = [listen(&rig.a), listen(&rig.b)];
    hold(&rig.a)?;
    hold(&rig.b)?;
    let start = Moment::now();
    let probe = Probe::start(rig.client.namespace()?, VIRTUAL_IP)?;
    wait_for("the probe sees it", PATIENCE, || {
        let seen = probe.seen();
        let is_seen = |what| seen.violations.iter().any(|one| one.what == what);
        let kinds = [
            "both managers answer for the virtual IP",
            "both gates are open",
            "both managers serve at the virtual IP",
        ];
        kinds
            .into_iter()
            .all(is_seen)
            .then_some(())
            .ok_or_else(|| format!("{seen:?}"))
    })?;
    assert!(probe.seen().judge(start).is_err());
    drop(listeners);
    Ok(())
}

#[test]
fn probe_sees_who_serves_and_no_other() -> Result<()> {
    let rig = rig()?;
    let listener = listen(&rig.b);
    hold(&rig.b)?;
    let probe = Probe::start(rig.client.namespace()?, VIRTUAL_IP)?;
    wait_for("a hundred rounds", PATIENCE, || {
        (probe.seen().rounds >= 100)
            .then_some(())
            .ok_or_else(String::new)
    })?;
    let seen = probe.seen();
    assert_eq!(seen.judge(Moment::now()), Ok(()));
    for last in [seen.answered, seen.admitted, seen.served] {
        assert!(last[0].is_none() && last[1].is_some(), "{seen:?}");
    }
    drop(listener);
    Ok(())
}

#[test]
fn cut_can_be_one_way_and_is_mended() -> Result<()> {
    let mut rig = rig()?;
    let listeners = [listen(&rig.a), listen(&rig.b)];
    assert!(reaches(&rig.a, &rig.b));
    rig.switch.cut_one_way("manager-a", "manager-b")?;
    assert!(!reaches(&rig.a, &rig.b), "the request is lost");
    assert!(!reaches(&rig.b, &rig.a), "the answer is lost");
    assert!(reaches(&rig.client, &rig.b), "others are not concerned");
    rig.switch.mend()?;
    assert!(reaches(&rig.a, &rig.b));
    rig.switch.lose("manager-a", "manager-b", 20)?;
    wait_for("a loss, and a success", PATIENCE, || {
        let seen = [(); 20].map(|()| reaches(&rig.a, &rig.b));
        let both = seen.contains(&true) && seen.contains(&false);
        both.then_some(()).ok_or_else(|| format!("{seen:?}"))
    })?;
    drop(listeners);
    Ok(())
}

/// Also of processes that left their parents, as a database server does.
#[test]
fn power_off_ends_all_processes_and_power_on_starts_with_none() -> Result<()> {
    let mut rig = rig()?;
    let program = Program {
        name: "shell".into(),
        path: "/bin/bash".into(),
        arguments: vec![
            "-c".into(),
            "(sleep 1000 &); echo left; exec sleep 1000".into(),
        ],
        environment: Vec::new(),
        user: None,
    };
    let process = rig.a.start(&program)?;
    wait_for("both sleep", PATIENCE, || {
        let count = rig
            .a
            .named("sleep")
            .map_err(|fault| fault.to_string())?
            .len();
        (count == 2).then_some(()).ok_or_else(|| format!("{count}"))
    })?;
    rig.a.power_off(&rig.switch)?;
    assert_eq!(process.signal(Signal::SIGTERM), Ok(false), "it has ended");
    rig.a.power_on(&rig.switch)?;
    assert_eq!(rig.a.named("sleep")?, Vec::<u32>::new());
    let said: Vec<_> = rig
        .timeline
        .entries()
        .into_iter()
        .map(|entry| entry.what)
        .collect();
    assert_eq!(said, ["left", "ended: killed by signal 9"]);
    let listener = listen(&rig.a);
    assert!(reaches(&rig.b, &rig.a), "it is on the network again");
    drop(listener);
    Ok(())
}

#[test]
fn field_units_commit_and_read_and_find_the_server_again() -> Result<()> {
    let mut rig = rig()?;
    hold(&rig.a)?;
    let data = rig.a.disk().join("postgresql/main");
    postgres::prepare(&data)?;
    let (user, group) = postgres::owner()?;
    let program = Program {
        name: "postgres".into(),
        path: format!("{}/postgres", postgres::PROGRAMS).into(),
        arguments: [
            "-D",
            &data.display().to_string(),
            "-c",
            "listen_addresses=*",
            "-k",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([rig.a.run_directory().display().to_string()])
        .collect(),
        environment: Vec::new(),
        user: Some((user.as_raw(), group.as_raw())),
    };
    rig.a.start(&program)?;
    let socket = rig.a.run_directory().join(".s.PGSQL.5432");
    let mut connection = wait_for("PostgreSQL starts", PATIENCE, || {
        Connection::unix(&socket, Duration::from_secs(1)).map_err(|trouble| trouble.to_string())
    })?;
    let patience = Duration::from_secs(5);
    connection
        .query(TABLE, patience)
        .expect("the table is made");
    let ledger = Ledger::default();
    let service = (VIRTUAL_IP, postgres::PORT).into();
    let units = FieldUnits::start(
        rig.client.namespace()?,
        service,
        0,
        Habits::default(),
        &ledger,
    )?;
    units.commits(200, PATIENCE)?;
    let restart = Moment::now();
    rig.a.kill("postgres")?;
    // A new server ends at once while processes of the old one hold its memory.
    let mut server = rig.a.start(&program)?;
    wait_for("PostgreSQL starts again", PATIENCE, || {
        let trouble = match Connection::unix(&socket, Duration::from_secs(1)) {
            Ok(_) => return Ok(()),
            Err(trouble) => trouble.to_string(),
        };
        if server.ended(Duration::ZERO).is_ok() {
            server = rig.a.start(&program).map_err(|fault| fault.to_string())?;
        }
        Err(trouble)
    })?;
    units.commits(200, PATIENCE)?;
    drop(units);
    assert!(
        ledger.count_unknown() <= 4,
        "one of each unit was under way"
    );
    assert!(ledger.sightings().len() > 1);
    let pause = ledger
        .longest_pause(restart)
        .expect("commits came on both sides");
    assert!(pause.to > restart);
    let mut connection = Connection::unix(&socket, patience).expect("it runs again");
    let rows = connection
        .query("SELECT unit, number FROM report", patience)
        .expect("the table is read")
        .rows;
    for (unit, number) in ledger.promises() {
        assert!(rows.contains(&vec![unit.to_string(), number.to_string()]));
    }
    Ok(())
}
