//! What the server says of itself: READY, the guilds, RESUMED, and answers to a client's commands.

use super::dice::Dice;
use super::event::{Event, intent};
use super::fault::ABSENT;
use super::frame::{Id, Members, OneOrMany, Voice};
use super::guild::{self, Shown};
use super::object::{self, list, put};
use super::session::Session;
use super::world::{BOT_ID, Guild};

/// Above this many members `GUILD_CREATE` carries only the bot and who is in voice channels,
/// <https://discord.com/developers/docs/events/gateway-events#guild-create>.
const MOST_LISTED: u32 = 75_000;
/// Members of one guild in voice channels.
const MOST_TALKING: u32 = 300;
/// Members in one chunk, <https://discord.com/developers/docs/events/gateway-events#guild-members-chunk>.
const CHUNK: usize = 1000;
/// Members of one guild that the simulator makes up for op 8.
const MOST_MEMBERS: u32 = 10_000;

/// What a script puts into READY, as JSON; none: what belongs there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) session_id: Option<String>,
    pub(super) resume_gateway_url: Option<String>,
}

/// How READY differs from session to session.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) version: u8,
    /// The client sent a shard pair.
    pub(super) sharded: bool,
    pub(super) resume_url: String,
    /// Undocumented keys.
    pub(super) extra: bool,
    pub(super) told: Told,
}

/// READY.
pub(super) fn ready(session: &Session, greeting: Greeting, out: &mut String) {
    let Greeting {
        version,
        sharded,
        resume_url,
        extra,
        told,
    } = greeting;
    let identity = &session.identity;
    put!(out, r#"{{"v":{version},"user_settings":{{}},"user":"#);
    object::bot_of(out, identity.bot);
    if extra {
        out.push_str(r#","_trace":["[\"gateway-simulated\",{\"micros\":1,\"op\":2}]"],"op":99,"s":0,"t":"NOT_THIS""#);
    }
    if sharded {
        put!(out, r#","shard":[{},{}]"#, identity.shard, identity.shards);
    }
    out.push_str(r#","session_type":"normal","#);
    for (key, told, usual) in [
        ("session_id", told.session_id, &identity.id),
        ("resume_gateway_url", told.resume_gateway_url, &resume_url),
    ] {
        match told.unwrap_or_else(|| quoted(usual)).as_str() {
            ABSENT => {}
            json => put!(out, r#""{key}":{json},"#),
        }
    }
    out.push_str(r#""relationships":[],"private_channels":[],"presences":[],"guilds":"#);
    list(out, identity.guilds.iter(), |out, guild| {
        put!(out, r#"{{"unavailable":true,"id":"{}"}}"#, guild.id);
    });
    put!(
        out,
        r#","guild_join_requests":[],"geo_ordered_rtc_regions":[],"game_relationships":[],"auth":{{}},"#
    );
    put!(
        out,
        r#""application":{{"id":"{}","flags":565248}}}}"#,
        identity.bot
    );
}

/// One guild that loads, as this session may see it.
pub(super) fn guild_create(session: &Session, guild: &Guild, out: &mut String) {
    let (members, threshold) = (guild.members, session.identity.large_threshold);
    let seen = session.identity.intents & intent::PRESENCES != 0 && members <= MOST_LISTED;
    let listed = match seen {
        false => 0,
        true if members <= threshold => members,
        // Above the threshold only who is online or otherwise of note.
        true => (members / 10).clamp(1, 2000),
    };
    let heard = Event::VoiceStateUpdate.allowed(session.identity.intents);
    let shown = Shown {
        members: listed,
        presences: listed.min(members / 5 + 1),
        voices: if heard { talking(guild) } else { 0 },
        large: members > threshold,
    };
    guild::write(out, guild, &shown);
}

/// How many members are in voice channels: more in large guilds, nobody in many small ones.
fn talking(guild: &Guild) -> u32 {
    let mut dice = Dice::of(&[guild.id, 3]);
    let few = u32::try_from(dice.below(3)).unwrap_or(0);
    (guild.members / 100 + few).min(MOST_TALKING)
}

/// A guild of about `bytes`, which belongs to the session's shard. `hollow`: they compress to almost nothing.
pub(super) fn huge_guild(session: &Session, bytes: usize, hollow: bool, out: &mut String) {
    let identity = &session.identity;
    let step = 300_000_000_000 / u64::from(identity.shards) + session.last();
    let id = (step * u64::from(identity.shards) + u64::from(identity.shard)) << 22;
    let guild = Guild {
        id,
        members: 50,
        channels: 10,
        roles: 5,
        threads: 0,
    };
    guild::write(out, &guild, &Shown::default());
    out.pop();
    out.push_str(r#","description_of_the_simulator":""#);
    // Half of what these digits say is news: compression helps, but not beyond all measure.
    let mut dice = Dice::new(id);
    if hollow {
        let left = bytes.saturating_sub(out.len() + 2);
        out.extend(std::iter::repeat_n('0', left));
    }
    while out.len() + 2 < bytes {
        let filler = format!("{:016x}", dice.next());
        let left = (bytes - out.len() - 2).min(filler.len());
        out.push_str(filler.get(..left).unwrap_or_default());
    }
    out.push_str("\"}");
}

/// Op 4: the bot's own voice state, then the server to connect to.
pub(super) fn voice(session: &Session, ask: &Voice) -> Vec<(Event, String)> {
    let Some(guild) = find(session, ask.guild_id) else {
        return Vec::new();
    };
    let channel = ask.channel_id.map(|Id(id)| id);
    let mut state = String::new();
    object::voice(
        &mut state,
        guild,
        BOT_ID,
        channel,
        ask.self_mute,
        ask.self_deaf,
    );
    let mut answers = vec![(Event::VoiceStateUpdate, state)];
    if channel.is_some() {
        let server = format!(
            r#"{{"token":"{:016x}","guild_id":"{}","endpoint":"127.0.0.1:9"}}"#,
            guild.id ^ BOT_ID,
            guild.id
        );
        answers.push((Event::VoiceServerUpdate, server));
    }
    answers.retain(|(event, _)| event.allowed(session.identity.intents));
    answers
}

/// Op 8: the members asked for, in chunks.
pub(super) fn members(session: &Session, ask: &Members) -> Vec<(Event, String)> {
    let Some(guild) = find(session, ask.guild_id) else {
        return Vec::new();
    };
    let known = || (0..u64::from(guild.members.min(MOST_MEMBERS))).map(|index| guild.member(index));
    let mut missing: Vec<Id> = Vec::new();
    let found: Vec<u64> = match (&ask.user_ids, ask.query.as_deref()) {
        (Some(ids), _) => {
            let ids = match ids {
                OneOrMany::One(id) => std::slice::from_ref(id),
                OneOrMany::Many(ids) => ids.get(..ids.len().min(100)).unwrap_or_default(),
            };
            let all: std::collections::HashSet<u64> = known().chain([BOT_ID]).collect();
            let hits = ids
                .iter()
                .filter_map(|Id(id)| all.contains(id).then_some(*id));
            missing = ids
                .iter()
                .filter(|Id(id)| !all.contains(id))
                .copied()
                .collect();
            hits.collect()
        }
        (None, Some("")) if ask.limit == 0 => known().chain([BOT_ID]).collect(),
        (None, query) => {
            let (query, most) = (
                query.unwrap_or_default(),
                usize::try_from(ask.limit.clamp(1, 100)).unwrap_or(100),
            );
            let named = |id: &u64| {
                let mut user = String::new();
                object::user(&mut user, *id);
                user.contains(&format!(r#""username":"{query}"#))
            };
            known().filter(named).take(most).collect()
        }
    };
    let nonce = ask.nonce.as_ref().filter(|nonce| nonce.len() <= 32);
    let count = found.len().div_ceil(CHUNK).max(1);
    let chunk = |index: usize| {
        let mut out = String::new();
        let ids = found
            .get(index * CHUNK..found.len().min((index + 1) * CHUNK))
            .unwrap_or_default();
        out.push_str(r#"{"not_found":"#);
        list(
            &mut out,
            missing.iter().filter(|_| index == 0),
            |out, Id(id)| put!(out, r#""{id}""#),
        );
        if let Some(nonce) = nonce {
            put!(&mut out, r#","nonce":{}"#, quoted(nonce));
        }
        if ask.presences && session.identity.intents & intent::PRESENCES != 0 {
            out.push_str(r#","presences":[]"#);
        }
        out.push_str(r#","members":"#);
        list(&mut out, ids.iter(), |out, id| {
            object::member(out, guild, *id, true);
        });
        put!(
            &mut out,
            r#","guild_id":"{}","chunk_index":{index},"chunk_count":{count}}}"#,
            guild.id
        );
        (Event::GuildMembersChunk, out)
    };
    (0..count).map(chunk).collect()
}

/// Whether op 8 asks for every member.
pub(super) fn wants_all(ask: &Members) -> bool {
    ask.user_ids.is_none() && ask.limit == 0 && ask.query.as_deref().is_none_or(str::is_empty)
}

/// The answer to one request for all members too many.
pub(super) fn rate_limited(ask: &Members, retry_after: f64) -> String {
    let nonce = ask
        .nonce
        .as_ref()
        .map(|nonce| format!(r#","nonce":{}"#, quoted(nonce)))
        .unwrap_or_default();
    let Id(guild) = ask.guild_id;
    format!(
        r#"{{"retry_after":{retry_after:.3},"opcode":8,"meta":{{"guild_id":"{guild}"{nonce}}}}}"#
    )
}

/// Op 31.
pub(super) fn soundboard(session: &Session, guilds: &[Id]) -> Vec<(Event, String)> {
    let mine = guilds.iter().filter_map(|id| find(session, *id)).take(100);
    mine.map(|guild| {
        (
            Event::SoundboardSounds,
            format!(r#"{{"soundboard_sounds":[],"guild_id":"{}"}}"#, guild.id),
        )
    })
    .collect()
}

/// Op 43.
pub(super) fn channel_info(session: &Session, guild: Id) -> Vec<(Event, String)> {
    let Some(guild) = find(session, guild) else {
        return Vec::new();
    };
    let channel = guild.voice_channel(0);
    let info = format!(
        r#"{{"guild_id":"{}","channels":[{{"id":"{channel}","status":null}}]}}"#,
        guild.id
    );
    vec![(Event::ChannelInfo, info)]
}

fn find(session: &Session, Id(id): Id) -> Option<&Guild> {
    session.identity.guilds.iter().find(|guild| guild.id == id)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
