//! Where a shard begins: what its key, its stream and this process know of it.

use anyhow::{Result, bail};

use super::Stay;
use crate::{
    clock,
    fleet::ShardId,
    gateway::{
        forward::{Last, Outlet, untaken::Untaken},
        session::{self, ResumePoint, SessionKey},
    },
    wire::session::StoredSession,
};

/// Where a shard begins.
pub(super) struct Begin {
    pub(super) key: SessionKey,
    pub(super) outlet: Outlet,
    pub(super) point: ResumePoint,
    /// The stream has lost what it held of the shard, and nobody has said so.
    pub(super) lost: bool,
    /// When the stream that held the shard so far was made, in milliseconds since the Unix epoch.
    pub(super) held_ms: u64,
}

/// Why a shard begins once more in the same stay of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It does not: this is the first time.
    First,
    /// It could not begin, or had to be opened anew. The stream may be another by now.
    Retry,
    /// The stream has lost what the key may count as stored.
    Behind,
}

impl Stay {
    /// Reads it, under the lease in hand.
    pub(super) async fn begin(&self, id: ShardId, again: Again) -> Result<Begin> {
        let (tools, generation, stream) = (&self.tools, self.layout.generation, self.stream());
        let key = SessionKey::open(tools.state.clone(), generation, id, self.epoch);
        let (mut key, stored) = key.await?;
        let (answers, refusals) = (tools.inbox.part(), tools.refusals.clone());
        let mut outlet = Outlet::open(&tools.broker, id, &stream, answers, refusals).await?;
        outlet.untaken = Untaken::new(tools.untaken.clone());
        let (found, gap) = outlet.last_and_gap().await;
        if found == Last::Unknown {
            bail!("the leader of the stream {stream} does not answer");
        }
        let ready = session::last_ready(&tools.broker, &stream, id).await?;
        let stored = stored.or_else(|| self.shared.remembered.get(generation, id));
        // One that was made anew since the group began would seem never to have held the shard.
        let may_have = found == Last::Nothing && stored.is_some();
        let known_to_be = again == Again::First && !may_have;
        outlet.made = if known_to_be {
            self.made
        } else {
            outlet.made_now().await?
        };
        let before = stored.as_ref().map(|known| known.is_before(outlet.made));
        let lost = found == Last::Nothing && before == Some(true);
        let held_ms = match &stored {
            // Until the stream that is there says that it is not the one.
            Some(known) if lost => known.held_since(),
            _ => clock::ms_of(outlet.made),
        };
        key.is_held_since(held_ms);
        let stored = stored.map(|known| StoredSession {
            seq: if again == Again::Behind {
                0
            } else {
                known.session.seq
            },
            ..known.session
        });
        let point = session::resume_point(stored, &found, gap.as_ref(), ready);
        Ok(Begin {
            key,
            outlet,
            point,
            lost,
            held_ms,
        })
    }
}
