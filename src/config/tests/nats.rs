//! Where NATS is, and who logs in.

use super::*;

#[test]
fn the_address_of_nats_is_looked_at_and_its_login_never_shown() {
    for good in [
        "nats://h",
        "h:4222",
        "tls://a:p%40b@h:4222, nats://[::1]:443/x",
        "127.0.0.1",
    ] {
        assert!(
            read(&format!("[nats]\nurl = \"{good}\"\n")).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "\"http://x\"",
        "\"nats://\"",
        "\"nats://me:hunter2@\"",
        "\"nats://a,,b\"",
        "\"nats://a b\"",
        "\"ws://h\"",
        "\"nats://me:hunter2,hunter2@h\"",
        "\"me:hunter2://h\"",
        "\"nats://me:a@h,nats://me:hunter2@i\"",
        "[\"nats://me:hunter2@h\"]",
    ] {
        let faults = faults(&format!("[nats]\nurl = {bad}\n"));
        assert_eq!(
            (faults.len(), faults[0].key.as_str()),
            (1, "nats.url"),
            "{bad}"
        );
        assert!(!faults[0].to_string().contains("hunter2"), "{}", faults[0]);
    }
}

#[test]
fn two_logins_that_differ_are_a_fault() {
    let given = |url: &str, keys: &str| read(&format!("[nats]\nurl = \"{url}\"\n{keys}\n"));
    for (url, keys) in [
        (
            "nats://me:hunter2@h",
            "user = \"me\"\npassword = \"hunter2\"",
        ),
        ("nats://me:p%40ss@h", "user = \"me\"\npassword = \"p@ss\""),
        ("nats://me@h", "user = \"me\"\npassword = \"hunter2\""),
        ("nats://hunter2@h", "token = \"hunter2\""),
        ("nats://h", "token = \"hunter2\""),
    ] {
        assert!(given(url, keys).is_ok(), "{url} {keys}");
    }
    for (url, keys, key) in [
        ("nats://me:hunter2@h", "user = \"you\"", "nats.user"),
        (
            "nats://me:hunter2@h",
            "password = \"hunter3\"",
            "nats.password",
        ),
        ("nats://me:hunter2@h", "token = \"hunter3\"", "nats.token"),
        ("nats://hunter2@h", "user = \"me\"", "nats.user"),
        ("nats://hunter2@h", "token = \"hunter3\"", "nats.token"),
        (
            "nats://h",
            "user = \"me\"\ntoken = \"hunter2\"",
            "nats.token",
        ),
        ("nats://h", "password = \"hunter2\"", "nats.password"),
    ] {
        let Faults(faults) = given(url, keys).expect_err(keys);
        assert_eq!((faults.len(), faults[0].key.as_str()), (1, key), "{keys}");
        assert!(!faults[0].to_string().contains("hunter"), "{}", faults[0]);
    }
}

#[test]
fn no_login_is_in_what_a_panic_would_show() {
    let nats = "[nats]\nurl = \"nats://me:hunter2@h\"\nuser = \"me\"\npassword = \"hunter2\"\n";
    let shown = format!("{:?}", read(nats).unwrap());
    assert!(
        shown.contains("user: \"me\"") && !shown.contains("hunter2"),
        "{shown}"
    );
}
