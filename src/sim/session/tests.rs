use super::super::dice::Dice;
use super::super::record::Limit;
use super::*;

fn session(events: usize, trim_at_heartbeat: bool) -> Session {
    let identity = Identity {
        id: "abc".to_owned(),
        bot: 0,
        shard: 0,
        shards: 1,
        intents: 0,
        large_threshold: 50,
        guilds: Vec::new(),
        started_ms: 0,
    };
    let traffic = Traffic::new(Dice::new(1), Vec::new(), 0, false, true);
    let bounds = Bounds {
        events,
        bytes: 1 << 20,
        trim_at_heartbeat,
    };
    Session::new(
        identity,
        bounds,
        traffic,
        Rows::new(Arc::new(Limit::new(1000))),
    )
}

fn send(session: &mut Session, count: usize) {
    for _ in 0..count {
        session.dispatch(Event::Resumed, 0, &mut String::new(), |_, out| {
            out.push_str("{}");
        });
    }
}

fn sequences(batch: &Batch) -> Vec<u64> {
    match batch {
        Batch::Next(next) => next.iter().map(|(seq, _)| *seq).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_keys_stand_in_discords_order() {
    let mut session = session(10, false);
    session.attach(1, Arc::default());
    send(&mut session, 1);
    let Batch::Next(next) = session.after(1, 0, 100) else {
        panic!()
    };
    assert_eq!(next[0].1.text, r#"{"t":"RESUMED","s":1,"op":0,"d":{}}"#);
}

#[test]
fn replays_what_is_kept_and_nothing_else() {
    let mut session = session(10, false);
    session.attach(1, Arc::default());
    send(&mut session, 15);
    assert_eq!(session.can_replay(4), Err(NoReplay::Forgotten));
    assert_eq!(session.can_replay(5), Ok(()));
    assert_eq!(session.can_replay(15), Ok(()));
    assert_eq!(session.can_replay(16), Err(NoReplay::Ahead));
    assert_eq!(sequences(&session.after(1, 12, 1 << 10)), [13, 14, 15]);
    assert_eq!(sequences(&session.after(1, 5, 40)).first(), Some(&6));
    assert_eq!(session.delivered(), 15);
    assert_eq!(session.after(1, 3, 40), Batch::TooSlow);
    assert_eq!(session.after(2, 12, 40), Batch::NotYours);
}

#[test]
fn a_skipped_number_is_a_hole_in_the_replay() {
    let mut session = session(10, false);
    session.attach(1, Arc::default());
    send(&mut session, 2);
    session.skip();
    send(&mut session, 1);
    assert_eq!(sequences(&session.after(1, 1, 1 << 10)), [2, 4]);
}

#[test]
fn a_heartbeat_trims_only_when_told_to() {
    for (trim, expected) in [(false, Ok(())), (true, Err(NoReplay::Forgotten))] {
        let mut session = session(10, trim);
        send(&mut session, 5);
        session.acknowledged(3);
        assert_eq!(session.can_replay(2), expected);
        assert_eq!(session.can_replay(3), Ok(()));
    }
}

#[test]
fn lives_without_a_socket_until_its_time_is_over() {
    let now = crate::clock::now();
    let ttl = Duration::from_secs(120);
    let mut session = session(10, false);
    session.attach(1, Arc::default());
    session.detach(2, now, ttl);
    assert_eq!(session.listener(), Some(1));
    session.detach(1, now, ttl);
    assert!(!session.expire(now + ttl - Duration::from_millis(1), 0));
    session.attach(3, Arc::default());
    assert!(!session.expire(now + ttl, 0));
    session.detach(3, now, ttl);
    assert!(session.expire(now + ttl, 5));
    assert_eq!(session.ended, Some(("expired", 5)));
}
