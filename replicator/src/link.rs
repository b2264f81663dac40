//! The connection to vrrpd: made again whenever it is lost.

use std::io::{BufReader, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use log::{info, warn};

use crate::plugin::rpc;
use crate::role::{Order, ToReplicator};

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(100);

/// A report that vrrpd does not take within this is a connection lost.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// What comes from the connection.
#[derive(Debug)]
pub enum Heard {
    /// Connected: reports are written here.
    Connected(UnixStream),
    /// An order.
    Order(Order),
    /// The connection is lost.
    Lost,
}

/// Connects to `socket`, and again whenever that is lost, for as long as the
/// process runs. All that is heard goes to `events` as `wrap` makes it.
pub fn start<E: Send + 'static>(
    socket: PathBuf,
    events: Sender<E>,
    wrap: impl Fn(Heard) -> E + Send + 'static,
) {
    thread::spawn(move || {
        let mut waits = false;
        loop {
            match connect(&socket) {
                Ok((reader, writer)) => {
                    waits = false;
                    info!("connected to vrrpd at {}", socket.display());
                    let mut tell = |heard| events.send(wrap(heard)).is_ok();
                    if !tell(Heard::Connected(writer)) {
                        return;
                    }
                    listen(reader, &mut tell);
                    if !tell(Heard::Lost) {
                        return;
                    }
                }
                Err(error) if !waits => {
                    waits = true;
                    warn!("waits for vrrpd at {}: {error}", socket.display());
                }
                Err(_) => {}
            }
            thread::sleep(RETRY);
        }
    });
}

fn connect(socket: &Path) -> std::io::Result<(UnixStream, UnixStream)> {
    let reader = UnixStream::connect(socket)?;
    reader.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let writer = reader.try_clone()?;
    Ok((reader, writer))
}

/// Reads orders until the connection is lost.
fn listen(reader: UnixStream, tell: &mut impl FnMut(Heard) -> bool) {
    let mut reader = BufReader::new(reader);
    loop {
        let line = match rpc::read_line(&mut reader) {
            Ok(Some(line)) => line,
            Ok(None) => {
                warn!("vrrpd has closed the connection");
                return;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                warn!("the connection to vrrpd is lost: {error}");
                return;
            }
        };
        match serde_json::from_str(&line) {
            Ok(ToReplicator::Order(order)) => {
                if !tell(Heard::Order(order)) {
                    return;
                }
            }
            // Never go on by an older order when a newer one was not understood.
            Err(error) => {
                warn!(
                    "vrrpd sent an order that cannot be read: {error}: are vrrpd and replicator \
                     of the same version?"
                );
                return;
            }
        }
    }
}
