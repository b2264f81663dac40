//! The PostgreSQL plugin.
