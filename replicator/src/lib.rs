//! Keeps the database in the role the pool gave it; the plugin kit.
