//! Where a shard begins: what its key, its stream and this process know of it.

use anyhow::Result;

use super::{
    Stay,
    own::{self, Own},
};
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
        let ready = session::last_ready(&tools.broker, &stream, id).await?;
        let stored = stored.or_else(|| self.shared.remembered.get(generation, id));
        let known = stored.as_ref().map(|known| &known.session);
        let Own {
            last: found,
            gap,
            behind,
            cut_off,
        } = own::look(&outlet, known, ready.as_ref()).await?;
        if cut_off && again != Again::Behind {
            outlet.tell_of_loss();
        }
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
            seq: if again == Again::Behind || cut_off {
                0
            } else {
                known.session.seq
            },
            ..known.session
        });
        let mut point = session::resume_point(stored, &found, gap.as_ref(), ready);
        point.last = point.last.max(behind);
        Ok(Begin {
            key,
            outlet,
            point,
            lost,
            held_ms,
        })
    }
}
