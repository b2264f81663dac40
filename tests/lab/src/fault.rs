//! What went wrong in the lab, in one sentence a person can act on.

use std::fmt;

/// A failure: what, where, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

/// What the lab's functions return.
pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A failure in these words.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Says what was attempted when something failed.
pub trait Attempt<T> {
    /// The value, or a fault that begins with `what`.
    ///
    /// # Errors
    ///
    /// `what: why`.
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Attempt<T> for std::result::Result<T, E> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Fault(format!("{}: {error}", what())))
    }
}
