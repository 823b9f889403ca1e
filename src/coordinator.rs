//! The coordinator role.
