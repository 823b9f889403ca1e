//! Words, names and times that the simulated world is written with.

/// Milliseconds since the start of 2026 as an ISO 8601 time; years are not told apart.
#[derive(Clone, Copy)]
pub(super) struct Stamp(pub(super) u64);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ms, s) = (self.0 % 1000, self.0 / 1000);
        let day = s / 86_400;
        let (month, day) = (day / 28 % 12 + 1, day % 28 + 1);
        write!(
            f,
            "2026-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}000+00:00",
            s / 3600 % 24,
            s / 60 % 60,
            s % 60
        )
    }
}

/// Names of people, guilds and games.
pub(super) const NAMES: &[&str] = &[
    "amber", "birke", "cedro", "delphin", "ember", "fjord", "garnet", "hibou", "indigo", "juniper",
    "kestrel", "lumen", "marrón", "nimbus", "onyx", "pélican", "quartz", "robin", "straße",
    "tundra", "umbra", "雪", "willow",
];

/// Words that people write, some of them hard to get through a careless pipeline: escapes, quotes, emoji.
pub(super) const WORDS: &[&str] = &[
    "the",
    "and",
    "but",
    "when",
    "tonight",
    "raid",
    "ready",
    "build",
    "queue",
    "match",
    "lost",
    "again",
    "server",
    "patch",
    "notes",
    "anyone",
    "around",
    "later",
    "works",
    "fine",
    "here",
    "what",
    "about",
    "that",
    "update",
    r#"\"quoted\""#,
    r"back\\slash",
    r"new\nline",
    "naïve",
    "日本語",
    "🎉",
    r"\u00e9scaped",
    "</b>",
    "{brace}",
    r"tab\there",
    "x:1,y:2",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_json_string_as_it_stands() {
        for word in NAMES.iter().chain(WORDS) {
            serde_json::from_str::<String>(&format!("\"{word}\"")).unwrap();
        }
    }
}
