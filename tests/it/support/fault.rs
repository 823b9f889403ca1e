//! What goes wrong with a running fleet: one function a fault, which returns when the fault is over. A
//! test calls it, then asks the judge; so may whoever wants to compare faults.

pub(crate) mod broker;
pub(crate) mod coordinator;
