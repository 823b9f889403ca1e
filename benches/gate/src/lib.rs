//! The pure files of the product that the gate looks at, and what they import.

pub use product::{clock, coordinator, fleet, gateway, subject, wire};

#[path = "../../../src"]
mod product {
    pub mod clock;
    pub mod fleet;
    pub mod subject;
    pub mod wire;

    pub mod gateway {
        pub mod peek;
    }

    pub mod coordinator {
        pub mod buckets;
    }
}
