use super::super::admission::{Admission, Caller};
use super::super::frame::{Identify, Resume};
use super::super::refusal::Refusal;
use super::*;
use crate::config::sim::{Answer, Span, Takeover};
use serde_json::json;

fn registry(change: impl FnOnce(&mut SimOptions)) -> (Registry, Instant) {
    let mut options = SimOptions {
        guilds_per_shard: 1,
        ..SimOptions::default()
    };
    change(&mut options);
    let now = crate::clock::now();
    let record = Arc::new(Limit::new(1000));
    (Registry::new(Arc::new(options), record, 1, now), now)
}

fn ask(shard: u32, shards: u32) -> Identify {
    let d = json!({ "token": "Bot simulated", "properties": {}, "intents": 1, "shard": [shard, shards] });
    serde_json::from_value(d).unwrap()
}

fn caller(connection: u64) -> Caller {
    Caller {
        connection,
        mailbox: Arc::default(),
    }
}

fn identify(
    registry: &mut Registry,
    ask: &Identify,
    caller: Caller,
    now: Instant,
    at_ms: u64,
) -> Admission {
    match registry.admit(ask, now, at_ms) {
        Ok(pair) => Admission::Granted(registry.begin(ask, pair, None, caller, at_ms)),
        Err(refused) => refused,
    }
}

fn granted(admission: Admission) -> Arc<Shared> {
    match admission {
        Admission::Granted(session) => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refused_identify_costs_nothing_of_the_day() {
    let (mut registry, now) = registry(|_| ());
    granted(identify(&mut registry, &ask(0, 32), caller(1), now, 0));
    let second = identify(&mut registry, &ask(16, 32), caller(2), now, 0);
    assert!(matches!(second, Admission::Invalid));
    assert_eq!(registry.identifies_left(now).0, 999);
    assert_eq!(registry.log.count, 1);
    let later = now + Duration::from_secs(5);
    granted(identify(&mut registry, &ask(16, 32), caller(2), later, 0));
    assert_eq!(registry.log.count, 1);
}

#[test]
fn a_resume_replays_to_its_caller_alone() {
    let (mut registry, now) = registry(|_| ());
    let session = granted(identify(&mut registry, &ask(0, 1), caller(1), now, 0));
    let id = session.lock().identity.id.clone();
    let mut resume = Resume {
        token: "simulated".to_owned(),
        session_id: id.clone(),
        seq: 0,
    };
    granted(registry.resume(&resume, caller(2), 0));
    assert_eq!(session.lock().listener(), Some(2));
    resume.seq = 1;
    let Admission::Refused(refusal) = registry.resume(&resume, caller(3), 0) else {
        panic!("granted");
    };
    assert_eq!(refusal.code, 4007);
    registry.end(&id, CLOSED_BY_CLIENT, 0);
    resume.seq = 0;
    assert!(matches!(
        registry.resume(&resume, caller(4), 0),
        Admission::Invalid
    ));
    assert_eq!(registry.log.count, 1);
}

#[test]
fn a_resume_from_before_what_is_kept_ends_the_session() {
    let (mut registry, now) = registry(|options| options.replay_trim_at_heartbeat = true);
    let session = granted(identify(&mut registry, &ask(0, 1), caller(1), now, 0));
    let id = session.lock().identity.id.clone();
    for _ in 0..3 {
        let (event, mut scratch) = (super::super::event::Event::Resumed, String::new());
        session
            .lock()
            .dispatch(event, 0, &mut scratch, |_, out| out.push_str("{}"));
    }
    session.lock().acknowledged(2);
    let resume = Resume {
        token: "simulated".to_owned(),
        session_id: id,
        seq: 1,
    };
    // Whoever listens keeps it.
    assert!(matches!(
        registry.resume(&resume, caller(2), 5),
        Admission::Invalid
    ));
    assert_eq!(session.lock().ended, None);
    session.lock().detach(1, now, Duration::from_secs(1));
    assert!(matches!(
        registry.resume(&resume, caller(2), 6),
        Admission::Invalid
    ));
    assert_eq!(session.lock().ended, Some((FORGOTTEN, 6)));
}

#[test]
fn the_knobs_of_a_resume_that_cannot_be() {
    let (mut registry, now) = registry(|options| {
        options.resume_wrong_token = Answer::Invalid;
        options.resume_ahead = Answer::Invalid;
        options.resume_while_live = Takeover::Refuse;
        options.identify_window = Span(Duration::ZERO);
    });
    let session = granted(identify(&mut registry, &ask(0, 1), caller(1), now, 0));
    let id = session.lock().identity.id.clone();
    for (token, seq) in [("wrong", 0), ("simulated", 9), ("simulated", 0)] {
        let resume = Resume {
            token: token.to_owned(),
            session_id: id.clone(),
            seq,
        };
        assert!(matches!(
            registry.resume(&resume, caller(2), 0),
            Admission::Invalid
        ));
    }
    assert_eq!(session.lock().listener(), Some(1));
}

#[test]
fn a_reset_token_is_wrong_from_then_on() {
    let (mut registry, now) = registry(|options| options.session_start_total = 1);
    let session = granted(identify(&mut registry, &ask(0, 2), caller(1), now, 0));
    let refused = identify(&mut registry, &ask(1, 2), caller(2), now, 7);
    assert!(matches!(
        refused,
        Admission::Refused(Refusal { code: 4004, .. })
    ));
    assert_eq!(session.lock().ended, Some(("token_reset", 7)));
    assert_eq!(registry.whose("simulated"), None);
}
