//! What is wrong with a configuration, said so that it can be mended.

use std::fmt;

/// One thing wrong: the key, its value, where it came from, why, and a way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As in `lease.ttl`.
    pub key: String,
    /// What stood there; none where nothing did, or where it must not be shown.
    pub value: Option<String>,
    /// The file or variable it came from.
    pub origin: String,
    /// What is wrong with it.
    pub reason: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, "  ({})\n    {}", self.origin, self.reason)?;
        if !self.hint.is_empty() {
            write!(f, "\n    try: {}", self.hint)?;
        }
        Ok(())
    }
}

/// Every fault of one load. A process with this ends with code 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Those alone that came from `origin`, if any did.
    ///
    /// # Errors
    /// These.
    pub fn of(self, origin: &str) -> Result<(), Self> {
        let faults: Vec<_> = self
            .0
            .into_iter()
            .filter(|fault| fault.origin == origin)
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self(faults))
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "fault" } else { "faults" };
        write!(f, "the configuration has {} {plural}:", self.0.len())?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
