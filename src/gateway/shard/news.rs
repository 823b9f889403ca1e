//! What a shard hears besides its socket: all of it seldom, and looked at only when something came.
//!
//! A poll loop that asks each of these sources at every event spends more on them than on the event.

use std::pin::Pin;

use async_nats::Message;
use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{self, SelectAll},
};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use super::super::command::Asks;

/// A word to a shard.
#[derive(Debug)]
pub(super) enum Word {
    /// It is to close resumably and end.
    Stop,
    /// A command of a worker.
    Command(Message),
    /// Another coordinator leads.
    Leader,
    /// The fleet is cut anew, or wants other events.
    Topology,
    /// Discord's gateway is somewhere else.
    Address,
    /// An operator has it connect anew.
    Reconnect,
    /// Its lease is another: whoever uses it looks.
    Changed,
}

/// All sources in one, each polled only after it has woken.
pub(super) struct News(SelectAll<Pin<Box<dyn Stream<Item = Word> + Send>>>);

impl News {
    /// Workers' commands and the word to stop; [`News::changes`] adds to them.
    pub(super) fn new(asks: Asks, stop: CancellationToken) -> Self {
        let stop = stream::once(stop.cancelled_owned()).map(|()| Word::Stop);
        Self(SelectAll::from_iter([
            stop.boxed(),
            asks.map(Word::Command).boxed(),
        ]))
    }

    /// Says `word` at each change from now on.
    pub(super) fn changes<T>(mut self, of: &watch::Receiver<T>, word: fn() -> Word) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        let changes = WatchStream::from_changes(of.clone());
        self.0.push(changes.map(move |_| word()).boxed());
        self
    }

    /// Waits for a word.
    pub(super) async fn next(&mut self) -> Word {
        match self.0.next().await {
            Some(word) => word,
            None => std::future::pending().await,
        }
    }

    /// A word that is there.
    pub(super) fn take(&mut self) -> Option<Word> {
        self.0.next().now_or_never().flatten()
    }
}
