//! CLI-26 to CLI-28: access control lists.

use super::{
    Bench,
    bench::SERVER_ID,
    xml::{add, add_node, command, delete, get, replace},
};
use crate::conformance::verdict::{Outcome, hold, one_of, same};

/// Sets an ACL.
fn acl(id: u32, uri: &str, acl: &str) -> String {
    command("Replace", id, &format!("{uri}?prop=ACL"), &format!("<Data>{}</Data>", acl.replace('&', "&amp;")))
}

fn read_acl(id: u32, uri: &str) -> String {
    get(id, &format!("{uri}?prop=ACL"))
}

/// The table of the standard's example, asked in the role of its servers A, B and C: what each may do.
pub(crate) fn truth_table(bench: &mut Bench<'_>) -> Outcome {
    for (role, codes) in [
        // Get NodeA, Get Node1, Replace Node1, Node1's ACL, Get Node4, Node4's ACL, Get Node5, Replace Node5
        ("A", [425, 200, 425, 425, 200, 200, 200, 200]),
        ("B", [425, 200, 425, 425, 425, 425, 200, 425]),
        ("C", [200, 200, 425, 200, 425, 425, 425, 425]),
    ] {
        let top = bench.uri("t");
        let id = |text: &str| text.replace(role, SERVER_ID);
        let uri = |below: &str| format!("{top}/{below}");
        let mut session = bench.session()?;
        let nodes = ["", "/NodeA", "/NodeB", "/NodeB/Node3", "/NodeB/Node4x"];
        let made: String =
            (0..).zip(nodes).map(|(n, node)| add_node(101 + n, &format!("{top}{node}"))).collect();
        let leaves = [
            add(111, &uri("NodeA/Node1"), "1"),
            add(112, &uri("NodeB/Node4"), "4"),
            add(113, &uri("NodeB/Node3/Node5"), "5"),
        ];
        let done = session.run(&(made + &leaves.concat()))?;
        for cmd_id in [101, 102, 103, 104, 111, 112, 113] {
            same(&format!("the Status for command {cmd_id}"), done.code(cmd_id)?, 200)?;
        }
        // From the leaves up, while this server may still do everything.
        let lists = [
            acl(121, &uri("NodeB/Node3/Node5"), &id("Get=A+B&Replace=A")),
            acl(122, &uri("NodeB/Node3"), &id("Get=B&Replace=B&Delete=B")),
            acl(123, &uri("NodeB"), &id("Get=A&Replace=A")),
            acl(124, &uri("NodeA/Node1"), "Get=*"),
            acl(125, &uri("NodeA"), &id("Get=C&Replace=C")),
        ];
        let done = session.run(&lists.concat())?;
        for cmd_id in 121..=125 {
            same(&format!("the Status for ACL {cmd_id}"), done.code(cmd_id)?, 200)?;
        }
        let asked = [
            get(131, &uri("NodeA")),
            get(132, &uri("NodeA/Node1")),
            replace(133, &uri("NodeA/Node1"), "9"),
            acl(134, &uri("NodeA/Node1"), "Get=*&Exec=*"),
            get(135, &uri("NodeB/Node4")),
            read_acl(136, &uri("NodeB/Node4")),
            get(137, &uri("NodeB/Node3/Node5")),
            replace(138, &uri("NodeB/Node3/Node5"), "9"),
        ];
        let done = session.run(&asked.concat())?;
        let got: Vec<_> = (131..=138).filter_map(|cmd_id| done.code(cmd_id).ok()).collect();
        same(&format!("what server {role} may do"), got, codes)?;
        if role == "A" {
            same("the ACL of a node without one", done.value(136).as_deref(), Some(""))?;
        }
        session.close()?;
    }
    Ok(())
}

pub(crate) fn new_interior_node(bench: &mut Bench<'_>) -> Outcome {
    let (parent, child, leaf) = (bench.uri("p"), bench.uri("p/n"), bench.uri("p/n/x"));
    let mut session = bench.session()?;
    let done = session
        .run(&[add_node(101, &parent), acl(102, &parent, &format!("Add={SERVER_ID}&Get=*"))].concat())?;
    same("the Status for the parent's ACL", done.code(102)?, 200)?;
    // The parent's list gives Add and Get; the node's own gives Add, Delete and Replace, and takes its place.
    let asked = [add_node(103, &child), add(104, &leaf, "1"), get(105, &child), delete(106, &child)];
    let done = session.run(&asked.concat())?;
    session.close()?;
    for (cmd_id, code) in [(103, 200), (104, 200), (105, 425), (106, 200)] {
        same(&format!("the Status for command {cmd_id}"), done.code(cmd_id)?, code)?;
    }
    Ok(())
}

pub(crate) fn root(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    let rights = format!("Add={SERVER_ID}&Get=*&Replace={SERVER_ID}");
    let done = session
        .run(&[acl(101, ".", &rights), read_acl(102, "."), acl(103, ".", ""), read_acl(104, ".")].concat())?;
    session.close()?;
    one_of("the Status for the root's ACL", &done.code(101)?, &[200, 405])?;
    for cmd_id in [102, 104] {
        same("the Status for reading the root's ACL", done.code(cmd_id)?, 200)?;
        hold(done.value(cmd_id).is_some_and(|list| !list.is_empty()), || {
            "the root's ACL is empty".to_owned()
        })?;
    }
    Ok(())
}
