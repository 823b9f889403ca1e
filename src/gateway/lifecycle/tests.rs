use rand::{SeedableRng, rngs::SmallRng};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A shard's loop in little: what it does about each action, and what it knows of its session.
struct Shard {
    life: Lifecycle,
    rng: SmallRng,
    now: Instant,
    /// The session, and whether its own URL can be used.
    session: Option<bool>,
    /// When the state was entered, as seen from outside.
    entered: (State, Instant),
    beats: u64,
    resumes: u64,
    permits: u64,
    refused: u64,
    lost: u64,
}

impl Shard {
    fn new(seed: u64) -> Self {
        let now = crate::clock::now();
        Self {
            life: Lifecycle::new(now),
            rng: SmallRng::seed_from_u64(seed),
            now,
            session: None,
            entered: (State::Waiting, now),
            beats: 0,
            resumes: 0,
            permits: 0,
            refused: 0,
            lost: 0,
        }
    }

    fn on(&mut self, event: Event) {
        let action = self.life.on(event, self.now, &mut self.rng);
        if event == Event::Ready && self.life.state() == State::Live {
            self.session = Some(self.rng.random());
        }
        self.carry_out(action);
    }

    fn tick(&mut self) {
        let action = self.life.tick(self.now, false);
        self.carry_out(action);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Resume => {
                assert!(self.session.is_some(), "there is nothing to resume");
                self.resumes += 1;
            }
            Action::AskPermit => {
                assert!(self.session.is_none(), "RESUME comes before IDENTIFY");
                self.permits += 1;
            }
            Action::Beat => self.beats += 1,
            Action::Close(reason) => self.leave(reason),
            Action::Drop(reason) => {
                self.leave(reason);
                self.on(Event::Ended(None));
            }
            Action::Lose => self.lose(),
        }
        if self.life.state() != self.entered.0 {
            self.entered = (self.life.state(), self.now);
        }
    }

    fn leave(&mut self, reason: Reason) {
        match reason.session {
            SessionFate::Lives => {}
            SessionFate::Invalidated | SessionFate::GivenUp => self.lose(),
            SessionFate::Refused => self.refused += 1,
        }
    }

    fn lose(&mut self) {
        assert!(
            self.session.take().is_some(),
            "there was no session to lose"
        );
        self.life.session_lost();
        self.lost += 1;
    }

    /// Opens a connection, if it is time. Some: where.
    fn open(&mut self) -> Option<Target> {
        if self.life.is_exhausted() {
            self.lose();
        }
        let target = self.life.target(self.now, self.session, true)?;
        assert_eq!(target == Target::Identify, self.session.is_none());
        self.life.opening(target, self.now);
        self.entered = (State::Resolving, self.now);
        Some(target)
    }

    fn open_at_once(&mut self) -> Target {
        while self.life.state() == State::Waiting {
            if let Some(target) = self.open() {
                return target;
            }
            self.now = self.life.next_wakeup().unwrap();
        }
        panic!("it is open")
    }

    fn hello(&mut self) {
        self.on(Event::Step(State::Upgrading));
        self.on(Event::Step(State::Hello));
        self.on(Event::Hello(Some(SECOND * 41)));
    }

    fn live(&mut self) {
        self.open_at_once();
        self.hello();
        if self.session.is_none() {
            self.on(Event::Identified);
            self.on(Event::Ready);
        } else {
            self.on(Event::Resumed);
        }
        assert_eq!(self.life.state(), State::Live);
    }
}

/// What a healthy Discord does next, and the shard with it.
fn healthy(state: State) -> Event {
    match state {
        State::Resolving => Event::Step(State::Connecting),
        State::Connecting => Event::Step(State::Securing),
        State::Securing => Event::Step(State::Upgrading),
        State::Upgrading => Event::Step(State::Hello),
        State::Hello => Event::Hello(Some(SECOND * 41)),
        State::Permit => Event::Identified,
        State::Identifying => Event::Ready,
        State::Resuming => Event::Resumed,
        State::Waiting | State::Live => Event::Dispatch,
        State::Closing => Event::Ended(Some(4000)),
    }
}

/// One thing that a hostile Discord may do.
fn hostile(rng: &mut SmallRng) -> Event {
    let steps = [
        State::Connecting,
        State::Securing,
        State::Upgrading,
        State::Hello,
    ];
    let intervals = [0, 1, 1_000, 5_000, 41_250, u64::MAX];
    match rng.random_range(0..15) {
        0 | 1 => Event::Step(steps[rng.random_range(0..steps.len())]),
        2 => Event::Hello(Some(Duration::from_millis(
            intervals[rng.random_range(0..6)],
        ))),
        3 => Event::Hello(Some(SECOND * 41)),
        4 => Event::Hello(None),
        5 => Event::HeartbeatAsked,
        6 => Event::Identified,
        7 => Event::Ready,
        8 => Event::Resumed,
        9 => Event::Dispatch,
        10 => Event::Reconnect,
        11 => Event::Invalid {
            resumable: rng.random(),
        },
        12 => Event::Ended(None),
        13 => Event::Asked {
            new_session: rng.random(),
        },
        _ => Event::Ended(Some([1000, 1001, 4000, 4007, 4009][rng.random_range(0..5)])),
    }
}

/// The steps of the walk below, over all of its seeds.
const STEPS: u64 = 1_000_000;
const SEEDS: u64 = 50;

#[test]
fn whatever_discord_does_each_state_ends_and_connections_grow_rare() {
    let (mut lost, mut permits, mut resumes) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut shard = Shard::new(seed);
        let mut opened: Option<Instant> = None;
        let (mut failures, mut short_lived, mut was_live) = (0_u32, 0_u32, false);
        let mut beats = (shard.now, 0);
        for step in 0..STEPS / SEEDS {
            let what = format!("seed {seed}, step {step}, {:?}", shard.life);
            // Some seeds answer at once, some let every limit pass.
            let patience = [20, 500, 4_000, 30_000][usize::try_from(seed % 4).unwrap()];
            let next = shard.now + Duration::from_millis(shard.rng.random_range(0..=patience));
            let wake = shard.life.next_wakeup().filter(|wake| *wake <= next);
            let at = wake.map_or(next, |wake| wake.max(shard.now));
            let live = shard.life.live_since;
            let live = live.filter(|_| shard.life.state() == State::Live);
            if live.is_some_and(|since| at >= since + GOOD) {
                (failures, short_lived, opened) = (0, 0, None);
            }
            if let Some(wake) = wake {
                shard.now = shard.now.max(wake);
                shard.tick();
            } else {
                shard.now = next;
                // Without some health no connection would come far enough to be ended.
                let mut event = if shard.rng.random_ratio(2, 3) {
                    healthy(shard.life.state())
                } else {
                    hostile(&mut shard.rng)
                };
                // What only the shard itself does, it does when it may.
                if matches!(event, Event::Step(step) if shard.life.state() as u8 + 1 != step as u8)
                {
                    event = Event::Dispatch;
                }
                shard.on(event);
            }
            let (state, since) = shard.entered;
            if let Some(limit) = state.limit() {
                assert!(shard.now <= since + limit, "outlived its limit: {what}");
            }
            was_live |= shard.life.state() == State::Live;
            if shard.open().is_some() {
                if let Some(last) = opened {
                    let pause = shard.now.duration_since(last);
                    let least = if was_live {
                        SECOND * (1 << short_lived.min(3))
                    } else {
                        SECOND * (1 << failures.min(4)).min(15)
                    };
                    assert!(
                        pause >= least,
                        "{pause:?} after {failures} failures, {short_lived} short lives: {what}"
                    );
                    (failures, short_lived) = if was_live {
                        (0, short_lived + 1)
                    } else {
                        (failures + 1, short_lived)
                    };
                }
                was_live = false;
                opened = Some(shard.now);
                beats = (shard.now, shard.beats);
            }
            let minutes = shard.now.duration_since(beats.0).as_secs() / 60 + 1;
            let most = minutes * 60 + minutes * 8 + 2;
            assert!(shard.beats - beats.1 <= most, "too many heartbeats: {what}");
        }
        (lost, permits, resumes) = (
            lost + shard.lost,
            permits + shard.permits,
            resumes + shard.resumes,
        );
    }
    // A walk that comes nowhere shows nothing.
    assert!(
        lost > 100 && permits > 1_000 && resumes > 1_000,
        "{lost} {permits} {resumes}"
    );
}

/// The smallest of what an independent Discord did: 4 shards made 3,348 connections in 15 s.
#[test]
fn a_connection_that_ends_before_hello_is_not_tried_again_at_once() {
    let mut shard = Shard::new(1);
    shard.live();
    shard.now += SECOND * 60;
    let start = shard.now;
    let mut times = Vec::new();
    shard.on(Event::Ended(None));
    while shard.now < start + SECOND * 15 {
        assert!(times.len() < 100, "it is tried again at once");
        shard.open_at_once();
        times.push(shard.now - start);
        shard.on(Event::Step(State::Hello));
        shard.on(Event::Reconnect);
        shard.on(Event::Ended(None));
    }
    assert!(
        times[0] <= SHORT_PAUSE,
        "the first is tried at once: {times:?}"
    );
    assert!(times.len() <= 6 && times[1] >= SECOND, "{times:?}");
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for() {
    let mut shard = Shard::new(2);
    shard.open_at_once();
    shard.hello();
    shard.on(Event::Identified);
    let asked = shard.now;
    while shard.life.state() == State::Identifying {
        shard.now = shard.life.next_wakeup().unwrap();
        shard.tick();
        shard.life.acknowledged(shard.now);
    }
    assert_eq!(shard.now - asked, SECOND * 60);

    shard.live();
    shard.on(Event::Ended(None));
    shard.open_at_once();
    shard.hello();
    let asked = shard.now;
    while shard.life.state() == State::Resuming {
        shard.now = shard.life.next_wakeup().unwrap();
        shard.tick();
        shard.life.acknowledged(shard.now);
    }
    assert_eq!(shard.now - asked, REPLAY_LIMIT);
    assert_eq!(
        shard.open_at_once(),
        Target::MainUrl,
        "the other URL may answer"
    );
}

#[test]
fn a_replay_that_never_ends_is_left_and_the_session_kept() {
    let mut shard = Shard::new(3);
    shard.live();
    for _ in 0..3 * MAX_RESUMES {
        shard.on(Event::Ended(None));
        shard.open_at_once();
        shard.hello();
        let asked = shard.now;
        while shard.life.state() == State::Resuming {
            shard.now += SECOND;
            shard.on(Event::Dispatch);
            shard.life.acknowledged(shard.now);
            shard.tick();
        }
        assert_eq!(shard.now - asked, SECOND * 90);
    }
    assert_eq!(
        (shard.lost, shard.permits),
        (0, 1),
        "what it replays is progress"
    );
}

#[test]
fn a_session_that_never_resumes_is_given_up() {
    let mut shard = Shard::new(4);
    shard.live();
    shard.now += SECOND * 60;
    let start = shard.now;
    shard.on(Event::Ended(None));
    for _ in 0..MAX_RESUMES {
        assert_ne!(shard.open_at_once(), Target::Identify);
        shard.hello();
        shard.on(Event::Invalid { resumable: true });
        shard.on(Event::Ended(None));
    }
    assert_eq!(shard.open_at_once(), Target::Identify);
    assert!(shard.now - start > SECOND * 120, "{:?}", shard.now - start);
}

#[test]
fn urls_take_turns_and_a_session_that_is_lost_is_not_resumed() {
    let mut shard = Shard::new(5);
    shard.live();
    shard.session = Some(true);
    shard.on(Event::Ended(None));
    for expected in [Target::ResumeUrl, Target::MainUrl, Target::ResumeUrl] {
        assert_eq!(shard.open_at_once(), expected);
        shard.on(Event::Ended(None));
        assert_eq!(shard.life.was_unreachable(), expected == Target::MainUrl);
    }
    // While REST names none, the session's own serves; it never serves to IDENTIFY.
    let later = shard.now + SECOND * 600;
    assert_eq!(
        shard.life.target(later, Some(true), false),
        Some(Target::ResumeUrl)
    );
    assert_eq!(shard.life.target(later, None, false), None);
    assert_eq!(shard.life.target(later, Some(false), false), None);
    shard.open_at_once();
    shard.hello();
    shard.on(Event::Invalid { resumable: false });
    assert_eq!((shard.life.state(), shard.session), (State::Closing, None));
    shard.now += SECOND * 3;
    shard.tick();
    assert_eq!(shard.open_at_once(), Target::Identify);
    shard.hello();
    shard.on(Event::Identified);
    shard.on(Event::Invalid { resumable: false });
    assert_eq!(shard.refused, 1, "the coordinator is told");
}

#[test]
fn a_sequence_that_discord_does_not_know_ends_the_session() {
    let mut shard = Shard::new(6);
    shard.live();
    shard.on(Event::Ended(Some(4007)));
    assert_eq!(shard.lost, 0, "it was no answer to a RESUME");
    shard.open_at_once();
    shard.hello();
    shard.on(Event::Ended(Some(4007)));
    assert_eq!(shard.lost, 1);
}

/// The table for people and the one that is obeyed are one.
#[test]
fn the_manual_tells_every_state_with_its_limit() {
    let manual = include_str!("../../../docs/ARCHITECTURE.md");
    for state in State::ALL {
        let limit = match state.limit() {
            Some(limit) => format!("{} s", limit.as_secs()),
            None => "none".to_owned(),
        };
        let row = format!("| `{}` | {limit}", state.name());
        assert!(manual.contains(&row), "docs/ARCHITECTURE.md lacks {row:?}");
    }
}

/// No document says that it may; what follows is a session all the same.
#[test]
fn a_ready_in_answer_to_a_resume_is_a_session_that_lives() {
    let mut shard = Shard::new(9);
    shard.live();
    shard.on(Event::Ended(None));
    shard.open_at_once();
    shard.hello();
    shard.on(Event::Ready);
    assert_eq!(shard.life.state(), State::Live);
}
