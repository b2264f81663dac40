//! The deterministic simulator of the pool.
