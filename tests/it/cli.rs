//! The command line: what it teaches, and the code it ends with.

use crate::support::process::{command, output};

fn run(arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    output(command(&folder).args(arguments))
}

#[test]
fn help_and_version_are_no_failure() {
    let (code, help) = run(&["--help"]);
    assert_eq!(code, 0, "{help}");
    let commands = ["gateway", "coordinator", "up", "sim", "check", "status"];
    for command in commands {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} in:\n{help}"
        );
        let (code, help) = run(&[command, "--help"]);
        assert!(code == 0 && help.contains("Usage:"), "{command}: {help}");
    }
    assert!(
        !help.contains("tether"),
        "a hidden command is shown:\n{help}"
    );
    let (code, version) = run(&["--version"]);
    assert_eq!(
        (code, version.trim()),
        (0, concat!("shardfleet ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn bad_usage_ends_with_64() {
    for arguments in [
        &[][..],
        &["nope"],
        &["gateway", "--nope"],
        &["check", "--set", "lease.ttl"],
        &["check", "--set", "lease.tll=20s"],
        &["tether"],
    ] {
        let (code, text) = run(arguments);
        assert_eq!(code, 64, "{arguments:?}: {text}");
        assert!(!text.is_empty(), "{arguments:?} says nothing");
    }
}
