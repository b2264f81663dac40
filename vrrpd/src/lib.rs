//! The daemon on a manager, and its control program.
