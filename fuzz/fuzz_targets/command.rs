//! What workers ask to be sent to Discord: what is accepted is accepted again as it is sent, and its
//! guilds name a shard that exists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardfleet::wire::command::Command;

fuzz_target!(|bytes: &[u8]| {
    let Ok(command) = Command::parse(bytes) else {
        return;
    };
    let again = Command::parse(command.json.as_bytes()).expect("what is sent is a command");
    assert_eq!((again.op, &again.json), (command.op, &command.json));
    for shards in [1, 7, 16_384] {
        if let Ok(Some(shard)) = command.shard(shards) {
            assert!(shard.0 < shards);
        }
    }
});
