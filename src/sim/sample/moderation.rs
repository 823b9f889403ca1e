//! Audit log, auto moderation, webhooks.

use serde_json::{Value, json};

use super::super::event::Event;
use super::{Scene, bot_id};

pub(super) fn data(event: Event, scene: &Scene) -> Option<Value> {
    let guild = scene.guild();
    Some(match event {
        Event::AuditLogEntryCreate => json!({
            "id": scene.id(), "guild_id": guild, "action_type": 24, "user_id": scene.who(),
            "target_id": scene.guild.member(1).to_string(),
            "changes": [{ "key": "nick", "new_value": "amber" }],
        }),
        Event::AutoModerationRuleCreate
        | Event::AutoModerationRuleUpdate
        | Event::AutoModerationRuleDelete => rule(scene),
        Event::AutoModerationActionExecution => {
            let seen = |text: &str| {
                if scene.content {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            json!({
                "guild_id": guild, "rule_id": scene.passing(9).to_string(), "rule_trigger_type": 1,
                "action": { "type": 1, "metadata": {} }, "user_id": scene.who(),
                "channel_id": scene.text_channel(), "content": seen("what a raid"),
                "matched_keyword": "raid", "matched_content": seen("raid"),
            })
        }
        Event::WebhooksUpdate => {
            json!({ "guild_id": guild, "channel_id": scene.text_channel() })
        }
        _ => return None,
    })
}

fn rule(scene: &Scene) -> Value {
    json!({
        "id": scene.passing(9).to_string(), "guild_id": scene.guild(), "name": "no raids",
        "creator_id": bot_id(), "event_type": 1, "trigger_type": 1,
        "trigger_metadata": { "keyword_filter": ["raid"], "regex_patterns": [], "allow_list": [] },
        "actions": [{ "type": 1, "metadata": {} }], "enabled": true, "exempt_roles": [],
        "exempt_channels": [],
    })
}
