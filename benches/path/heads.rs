//! Payloads by the name of their event, for what reads only their heads.

#[expect(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::doc_markdown,
    reason = "the event path's benchmark uses the rest"
)]
#[path = "payloads.rs"]
mod payloads;

/// Of different sizes: about 400 bytes, 600, 1,000 and 50,000.
pub(crate) const NAMES: [&str; 4] = [
    "TYPING_START",
    "PRESENCE_UPDATE",
    "MESSAGE_CREATE",
    "GUILD_CREATE",
];

/// The first event of this name, as Discord writes it: `t`, `s`, `op`, `d`.
pub(crate) fn usual(name: &str) -> String {
    let head = format!(r#"{{"t":"{name}""#);
    let mut payloads = (1..=1_000).map(payloads::payload);
    let found = payloads.find(|payload| payload.starts_with(&head));
    found.expect("the mix has it")
}

/// The same with `d` first, so that all of it must be read.
pub(crate) fn data_first(name: &str) -> String {
    let usual = usual(name);
    let (head, d) = usual.split_once(r#","d":"#).expect("it has a d");
    let d = d.strip_suffix('}').expect("it is an object");
    format!(r#"{{"d":{d},{}}}"#, &head[1..])
}
