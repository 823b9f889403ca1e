//! Who logs in to NATS: by keys of their own, or by a login in a server's address, as the `nats` CLI and
//! most clients read it: `nats://user:password@host`, or `nats://token@host`. One serves all addresses of
//! a list. async-nats leaves it unread.

use super::{Nats, Secret};

/// Who logs in.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// A user and a password, which may be empty.
    Password(String, Secret),
    /// A word that all who may enter share.
    Token(Secret),
}

impl Nats {
    /// By keys of their own, or else by the address.
    pub fn login(&self) -> Option<Login> {
        let in_address = in_addresses(&self.url).next();
        if !self.user.is_empty() {
            let password = match in_address {
                Some(Login::Password(_, password)) if self.password.is_empty() => password,
                _ => self.password.clone(),
            };
            return Some(Login::Password(self.user.clone(), password));
        }
        if !self.token.is_empty() {
            return Some(Login::Token(self.token.clone()));
        }
        in_address
    }
}

/// Those that stand in a list of addresses.
pub(super) fn in_addresses(urls: &str) -> impl Iterator<Item = Login> {
    urls.split(',').filter_map(|url| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (login, _) = rest.trim().rsplit_once('@')?;
        if login.is_empty() {
            return None;
        }
        Some(match login.split_once(':') {
            Some((user, password)) => Login::Password(plain(user), plain(password).into()),
            None => Login::Token(plain(login).into()),
        })
    })
}

/// `%40` is `@`; what is no such pair stands for itself.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%');
        let byte = pair
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(urls: &str) -> Option<Login> {
        in_addresses(urls).next()
    }

    fn login(user: &str, password: &str) -> Login {
        Login::Password(user.to_owned(), password.to_owned().into())
    }

    #[test]
    fn a_login_is_read_as_other_clients_read_it() {
        assert_eq!(of("nats://h:4222, tls://i"), None);
        assert_eq!(of(""), None);
        assert_eq!(of("nats://@h"), None);
        assert_eq!(of("nats://a:b@h:4222"), Some(login("a", "b")));
        assert_eq!(of("nats://h, tls://a:b@i:4222"), Some(login("a", "b")));
        assert_eq!(of("a:b@h"), Some(login("a", "b")));
        assert_eq!(of("nats://a:p%40%3a%@h"), Some(login("a", "p@:%")));
        assert_eq!(of("nats://a:b:c@h"), Some(login("a", "b:c")));
        assert_eq!(of("nats://a:%zz%é%4@h"), Some(login("a", "%zz%é%4")));
        assert_eq!(
            of("nats://t0ken@h"),
            Some(Login::Token("t0ken".to_owned().into()))
        );
        assert!(!format!("{:?}", of("nats://a:hunter2@h")).contains("hunter2"));
    }

    #[test]
    fn keys_of_their_own_are_stronger_than_the_address() {
        let nats = |url: &str, user: &str, word: &str, token: &str| Nats {
            url: url.to_owned(),
            user: user.to_owned(),
            password: word.to_owned().into(),
            token: token.to_owned().into(),
            ..Nats::default()
        };
        assert_eq!(nats("h", "", "", "").login(), None);
        assert_eq!(nats("a:b@h", "", "", "").login(), Some(login("a", "b")));
        assert_eq!(nats("a:b@h", "a", "", "").login(), Some(login("a", "b")));
        assert_eq!(nats("a@h", "a", "b", "").login(), Some(login("a", "b")));
        let token = Some(Login::Token("t".to_owned().into()));
        assert_eq!(nats("h", "", "", "t").login(), token);
    }
}
