//! Two sessions of one name: the stream knows ids of the second by the first, and does not store what has
//! them. It is stored under a name of the fleet's own.

use std::sync::Arc;

use super::{Collision, Message, Publisher, waiting::Waiting};
use crate::{clock, wire::event::made_up_name};

/// The name of a session that another one has too, and the one that its messages get instead.
#[derive(Clone, Debug)]
pub struct Renamed {
    from: Arc<str>,
    to: Arc<str>,
}

impl Publisher {
    /// The stream has another message under the id of the first that waits.
    pub(super) fn collides(&mut self, waiting: &mut Waiting) {
        let Some(first) = waiting.first() else { return };
        let from = Arc::clone(&first.session);
        let to = made_up_name(self.outlet.shard(), clock::unix_ms(), first.seq).into();
        self.told.progress.collides(Collision {
            session: Arc::clone(&from),
            lost: false,
        });
        self.renamed = Some(Renamed { from, to });
        for message in waiting.iter_mut() {
            self.rename_one(message);
        }
    }

    /// A message as it is to be stored.
    pub(super) fn rename(&mut self, mut message: Message) -> Message {
        if self.renamed.is_some() && !self.rename_one(&mut message) {
            // The shard knows by now, and numbers its events under another name.
            self.renamed = None;
        }
        message
    }

    /// False: it is of another session.
    fn rename_one(&self, message: &mut Message) -> bool {
        let renamed = self.renamed.as_ref();
        let renamed = renamed.filter(|renamed| renamed.from == message.session);
        if let Some(renamed) = renamed {
            message.session = Arc::clone(&renamed.to);
        }
        renamed.is_some()
    }
}
