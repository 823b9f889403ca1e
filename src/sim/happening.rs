//! The data of single events of a session's traffic.

use super::event::{Event, intent};
use super::object::{self, list, put};
use super::sample::{self, Scene};
use super::traffic::Traffic;
use super::words::{NAMES, Stamp, WORDS};
use super::world::{self, BOT_ID, Guild};

impl Traffic {
    /// What happens seldom.
    pub(super) fn rarity(&mut self, event: Event, out: &mut String, guild: &Guild, who: u64) {
        match event {
            Event::GuildMemberAdd | Event::GuildMemberUpdate => {
                let who = match event {
                    Event::GuildMemberAdd => guild.newcomer(self.dice.next()),
                    _ => who,
                };
                let mut whole = String::new();
                object::member(&mut whole, guild, who, true);
                put!(
                    out,
                    r#"{{"guild_id":"{}",{}"#,
                    guild.id,
                    whole.trim_start_matches('{')
                );
            }
            Event::GuildMemberRemove | Event::GuildBanAdd | Event::GuildBanRemove => {
                out.push_str(r#"{"user":"#);
                object::user(out, who);
                put!(out, r#","guild_id":"{}"}}"#, guild.id);
            }
            Event::PollVoteAdd | Event::PollVoteRemove => {
                let (guild, channel, id) = self.known_message();
                put!(
                    out,
                    r#"{{"user_id":"{who}","message_id":"{id}","guild_id":"{}","channel_id":"{channel}","#,
                    guild.id
                );
                put!(out, r#""answer_id":{}}}"#, 1 + self.dice.below(4));
            }
            Event::InteractionCreate => self.interaction(out, guild, who),
            _ => {
                let scene = Scene {
                    guild,
                    who,
                    id: self.snowflake(),
                    at: Stamp(self.clock_ms),
                    content: self.intents & intent::MESSAGE_CONTENT != 0,
                };
                put!(out, "{}", sample::data(event, &scene));
            }
        }
    }

    pub(super) fn message(&mut self, out: &mut String, place: usize, guild: &Guild, event: Event) {
        let author = guild.member(self.dice.below(2_000));
        let channel = guild.text_channel(self.dice.below(6));
        let id = match self.last_message {
            Some((at, _, id)) if event == Event::MessageUpdate && at == place => id,
            _ => self.snowflake(),
        };
        self.last_message = Some((place, channel, id));
        let content = self.intents & intent::MESSAGE_CONTENT != 0;
        self.message_head(out, id, channel, author, content);
        put!(
            out,
            r#","guild_id":"{}","channel_type":0,"member":"#,
            guild.id
        );
        object::member(out, guild, author, false);
        out.push('}');
    }

    /// What comes in direct messages: no guild, no member, and content is never withheld.
    pub(super) fn direct(&mut self, event: Event, out: &mut String) {
        let author = 600_000_000_000_000_000 + self.dice.below(500);
        let channel = author + world::DM_CHANNEL;
        let id = self.snowflake();
        match event {
            Event::DirectMessageCreate | Event::DirectMessageUpdate => {
                self.message_head(out, id, channel, author, true);
                out.push_str(r#","channel_type":1}"#);
            }
            Event::DirectTypingStart => {
                let at = self.unix_ms() / 1000;
                put!(
                    out,
                    r#"{{"user_id":"{author}","timestamp":{at},"channel_id":"{channel}"}}"#
                );
            }
            _ => {
                let at = Stamp(self.clock_ms);
                put!(out, "{}", sample::direct(event, author, channel, id, at));
            }
        }
    }

    fn message_head(
        &mut self,
        out: &mut String,
        id: u64,
        channel: u64,
        author: u64,
        content: bool,
    ) {
        let at = Stamp(self.clock_ms);
        put!(
            out,
            r#"{{"type":0,"tts":false,"timestamp":"{at}","pinned":false,"nonce":"{id}","mentions":[],"#
        );
        put!(
            out,
            r#""mention_roles":[],"mention_everyone":false,"id":"{id}","flags":0,"edited_timestamp":null,"#
        );
        out.push_str(r#""embeds":"#);
        list(
            out,
            0..u64::from(content && self.dice.chance(12)),
            |out, _| {
                put!(
                    out,
                    r#"{{"type":"rich","title":"{}","description":"{} {}","color":{},"content_scan_version":0}}"#,
                    self.dice.pick(NAMES),
                    self.dice.pick(WORDS),
                    self.dice.pick(WORDS),
                    self.dice.below(0xFF_FFFF)
                );
            },
        );
        out.push_str(r#","content":""#);
        if content {
            for n in 0..self.dice.tail(4, 300) {
                put!(
                    out,
                    "{}{}",
                    if n > 0 { " " } else { "" },
                    self.dice.pick(WORDS)
                );
            }
        }
        put!(
            out,
            r#"","components":[],"channel_id":"{channel}","author":"#
        );
        object::user(out, author);
        out.push_str(r#","attachments":[]"#);
    }

    pub(super) fn reaction(&mut self, out: &mut String, event: Event) {
        let (guild, channel, id) = self.known_message();
        let who = guild.member(self.dice.below(2_000));
        put!(out, r#"{{"user_id":"{who}","type":0,"message_id":"{id}","#);
        if event == Event::ReactionAdd {
            out.push_str(r#""member":"#);
            object::member(out, &guild, who, true);
            put!(out, r#","message_author_id":"{}","#, guild.member(1));
        }
        put!(
            out,
            r#""guild_id":"{}","emoji":{{"name":"🎉","id":null}},"channel_id":"{channel}","burst":false}}"#,
            guild.id
        );
    }

    fn interaction(&mut self, out: &mut String, guild: &Guild, who: u64) {
        let (id, channel) = (self.snowflake(), guild.text_channel(0));
        put!(
            out,
            r#"{{"version":1,"type":2,"token":"{}","member":{{"permissions":"2222085186637376","#,
            world::interaction_token(channel, id, self.dice.next())
        );
        let mut whole = String::new();
        object::member(&mut whole, guild, who, true);
        put!(
            out,
            r#"{},"locale":"en-US","id":"{id}","guild_locale":"en-US","guild_id":"{}","#,
            whole.trim_start_matches('{'),
            guild.id
        );
        put!(
            out,
            r#""guild":{{"locale":"en-US","id":"{}","features":[]}},"entitlements":[],"entitlement_sku_ids":[],"#,
            guild.id
        );
        put!(
            out,
            r#""data":{{"type":1,"name":"ping","id":"{}"}},"context":0,"channel_id":"{channel}","channel":{{"#,
            BOT_ID + 9
        );
        put!(
            out,
            r#""type":0,"permissions":"2222085186637376","name":"talk","id":"{channel}","guild_id":"{}"}},"#,
            guild.id
        );
        put!(
            out,
            r#""authorizing_integration_owners":{{"0":"{}"}},"attachment_size_limit":10485760,"#,
            guild.id
        );
        put!(
            out,
            r#""application_id":"{BOT_ID}","app_permissions":"2222085186637376"}}"#
        );
    }
}
