//! `--pre-encoded`: bodies that were written once and are sent over and over. What has to differ is written
//! anew each time: the sequence, and the id of what happens, wherever the body says it. What follows the
//! last of them is compressed once.

use bytes::Bytes;
use serde::Deserialize;

use super::event::Event;
use super::frames;
use super::object::put;
use super::payload::Payload;

/// The bodies of one session.
#[derive(Debug, Default)]
pub(super) struct Stencils {
    all: Vec<Stencil>,
    most: usize,
    turn: usize,
}

/// One body with holes for its id.
#[derive(Debug)]
pub(super) struct Stencil {
    event: Event,
    guild: Option<u64>,
    /// With the brace that ends the payload.
    body: Box<str>,
    holes: Vec<Hole>,
    /// Where the part without holes begins, and that part as a zstd frame.
    tail: (usize, Bytes),
}

/// Where the id stands: as a decimal, or in hexadecimal as in an interaction's token.
#[derive(Clone, Copy, Debug)]
struct Hole {
    from: usize,
    to: usize,
    hex: bool,
}

impl Stencils {
    /// Room for `most` bodies; 0: every event is written anew.
    pub(super) fn new(most: u32) -> Self {
        Self {
            most: most.try_into().unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    /// Whether a body that was written should be kept.
    pub(super) fn want(&self) -> bool {
        self.all.len() < self.most
    }

    /// Whether events come from here.
    pub(super) fn ready(&self) -> bool {
        self.most > 0 && !self.want()
    }

    pub(super) fn add(&mut self, stencil: Stencil) {
        self.all.push(stencil);
    }

    /// The next body in turn that is not of a guild in `dark`.
    pub(super) fn next(&mut self, dark: &[u64]) -> Option<&Stencil> {
        let count = self.all.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let lit = |index: &usize| {
            let guild = self.all.get(*index).and_then(|stencil| stencil.guild);
            guild.is_none_or(|guild| !dark.contains(&guild))
        };
        let index = turns.into_iter().find(lit)?;
        self.turn = index + 1;
        self.all.get(index)
    }
}

impl Stencil {
    /// `payload` was just written for `event`, `id` is the snowflake that was made for it, if any was. None
    /// if it is no dispatch.
    pub(super) fn cut(event: Event, payload: &str, id: Option<u64>) -> Option<Self> {
        let (_, body) = payload.split_once(r#","op":0,"d":"#)?;
        let mut holes = Vec::new();
        if let Some(id) = id {
            for (digits, hex) in [(id.to_string(), false), (format!("{id:016x}"), true)] {
                let found = body.match_indices(&digits);
                holes.extend(found.map(|(from, found)| Hole {
                    from,
                    to: from + found.len(),
                    hex,
                }));
            }
            holes.sort_unstable_by_key(|hole| hole.from);
        }
        let whole: Whole = serde_json::from_str(body.strip_suffix('}')?).ok()?;
        let from = holes.last().map_or(0, |hole| hole.to);
        let tail = frames::compressed(body.get(from..)?.as_bytes()).ok()?;
        Some(Self {
            event,
            guild: whole.guild_id.and_then(|id| id.parse().ok()),
            body: body.into(),
            holes,
            tail: (from, tail),
        })
    }

    pub(super) fn event(&self) -> Event {
        self.event
    }

    /// The payload with this sequence and id. `scratch` is any buffer of the caller.
    pub(super) fn payload(&self, seq: u64, id: u64, scratch: &mut String) -> Payload {
        scratch.clear();
        put!(
            scratch,
            r#"{{"t":"{}","s":{seq},"op":0,"d":"#,
            self.event.name()
        );
        let head = scratch.len();
        let mut at = 0;
        let piece = |from, to| self.body.get(from..to).unwrap_or_default();
        for hole in &self.holes {
            scratch.push_str(piece(at, hole.from));
            if hole.hex {
                put!(scratch, "{id:016x}");
            } else {
                put!(scratch, "{id:019}");
            }
            at = hole.to;
        }
        scratch.push_str(piece(at, self.body.len()));
        let (tail, frame) = &self.tail;
        Payload {
            text: Bytes::copy_from_slice(scratch.as_bytes()),
            tail: Some((head + tail, frame.clone())),
        }
    }
}

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    guild_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: u64 = 1_456_000_000_000_000_001;
    const NEW: u64 = 1_456_000_000_000_000_002;

    fn stencil(guild: u64) -> Stencil {
        let payload = format!(
            r#"{{"t":"MESSAGE_CREATE","s":7,"op":0,"d":{{"id":"{OLD}","token":"aa{OLD:016x}bb","guild_id":"{guild}","content":"é"}}}}"#
        );
        Stencil::cut(Event::MessageCreate, &payload, Some(OLD)).unwrap()
    }

    #[test]
    fn what_must_differ_differs_and_nothing_else() {
        let payload = stencil(5).payload(1_000, NEW, &mut String::new());
        let expected = format!(
            r#"{{"t":"MESSAGE_CREATE","s":1000,"op":0,"d":{{"id":"{NEW}","token":"aa{NEW:016x}bb","guild_id":"5","content":"é"}}}}"#
        );
        assert_eq!(payload.text, expected);
        let (from, frame) = payload.tail.unwrap();
        let tail = zstd::bulk::decompress(&frame, 1000).unwrap();
        assert_eq!(tail, payload.text[from..]);
        assert_eq!(tail, r#"bb","guild_id":"5","content":"é"}}"#.as_bytes());
    }

    #[test]
    fn they_take_turns_and_spare_guilds_that_are_out() {
        let mut all = Stencils::new(3);
        for guild in [5, 6, 7] {
            assert!(!all.ready());
            all.add(stencil(guild));
        }
        assert!(all.ready());
        let turns = |all: &mut Stencils, dark: &[u64]| {
            (0..4)
                .map_while(|_| all.next(dark)?.guild)
                .collect::<Vec<_>>()
        };
        assert_eq!(turns(&mut all, &[]), [5, 6, 7, 5]);
        assert_eq!(turns(&mut all, &[6]), [7, 5, 7, 5]);
        assert!(turns(&mut all, &[5, 6, 7]).is_empty());
        assert!(!Stencils::new(0).ready());
    }
}
