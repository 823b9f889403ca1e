//! Secrets that stand in files of their own, such as mounted ones; read once, at the start.

use std::{fs::File, io::Read};

use super::{Config, section::Reader, value::Secret};

/// A longer file is something else: `/dev/zero` would be read for ever.
const LONGEST: u64 = 64 << 10;

/// A secret, its key, the file that may hold it, that file's key, and what belongs into it.
type Place<'a> = (
    &'a mut Secret,
    &'static str,
    &'a str,
    &'static str,
    &'static str,
);

/// Reads each file that is named and whose secret was not given itself.
pub(super) fn read(config: &mut Config, reader: &mut Reader<'_>) {
    let Config { discord, nats, .. } = config;
    let places: [Place<'_>; 3] = [
        (
            &mut discord.token,
            "discord.token",
            &discord.token_file,
            "discord.token_file",
            "put the bot's token into it, and nothing else",
        ),
        (
            &mut nats.password,
            "nats.password",
            &nats.password_file,
            "nats.password_file",
            "put the password into it, and nothing else",
        ),
        (
            &mut nats.token,
            "nats.token",
            &nats.token_file,
            "nats.token_file",
            "put the token into it, and nothing else",
        ),
    ];
    for (secret, key, file, file_key, hint) in places {
        if file.is_empty() || !secret.is_empty() {
            continue;
        }
        let shown = Some(format!("{file:?}"));
        match content(file) {
            Ok(word) => {
                *secret = word.into();
                reader.from_files.push((key, file_key, file.to_owned()));
            }
            Err(Unusable::Content(reason)) => reader.fault(file_key, shown, reason, hint),
            Err(Unusable::File(reason)) => {
                reader.fault(file_key, shown, reason, "a file that this user may read");
            }
        }
    }
}

enum Unusable {
    File(String),
    Content(String),
}

/// The one line of a file, without its end. Spaces are the word's own.
fn content(file: &str) -> Result<String, Unusable> {
    let unread = |error| Unusable::File(format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let file = File::open(file).map_err(unread)?;
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    let wrong = |reason: &str| Err(Unusable::Content(reason.to_owned()));
    if bytes.len() as u64 > LONGEST {
        return wrong("the file is longer than any secret");
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return wrong("the file holds no text (UTF-8)");
    };
    let word = text.trim_end_matches(['\n', '\r']);
    match word {
        _ if word.trim().is_empty() => wrong("the file is empty"),
        _ if word.contains('\n') => wrong("the file holds more than one line"),
        word => Ok(word.to_owned()),
    }
}
