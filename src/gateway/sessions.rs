//! The names under which this process has stored sessions. Discord names each one anew; where it does not,
//! the messages of the second would pass for those of the first, and not be stored.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Names that are remembered: those of many more sessions than begin within the stream's duplicate window.
const REMEMBERED: usize = 16_384;

/// Them; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    names: HashSet<Arc<str>>,
    /// In the order in which they came.
    order: VecDeque<Arc<str>>,
}

impl Sessions {
    /// A session begins, or goes on here, under this name. False: one has had it.
    pub fn begins(&self, name: &Arc<str>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.names.insert(Arc::clone(name)) {
            return false;
        }
        known.order.push_back(Arc::clone(name));
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.names.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_had_once_as_long_as_it_is_remembered() {
        let sessions = Sessions::default();
        let begins = |name: &str| sessions.begins(&name.into());
        assert!(begins("a") && begins("b") && !begins("a"));
        assert!((0..REMEMBERED).all(|name| begins(&name.to_string())));
        assert!(begins("a") && !begins("5"));
    }
}
