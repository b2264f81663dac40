//! The configuration files of a pool, as an operator writes them.

use std::path::Path;
use std::time::Duration;

use crate::host::{Host, Name};
use crate::pool::{Settings, VIRTUAL_IP};

/// `vrrpd.toml` of a manager.
pub(crate) fn manager(host: &Host, settings: &Settings, plugins: &Path) -> String {
    let name = host.name();
    let (mode, active, priority) = match name {
        Name::ManagerB => ("backup", String::new(), 100),
        Name::ManagerA | Name::Arbiter | Name::Client => {
            ("master", format!("active = {}\n", settings.active), 150)
        }
    };
    let address = name.address();
    let peer = name.other().address();
    let arbiter = Name::Arbiter.address();
    let etc = host.etc().display().to_string();
    let disk = host.disk().display().to_string();
    let run = host.run_directory().display().to_string();
    let durability = &settings.durability;
    let interval = milliseconds(settings.advertise_interval);
    let extra = &settings.pool_extra;
    let plugins = plugins.display();
    format!(
        r#"[node]
name = "{name}"

[pool]
mode = "{mode}"
{active}address = "{address}"
peer = "{peer}"
arbiter = "{arbiter}"
key_file = "{etc}/pool.key"
durability = "{durability}"
{extra}
[[virtual_router]]
name = "service"
interface = "eth0"
vrid = 51
priority = {priority}
advertise_interval = "{interval}"
addresses = ["{VIRTUAL_IP}/24"]

[gate]
tcp_ports = [5432]

[replication]
plugin = "postgresql"

[replication.postgresql]
data_directory = "{disk}/postgresql/main"
socket_directory = "{run}"

[paths]
state = "{disk}/vrrpd"
run = "{run}"
hooks = "{etc}/hooks"
plugins = "{plugins}"
"#
    )
}

/// `arbiter.toml`.
pub(crate) fn arbiter(host: &Host, settings: &Settings) -> String {
    let address = host.name().address();
    let etc = host.etc().display().to_string();
    let disk = host.disk().display().to_string();
    let interval = milliseconds(settings.advertise_interval);
    let lease = milliseconds(settings.advertise_interval * 3);
    format!(
        r#"address = "{address}"

[[pool]]
name = "site-1"
key_file = "{etc}/pool.key"
advertise_interval = "{interval}"
lease = "{lease}"

[paths]
state = "{disk}/arbiterd"
"#
    )
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
