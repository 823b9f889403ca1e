//! The coordinator role.

pub mod buckets;
pub mod budget;
pub mod leader;
pub mod slowdown;
