//! CLI-12 to CLI-14, CLI-29, CLI-30: Atomic, Sequence, and what is put to the user.

use super::{
    Bench, Setup,
    xml::{add, get, group, replace},
};
use crate::conformance::verdict::{Miss, Outcome, one_of, same};

pub(crate) fn atomic(bench: &mut Bench<'_>) -> Outcome {
    let (a, b, c, d) = (bench.uri("a"), bench.uri("b"), bench.uri("c"), bench.uri("none"));
    let mut session = bench.session()?;
    let whole = group("Atomic", 101, &[add(102, &a, "1"), add(103, &b, "2"), replace(104, &a, "3")]);
    let done = session.run(&whole)?;
    for id in 101..=104 {
        same(&format!("the Status for command {id}"), done.code(id)?, 200)?;
    }
    let broken = group("Atomic", 105, &[add(106, &c, "1"), replace(107, &d, "2"), replace(108, &a, "4")]);
    let done = session.run(&[broken, get(109, &a), get(110, &c)].concat())?;
    for (id, code) in [(105, 507), (106, 216), (107, 404), (108, 215), (109, 200), (110, 404)] {
        same(&format!("the Status for command {id}"), done.code(id)?, code)?;
    }
    same("the value after the failed Atomic", done.value(109).as_deref(), Some("3"))?;
    session.close()
}

pub(crate) fn atomic_contents(bench: &mut Bench<'_>) -> Outcome {
    let a = bench.uri("a");
    let mut session = bench.session()?;
    let with_get = group("Atomic", 101, &[get(102, "./DevInfo/Man")]);
    let nested = group("Atomic", 103, &[group("Atomic", 104, &[add(105, &a, "1")])]);
    let done = session.run(&[with_get, nested, get(106, &a)].concat())?;
    for (id, code) in [(101, 507), (102, 500), (103, 507), (104, 500), (106, 404)] {
        same(&format!("the Status for command {id}"), done.code(id)?, code)?;
    }
    session.close()
}

/// A user alert with its options and texts.
fn ask(id: u32, code: u32, texts: &[&str]) -> String {
    let items: String = texts.iter().map(|text| format!("<Item><Data>{text}</Data></Item>")).collect();
    format!("<Alert><CmdID>{id}</CmdID><Data>{code}</Data>{items}</Alert>")
}

fn says(words: &[&str]) -> Setup {
    Setup { user: words.iter().map(|word| (*word).to_owned()).collect(), ..Setup::default() }
}

pub(crate) fn sequence(bench: &mut Bench<'_>) -> Outcome {
    let (a, b) = (bench.uri("a"), bench.uri("b"));
    let mut session = bench.session_with(&says(&["no"]))?;
    let steps = [add(102, &a, "1"), replace(103, &a, "2"), replace(104, &a, "3"), get(105, &a)];
    let done = session.run(&group("Sequence", 101, &steps))?;
    for id in 101..=105 {
        same(&format!("the Status for command {id}"), done.code(id)?, 200)?;
    }
    same("the value at the Sequence's end", done.value(105).as_deref(), Some("3"))?;
    let asked = [ask(107, 1101, &["MINDT=1", "Go on?"]), add(108, &b, "1")];
    let done = session.run(&[group("Sequence", 106, &asked), get(109, &b)].concat())?;
    session.close()?;
    match done.code(107)? {
        406 => Ok(()), // nobody to ask: the next command is run
        304 | 214 => {
            same("the Status for what follows the refusal", done.code(108)?, 215)?;
            same("the Status for Get of what was not made", done.code(109)?, 404)
        }
        other => one_of("the Status for the question", &other, &[304, 214, 406, 408]),
    }
}

pub(crate) fn user_alerts(bench: &mut Bench<'_>) -> Outcome {
    // What the person says to each in turn.
    let mut session = bench.session_with(&says(&["", "yes", "no", "cancel", "Bonn", "2", "1,3"]))?;
    let alerts = [
        ask(101, 1100, &["MINDT=1", "Shown"]),
        ask(102, 1101, &["DR=1", "Yes?"]),
        ask(103, 1101, &["", "No?"]),
        ask(105, 1102, &["MAXLEN=20&amp;IT=A&amp;ET=T", "Where?"]),
        ask(106, 1103, &["", "Which?", "one", "two"]),
        ask(107, 1104, &["", "Which ones?", "one", "two", "three"]),
    ];
    let done = session.run(&alerts.concat())?;
    session.close()?;
    if (101..=107).filter(|id| *id != 104).all(|id| done.code(id) == Ok(406)) {
        return Err(Miss::not_applicable("the client has no user interaction"));
    }
    for id in [101, 102, 103, 105, 106, 107] {
        one_of(
            &format!("the Status for command {id}"),
            &done.code(id)?,
            &[200, 304, 214, 408, 406, 416, 215],
        )?;
    }
    let said = |id: u32| {
        let statuses = done.statuses.iter().filter(|status| status.cmd_ref == id && status.code == 200);
        statuses.flat_map(|status| &status.items).filter_map(|item| item.data.clone()).collect::<Vec<_>>()
    };
    for id in [105, 106, 107] {
        let answered = done.code(id)? == 200;
        same(&format!("whether the answer to {id} has an Item"), answered, answered && !said(id).is_empty())?;
    }
    Ok(())
}

pub(crate) fn unknown_option(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session_with(&says(&["yes"]))?;
    let done = session.run(&ask(101, 1101, &["FOO=1&amp;DR=1", "Yes?"]))?;
    session.close()?;
    match done.code(101)? {
        406 => Err(Miss::not_applicable("the client has no user interaction")),
        code => one_of("the Status for a question with an unknown option", &code, &[200, 304, 214, 408]),
    }
}
