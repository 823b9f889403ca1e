//! What happens to channels, threads, stages, and to messages in bulk.

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::object;
use super::{Scene, bot_id, value};

pub(super) fn data(event: Event, scene: &Scene) -> Option<Value> {
    let (guild, text, voice) = (scene.guild(), scene.text_channel(), scene.voice_channel());
    let message = scene.id();
    let emoji = json!({ "name": "🎉", "id": null });
    Some(match event {
        Event::ChannelCreate | Event::ChannelDelete => channel(scene, Some(scene.passing(4))),
        Event::ChannelUpdate => channel(scene, None),
        Event::ChannelPinsUpdate => json!({
            "guild_id": guild, "channel_id": text, "last_pin_timestamp": scene.at.to_string(),
        }),
        Event::ThreadCreate => {
            let mut thread = thread(scene);
            thread["newly_created"] = true.into();
            thread
        }
        Event::ThreadUpdate => thread(scene),
        Event::ThreadDelete => {
            let (whole, mut thread) = (thread(scene), json!({}));
            for key in ["id", "guild_id", "parent_id", "type"] {
                thread[key] = whole[key].clone();
            }
            thread
        }
        Event::ThreadListSync => json!({
            "guild_id": guild, "channel_ids": [text], "threads": [thread(scene)], "members": [],
        }),
        Event::ThreadMemberUpdate => {
            let mut member = thread_member(scene, &bot_id());
            member["guild_id"] = guild.into();
            member
        }
        Event::ThreadMembersUpdate => {
            let mut added = thread_member(scene, &scene.who());
            added["member"] = value(|out| object::member(out, scene.guild, scene.who, true));
            added["presence"] = Value::Null;
            json!({
                "id": thread(scene)["id"], "guild_id": guild, "member_count": 3,
                "added_members": [added], "removed_member_ids": [],
            })
        }
        Event::StageInstanceCreate | Event::StageInstanceUpdate | Event::StageInstanceDelete => {
            json!({
                "id": scene.passing(5).to_string(), "guild_id": guild, "channel_id": voice,
                "topic": "questions", "privacy_level": 2, "discoverable_disabled": true,
                "guild_scheduled_event_id": null,
            })
        }
        Event::VoiceChannelStatusUpdate => {
            json!({ "id": voice, "guild_id": guild, "status": "humming" })
        }
        Event::VoiceChannelStartTimeUpdate => {
            json!({ "id": voice, "guild_id": guild, "voice_start_time": 1_767_225_600 })
        }
        Event::VoiceChannelEffectSend => json!({
            "channel_id": voice, "guild_id": guild, "user_id": scene.who(), "emoji": emoji,
            "animation_type": 1, "animation_id": 2,
        }),
        Event::VoiceServerUpdate => json!({
            "token": "0123456789abcdef", "guild_id": guild, "endpoint": "127.0.0.1:9",
        }),
        Event::ChannelInfo => json!({
            "guild_id": guild, "channels": [{ "id": voice, "status": null }],
        }),
        Event::MessageDeleteBulk => json!({
            "guild_id": guild, "channel_id": text,
            "ids": [message, (scene.id + 1).to_string()],
        }),
        Event::ReactionRemoveAll => {
            json!({ "guild_id": guild, "channel_id": text, "message_id": message })
        }
        Event::ReactionRemoveEmoji => json!({
            "guild_id": guild, "channel_id": text, "message_id": message, "emoji": emoji,
        }),
        _ => return None,
    })
}

fn channel(scene: &Scene, id: Option<u64>) -> Value {
    let mut channel = value(|out| object::channel(out, scene.guild, 1));
    channel["guild_id"] = scene.guild().into();
    if let Some(id) = id {
        channel["id"] = id.to_string().into();
    }
    channel
}

fn thread(scene: &Scene) -> Value {
    value(|out| object::thread(out, scene.guild, 60_000))
}

fn thread_member(scene: &Scene, who: &str) -> Value {
    json!({
        "id": thread(scene)["id"], "user_id": who, "join_timestamp": scene.at.to_string(),
        "flags": 0,
    })
}
