//! The life of a notification: every transition, and every refusal.

use postern_engine::notification::{
    Cause, Due, Event, Job, LISTEN, NoTransition, Pace, Rules, Ways, next_session_id,
};
use postern_wire::terms::{NotificationState as State, UtcMillis};

const NOW: UtcMillis = UtcMillis(1_000_000);
const ID: u16 = 0x1234;

fn rules() -> Rules {
    Rules::default()
}

fn job(state: State) -> Job {
    let handed = i64::from(state != State::Wanted);
    Job {
        state,
        handed,
        attempts: handed,
        last_at: (handed > 0).then_some(NOW),
        ..Job::new(&rules(), ID, false, false, None, NOW)
    }
}

fn opened(id: Option<u16>, server_initiated: bool) -> Event {
    Event::Opened { session_id: id, server_initiated }
}

/// Every event in every open state: what becomes of it, or that it is refused.
#[test]
fn every_transition_is_the_one_in_the_table_and_every_other_is_refused() {
    use Event as E;
    type Row = (Event, [Option<(State, Cause)>; 3]);
    let all = |state, cause| [Some((state, cause)); 3];
    let same = |cause| [State::Wanted, State::Sent, State::Delivered].map(|state| Some((state, cause)));
    let table: Vec<Row> = vec![
        (E::Joined { urgent: false }, same(Cause::Joined)),
        (E::Joined { urgent: true }, same(Cause::Joined)),
        (E::Handed { listen: false }, all(State::Sent, Cause::Handed)),
        (E::Handed { listen: true }, all(State::Sent, Cause::Handed)),
        (E::NotHanded { after_ms: 0 }, same(Cause::Retry)),
        (E::Refused { others: true }, same(Cause::NextBearer)),
        (E::Refused { others: false }, [Some((State::Failed, Cause::Refused)), None, None]),
        (E::Delivered, [None, Some((State::Delivered, Cause::Delivered)), None]),
        (E::NotDelivered, [None, Some((State::Wanted, Cause::NotDelivered)), None]),
        (
            opened(Some(ID), true),
            [
                Some((State::Unneeded, Cause::Came)), // never sent: it cannot be an answer
                Some((State::Answered, Cause::Answered)),
                Some((State::Answered, Cause::Answered)),
            ],
        ),
        (opened(Some(ID + 1), true), all(State::Unneeded, Cause::Came)),
        (opened(Some(ID), false), all(State::Unneeded, Cause::Came)),
        (opened(None, true), all(State::Unneeded, Cause::Came)),
        (E::Emptied, all(State::Unneeded, Cause::Emptied)),
        (E::Retired, all(State::Unneeded, Cause::Retired)),
        (E::Expired, [None, None, None]), // its time is not over
        (E::Impossible, [Some((State::Failed, Cause::Impossible)), None, None]),
    ];
    for (event, expected) in table {
        for (state, expected) in [State::Wanted, State::Sent, State::Delivered].into_iter().zip(expected) {
            let (before, mut after) = (job(state), job(state));
            match (after.apply(&event, &rules(), NOW), expected) {
                (Ok(cause), Some(expected)) => {
                    assert_eq!((after.state, cause), expected, "{state} {event:?}")
                }
                (Err(refused), None) => {
                    assert_eq!((refused, &after), (NoTransition { state }, &before), "{state} {event:?}");
                }
                (found, expected) => panic!("{state} {event:?}: {found:?}, not {expected:?}"),
            }
            assert_eq!(after.next_at.is_some(), after.state.is_open(), "{state} {event:?}");
        }
        for over in [State::Answered, State::Unneeded, State::Failed, State::Expired] {
            let mut ended = job(over);
            assert_eq!(ended.apply(&event, &rules(), NOW), Err(NoTransition { state: over }), "{event:?}");
        }
    }
}

#[test]
fn not_11_a_job_that_is_sent_again_keeps_its_session_id_and_a_new_job_has_another() {
    let mut job = job(State::Wanted);
    for _ in 0..3 {
        job.apply(&Event::Handed { listen: false }, &rules(), NOW).expect("taken");
        assert_eq!(job.session_id, ID);
    }
    let cases = [(Some(ID), 7, ID + 1), (Some(0xFFFF), 7, 1), (None, 7, 7), (None, 0, 1)];
    for (last, random, next) in cases {
        assert_eq!(next_session_id(last, random), next);
    }
}

#[test]
fn a_job_that_nobody_hurries_waits_for_others_and_an_urgent_command_ends_the_wait() {
    let mut job = Job::new(&rules(), ID, false, false, None, NOW);
    assert_eq!(job.due(&rules(), NOW), Some(Due::Wait(NOW.plus(rules().gather_ms))));
    job.apply(&Event::Joined { urgent: true }, &rules(), NOW).expect("taken");
    assert_eq!(job.due(&rules(), NOW), Some(Due::Send));
    assert_eq!(Job::new(&rules(), ID, false, true, None, NOW).due(&rules(), NOW), Some(Due::Send));
    assert_eq!(Job::new(&rules(), ID, true, false, None, NOW).due(&rules(), NOW), Some(Due::Send));
}

#[test]
fn pushes_to_one_device_stay_apart_however_urgent() {
    let rules = rules();
    let job = Job::new(&rules, ID, true, true, Some(NOW), NOW.plus(1));
    assert_eq!(job.due(&rules, NOW.plus(1)), Some(Due::Wait(NOW.plus(rules.apart_ms))));
    let mut sent = Job::new(&rules, ID, false, true, None, NOW);
    sent.apply(&Event::Handed { listen: false }, &rules, NOW).expect("taken");
    sent.apply(&Event::Joined { urgent: true }, &rules, NOW.plus(1)).expect("taken");
    assert_eq!(sent.due(&rules, NOW.plus(1)), Some(Due::Wait(NOW.plus(rules.apart_ms))));
}

#[test]
fn the_wait_doubles_up_to_the_longest_and_a_bearer_may_ask_for_more() {
    let rules = Rules { attempts: 100, ..rules() };
    let mut job = Job { session_id: 16, ..job(State::Wanted) };
    let waits: Vec<i64> = (0..10)
        .map(|_| {
            job.apply(&Event::NotHanded { after_ms: 0 }, &rules, NOW).expect("taken");
            job.next_at.expect("a time").since(NOW)
        })
        .collect();
    assert_eq!(waits[..3], [300_000, 600_000, 1_200_000]);
    assert_eq!(waits[9], rules.longest_wait_ms);
    job.apply(&Event::NotHanded { after_ms: rules.longest_wait_ms * 2 }, &rules, NOW).expect("taken");
    assert_eq!(job.next_at, Some(NOW.plus(rules.longest_wait_ms * 2)));
}

#[test]
fn a_wake_up_of_a_listener_is_not_waited_for_long() {
    let mut job = job(State::Wanted);
    job.apply(&Event::Handed { listen: true }, &rules(), NOW).expect("taken");
    assert_eq!(job.next_at, Some(NOW.plus(rules().listen_wait_ms)));
}

#[test]
fn a_job_is_given_up_after_its_attempts_or_its_time_and_says_whether_it_ever_left() {
    let rules = rules();
    let late = NOW.plus(rules.valid_ms);
    let mut used_up = Job { attempts: rules.attempts, ..job(State::Sent) };
    used_up.next_at = Some(NOW);
    let cases = [
        (job(State::Sent), late, State::Expired, Cause::Expired),
        (job(State::Wanted), late, State::Failed, Cause::NeverTaken),
        (used_up, NOW, State::Expired, Cause::Expired),
    ];
    for (mut job, now, state, cause) in cases {
        assert_eq!(job.due(&rules, now), Some(Due::GiveUp));
        assert_eq!(job.apply(&Event::Expired, &rules, now), Ok(cause));
        assert_eq!((job.state, job.due(&rules, now)), (state, None));
    }
}

#[test]
fn what_a_person_asked_for_does_not_depend_on_commands() {
    let mut asked = Job { asked: true, ..job(State::Sent) };
    assert!(asked.apply(&Event::Emptied, &rules(), NOW).is_err());
    assert_eq!(asked.apply(&opened(Some(ID), true), &rules(), NOW), Ok(Cause::Answered));
}

#[test]
fn attempts_take_the_bearers_in_turn_and_a_forced_one_alone() {
    let ways = Ways { number: true, preferred: Some("smpp"), forced: None, bearers: &["pap", "smpp"] };
    let turns: Vec<_> = (0..4).filter_map(|attempt| ways.choose(attempt)).collect();
    assert_eq!(turns, ["smpp", LISTEN, "pap", "smpp"]);
    let cases: [(Ways<'_>, &[&str]); 6] = [
        (Ways { preferred: None, ..ways }, &[LISTEN, "pap", "smpp"]),
        (Ways { number: false, ..ways }, &[LISTEN]),
        (Ways { forced: Some("pap"), ..ways }, &["pap"]),
        (Ways { forced: Some("pap"), number: false, ..ways }, &[]),
        (Ways { forced: Some("obex"), ..ways }, &[]),
        (Ways { forced: Some(LISTEN), number: false, ..ways }, &[LISTEN]),
    ];
    for (ways, order) in cases {
        assert_eq!(ways.order(), order, "{ways:?}");
    }
    assert_eq!(Ways { forced: Some("obex"), ..ways }.choose(0), None);
}

#[test]
fn pushes_in_all_keep_their_pace() {
    let mut pace = Pace::new(60, NOW);
    let burst = (0..100).filter(|_| pace.take(NOW)).count();
    assert_eq!(burst, 10);
    assert!(!pace.take(NOW.plus(999)));
    assert!(pace.take(NOW.plus(1_999)));
}
