//! Who may replicate: a block of ours at the head of `pg_hba.conf`.

use std::net::IpAddr;
use std::path::Path;

use replicator::plugin::{Access, Failure};

use crate::config::Config;
use crate::file;
use crate::session::REPLICATION_ROLE;

const BEGIN: &str = "# begin vrrpd: written by its PostgreSQL plugin, first in this file";
const END: &str = "# end vrrpd";

/// Writes the block into `hba_file`; true if it has changed, so that a reload
/// is needed. The rest of the file is the operator's.
///
/// # Errors
///
/// A peer that is not an address; a file that cannot be read or written.
pub fn write(hba_file: &Path, config: &Config, access: &Access) -> Result<bool, Failure> {
    let before = file::read(hba_file)?.unwrap_or_default();
    let after = block(config, access)? + without_block(&before);
    if before == after {
        return Ok(false);
    }
    file::replace(hba_file, &after)?;
    Ok(true)
}

/// The peers as addresses.
///
/// # Errors
///
/// The first that is none.
pub fn peers(access: &Access) -> Result<Vec<IpAddr>, Failure> {
    access
        .peers
        .iter()
        .map(|peer| {
            peer.parse()
                .map_err(|_| Failure::new(format!("the peer {peer} is not an address")))
        })
        .collect()
}

/// The first line that matches counts: ours come first, and nobody but the
/// peers gets further as the replication role.
fn block(config: &Config, access: &Access) -> Result<String, Failure> {
    let (superuser, database) = (quote(&config.superuser), quote(&config.database));
    let mut lines = vec![BEGIN.to_owned(), format!("local all {superuser} peer")];
    for peer in peers(access)? {
        let length = if peer.is_ipv4() { 32 } else { 128 };
        for database in ["replication", &database] {
            lines.push(format!(
                "host {database} {REPLICATION_ROLE} {peer}/{length} scram-sha-256"
            ));
        }
    }
    // `all` does not contain `replication`.
    for kind in ["local", "host"] {
        let from = if kind == "host" { " all" } else { "" };
        lines.push(format!(
            "{kind} all,replication {REPLICATION_ROLE}{from} reject"
        ));
    }
    lines.push(END.to_owned());
    Ok(lines.join("\n") + "\n")
}

fn without_block(text: &str) -> &str {
    text.strip_prefix(BEGIN)
        .and_then(|rest| rest.split_once(&format!("\n{END}\n")))
        .map_or(text, |(_, rest)| rest)
}

/// A name as it is, and not one of the keywords.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn access(peers: &[&str]) -> Access {
        Access {
            peers: peers.iter().map(|&peer| peer.to_owned()).collect(),
            password: "secret".to_owned(),
            node: "a".to_owned(),
        }
    }

    #[test]
    fn the_block_is_replaced_and_the_rest_kept() {
        let directory = tempfile::tempdir().unwrap();
        let hba_file = directory.path().join("pg_hba.conf");
        let config = Config::parse(json!({"data_directory": "/nowhere"})).unwrap();
        std::fs::write(&hba_file, "host all all all md5\n").unwrap();
        assert_eq!(
            write(&hba_file, &config, &access(&["192.0.2.12"])),
            Ok(true)
        );
        let text = "\
# begin vrrpd: written by its PostgreSQL plugin, first in this file
local all \"postgres\" peer
host replication vrrpd_replication 192.0.2.12/32 scram-sha-256
host \"postgres\" vrrpd_replication 192.0.2.12/32 scram-sha-256
local all,replication vrrpd_replication reject
host all,replication vrrpd_replication all reject
# end vrrpd
host all all all md5
";
        assert_eq!(std::fs::read_to_string(&hba_file).unwrap(), text);
        assert_eq!(
            write(&hba_file, &config, &access(&["192.0.2.12"])),
            Ok(false)
        );
        assert_eq!(
            write(&hba_file, &config, &access(&["2001:db8::2"])),
            Ok(true)
        );
        let text = std::fs::read_to_string(&hba_file).unwrap();
        assert!(text.contains("2001:db8::2/128") && !text.contains("192.0.2.12"));
        assert!(text.ends_with("# end vrrpd\nhost all all all md5\n"));
    }

    #[test]
    fn a_peer_that_is_not_an_address_is_refused() {
        let failure = peers(&access(&["all"])).unwrap_err();
        assert_eq!(failure.message, "the peer all is not an address");
    }
}
