//! What is taken, what is refused, and the bytes of the answers.

use std::time::Duration;

use super::*;

fn reason(json: &str) -> Reason {
    Command::parse(json.as_bytes()).unwrap_err().reason
}

#[test]
fn takes_what_discord_takes() {
    for (json, op, guilds) in [
        (
            r#"{"op":3,"d":{"since":null,"activities":[{"name":"chess","type":0}],"status":"dnd","afk":false}}"#,
            Op::Presence,
            vec![],
        ),
        (
            r#"{"op":4,"d":{"guild_id":"41771983423143937","channel_id":null,"self_mute":false,"self_deaf":true}}"#,
            Op::Voice,
            vec![41_771_983_423_143_937],
        ),
        (
            r#"{"op":8,"d":{"guild_id":"7","query":"","limit":0,"nonce":"n"}}"#,
            Op::Members,
            vec![7],
        ),
        (
            r#"{"op":31,"d":{"guild_ids":["7","9"]}}"#,
            Op::Soundboard,
            vec![7, 9],
        ),
        (
            r#"{"d":{"fields":["status"],"guild_id":"7"},"op":43}"#,
            Op::ChannelInfo,
            vec![7],
        ),
    ] {
        let command = Command::parse(json.as_bytes()).unwrap();
        assert_eq!((command.op, command.guilds), (op, guilds));
        assert_eq!(command.json, json, "goes out as it came");
        assert_eq!(command.all_members, op == Op::Members);
    }
    let some = br#"{"op":8,"d":{"guild_id":"7","user_ids":["1"],"limit":0}}"#;
    assert!(!Command::parse(some).unwrap().all_members);
    let named = br#"{"op":8,"d":{"guild_id":"7","query":"a","limit":5}}"#;
    assert!(!Command::parse(named).unwrap().all_members);
    // A prefix, as discord.js asks for it, is not the whole list.
    let prefix = br#"{"op":8,"d":{"guild_id":"7","query":"a","limit":0,"presences":true}}"#;
    let prefix = Command::parse(prefix).unwrap();
    assert!(!prefix.all_members && !prefix.lists_members && prefix.presences);
    let first = Command::parse(br#"{"op":8,"d":{"guild_id":"7","query":"","limit":5}}"#).unwrap();
    assert!(!first.all_members && first.lists_members && !first.presences);
}

/// Each was taken once, and its asker waited for an answer that Discord never gives.
#[test]
fn refuses_what_discord_drops_or_ignores() {
    let users = |n: usize| vec![r#""7""#; n].join(",");
    let members = |of: &str| format!(r#"{{"op":8,"d":{{"guild_id":"7",{of}}}}}"#);
    let presence = |activity: &str| {
        format!(
            r#"{{"op":3,"d":{{"since":null,"activities":[{activity}],"status":"idle","afk":false}}}}"#
        )
    };
    let info = |fields: &str| format!(r#"{{"op":43,"d":{{"guild_id":"7","fields":[{fields}]}}}}"#);
    for (json, word) in [
        (members(&format!(r#""user_ids":[{}]"#, users(101))), "100"),
        (members(r#""user_ids":[]"#), "empty"),
        (members(r#""limit":0"#), "neither"),
        (
            members(r#""query":null,"user_ids":null,"limit":0"#),
            "neither",
        ),
        (members(r#""query":"a","user_ids":["7"],"limit":0"#), "both"),
        (members(r#""query":"a""#), "limit"),
        (
            members(&format!(r#""user_ids":"7","nonce":"{}""#, "n".repeat(33))),
            "32 bytes",
        ),
        (
            members(&format!(r#""user_ids":"7","nonce":"{}""#, "ä".repeat(17))),
            "32 bytes",
        ),
        (presence(r#"{"type":0}"#), "name"),
        (presence(r#"{"type":0,"name":""}"#), "name"),
        (presence(r#"{"name":"chess"}"#), "type"),
        (presence(r#"{"name":"chess","type":6}"#), "type"),
        (presence(r#"{"name":"Custom Status","type":4}"#), "state"),
        (info(""), "empty"),
        (info(r#""status","topic""#), "field"),
    ] {
        let refused = Command::parse(json.as_bytes()).unwrap_err();
        assert_eq!(refused.reason, Reason::Malformed, "{json}");
        assert!(refused.detail.contains(word), "{json}: {}", refused.detail);
    }
    for json in [
        members(&format!(r#""user_ids":[{}]"#, users(100))),
        members(&format!(r#""user_ids":"7","nonce":"{}""#, "n".repeat(32))),
        members(r#""query":"","user_ids":["7"],"limit":0"#),
        presence(r#"{"name":"x","type":4,"state":"asleep"}"#),
        presence(r#"{"name":"x","type":5,"url":null}"#),
        info(r#""voice_start_time","status""#),
    ] {
        assert!(Command::parse(json.as_bytes()).is_ok(), "{json}");
    }
}

#[test]
fn refuses_what_discord_would_close_for() {
    for bad in [
        "",
        "{",
        "[]",
        r#"{"op":3}"#,
        r#"{"op":-1,"d":{}}"#,
        r#"{"op":3,"d":{"since":null,"activities":[],"status":"asleep","afk":false}}"#,
        r#"{"op":3,"d":{"since":null,"activities":null,"status":"idle","afk":false}}"#,
        r#"{"op":4,"d":{"guild_id":7,"channel_id":null,"self_mute":false,"self_deaf":false}}"#,
        r#"{"op":4,"d":{"guild_id":"7"}}"#,
        r#"{"op":8,"d":{"guild_id":"7","user_ids":[1]}}"#,
        r#"{"op":31,"d":{"guild_ids":[]}}"#,
        r#"{"op":43,"d":{"guild_id":"x","fields":[]}}"#,
    ] {
        assert_eq!(reason(bad), Reason::Malformed, "{bad}");
    }
    assert_eq!(
        Command::parse(b"\xff").unwrap_err().reason,
        Reason::Malformed
    );
    for op in [0, 1, 2, 5, 6, 7, 10, 99] {
        assert_eq!(
            reason(&format!(r#"{{"op":{op},"d":{{}}}}"#)),
            Reason::UnknownOp
        );
    }
    let long = format!(
        r#"{{"op":31,"d":{{"guild_ids":["{}"]}}}}"#,
        "7".repeat(MAX_BYTES)
    );
    assert_eq!(reason(&long), Reason::TooLarge);
}

#[test]
fn a_guild_has_one_shard() {
    let sounds = |ids: &str| {
        let json = format!(r#"{{"op":31,"d":{{"guild_ids":[{ids}]}}}}"#);
        Command::parse(json.as_bytes()).unwrap().shard(4)
    };
    let (one, five, two) = (1_u64 << 22, 5_u64 << 22, 2_u64 << 22);
    assert_eq!(
        sounds(&format!(r#""{one}","{five}""#)),
        Ok(Some(ShardId(1)))
    );
    let refused = sounds(&format!(r#""{one}","{two}""#)).unwrap_err();
    assert_eq!(refused.reason, Reason::WrongShard);
}

#[test]
fn answers_on_the_wire() {
    let accepted = Reply::Accepted(Accepted {
        v: 1,
        shard: 3,
        sent_at_ms: 1_700_000_000_000,
    });
    let limited = Refused::new(Reason::Limited, "5 presences in 20 s");
    let limited = Reply::Refused(limited.retry_after(Duration::from_micros(1_500)));
    let away = Reply::Refused(Refused::new(Reason::NoSession, "nobody runs shard 3"));
    let spread = Reply::Spread(Spread {
        v: 1,
        accepted: 3,
        refused: vec![2],
    });
    for (reply, golden) in [
        (
            accepted,
            r#"{"kind":"accepted","v":1,"shard":3,"sent_at_ms":1700000000000}"#,
        ),
        (
            limited,
            r#"{"kind":"refused","v":1,"reason":"limited","detail":"5 presences in 20 s","retry_after_ms":2}"#,
        ),
        (
            away,
            r#"{"kind":"refused","v":1,"reason":"no_session","detail":"nobody runs shard 3"}"#,
        ),
        (
            spread,
            r#"{"kind":"spread","v":1,"accepted":3,"refused":[2]}"#,
        ),
    ] {
        assert_eq!(crate::wire::encode(&reply), golden);
        assert_eq!(
            crate::wire::decode::<Reply>(golden.as_bytes()).unwrap(),
            reply
        );
    }
}

#[test]
fn reads_what_discord_says_of_a_limit() {
    let said = rate_limited(
        r#"{"t":"RATE_LIMITED","s":9,"op":0,"d":{"retry_after":29.5,"opcode":8,"meta":{"guild_id":"7","nonce":"n"}}}"#,
    )
    .unwrap();
    assert_eq!((said.opcode, said.meta.guild_id), (8, Snowflake(7)));
    assert!(rate_limited("{}").is_none());
}
