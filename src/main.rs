//! shardfleet's one binary.

fn main() {}
