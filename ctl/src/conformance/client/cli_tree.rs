//! CLI-03 to CLI-11, CLI-24, CLI-25, CLI-32: commands on the management tree.

use super::{
    Bench, Done, Session,
    xml::{add, add_node, copy, delete, exec, get, replace},
};
use crate::conformance::verdict::{Miss, Outcome, hold, one_of, same, some};

fn codes(done: &Done, wanted: &[(u32, u32)]) -> Outcome {
    for (cmd_id, code) in wanted {
        same(&format!("the Status for command {cmd_id}"), done.code(*cmd_id)?, *code)?;
    }
    Ok(())
}

/// A client with `a` = "x" and an interior node `n` below the root of the cases.
fn planted<'b>(bench: &'b mut Bench<'_>) -> Outcome<Session<'b>> {
    let (a, n) = (bench.uri("a"), bench.uri("n"));
    let mut session = bench.session()?;
    let done = session.run(&[add(101, &a, "x"), add_node(102, &n)].concat())?;
    codes(&done, &[(101, 200), (102, 200)])?;
    Ok(session)
}

/// The commands after [`planted`], and the session's end.
fn planted_then(bench: &mut Bench<'_>, commands: &[String]) -> Outcome<Done> {
    let mut session = planted(bench)?;
    let done = session.run(&commands.concat())?;
    session.close()?;
    Ok(done)
}

pub(crate) fn adds(bench: &mut Bench<'_>) -> Outcome {
    let (a, n) = (bench.uri("a"), bench.uri("n"));
    let done = planted_then(bench, &[get(103, &a), get(104, &n)])?;
    codes(&done, &[(103, 200), (104, 200)])?;
    same("the leaf's value", done.value(103).as_deref(), Some("x"))?;
    same("the interior node's children", done.value(104).as_deref(), Some(""))
}

pub(crate) fn add_existing(bench: &mut Bench<'_>) -> Outcome {
    let (a, n) = (bench.uri("a"), bench.uri("n"));
    let done = planted_then(bench, &[add(103, &a, "y"), add_node(104, &n), get(105, &a)])?;
    codes(&done, &[(103, 418), (104, 418)])?;
    same("the leaf's value", done.value(105).as_deref(), Some("x"))
}

pub(crate) fn add_misplaced(bench: &mut Bench<'_>) -> Outcome {
    let (under_leaf, orphan) = (bench.uri("a/b"), bench.uri("p/q"));
    let done = planted_then(bench, &[add(103, &under_leaf, "y"), add(104, &orphan, "z"), get(105, &orphan)])?;
    codes(&done, &[(103, 405)])?;
    match done.code(104)? {
        200 => same("the orphan's value", done.value(105).as_deref(), Some("z")),
        other => {
            one_of("the Status for Add without a parent", &other, &[404])?;
            codes(&done, &[(105, 404)])
        }
    }
}

pub(crate) fn replace_missing(bench: &mut Bench<'_>) -> Outcome {
    let none = bench.uri("none");
    let done = planted_then(bench, &[replace(103, &none, "y"), get(104, &none)])?;
    codes(&done, &[(103, 404), (104, 404)])
}

pub(crate) fn replace_interior(bench: &mut Bench<'_>) -> Outcome {
    let n = bench.uri("n");
    let done = planted_then(bench, &[replace(103, &n, "y")])?;
    codes(&done, &[(103, 405)])
}

pub(crate) fn gets(bench: &mut Bench<'_>) -> Outcome {
    let (none, n, child) = (bench.uri("none"), bench.uri("n"), bench.uri("n/c"));
    let (second, empty) = (bench.uri("n/d"), bench.uri("n/d"));
    let done = planted_then(
        bench,
        &[get(103, &none), add(104, &child, "1"), add_node(105, &second), get(106, &n), get(107, &empty)],
    )?;
    codes(&done, &[(103, 404), (106, 200), (107, 200)])?;
    let names = done.value(106).unwrap_or_default();
    let mut names: Vec<_> = names.split('/').collect();
    names.sort_unstable();
    same("the names of the children", names, ["c", "d"])?;
    same("the Data of an interior node without children", done.value(107).as_deref(), Some(""))
}

pub(crate) fn deletes(bench: &mut Bench<'_>) -> Outcome {
    let (n, child) = (bench.uri("n"), bench.uri("n/c"));
    let done = planted_then(
        bench,
        &[
            add(103, &child, "1"),
            delete(104, &n),
            get(105, &child),
            delete(106, "./DevInfo"),
            delete(107, "."),
            delete(108, "./DevInfo/Man"),
            get(109, "./DevInfo/Man"),
        ],
    )?;
    codes(&done, &[(104, 200), (105, 404), (106, 405), (107, 405), (108, 405), (109, 200)])
}

pub(crate) fn copies(bench: &mut Bench<'_>) -> Outcome {
    let (a, b) = (bench.uri("a"), bench.uri("b"));
    let done = planted_then(bench, &[copy(103, &a, &b), get(104, &b)])?;
    match done.code(103)? {
        200 => same("the copy's value", done.value(104).as_deref(), Some("x")),
        other => same("the Status for Copy", other, 406),
    }
}

pub(crate) fn executes(bench: &mut Bench<'_>) -> Outcome {
    let a = bench.uri("a");
    let done = planted_then(bench, &[exec(103, &a)])?;
    one_of("the Status for Exec", &done.code(103)?, &[405, 406])
}

pub(crate) fn lists(bench: &mut Bench<'_>) -> Outcome {
    let (n, child) = (bench.uri("n"), bench.uri("n/c"));
    let mut session = planted(bench)?;
    session.run(&add(103, &child, "1"))?;
    let ask = |id: u32, list: &str| get(id, &format!("{n}?list={list}"));
    let done = session.run(&[ask(104, "Struct"), ask(105, "StructData"), ask(106, "TNDS")].concat())?;
    session.close()?;
    let items = |cmd_id: u32| {
        let results = done.results.iter().filter(move |results| results.cmd_ref == cmd_id);
        results.flat_map(|results| &results.items).cloned().collect::<Vec<_>>()
    };
    let of_child = |cmd_id: u32| {
        let ends = |uri: &str| uri.ends_with("/n/c");
        items(cmd_id).into_iter().find(|item| item.source.as_ref().is_some_and(|source| ends(&source.uri)))
    };
    for (cmd_id, with_data) in [(104, false), (105, true)] {
        match done.code(cmd_id)? {
            406 => {}
            code => {
                same("the Status for ?list", code, 200)?;
                let leaf = some("the leaf in the list", of_child(cmd_id))?;
                same("whether the leaf has Data", leaf.data.is_some(), with_data)?;
            }
        }
    }
    match done.code(106)? {
        406 => Err(Miss::not_applicable("the client has no ?list=TNDS")),
        code => {
            same("the Status for ?list=TNDS", code, 200)?;
            let tree = items(106);
            same("the number of Items", tree.len(), 1)?;
            let type_ = tree[0].meta.type_.as_deref().unwrap_or_default();
            hold(type_.starts_with("application/vnd.syncml.dmtnds+"), || format!("the Type is {type_:?}"))
        }
    }
}

pub(crate) fn properties(bench: &mut Bench<'_>) -> Outcome {
    let (a, b, n) = (bench.uri("a"), bench.uri("b"), bench.uri("n"));
    let renamed = bench.uri("r");
    let done = planted_then(
        bench,
        &[
            add(103, &format!("{a}?prop=Name"), "z"),
            get(104, &format!("{a}?prop=Nothing")),
            get(105, &format!("{a}?prop=Format")),
            get(106, &format!("{a}?prop=Name")),
            add(107, &b, "y"),
            replace(108, &format!("{a}?prop=Name"), "b"),
            replace(109, &format!("{a}?prop=Name"), "r"),
            get(110, &renamed),
            replace(111, "./DevInfo?prop=Name", "Other"),
            replace(112, &format!("{n}?prop=Format"), "chr"),
            get(113, &format!("{n}?prop=Format")),
        ],
    )?;
    codes(
        &done,
        &[(103, 405), (104, 406), (105, 200), (106, 200), (108, 418), (109, 200), (110, 200), (112, 405)],
    )?;
    one_of("the Status for renaming a permanent node", &done.code(111)?, &[405, 425])?;
    same("Format of a text leaf", done.value(105).as_deref(), Some("chr"))?;
    same("Name", done.value(106).as_deref(), Some("a"))?;
    same("the renamed leaf's value", done.value(110).as_deref(), Some("x"))?;
    same("Format of an interior node", done.value(113).as_deref(), Some("node"))
}

pub(crate) fn inbox(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    let done = session.run(&get(101, "./Inbox"))?;
    session.close()?;
    match done.code(101)? {
        404 => Err(Miss::not_applicable("the client has no ./Inbox")),
        code => same("the Status for Get of ./Inbox", code, 405),
    }
}
