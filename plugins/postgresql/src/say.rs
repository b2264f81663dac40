//! What the plugin says becomes the replicator's log. A replicator that is gone
//! reads nothing, and must not be the plugin's end: the server is still to be
//! stopped.

use std::io::{self, Write};

/// Something that the operator should know.
pub fn warning(text: &str) {
    line(&format!("warning: {text}"));
}

/// A line as it is.
pub fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
