//! What Discord would refuse.

use super::*;

#[test]
fn a_token_pasted_badly_is_told_by_its_kind() {
    for (bad, kind) in [
        ("'\"hunter2\"'", "in quotes"),
        ("\"'hunter2'\"", "in quotes"),
        ("\"hunter2'\"", "in quotes"),
        ("\"Bot hunter2\"", "begins with \"Bot \""),
        ("\"hunter2 hunter2\"", "white space inside"),
        ("\"hunter2\\nhunter2\"", "white space inside"),
        ("\"hunter2\\u00a0hunter2\"", "white space inside"),
        ("\"hunter2ä\"", "a character that no token has"),
    ] {
        let faults = faults(&format!("[discord]\ntoken = {bad}\n"));
        assert_eq!(faults.len(), 1, "{bad}");
        let told = faults[0].to_string();
        assert!(told.contains(kind) && !told.contains("hunter2"), "{told}");
    }
    let padded = read("[discord]\ntoken = \" a.b.c\\n\"\n").unwrap();
    assert_eq!(padded.discord.token.expose(), "a.b.c");
}

fn presence(activities: &str, status: &str) -> Result<Config, Faults> {
    let json =
        format!(r#"{{"since":null,"activities":[{activities}],"status":"{status}","afk":false}}"#);
    read(&format!("[discord]\npresence = {json:?}\n"))
}

#[test]
fn a_presence_that_discord_would_refuse_is_told() {
    let playing = |name: &str| format!(r#"{{"name":"{name}","type":0}}"#);
    assert!(presence(&playing("chess"), "dnd").is_ok());
    for (bad, why) in [
        (presence(&playing("chess"), "busy"), "busy"),
        (presence(r#"{"name":"x","type":9}"#, "online"), "no type 9"),
        (presence(r#"{"type":0}"#, "online"), "name"),
        (presence(&playing(&"x".repeat(4000)), "online"), "4002"),
    ] {
        let Faults(faults) = bad.expect_err(why);
        assert_eq!(
            (faults.len(), faults[0].key.as_str()),
            (1, "discord.presence"),
            "{why}"
        );
        assert!(faults[0].reason.contains(why), "{}", faults[0]);
    }
    // The token is a part of the same payload.
    let long = format!("[discord]\ntoken = \"{}\"\n", "h".repeat(4096));
    assert_eq!(faults(&long)[0].key, "discord.token");
}

#[test]
fn an_event_that_discord_does_not_have_is_a_fault_until_it_is_let_in() {
    for key in ["fleet.allow", "fleet.deny", "gateway.shed"] {
        let (section, name) = key.split_once('.').unwrap();
        let given = format!("[{section}]\n{name} = [\"MESSAGE_CRATE\"]\n");
        let faults = faults(&given);
        assert_eq!((faults.len(), faults[0].key.as_str()), (1, key));
        assert!(faults[0].reason.contains("MESSAGE_CREATE"), "{}", faults[0]);
        let let_in = match section {
            "fleet" => format!("{given}unknown_events = true\n"),
            _ => format!("{given}[fleet]\nunknown_events = true\n"),
        };
        let notes = read(&let_in).unwrap().notes();
        assert!(
            notes[0].text.contains("MESSAGE_CREATE is near"),
            "{notes:?}"
        );
    }
    for (section, name) in [("fleet", "deny"), ("gateway", "shed")] {
        let faults = faults(&format!("[{section}]\n{name} = [\"READY\", \"RESUMED\"]\n"));
        assert!(
            faults[0].reason.contains("always forwarded"),
            "{}",
            faults[0]
        );
    }
    assert!(read("[fleet]\nallow = [\"READY\", \"MESSAGE_CREATE\"]\n").is_ok());
}

#[test]
fn what_is_hardly_meant_is_noted() {
    assert_eq!(Config::default().notes(), []);
    for (toml, told) in [
        ("[discord]\nintents = 0\n", "discord.intents is 0"),
        ("[discord]\nintents = []\n", "discord.intents is 0"),
        (
            "[log]\nlevel = \"info,shardflet=debug\"\n",
            "logs as shardflet",
        ),
        (
            "[discord]\napi = \"http://discord.com/api/v10\"\n",
            "plain text",
        ),
        ("[discord]\ngateway = \"ws://10.0.0.1\"\n", "plain text"),
        (
            "[discord]\napi = \"https://discord.com\"\n",
            "not version 10",
        ),
    ] {
        let notes = read(toml).unwrap().notes();
        assert_eq!(notes.len(), 1, "{toml}");
        assert!(notes[0].text.contains(told), "{notes:?}");
    }
    let near = read("[discord]\napi = \"http://127.0.0.1:7700/api/v10\"\n").unwrap();
    assert_eq!(near.notes(), []);
}
