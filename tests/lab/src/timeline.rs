//! Who did what when: the lab's marks and the daemons' own lines, in one order.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::Moment;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it happened, or when its line arrived.
    pub at: Moment,
    /// Whose it is: `lab`, or a host and a process, e.g. `manager-a vrrpd`.
    pub who: String,
    /// What happened.
    pub what: String,
}

/// What is told of every new entry, as it comes.
type Listener = Box<dyn FnMut(&Entry) + Send>;

/// The entries so far; clones share them.
#[derive(Clone, Default)]
pub struct Timeline {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    entries: Vec<Entry>,
    listener: Option<Listener>,
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeline of {} entries", self.len())
    }
}

impl Timeline {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what the lab does, now.
    pub fn mark(&self, what: impl Into<String>) -> Moment {
        self.note("lab", what)
    }

    /// Notes what `who` says or does, now.
    pub fn note(&self, who: &str, what: impl Into<String>) -> Moment {
        let entry = Entry {
            at: Moment::now(),
            who: who.to_owned(),
            what: what.into(),
        };
        let at = entry.at;
        let mut shared = self.lock();
        if let Some(listener) = &mut shared.listener {
            listener(&entry);
        }
        shared.entries.push(entry);
        at
    }

    /// Tells `listener` of every entry from now on.
    pub fn listen(&self, listener: impl FnMut(&Entry) + Send + 'static) {
        self.lock().listener = Some(Box::new(listener));
    }

    /// All entries, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.lock().entries.clone();
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing was noted yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A thread that panicked between two pushes leaves a sound list behind.
        self.shared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
