//! What is done to a guild: its data, roles, integrations, invites, scheduled events.

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::guild::{self, Shown};
use super::super::object;
use super::{Scene, bot_id, user, value};

pub(super) fn data(event: Event, scene: &Scene) -> Option<Value> {
    Some(match event {
        Event::GuildCreate => value(|out| guild::write(out, scene.guild, &Shown::default())),
        Event::GuildUpdate => guild::updated(scene.guild),
        Event::GuildDelete => json!({ "id": scene.guild(), "unavailable": true }),
        Event::GuildRoleCreate => role(scene, Some(scene.passing(1))),
        Event::GuildRoleUpdate => role(scene, None),
        Event::GuildRoleDelete => {
            json!({ "guild_id": scene.guild(), "role_id": scene.passing(1).to_string() })
        }
        Event::GuildIntegrationsUpdate => json!({ "guild_id": scene.guild() }),
        Event::IntegrationCreate | Event::IntegrationUpdate => integration(scene),
        Event::IntegrationDelete => {
            json!({ "guild_id": scene.guild(), "id": scene.passing(2).to_string() })
        }
        Event::InviteCreate => json!({
            "channel_id": scene.text_channel(), "code": code(scene), "guild_id": scene.guild(),
            "created_at": scene.at.to_string(), "expires_at": null, "inviter": user(scene.who),
            "max_age": 0, "max_uses": 0, "temporary": false, "uses": 0, "type": 0,
        }),
        Event::InviteDelete => json!({
            "channel_id": scene.text_channel(), "code": code(scene), "guild_id": scene.guild(),
        }),
        Event::GuildScheduledEventCreate
        | Event::GuildScheduledEventUpdate
        | Event::GuildScheduledEventDelete => scheduled(scene),
        Event::GuildScheduledEventUserAdd | Event::GuildScheduledEventUserRemove => json!({
            "guild_scheduled_event_id": scene.passing(3).to_string(), "user_id": scene.who(),
            "guild_id": scene.guild(),
        }),
        _ => return None,
    })
}

fn role(scene: &Scene, id: Option<u64>) -> Value {
    let mut role = value(|out| object::role(out, scene.guild, 1));
    if let (Some(fields), Some(id)) = (role.as_object_mut(), id) {
        fields.insert("id".to_owned(), id.to_string().into());
    }
    json!({ "guild_id": scene.guild(), "role": role })
}

fn integration(scene: &Scene) -> Value {
    json!({
        "id": scene.passing(2).to_string(), "name": "stream", "type": "twitch", "enabled": true,
        "syncing": false, "role_id": scene.guild.role(1).to_string(), "enable_emoticons": false,
        "expire_behavior": 0, "expire_grace_period": 1, "user": user(scene.who),
        "account": { "id": "77", "name": "stream" }, "synced_at": scene.at.to_string(),
        "subscriber_count": 0, "revoked": false, "guild_id": scene.guild(),
    })
}

fn scheduled(scene: &Scene) -> Value {
    json!({
        "id": scene.passing(3).to_string(), "guild_id": scene.guild(), "name": "game night",
        "channel_id": scene.voice_channel(), "creator_id": bot_id(), "description": "bring snacks",
        "scheduled_start_time": "2027-01-01T20:00:00.000000+00:00", "scheduled_end_time": null,
        "privacy_level": 2, "status": 1, "entity_type": 2, "entity_id": null,
        "entity_metadata": null, "creator": user(super::BOT_ID), "user_count": 0, "image": null,
        "recurrence_rule": null,
    })
}

fn code(scene: &Scene) -> String {
    format!("{:08x}", scene.guild.id >> 22 & 0xFFFF_FFFF)
}
