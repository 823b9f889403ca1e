//! By which names this listener may be called.
//!
//! A page of somebody else's, open in a browser on this machine, can have its own name point at this
//! machine (DNS rebinding) and then speaks to this listener as if it were its own server. What gives it
//! away is the name: the browser says in `Host` by which one it came.

use std::net::{IpAddr, SocketAddr};

/// True if `host`, as in a `Host` header, is this machine's own: a loopback name or address, or the
/// address that is listened on.
pub fn is_own(host: &str, listen: SocketAddr) -> bool {
    let Some(name) = name(host) else {
        return false;
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    name.parse::<IpAddr>().is_ok_and(|address| {
        let address = address.to_canonical();
        let listens = address == listen.ip().to_canonical() && !address.is_unspecified();
        address.is_loopback() || listens
    })
}

/// Without the port, and an address without its brackets; none if it is no host.
fn name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            // Brackets are for addresses of the new kind alone.
            name.contains(':').then_some((name, port))?
        }
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let digits = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let port_is_one = port.is_empty() || port.strip_prefix(':').is_some_and(digits);
    port_is_one.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(listen: &str, host: &str) -> bool {
        is_own(host, listen.parse().unwrap())
    }

    #[test]
    fn loopback_and_the_listening_address_are_own() {
        for host in [
            "localhost",
            "LocalHost:9600",
            "127.0.0.1:9600",
            "127.0.0.1:",
            "127.1.2.3",
            "[::1]:9600",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(own("127.0.0.1:9600", host), "{host}");
            assert!(own("0.0.0.0:9600", host), "{host}");
        }
        assert!(own("10.0.0.7:9600", "10.0.0.7:9600"));
        assert!(own("[fd00::7]:9600", "[fd00::7]:9600"));
    }

    #[test]
    fn every_other_name_is_foreign() {
        for host in [
            "",
            ":9600",
            "rebind.example",
            "rebind.example:9600",
            "localhost.rebind.example",
            "127.0.0.1.rebind.example",
            "localhost.",
            "127.0.0.1.",
            "0.0.0.0:9600",
            "[::]:9600",
            "10.0.0.8:9600",
            "2130706433",
            "127.1",
            "0x7f.0.0.1",
            "::1",
            "[::1",
            "[localhost]",
            "localhost:9600:1",
            "localhost:x",
            "user@localhost",
            "localhost:123456",
            "127.0.0.1, rebind.example",
            "localhost rebind.example",
            "127.0.0.1\u{0}",
        ] {
            for listen in ["127.0.0.1:9600", "0.0.0.0:9600", "10.0.0.7:9600"] {
                assert!(!own(listen, host), "{host} on {listen}");
            }
        }
    }
}
