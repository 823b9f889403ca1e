//! What concerns the bot and its application: commands, entitlements, subscriptions, limits.

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::words::Stamp;
use super::super::{object, world};
use super::{Scene, bot_id, user, value};

pub(super) fn data(event: Event, scene: &Scene) -> Option<Value> {
    let guild = scene.guild();
    Some(match event {
        Event::ApplicationCommandPermissionsUpdate => json!({
            "id": (world::BOT_ID + 9).to_string(), "application_id": bot_id(), "guild_id": guild,
            "permissions": [{ "id": scene.guild.role(1).to_string(), "type": 1, "permission": true }],
        }),
        Event::UserUpdate => user(world::BOT_ID),
        Event::RateLimited => json!({
            "opcode": 8, "retry_after": 1.5, "meta": { "guild_id": guild },
        }),
        Event::GuildMembersChunk => {
            let member = value(|out| object::member(out, scene.guild, scene.who, true));
            json!({
                "guild_id": guild, "members": [member], "not_found": [], "chunk_index": 0,
                "chunk_count": 1,
            })
        }
        Event::Resumed => json!({ "_trace": [] }),
        _ => return None,
    })
}

/// Events that belong to no guild.
pub(super) fn private(event: Event, who: &str, id: &str, at: Stamp) -> Value {
    let at = at.to_string();
    let later = "2027-12-01T00:00:00.000000+00:00";
    let deleted = event == Event::EntitlementDelete;
    match event {
        Event::EntitlementCreate | Event::EntitlementUpdate | Event::EntitlementDelete => json!({
            "id": id, "sku_id": "700000000000000077", "application_id": bot_id(), "user_id": who,
            "type": 8, "deleted": deleted, "starts_at": at, "ends_at": later, "consumed": false,
        }),
        _ => json!({
            "id": id, "user_id": who, "sku_ids": ["700000000000000077"],
            "entitlement_ids": ["700000000000000078"], "renewal_sku_ids": null,
            "current_period_start": at, "current_period_end": later, "status": 0,
            "canceled_at": null,
        }),
    }
}
