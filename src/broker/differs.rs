//! Pure: when it is said that a stream differs from what the configuration wants, and that it does no more.

use super::loss::{CONFIRM, SAY_AGAIN};
use crate::clock::Instant;

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// It differs.
    Differs,
    /// It is as wanted again.
    Mended,
}

/// What is known of how one stream differs.
#[derive(Debug, Default)]
pub struct Differs {
    fields: Vec<String>,
    since: Option<Instant>,
    said: Option<Instant>,
}

impl Differs {
    /// Takes in what a look at `now` found to differ; nothing: it is as wanted. What a single look shows may be
    /// a leader's that has not heard of the last edit yet.
    pub fn saw(&mut self, fields: Vec<String>, now: Instant) -> Option<Say> {
        self.fields = fields;
        if self.fields.is_empty() {
            self.since = None;
            return self.said.take().map(|_| Say::Mended);
        }
        self.since.get_or_insert(now);
        let due = self.said.is_none_or(|said| now >= said + SAY_AGAIN);
        if !self.is_so(now) || !due {
            return None;
        }
        self.said = Some(now);
        Some(Say::Differs)
    }

    /// It is not there: what differed is gone with it.
    pub fn is_missing(&mut self) {
        self.fields.clear();
        self.since = None;
    }

    /// True once two looks in a row have found a difference.
    pub fn is_so(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now >= since + CONFIRM)
    }

    /// What differed at the last look.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fields() -> Vec<String> {
        vec!["max_msgs is 1".to_owned()]
    }

    #[tokio::test(start_paused = true)]
    async fn a_difference_is_said_once_a_minute_and_so_is_its_end() {
        let (mut differs, start) = (Differs::default(), crate::clock::now());
        assert_eq!(differs.saw(Vec::new(), start), None);
        assert_eq!(differs.saw(fields(), start), None);
        assert!(!differs.is_so(start));
        let confirmed = start + CONFIRM;
        assert_eq!(differs.saw(fields(), confirmed), Some(Say::Differs));
        assert!(differs.is_so(confirmed));
        assert_eq!(differs.fields(), fields());
        let almost = confirmed + SAY_AGAIN - Duration::from_millis(1);
        assert_eq!(differs.saw(fields(), almost), None);
        let again = confirmed + SAY_AGAIN;
        assert_eq!(differs.saw(fields(), again), Some(Say::Differs));
        assert_eq!(differs.saw(Vec::new(), again), Some(Say::Mended));
        assert_eq!(differs.saw(Vec::new(), again), None);
        assert!(!differs.is_so(again));
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_look_shows_is_not_said() {
        let (mut differs, start) = (Differs::default(), crate::clock::now());
        assert_eq!(differs.saw(fields(), start), None);
        assert_eq!(differs.saw(Vec::new(), start + CONFIRM), None);
        assert_eq!(differs.saw(fields(), start + CONFIRM * 2), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_deleted_and_made_as_wanted_is_mended() {
        let (mut differs, start) = (Differs::default(), crate::clock::now());
        assert_eq!(differs.saw(fields(), start), None);
        let said = differs.saw(fields(), start + CONFIRM);
        assert_eq!(said, Some(Say::Differs));
        differs.is_missing();
        assert!(!differs.is_so(start + CONFIRM * 2) && differs.fields().is_empty());
        let made = start + CONFIRM * 3;
        assert_eq!(differs.saw(Vec::new(), made), Some(Say::Mended));
    }
}
