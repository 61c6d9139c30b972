//! The order in which Windows was seen to apply links, container by container.

use crate::common::{Hand, KEY, json, order};
use postern_engine::policy::{
    directory::SomKind,
    registry_pol::value::{self, Value},
};

#[test]
fn links_apply_in_the_order_that_windows_was_seen_to_apply_them_in() {
    let observed = json("rsop/observed-order.json");
    let containers = ["Computers", "SomeOU", "Domain", "Site"];
    let names = ["OU=Computers,OU=SomeOU,DC=t", "OU=SomeOU,DC=t", "DC=t", "CN=S,CN=Sites,DC=t"];
    let mut hand = Hand::new(&["SomeOU", "Computers"]);
    hand.som(names[3], SomKind::Site);
    hand.target.site = Some(crate::common::dn(names[3]));
    for (container, som) in containers.into_iter().zip(names) {
        // Written from link order 4 to 1: the last of the attribute is the first in precedence.
        for link in observed["each_container_links"].as_array().unwrap().iter().rev() {
            let options = if link["enforced"] == true { 2 } else { 0 };
            hand.gpo(&format!("{container}GPO{}", link["n"]), som, options);
        }
    }

    let mut precedence = order(&hand.computer());
    precedence.reverse();

    assert_eq!(serde_json::json!(precedence), observed["priority_order_highest_first"]);
}

#[test]
fn the_inner_unit_wins_and_blocks_what_is_not_enforced() {
    let mut hand = Hand::new(&["Outer", "Inner"]);
    hand.gpo("Domain", "DC=t", 0);
    hand.gpo("Outer", "OU=Outer,DC=t", 0);
    hand.gpo("Inner", "OU=Inner,OU=Outer,DC=t", 0);
    assert_eq!(order(&hand.computer()), ["Domain", "Outer", "Inner"]);

    hand.gpo("Must", "DC=t", 2);
    assert_eq!(order(&hand.computer()), ["Domain", "Outer", "Inner", "Must"]);

    hand.block("OU=Inner,OU=Outer,DC=t");
    let pass = hand.computer();
    assert_eq!(order(&pass), ["Inner", "Must"]);
    let blocked = pass.links.iter().find(|link| link.gpo_name() == "Outer").unwrap();
    assert_eq!(blocked.reason.word(), "blocked-inheritance");
    assert_eq!(blocked.detail.to_string(), "OU=Inner,OU=Outer,DC=t blocks inheritance");
    let winner = pass.settings.value(KEY, "Winner").unwrap();
    assert_eq!(value::typed(winner.kind, &winner.octets), Ok(Value::Text("Must".to_owned())));
}

#[test]
fn a_site_cannot_block_and_without_a_site_none_takes_part() {
    let mut hand = Hand::new(&["U"]);
    hand.som("CN=S,CN=Sites,DC=t", SomKind::Site);
    hand.gpo("Site", "CN=S,CN=Sites,DC=t", 0);
    hand.gpo("Domain", "DC=t", 0);
    hand.block("CN=S,CN=Sites,DC=t");
    assert_eq!(order(&hand.computer()), ["Domain"]);

    hand.target.site = Some(crate::common::dn("CN=S,CN=Sites,DC=t"));
    assert_eq!(order(&hand.computer()), ["Site", "Domain"]);

    hand.block("DC=t");
    assert_eq!(order(&hand.computer()), ["Domain"]);
}

#[test]
fn a_gpo_that_is_linked_twice_is_judged_at_each_link() {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("Twice", "DC=t", 0);
    hand.link(&gpo, "OU=U,DC=t", 1);
    hand.link(&gpo, "OU=U,DC=t", 2);

    let pass = hand.computer();

    let links: Vec<_> = pass.links.iter().map(|l| (l.link_order, l.reason.word())).collect();
    assert_eq!(links, [(2, "link-disabled"), (1, "applied"), (1, "applied")]);
    assert_eq!(pass.order, [2, 1]);
}

#[test]
fn a_container_that_is_neither_unit_nor_domain_is_passed_through() {
    let mut hand = Hand::new(&["U"]);
    hand.gpo("Unit", "OU=U,DC=t", 0);
    hand.gpo("Domain", "DC=t", 0);
    let inside = crate::common::dn("CN=D,CN=Box,OU=U,DC=t");
    hand.account(&inside, postern_engine::policy::directory::AccountKind::Computer, 7);
    hand.target.computer = Some(inside);

    assert_eq!(order(&hand.computer()), ["Domain", "Unit"]);
}
