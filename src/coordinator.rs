//! The coordinator role.

pub mod buckets;
pub mod budget;
pub mod slowdown;
