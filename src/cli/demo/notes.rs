//! What happened so far and what is waited for: written by the story, shown by the view.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::screen::Screen;
use crate::clock::{self, Instant};

/// The notes of one run.
#[derive(Clone)]
pub(super) struct Notes {
    began: Instant,
    screen: Screen,
    pages: Arc<Mutex<Pages>>,
}

/// Their content.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    /// What is waited for now.
    pub(super) doing: String,
    /// What happened, and how long after the beginning.
    pub(super) happened: Vec<(Duration, String)>,
    /// Who was killed.
    pub(super) dead: BTreeSet<String>,
}

impl Notes {
    /// The run begins.
    pub(super) fn new(screen: &Screen) -> Self {
        Self {
            began: clock::now(),
            screen: screen.clone(),
            pages: Arc::default(),
        }
    }

    /// Something happened.
    pub(super) fn say(&self, what: impl Into<String>) {
        let (at, what) = (self.elapsed(), what.into());
        self.screen.line(at, &what);
        self.write(|pages| pages.happened.push((at, what)));
    }

    /// Something is waited for.
    pub(super) fn wait_for(&self, what: &str) {
        self.write(|pages| what.clone_into(&mut pages.doing));
    }

    /// A process was killed: what it said last counts no more.
    pub(super) fn killed(&self, name: &str) {
        self.write(|pages| pages.dead.insert(name.to_owned()));
    }

    /// As they stand.
    pub(super) fn read(&self) -> Pages {
        self.write(|pages| pages.clone())
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        clock::now() - self.began
    }

    fn write<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        change(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
