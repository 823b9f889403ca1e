//! Reads one section key by key, so that every fault is found at once.

use figment::{Figment, value::Value};
use serde::de::DeserializeOwned;

use super::fault::Fault;

/// Declares a section: its keys with type, default and hint. A key's doc comment is its manual.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $section:literal {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr, $kind:ident $hint:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type, )* }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let mut shown = f.debug_struct(stringify!($name));
                $(
                    let secret = $crate::config::section::is_secret(stringify!($kind));
                    let value: &dyn ::std::fmt::Debug = if secret { &"<secret>" } else { &self.$field };
                    shown.field(stringify!($field), value);
                )*
                shown.finish()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $name {
            /// The section's name in the file.
            pub const SECTION: &'static str = $section;
            /// Its keys.
            pub const KEYS: &'static [&'static str] = &[$( stringify!($field), )*];

            pub(super) fn read(reader: &mut $crate::config::section::Reader<'_>) -> Self {
                let mut section = Self::default();
                $(
                    let secret = $crate::config::section::is_secret(stringify!($kind));
                    if let Some(value) = reader.key($section, stringify!($field), secret, $hint) {
                        section.$field = value;
                    }
                )*
                section
            }
        }
    };
}
pub(crate) use section;

/// True for the keys whose value no fault may show.
pub(crate) fn is_secret(kind: &str) -> bool {
    kind == "secret"
}

/// What a load reads from, and the faults it has met.
pub(crate) struct Reader<'a> {
    pub(crate) figment: &'a Figment,
    pub(crate) faults: Vec<Fault>,
    /// Secrets that were read from files: the secret's key, the file's key, the file.
    pub(crate) from_files: Vec<(&'static str, &'static str, String)>,
}

impl Reader<'_> {
    /// The value of a key; none if nobody gave one, or if it is wrong, which is then a fault.
    pub(crate) fn key<T: DeserializeOwned>(
        &mut self,
        section: &str,
        key: &str,
        secret: bool,
        hint: &str,
    ) -> Option<T> {
        let path = format!("{section}.{key}");
        let value = self.figment.find_value(&path).ok()?;
        match value.deserialize::<T>() {
            Ok(value) => Some(value),
            Err(error) => {
                let shown = (!secret).then(|| show(&value));
                // serde's words for a wrong type can quote the value.
                let reason = if secret {
                    "not a string".to_owned()
                } else {
                    reason(&error)
                };
                self.fault(&path, shown, reason, hint);
                None
            }
        }
    }

    /// Records a fault of a secret, which is never shown: at its key, or at the file that it was read from.
    pub(crate) fn secret_fault(&mut self, key: &str, reason: &str, hint: &str) {
        let file = self.from_files.iter().find(|(secret, ..)| *secret == key);
        let (key, shown) = match file {
            Some((_, file_key, file)) => (*file_key, Some(format!("{file:?}"))),
            None => (key, None),
        };
        self.fault(key, shown, reason.to_owned(), hint);
    }

    /// Records a fault that stands between keys, at the key that can mend it.
    pub(crate) fn fault(&mut self, path: &str, value: Option<String>, reason: String, hint: &str) {
        let origin = self.origin(path);
        let hint = hint.to_owned();
        self.faults.push(Fault {
            key: path.to_owned(),
            value,
            origin,
            reason,
            hint,
        });
    }

    /// The file or variable that a key came from.
    pub(crate) fn origin(&self, path: &str) -> String {
        let Some(metadata) = self.figment.find_metadata(path) else {
            return "default".to_owned();
        };
        match &metadata.source {
            Some(figment::Source::File(file)) => file.display().to_string(),
            _ => metadata.name.to_string(),
        }
    }
}

/// A value as its owner wrote it, cut short.
pub(crate) fn show(value: &Value) -> String {
    let text = match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Bool(_, word) => word.to_string(),
        Value::Array(_, items) => {
            format!(
                "[{}]",
                items.iter().map(show).collect::<Vec<_>>().join(", ")
            )
        }
        _ => "{…}".to_owned(),
    };
    if text.chars().count() > 80 {
        text.chars().take(79).chain(['…']).collect()
    } else {
        text
    }
}

fn reason(error: &figment::Error) -> String {
    match &error.kind {
        figment::error::Kind::Message(message) => message.clone(),
        kind => kind.to_string(),
    }
}
