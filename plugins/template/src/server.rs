//! The database server: a process that outlives the plugin that started it.
//!
//! The plugin talks to it through a socket in the database directory, clients
//! and the other server over TCP; a request a line, as JSON.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use replicator::plugin::{ORPHANED, rpc};
use replicator::role::{CopyId, Follower, Lsn, Position, Upstream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::data::{self, Data};

/// Between two looks at what is to be done.
const LOOK: Duration = Duration::from_millis(10);

/// A replica that has not asked for so long is gone.
const GONE: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    /// By the plugin: it is there, for as long as the connection is.
    Attend,
    Status,
    /// Whom, and the password between servers.
    Follow(Option<Upstream>, String),
    Promote(Option<CopyId>),
    /// Whom commits wait for, and the password.
    Synchronous(Option<CopyId>, String),
    Stop,
    /// By a client: commits a line.
    Append(String),
    /// By a replica: what comes after its so many lines, which are on its disk.
    Pull(Follower, String),
    /// By its plugin: all lines.
    History(String),
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Status(Status),
    Lines(CopyId, Vec<String>),
    Failed(String),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) primary: bool,
    pub(crate) synchronous: Option<CopyId>,
    pub(crate) position: Position,
    pub(crate) follower: Option<Follower>,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) streaming: bool,
}

/// Where the plugin reaches the server of `data`.
pub(crate) fn control(data: &Data) -> PathBuf {
    data.0.join("control")
}

/// Asks the server at the other end.
pub(crate) fn ask(mut stream: impl Read + Write, request: &Request) -> io::Result<Reply> {
    rpc::write_line(&mut stream, request)?;
    read(&mut BufReader::new(stream))?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The lines of a read-write server, and which copy they are.
pub(crate) fn ask_upstream(upstream: &Upstream, request: &Request) -> io::Result<Reply> {
    let stream = TcpStream::connect((upstream.host.as_str(), upstream.port))?;
    stream.set_read_timeout(Some(GONE))?;
    ask(stream, request)
}

fn read<T: DeserializeOwned>(reader: &mut BufReader<impl Read>) -> io::Result<Option<T>> {
    match rpc::read_line(reader)? {
        Some(line) => Ok(Some(serde_json::from_str(&line)?)),
        None => Ok(None),
    }
}

struct State {
    data: Data,
    copy: CopyId,
    log: File,
    lines: Vec<String>,
    primary: bool,
    stopping: bool,
    password: String,
    synchronous: Option<CopyId>,
    follower: Option<(Follower, Instant)>,
    upstream: Option<Upstream>,
    streaming: bool,
    plugins: usize,
    /// When a plugin was last there.
    attended: Instant,
}

struct Server {
    state: Mutex<State>,
    changed: Condvar,
}

/// Serves `data` as a standby, until it is stopped or nobody attends to it.
pub(crate) fn serve(data: Data, port: u16) -> io::Result<()> {
    // Only one server can have the port; then what is left there is nobody's.
    let clients = TcpListener::bind(("0.0.0.0", port))?;
    drop(fs::remove_file(control(&data)));
    let plugins = UnixListener::bind(control(&data))?;
    let server = Server {
        state: Mutex::new(State {
            copy: data.copy().ok_or(io::ErrorKind::InvalidData)?,
            log: data.log()?,
            lines: data.lines()?,
            data,
            primary: false,
            stopping: false,
            password: String::new(),
            synchronous: None,
            follower: None,
            upstream: None,
            streaming: false,
            plugins: 0,
            attended: Instant::now(),
        }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || {
            for stream in plugins.incoming().flatten() {
                scope.spawn(move || server.hear(stream, true));
            }
        });
        scope.spawn(move || {
            for stream in clients.incoming().flatten() {
                scope.spawn(move || server.hear(stream, false));
            }
        });
        loop {
            thread::sleep(LOOK);
            if server.lock().is_forsaken() {
                server.stop();
            }
            server.pull();
        }
    })
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until the connection ends.
    fn hear(&self, stream: impl Read + Write, trusted: bool) {
        let mut reader = BufReader::new(stream);
        let mut attends = false;
        while let Ok(Some(request)) = read(&mut reader) {
            if trusted && matches!(request, Request::Attend) && !attends {
                attends = true;
                self.lock().plugins += 1;
            }
            let reply = self
                .answer(request, trusted)
                .unwrap_or_else(|error| Reply::Failed(error.to_string()));
            if rpc::write_line(reader.get_mut(), &reply).is_err() {
                break;
            }
        }
        if attends {
            let mut state = self.lock();
            state.plugins -= 1;
            state.attended = Instant::now();
        }
    }

    fn answer(&self, request: Request, trusted: bool) -> io::Result<Reply> {
        let mut state = self.lock();
        match request {
            Request::Append(_) | Request::Pull(..) | Request::History(_) if !state.primary => {
                return Ok(Reply::Failed("this server is not read-write".to_owned()));
            }
            Request::Pull(_, given) | Request::History(given) if given != state.password => {
                return Ok(Reply::Failed("the password is another".to_owned()));
            }
            Request::Append(_) if state.stopping => {
                return Ok(Reply::Failed("this server is being stopped".to_owned()));
            }
            Request::Append(line) => {
                state.append(&[line])?;
                return Ok(self.wait_for_copy(state));
            }
            Request::Pull(follower, _) => {
                state.follower = Some((follower, Instant::now()));
                self.changed.notify_all();
                let from = usize::try_from(follower.flushed.0).unwrap_or(usize::MAX);
                let new = state.lines.get(from..).unwrap_or_default().to_vec();
                return Ok(Reply::Lines(state.copy, new));
            }
            Request::History(_) => return Ok(Reply::Lines(state.copy, state.lines.clone())),
            _ if !trusted => return Ok(Reply::Failed("that is the plugin's to ask".to_owned())),
            Request::Attend => {}
            Request::Status => return Ok(Reply::Status(state.status())),
            Request::Follow(upstream, password) => {
                state.streaming &= upstream == state.upstream;
                (state.upstream, state.password) = (upstream, password);
            }
            Request::Promote(synchronous) if !state.primary => {
                let line = data::promoted(state.copy, state.data.run());
                state.append(&[line])?;
                state.synchronous = synchronous;
                (state.upstream, state.streaming, state.primary) = (None, false, true);
            }
            Request::Promote(_) => {}
            Request::Synchronous(copy, password) => {
                (state.synchronous, state.password) = (copy, password);
                // Those that wait for another look again.
                self.changed.notify_all();
            }
            Request::Stop => {
                drop(state);
                self.stop()
            }
        }
        Ok(Reply::Done)
    }

    /// A commit is acknowledged when the copy it waits for has it on its disk.
    fn wait_for_copy(&self, mut state: MutexGuard<'_, State>) -> Reply {
        let place = Lsn(state.lines.len() as u64);
        let waits = |state: &State| {
            let held = state.follower.map(|(follower, _)| follower);
            state.synchronous.is_some_and(|copy| {
                !held.is_some_and(|held| held.copy == copy && held.flushed >= place)
            })
        };
        while waits(&state) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Reply::Done
    }

    /// Ends the process; a replica that keeps up has everything then.
    fn stop(&self) -> ! {
        let begun = Instant::now();
        let mut state = self.lock();
        state.stopping = true;
        let end = Lsn(state.lines.len() as u64);
        while state.primary && state.follower().is_some_and(|held| held.flushed < end) {
            if begun.elapsed() >= GONE {
                break;
            }
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let clean = state.data.set_clean();
        std::process::exit(i32::from(clean.is_err()));
    }

    /// Fetches what the upstream has written meanwhile.
    fn pull(&self) {
        let state = self.lock();
        let Some(upstream) = state.upstream.clone() else {
            return;
        };
        let password = state.password.clone();
        let held = Follower {
            copy: state.copy,
            flushed: Lsn(state.lines.len() as u64),
        };
        drop(state);
        let reply = ask_upstream(&upstream, &Request::Pull(held, password));
        let mut state = self.lock();
        if state.upstream.as_ref() != Some(&upstream) {
            return;
        }
        state.streaming = match reply {
            Ok(Reply::Lines(copy, new)) if Some(copy) == upstream.copy => {
                state.append(&new).is_ok()
            }
            _ => false,
        };
    }
}

impl State {
    fn append(&mut self, new: &[String]) -> io::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let text: String = new.iter().map(|line| format!("{line}\n")).collect();
        self.log.write_all(text.as_bytes())?;
        self.log.sync_data()?;
        self.lines.extend_from_slice(new);
        Ok(())
    }

    fn is_forsaken(&self) -> bool {
        self.plugins == 0 && self.attended.elapsed() >= ORPHANED
    }

    fn follower(&self) -> Option<Follower> {
        let (follower, heard) = self.follower?;
        (heard.elapsed() < GONE).then_some(follower)
    }

    fn status(&self) -> Status {
        Status {
            primary: self.primary,
            synchronous: self.synchronous.filter(|_| self.primary),
            position: data::end(&self.lines),
            follower: self.follower().filter(|_| self.primary),
            upstream: self.upstream.clone(),
            streaming: self.streaming,
        }
    }
}

/// Says to the server of `data` that a plugin is there, while this is kept.
pub(crate) fn attend(data: &Data) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(control(data))?;
    ask(&stream, &Request::Attend)?;
    Ok(stream)
}
