//! Who may replicate, inside the database: the role, its rights, the slots.

use std::net::IpAddr;

use postgres::Client;
use postgres_protocol::password;
use replicator::plugin::{Access, Failure};

use crate::hba;
use crate::session::{self, REPLICATION_ROLE};
use crate::settings::slot_name;

/// What `pg_rewind`, and the question to an upstream, call.
const FUNCTIONS: [&str; 5] = [
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// Makes the role, gives it its password and rights, makes the slot of the
/// other manager's replica, and ends the sessions of those that may not
/// replicate any more.
///
/// # Errors
///
/// The server's.
pub fn grant(client: &mut Client, access: &Access) -> Result<(), Failure> {
    let refused = |error: postgres::Error| {
        Failure::new(format!(
            "replication cannot be set up: {}",
            session::said(&error)
        ))
    };
    let exists = client
        .query_opt(
            "SELECT FROM pg_roles WHERE rolname = $1",
            &[&REPLICATION_ROLE],
        )
        .map_err(refused)?
        .is_some();
    let verb = if exists { "ALTER" } else { "CREATE" };
    // A verifier, not the password, and of no use in a log.
    let verifier = password::scram_sha_256(access.password.as_bytes());
    let mut statements = vec![format!(
        "{verb} ROLE {REPLICATION_ROLE} LOGIN REPLICATION PASSWORD '{verifier}'"
    )];
    for function in FUNCTIONS {
        let granted = client
            .query_one(
                "SELECT has_function_privilege($1::name, $2::text, 'execute')",
                &[&REPLICATION_ROLE, &function],
            )
            .is_ok_and(|row| row.get(0));
        if !granted {
            statements.push(format!(
                "GRANT EXECUTE ON FUNCTION {function} TO {REPLICATION_ROLE}"
            ));
        }
    }
    client
        .batch_execute(&statements.join("; "))
        .map_err(refused)?;
    if access.peers.is_empty() {
        // Nobody is to come back for the log.
        return drop_slots(client);
    }
    let other = if access.node == "a" { "b" } else { "a" };
    client
        .execute(
            "SELECT pg_create_physical_replication_slot($1)
             WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)",
            &[&slot_name(other)],
        )
        .map_err(refused)?;
    let peers: Vec<IpAddr> = hba::peers(access)?;
    client
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_replication
             WHERE usename = $1 AND client_addr <> ALL ($2)",
            &[&REPLICATION_ROLE, &peers],
        )
        .map_err(refused)?;
    Ok(())
}

/// Drops the slots that this server kept for a replica of its own.
///
/// # Errors
///
/// The server's.
pub fn drop_slots(client: &mut Client) -> Result<(), Failure> {
    client
        .execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
             WHERE slot_name = ANY ($1) AND NOT active",
            &[&[slot_name("a"), slot_name("b")].as_slice()],
        )
        .map(drop)
        .map_err(|error| {
            Failure::new(format!(
                "a slot cannot be dropped: {}",
                session::said(&error)
            ))
        })
}
