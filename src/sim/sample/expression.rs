//! Emojis, stickers and sounds.

use serde_json::{Value, json};

use super::super::event::Event;
use super::{Scene, user};

pub(super) fn data(event: Event, scene: &Scene) -> Option<Value> {
    let guild = scene.guild();
    Some(match event {
        Event::GuildEmojisUpdate => json!({ "guild_id": guild, "emojis": [emoji(scene)] }),
        Event::GuildStickersUpdate => json!({ "guild_id": guild, "stickers": [sticker(scene)] }),
        Event::GuildSoundboardSoundCreate | Event::GuildSoundboardSoundUpdate => sound(scene),
        Event::GuildSoundboardSoundDelete => {
            json!({ "guild_id": guild, "sound_id": scene.passing(6).to_string() })
        }
        Event::GuildSoundboardSoundsUpdate | Event::SoundboardSounds => {
            json!({ "guild_id": guild, "soundboard_sounds": [sound(scene)] })
        }
        _ => return None,
    })
}

fn emoji(scene: &Scene) -> Value {
    json!({
        "id": scene.passing(7).to_string(), "name": "kestrel", "roles": [], "require_colons": true,
        "managed": false, "animated": false, "available": true, "user": user(scene.who),
    })
}

fn sticker(scene: &Scene) -> Value {
    json!({
        "id": scene.passing(8).to_string(), "name": "wave", "description": null, "tags": "wave",
        "type": 2, "format_type": 1, "available": true, "guild_id": scene.guild(), "asset": "",
        "user": user(scene.who),
    })
}

fn sound(scene: &Scene) -> Value {
    json!({
        "sound_id": scene.passing(6).to_string(), "name": "gong", "volume": 1.0, "emoji_id": null,
        "emoji_name": "🎉", "guild_id": scene.guild(), "available": true,
        "user_id": scene.who(), "user": user(scene.who),
    })
}
