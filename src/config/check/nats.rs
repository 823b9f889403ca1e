//! Where NATS is, and who logs in: two logins that contradict each other are nobody's guess.

use std::fs::File;

use super::{Reader, fault};
use crate::config::{
    Nats,
    login::{Login, in_addresses},
};

const ADDRESS: &str = "nats://host:4222 or tls://host:4222, or several with commas";

pub(super) fn check(nats: &Nats, reader: &mut Reader<'_>) {
    if !nats.url.is_empty() {
        // A login may stand in any of them: nothing of them is shown once one does.
        let shown = !nats.url.contains('@');
        let faults = nats
            .url
            .split(',')
            .filter_map(|url| server(url.trim(), shown));
        for reason in faults.collect::<Vec<_>>() {
            reader.fault("nats.url", None, reason, ADDRESS);
        }
    }
    logins(nats, reader);
    let seed = nats.nkey.expose();
    if !seed.is_empty() && !is_seed(seed) {
        let hint = "the 58 letters that begin with SU";
        reader.secret_fault("nats.nkey", "it is not the seed of a user", hint);
    }
    for (key, file) in [
        ("nats.creds", &nats.creds),
        ("nats.tls_ca", &nats.tls_ca),
        ("nats.tls_cert", &nats.tls_cert),
        ("nats.tls_key", &nats.tls_key),
    ] {
        if !file.is_empty()
            && let Err(error) = File::open(file)
        {
            let reason = format!("cannot be read: {error}");
            fault(reader, key, &reason, "a file that this user may read");
        }
    }
    if nats.tls_cert.is_empty() != nats.tls_key.is_empty() {
        fault(
            reader,
            "nats.tls_cert",
            "certificate and key go together",
            "set both or none",
        );
    }
}

/// Base 32, and its first letters say of whom.
fn is_seed(word: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    word.starts_with("SU") && word.len() == 58 && word.bytes().all(letter)
}

/// What is wrong with the address of one server.
fn server(url: &str, shown: bool) -> Option<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    let plain = scheme.chars().all(|c| c.is_ascii_alphanumeric());
    match scheme.to_ascii_lowercase().as_str() {
        "nats" | "tls" => {}
        "ws" | "wss" => return Some(format!("NATS over WebSocket ({scheme}://) is not spoken")),
        _ if plain => return Some(format!("NATS is not reached by {scheme}://")),
        _ => return Some("it is no server's address".to_owned()),
    }
    let server = rest.rsplit_once('@').map_or(rest, |(_, server)| server);
    let told = if shown {
        format!("{server:?} is no server's address")
    } else {
        "one of them is no server's address; in a password @ is %40, and a comma %2C".to_owned()
    };
    (!is_reachable(server)).then_some(told)
}

/// A host, and a port that is one: half of a password with a comma in it has neither.
fn is_reachable(server: &str) -> bool {
    let Ok(uri) = format!("http://{server}").parse::<axum::http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port = authority.strip_prefix(host).unwrap_or_default();
    let port = port.strip_prefix(':').map(str::parse::<u16>);
    !host.is_empty() && port.is_none_or(|port| port.is_ok_and(|port| port > 0))
}

fn logins(nats: &Nats, reader: &mut Reader<'_>) {
    let mut told = |key: &str, reason: &str, hint: &str| {
        reader.fault(key, None, reason.to_owned(), hint);
    };
    let one = "give the login once";
    let mut in_addresses = in_addresses(&nats.url);
    let first = in_addresses.next();
    if in_addresses.any(|login| Some(&login) != first.as_ref()) {
        told(
            "nats.url",
            "its addresses have different logins, and one serves them all",
            "the same login in each, or in the first alone",
        );
    }
    let (user, token) = (!nats.user.is_empty(), !nats.token.is_empty());
    let differs = "it differs from the login in nats.url";
    match &first {
        Some(Login::Password(name, word)) => {
            if user && nats.user != *name {
                told("nats.user", differs, one);
            }
            if !nats.password.is_empty() && nats.password != *word {
                told("nats.password", differs, one);
            }
            if token {
                told("nats.token", differs, one);
            }
            return;
        }
        // `nats://user@host` reads as a token, unless a user of that name is given.
        Some(Login::Token(word)) => {
            if user && nats.user != word.expose() {
                told("nats.user", differs, one);
            }
            if token && nats.token != *word {
                told("nats.token", differs, one);
            }
        }
        None if user && token => told("nats.token", "nats.user is given too", one),
        None => {}
    }
    if !user && !nats.password.is_empty() {
        told(
            "nats.password",
            "there is no nats.user",
            "set nats.user, too",
        );
    }
}
