//! Line-by-line talk over a non-blocking stream, with bounds.
