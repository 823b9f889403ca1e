//! One key's value from outside of the file: its bytes as they are, whatever they look like. What kind of
//! value they make is the key's to say: `0123` is a password, and `1e3` a name.

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

/// A value that a variable or a flag gives.
pub(super) struct Given {
    /// The variable's name, or the flag's.
    pub(super) origin: String,
    /// As in `lease.ttl`.
    pub(super) key: String,
    pub(super) value: String,
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let value = Value::from(self.value.as_str());
        let dict = figment::util::nest(&self.key, value).into_dict();
        Ok(Profile::Global.collect(dict.unwrap_or_default()))
    }
}
