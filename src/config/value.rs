//! Values that are right once they exist: durations, sizes, names, secrets.

use std::{fmt, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// A length of time, written as in `250ms`, `15s`, `6h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

/// In the largest unit that leaves a whole number, as it is read.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
        ];
        let fits = |(factor, _): &(u128, &str)| millis >= *factor && millis.is_multiple_of(*factor);
        let (factor, unit) = units.into_iter().find(fits).unwrap_or((1, "ms"));
        write!(f, "{}{unit}", millis / factor)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(format!("{text:?} is not a duration")),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| format!("{text:?} is not a duration"))?;
        number
            .checked_mul(millis)
            .map(Self::millis)
            .ok_or_else(|| format!("{text:?} is too long"))
    }
}

/// A number of bytes, written as in `64MiB`, `8GiB`, `512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// So many mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kib" | "k" => 1 << 10,
            "mib" | "m" => 1 << 20,
            "gib" | "g" => 1 << 30,
            "tib" | "t" => 1_u64 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(format!("{text:?} is not a size")),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| format!("{text:?} is not a size"))?;
        number
            .checked_mul(factor)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is too large"))
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Letters that a name of a fleet or a process has at most.
pub const LONGEST_NAME: usize = 100;

/// A word for subjects, streams and buckets: `[a-z0-9_-]+`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetName(pub String);

impl FromStr for FleetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(format!("{text:?} is not a name"));
        }
        // Stream, buckets and folders of the server are called after it.
        if text.len() > LONGEST_NAME {
            return Err(format!("it is longer than {LONGEST_NAME} letters"));
        }
        if text == "fleet" {
            return Err("\"fleet\" is where control subjects live".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }
}

/// A word that no log, error, page or message shows.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// The word itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Tells two words apart without telling either: half of the SHA-256, in hex.
    pub fn fingerprint(&self) -> String {
        use std::fmt::Write as _;
        let hash = ring::digest::digest(&ring::digest::SHA256, self.expose().as_bytes());
        let half = hash.as_ref().iter().take(16);
        half.fold(String::new(), |mut text, byte| {
            _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// True if none was given.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<String> for Secret {
    fn from(word: String) -> Self {
        Self(word.into())
    }
}

/// Its bytes as they are: a password may begin with a space, and look like a number.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "<secret>" })
    }
}

/// Reads a value from a string, or from a bare number or `true` of the file.
macro_rules! from_text {
    ($($type:ty),*) => {$(
        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = $crate::config::value::text(from)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    )*};
}
from_text!(Span, Size, FleetName, Switch);
pub(crate) use from_text;

/// A string, or what the file writes without quotes. A number with a point is nobody's value: it would
/// come back written in another way.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "neither a string nor a whole number")]
    enum Text {
        String(String),
        Unsigned(u64),
        Signed(i64),
        Bool(bool),
    }
    Ok(match Text::deserialize(deserializer)? {
        Text::String(text) => text,
        Text::Unsigned(number) => number.to_string(),
        Text::Signed(number) => number.to_string(),
        Text::Bool(word) => word.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_carry_their_unit() {
        assert_eq!("250ms".parse(), Ok(Span::millis(250)));
        assert_eq!("6h".parse(), Ok(Span::secs(21_600)));
        for text in ["250ms", "0ms", "6s", "90s", "5m", "6h", "365d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("8GiB".parse(), Ok(Size(8 << 30)));
        assert_eq!("512".parse(), Ok(Size(512)));
        for bad in ["", "15", "x", "1.5s", "-1s", "99999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["", "x", "8 QiB", "99999999999TiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fleet_name_is_one_subject_token() {
        assert!("discord".parse::<FleetName>().is_ok());
        for bad in ["", "a.b", "A", "fleet", "a b", "a*"] {
            assert!(bad.parse::<FleetName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(
            format!("{:?}", Secret::from("hunter2".to_owned())),
            "<secret>"
        );
    }
}
