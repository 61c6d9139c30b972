//! CLI-15 to CLI-18: large objects, both ways.

use super::{
    Bench, Done, Session,
    xml::{add, chunk, get},
};
use crate::conformance::verdict::{Outcome, hold, same, some};

/// A client with `a` = "old".
fn planted<'b>(bench: &'b mut Bench<'_>) -> Outcome<Session<'b>> {
    let a = bench.uri("a");
    let mut session = bench.session()?;
    same("the Status for Add", session.run(&add(101, &a, "old"))?.code(101)?, 200)?;
    Ok(session)
}

fn value(session: &mut Session<'_>, uri: &str) -> Outcome<Option<String>> {
    Ok(session.run(&get(199, uri))?.value(199))
}

pub(crate) fn received(bench: &mut Bench<'_>) -> Outcome {
    let a = bench.uri("a");
    let mut session = planted(bench)?;
    let (one, two, three) = ("1".repeat(700), "2".repeat(700), "3".repeat(600));
    let first = session.once(&chunk(102, &a, &one, Some(2_000), true), false)?;
    same("the Status for the first chunk", first.code(102)?, 213)?;
    same("Final after the first chunk", first.finals, [false])?;
    let second = session.once(&chunk(103, &a, &two, None, true), false)?;
    same("the Status for the second chunk", second.code(103)?, 213)?;
    let last = session.once(&chunk(104, &a, &three, None, false), true)?;
    same("the Status for the last chunk", last.code(104)?, 200)?;
    same("the value", value(&mut session, &a)?, Some([one, two, three].concat()))?;
    session.close()
}

fn old_value_stays(session: &mut Session<'_>, uri: &str) -> Outcome {
    same("the value", value(session, uri)?.as_deref(), Some("old"))
}

pub(crate) fn interrupted(bench: &mut Bench<'_>) -> Outcome {
    let a = bench.uri("a");
    let mut session = planted(bench)?;
    let first = session.once(&chunk(102, &a, "half", Some(8), true), false)?;
    same("the Status for the first chunk", first.code(102)?, 213)?;
    let done = session.run(&get(103, "./DevInfo/Man"))?;
    let alert = some("Alert 1225", done.alerts.iter().find(|alert| alert.code == 1225))?;
    let names = |uri: &str| uri.trim_start_matches("./") == a.trim_start_matches("./");
    let location = |item: &postern_wire::syncml::Item| {
        let ends = [item.target.as_ref(), item.source.as_ref()];
        ends.into_iter().flatten().any(|location| names(&location.uri))
    };
    hold(alert.items.iter().any(location), || format!("Alert 1225 names {:?}, not {a}", alert.items))?;
    old_value_stays(&mut session, &a)?;
    session.close()
}

pub(crate) fn wrong_size(bench: &mut Bench<'_>) -> Outcome {
    let a = bench.uri("a");
    let mut session = planted(bench)?;
    session.once(&chunk(102, &a, "half", Some(10), true), false)?;
    let last = session.once(&chunk(103, &a, "rest", None, false), true)?;
    same("the Status for the last chunk", last.code(103)?, 424)?;
    old_value_stays(&mut session, &a)?;
    session.close()
}

pub(crate) fn sent(bench: &mut Bench<'_>) -> Outcome {
    let a = bench.uri("big");
    let big: String = ('a'..='z').cycle().take(20_000).collect();
    let mut session = bench.session()?;
    same("the Status for Add", session.run(&add(101, &a, &big))?.code(101)?, 200)?;
    session.max_msg_size = Some(4_000);
    let done: Done = session.run(&get(102, &a))?;
    same("the Status for Get", done.code(102)?, 200)?;
    hold(done.octets.iter().all(|octets| *octets <= 4_000), || {
        format!("messages have {:?} octets", done.octets)
    })?;
    hold(done.value(102).as_deref() == Some(&big), || "the value's chunks are not the value".to_owned())?;
    let items: Vec<_> = done.results.iter().flat_map(|results| &results.items).collect();
    let sizes: Vec<_> = items.iter().map(|item| item.meta.size).collect();
    same("Size of the first chunk", sizes.first().copied().flatten(), Some(20_000))?;
    hold(sizes[1..].iter().all(Option::is_none), || format!("the chunks have the sizes {sizes:?}"))?;
    let more: Vec<_> = items.iter().map(|item| item.more_data).collect();
    hold(more.iter().rev().skip(1).all(|more| *more) && more.last() == Some(&false), || {
        format!("MoreData of the chunks is {more:?}")
    })?;
    session.close()
}
