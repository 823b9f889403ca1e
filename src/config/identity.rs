//! As whom every shard identifies; the payload is made in one place, for those who send it and those who
//! measure it before.

use std::env::consts::OS;

use twilight_model::gateway::{
    Capabilities, Intents, ShardId,
    payload::outgoing::{
        Identify,
        identify::{IdentifyInfo, IdentifyProperties},
        update_presence::UpdatePresencePayload,
    },
};

use super::{Discord, Secret};

/// As whom a shard identifies.
pub struct Identity {
    /// The bot's token.
    pub token: Secret,
    /// Which events Discord sends.
    pub intents: Intents,
    /// Members above which a guild's offline ones are left out.
    pub large_threshold: u64,
    /// The first presence.
    pub presence: Option<UpdatePresencePayload>,
}

impl Identity {
    /// As configured.
    ///
    /// # Errors
    /// A presence that is none.
    pub fn of(discord: &Discord) -> serde_json::Result<Self> {
        let presence = Some(&discord.presence).filter(|presence| !presence.is_empty());
        Ok(Self {
            token: discord.token.clone(),
            intents: discord.intents.0,
            large_threshold: u64::from(discord.large_threshold.0),
            presence: presence
                .map(|json| serde_json::from_str(json))
                .transpose()?,
        })
    }

    /// <https://discord.com/developers/docs/events/gateway-events#identify>
    pub fn identify(&self, shard: ShardId) -> String {
        let payload = Identify::new(IdentifyInfo {
            capabilities: Capabilities::empty(),
            compress: false,
            intents: self.intents,
            large_threshold: self.large_threshold,
            presence: self.presence.clone(),
            properties: IdentifyProperties::new("shardfleet", "shardfleet", OS),
            shard: Some(shard),
            token: self.token.expose().to_owned(),
        });
        // It has no key that is no string, which alone could fail.
        serde_json::to_string(&payload).unwrap_or_default()
    }
}
