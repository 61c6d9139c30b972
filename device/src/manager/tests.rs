//! The rules CLI-nn of docs/CONFORMANCE.md that concern the tree, with their ids.

use postern_wire::{
    order::{Order, VERSION},
    syncml::{Command, Group, Request},
    terms::{AuthType, EnrolmentId, OperationId},
};
use proptest::{prelude::*, proptest};
use uuid::Uuid;

mod policy;
mod subtree;

use super::*;
use crate::{
    csp::{self, Hardware},
    enrolment::Enrolment,
    interaction::NoUser,
    keys::{SigningKey, new_request},
    tree::Tree,
};

/// A device, its order key's private half, and what its manager is asked.
struct Bench {
    state: State,
    csp: Providers,
    account: Account,
    order_key: SigningKey,
    events: Vec<Event>,
    user: NoUser,
    now: UtcMillis,
}

impl Bench {
    fn new() -> Self {
        let pair = new_request("order key").unwrap();
        let public = rcgen::KeyPair::from_pem(&pair.key_pem).unwrap().public_key_pem();
        let account = account("srv", Some(public));
        let csp = Providers::default();
        let state = State::new(csp.plant(&account, &Hardware::default()).unwrap());
        let order_key = SigningKey::from_pem(&pair.key_pem).unwrap();
        Self { state, csp, account, order_key, events: Vec::new(), user: NoUser, now: UtcMillis(1_000) }
    }

    /// The same device, asked by another server.
    fn by(mut self, server_id: &str) -> Self {
        self.account.server_id = server_id.to_owned();
        self
    }

    fn manager(&mut self) -> Manager<'_> {
        Manager {
            state: &mut self.state,
            csp: &self.csp,
            account: &self.account,
            encoding: Encoding::Xml,
            now: self.now,
            events: &mut self.events,
            ui: &mut self.user,
            cancelled: false,
            atomic_octets: usize::MAX,
        }
    }

    fn add(&mut self, uri: &str, text: &str) -> Result<(), Code> {
        self.manager().add(uri, &Meta::default(), Some(&text.into()))
    }

    fn interior(&mut self, uri: &str) -> Result<(), Code> {
        self.manager().add(uri, &format("node"), None)
    }

    fn replace(&mut self, uri: &str, text: &str) -> Result<(), Code> {
        self.manager().replace(uri, &Meta::default(), Some(&text.into()))
    }

    fn delete(&mut self, uri: &str) -> Result<(), Code> {
        self.manager().delete(uri)
    }

    fn read(&mut self, uri: &str) -> Result<String, Code> {
        let items = self.manager().get(uri)?;
        Ok(items[0].data.as_ref().and_then(Data::as_text).unwrap_or_default().to_owned())
    }

    fn codes(&mut self, command: &Command) -> Vec<(String, u32)> {
        let answers = self.manager().run(command, Run::Execute);
        answers.into_iter().map(|answer| (answer.cmd, answer.code.0)).collect()
    }

    fn order(&self, change: impl FnOnce(&mut Order)) -> String {
        let mut order = Order {
            v: VERSION,
            enrolment: self.account.enrolment,
            generation: self.account.generation,
            uri: csp::WIPE.to_owned(),
            expires: UtcMillis(2_000),
            order: OperationId(Uuid::from_u128(77)),
        };
        change(&mut order);
        order.seal(|octets| self.order_key.sign(octets)).unwrap()
    }

    fn wipe(&mut self, data: &str) -> Result<Code, Code> {
        self.manager().exec(csp::WIPE, Some(&data.into()), None)
    }
}

fn account(server_id: &str, order_key_pem: Option<String>) -> Account {
    let enrolment = Enrolment {
        server_uri: "https://dm.test/dm/1/abc".into(),
        enrolment: EnrolmentId(Uuid::from_u128(5)),
        generation: 3,
        device_id: "IMEI:1".into(),
        server_id: server_id.into(),
        auth: AuthType::Basic,
        user: None,
        password: Some("pw".to_owned().into()),
        server_password: None,
        server_auth: None,
        certificate_pem: None,
        key_pem: None,
        ca_pem: String::new(),
        message_key_pem: None,
        order_key_pem,
        device_ca_pem: None,
        escrow_key: None,
        request: None,
        renew_from: None,
    };
    Account::new(&enrolment, None).unwrap()
}

fn format(name: &str) -> Meta {
    Meta { format: Some(name.to_owned()), ..Meta::default() }
}

fn request(id: u32, target: &str, data: Option<&str>) -> Request {
    let item = Item { target: Some(Location::uri(target)), data: data.map(Into::into), ..Item::default() };
    Request { cmd_id: id, items: vec![item], ..Request::default() }
}

#[test]
fn cli_03_an_added_leaf_and_interior_node_are_there() {
    let mut bench = Bench::new();
    assert_eq!(bench.interior("./Settings/net"), Ok(()));
    assert_eq!(bench.add("./Settings/net/apn", "internet"), Ok(()));
    assert_eq!(bench.read("./Settings/net/apn"), Ok("internet".into()));
    assert_eq!(bench.read("Settings/net"), Ok("apn".into()));
}

#[test]
fn cli_04_adding_what_exists_is_418() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    assert_eq!(bench.add("./Settings/a", "2"), Err(Code::EXISTS));
    assert_eq!(bench.interior("./DevInfo"), Err(Code::EXISTS));
    assert_eq!(bench.read("./Settings/a"), Ok("1".into()));
}

#[test]
fn cli_05_under_a_leaf_is_405_and_missing_parents_come_with_the_node() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    assert_eq!(bench.add("./Settings/a/b", "2"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.add("./Settings/x/y/z", "3"), Ok(()));
    assert_eq!(bench.read("./Settings/x"), Ok("y".into()));
}

#[test]
fn cli_06_replacing_what_is_missing_is_404_and_creates_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.replace("./Settings/a", "1"), Err(Code::NOT_FOUND));
    assert_eq!(bench.read("./Settings/a"), Err(Code::NOT_FOUND));
}

#[test]
fn cli_07_replacing_an_interior_node_is_405() {
    let mut bench = Bench::new();
    bench.interior("./Settings/a").unwrap();
    assert_eq!(bench.replace("./Settings/a", "1"), Err(Code::NOT_ALLOWED));
    bench.add("./Settings/leaf", "1").unwrap();
    assert_eq!(bench.replace("./Settings/leaf/below", "1"), Err(Code::NOT_ALLOWED));
}

#[test]
fn cli_08_get_gives_404_the_children_or_an_empty_value() {
    let mut bench = Bench::new();
    bench.interior("./Settings/empty").unwrap();
    assert_eq!(bench.read("./Settings/none"), Err(Code::NOT_FOUND));
    assert_eq!(bench.read("./DevInfo"), Ok("Bearer/DevId/DmV/Ext/Lang/Man/Mod".into()));
    let items = bench.manager().get("./Settings/empty").unwrap();
    assert_eq!((items[0].meta.format.as_deref(), items[0].data.clone()), (Some("node"), Some("".into())));
}

#[test]
fn cli_09_a_subtree_is_deleted_and_permanent_nodes_and_the_root_are_not() {
    let mut bench = Bench::new();
    bench.add("./Settings/a/b/c", "1").unwrap();
    for uri in [".", "./DevInfo", "./DevInfo/Man", "./Settings", "./Vendor", "./Settings/a?prop=ACL"] {
        assert_eq!(bench.delete(uri), Err(Code::NOT_ALLOWED), "{uri}");
    }
    assert_eq!(bench.delete("./Settings/a"), Ok(()));
    assert_eq!(bench.read("./Settings/a/b/c"), Err(Code::NOT_FOUND));
    assert_eq!(bench.delete("./Settings/a"), Err(Code::NOT_FOUND));
}

#[test]
fn cli_10_a_leaf_is_copied_to_a_new_or_an_existing_leaf_only() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    bench.add("./Settings/b", "2").unwrap();
    bench.interior("./Settings/in").unwrap();
    let mut manager = bench.manager();
    assert_eq!(manager.copy("./Settings/a", "./Settings/c"), Ok(()));
    assert_eq!(manager.copy("./Settings/a", "./Settings/b"), Ok(()));
    assert_eq!(manager.copy("./Settings/in", "./Settings/d"), Err(Code::FORBIDDEN));
    assert_eq!(manager.copy("./Settings/a", "./Settings/in"), Err(Code::FORBIDDEN));
    assert_eq!(manager.copy("./Settings/none", "./Settings/d"), Err(Code::NOT_FOUND));
    assert_eq!(manager.copy("./Settings/a", "./DevInfo/Man"), Err(Code::NOT_ALLOWED));
    assert_eq!((bench.read("./Settings/b"), bench.read("./Settings/c")), (Ok("1".into()), Ok("1".into())));
}

#[test]
fn cli_11_exec_of_a_node_that_does_not_take_it_is_405() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    assert_eq!(bench.manager().exec("./Settings/a", None, None), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.manager().exec("./Settings/none", None, None), Err(Code::NOT_FOUND));
}

#[test]
fn cli_12_an_atomic_stands_whole_or_not_at_all() {
    let mut bench = Bench::new();
    let atomic = |second: &str| {
        Command::Atomic(Group {
            cmd_id: 1,
            commands: vec![
                Command::Add(request(2, "./Settings/a", Some("1"))),
                Command::Replace(request(3, second, Some("2"))),
                Command::Add(request(4, "./Settings/c", Some("3"))),
            ],
            ..Group::default()
        })
    };
    let before = bench.state.tree.clone();
    let codes = bench.codes(&atomic("./Settings/none"));
    assert_eq!(codes, answered(&[("Atomic", 507), ("Add", 216), ("Replace", 404), ("Add", 215)]));
    assert_eq!(bench.state.tree, before);
    let codes = bench.codes(&atomic("./Settings/a"));
    assert_eq!(codes, answered(&[("Atomic", 200), ("Add", 200), ("Replace", 200), ("Add", 200)]));
    assert_eq!(bench.read("./Settings"), Ok("a/c".into()));
}

#[test]
fn cli_13_a_get_or_an_atomic_inside_an_atomic_is_500_and_exec_406() {
    for (child, codes) in [
        (Command::Get(request(2, "./DevInfo/Man", None)), vec![("Atomic", 507), ("Get", 500)]),
        (Command::Exec(request(2, csp::WIPE, None)), vec![("Atomic", 507), ("Exec", 406)]),
        (
            Command::Atomic(Group {
                cmd_id: 2,
                commands: vec![Command::Add(request(3, "./Settings/a", Some("1")))],
                ..Group::default()
            }),
            vec![("Atomic", 507), ("Atomic", 500), ("Add", 215)],
        ),
    ] {
        let mut bench = Bench::new();
        let atomic = Command::Atomic(Group { cmd_id: 1, commands: vec![child], ..Group::default() });
        assert_eq!(bench.codes(&atomic), answered(&codes));
        assert_eq!(bench.read("./Settings"), Ok(String::new()));
    }
}

#[test]
fn cli_14_a_sequence_runs_in_order_and_past_a_failure() {
    let mut bench = Bench::new();
    let sequence = Command::Sequence(Group {
        cmd_id: 1,
        commands: vec![
            Command::Add(request(2, "./Settings/a", Some("1"))),
            Command::Add(request(3, "./Settings/a", Some("2"))),
            Command::Replace(request(4, "./Settings/a", Some("3"))),
        ],
        ..Group::default()
    });
    assert_eq!(
        bench.codes(&sequence),
        answered(&[("Sequence", 200), ("Add", 200), ("Add", 418), ("Replace", 200)])
    );
    assert_eq!(bench.read("./Settings/a"), Ok("3".into()));
}

#[test]
fn cli_24_listings_show_what_this_server_may_read() {
    let mut bench = Bench::new();
    bench.add("./Settings/a/x", "1").unwrap();
    bench.add("./Settings/b", "2").unwrap();
    bench.replace("./Settings/b?prop=ACL", "Replace=srv").unwrap();
    let shown = |bench: &mut Bench, uri: &str| {
        let items = bench.manager().get(uri).unwrap();
        let mut shown = Vec::new();
        for item in items {
            let data = item.data.as_ref().and_then(Data::as_text).map(ToOwned::to_owned);
            shown.push((item.source.unwrap().uri, item.meta.format, data));
        }
        shown
    };
    let node = || Some("node".to_owned());
    let tops = [("./Settings".to_owned(), node(), None), ("./Settings/a".to_owned(), node(), None)];
    let leaf = |data: Option<&str>| ("./Settings/a/x".to_owned(), None, data.map(ToOwned::to_owned));
    assert_eq!(shown(&mut bench, "./Settings?list=Struct"), [&tops[..], &[leaf(None)]].concat());
    assert_eq!(shown(&mut bench, "./Settings?list=StructData"), [&tops[..], &[leaf(Some("1"))]].concat());
    assert_eq!(bench.manager().get("./Settings?list=Everything"), Err(Code::UNSUPPORTED));
}

#[test]
fn cli_25_properties_are_read_and_changed_by_their_rules() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "12").unwrap();
    bench.add("./Settings/b", "1").unwrap();
    for (property, value) in
        [("ACL", ""), ("Format", "chr"), ("Name", "a"), ("Type", "text/plain"), ("Title", ""), ("Size", "2")]
    {
        assert_eq!(bench.read(&format!("./Settings/a?prop={property}")), Ok(value.into()), "{property}");
    }
    assert_eq!(bench.read("./DevInfo?prop=Type"), Ok("urn:oma:mo:oma-dm-devinfo:1.0".into()));
    for (uri, code) in [
        ("./DevInfo/Man?prop=TStamp", Code::UNSUPPORTED), // no server has changed it
        ("./DevInfo/Man?prop=VerNo", Code::UNSUPPORTED),
        ("./Settings/a?prop=Colour", Code::UNSUPPORTED),
        ("./Settings?prop=Size", Code::UNSUPPORTED),
    ] {
        assert_eq!(bench.read(uri), Err(code), "{uri}");
    }
    for (uri, value, code) in [
        ("./Settings/a?prop=Format", "int", Code::NOT_ALLOWED),
        ("./Settings/a?prop=VerNo", "1", Code::NOT_ALLOWED),
        ("./Settings/a?prop=TStamp", "20010711T163817Z", Code::NOT_ALLOWED),
        ("./Settings/a?prop=Size", "1", Code::NOT_ALLOWED),
        ("./Settings/a?prop=Type", "text/html", Code::NOT_ALLOWED),
        ("./Settings/a?prop=Colour", "1", Code::UNSUPPORTED),
        ("./Settings/a?prop=Title", &"t".repeat(256), Code::TOO_LARGE),
        ("./Settings/a?prop=Name", "b", Code::EXISTS),
        ("./Settings/a?prop=Name", "x/y", Code::BAD_FORMAT),
        ("./DevInfo/Man?prop=Name", "x", Code::NOT_ALLOWED),
        ("./Settings?prop=Name", "x", Code::NOT_ALLOWED),
    ] {
        assert_eq!(bench.replace(uri, value), Err(code), "{uri}");
    }
    assert_eq!(bench.add("./Settings/a?prop=Title", "x"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.replace("./Settings/a?prop=Name", "c"), Ok(()));
    assert_eq!(bench.replace("./Settings/c?prop=Title", "T"), Ok(()));
    assert_eq!(bench.read("./Settings/c?prop=Title"), Ok("T".into()));
}

#[test]
fn cli_25_tstamp_and_verno_follow_each_change() {
    let mut bench = Bench::new();
    let read = |bench: &mut Bench| {
        (bench.read("./Settings/a?prop=TStamp").unwrap(), bench.read("./Settings/a?prop=VerNo").unwrap())
    };
    bench.now = UtcMillis(994_869_497_000);
    bench.add("./Settings/a", "1").unwrap();
    assert_eq!(read(&mut bench), ("20010711T163817Z".into(), "0".into()));
    bench.now = bench.now.plus(1_000);
    bench.replace("./Settings/a", "2").unwrap();
    bench.replace("./Settings/a?prop=ACL", "Get=*&Replace=srv").unwrap();
    bench.replace("./Settings/a?prop=Title", "T").unwrap();
    assert_eq!(read(&mut bench), ("20010711T163818Z".into(), "3".into()));
    let (path, _) = Path::parse("./Settings/a").unwrap();
    bench.state.tree.update(&path, |node| node.version = u16::MAX).unwrap();
    bench.replace("./Settings/a", "3").unwrap();
    assert_eq!(read(&mut bench).1, "0", "it wraps");
}

/// The tree of TND 7.7.1.6.
fn the_specs_tree(server: &str) -> Bench {
    let mut bench = Bench::new().by(server);
    let mut tree = Tree::default();
    let acl = |text: &str| Acl::parse(text).unwrap();
    let leaf = || Node::leaf(Format::Chr, "v");
    for (uri, node) in [
        ("./NodeA", Node::interior().guarded_by(acl("Get=C&Replace=C"))),
        ("./NodeA/Node1", leaf().guarded_by(acl("Get=*"))),
        ("./NodeB", Node::interior().guarded_by(acl("Get=A&Replace=A"))),
        ("./NodeB/Node3", Node::interior().guarded_by(acl("Get=B&Replace=B&Delete=B"))),
        ("./NodeB/Node4", leaf()),
        ("./NodeB/Node5", leaf().guarded_by(acl("Get=A+B&Replace=A"))),
    ] {
        tree.insert(&Path::parse(uri).unwrap().0, node).unwrap();
    }
    bench.state.tree = tree;
    bench
}

#[test]
fn cli_26_the_truth_table_of_lists_holds() {
    let denied = Err(Code::DENIED);
    for server in ["A", "B", "C", "D"] {
        let mut bench = the_specs_tree(server);
        let only = |who: &str| if server == who { Ok(()) } else { denied };
        assert_eq!(bench.read("./NodeA/Node1"), Ok("v".into()), "anyone may Get Node1");
        assert_eq!(bench.read("./NodeA").map(drop), only("C"));
        assert_eq!(
            bench.replace("./NodeA/Node1?prop=ACL", "Get=*"),
            only("C"),
            "a leaf's list: by its parent's"
        );
        assert_eq!(bench.replace("./NodeA/Node1", "w"), denied, "nobody may Replace Node1");
        assert_eq!(bench.delete("./NodeA/Node1"), denied, "nobody may Delete Node1");
        assert_eq!(
            bench.read("./NodeB/Node4?prop=ACL"),
            if server == "A" { Ok(String::new()) } else { Err(Code::DENIED) }
        );
        assert_eq!(bench.replace("./NodeB/Node5", "w"), only("A"), "A may Replace Node5");
        assert_eq!(bench.replace("./NodeB/Node4", "w"), only("A"), "Node4 inherits NodeB's list");
        let interior = bench.replace("./NodeB/Node3?prop=ACL", "Get=B&Replace=B&Delete=B");
        assert_eq!(
            interior,
            if matches!(server, "A" | "B") { Ok(()) } else { denied },
            "own list or the parent's"
        );
        assert_eq!(bench.delete("./NodeB/Node3"), only("B"));
    }
}

#[test]
fn cli_27_a_server_that_could_not_replace_its_new_interior_node_gets_a_list_on_it() {
    let mut other = Bench::new().by("other");
    other.interior("./Settings/theirs").unwrap();
    assert_eq!(acl_of(&other, "./Settings/theirs"), "Add=other&Delete=other&Replace=other");
    let mut own = Bench::new();
    own.interior("./Settings/ours").unwrap();
    assert_eq!(acl_of(&own, "./Settings/ours"), "");
}

#[test]
fn cli_28_the_roots_list_is_changed_and_never_empty() {
    let mut bench = Bench::new();
    assert_eq!(bench.replace(".?prop=ACL", ""), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.replace(".?prop=ACL", "Get=*&Add=srv&Replace=srv"), Ok(()));
    assert_eq!(bench.read(".?prop=ACL"), Ok("Add=srv&Get=*&Replace=srv".into()));
    assert_eq!(Bench::new().by("other").replace(".?prop=ACL", "Get=*"), Err(Code::DENIED));
}

#[test]
fn cli_31_an_unknown_command_and_an_incomplete_one_are_answered() {
    let mut bench = Bench::new();
    for (command, code) in [
        (Command::Unknown { name: "Map".into(), cmd_id: Some(4) }, 501),
        (Command::Get(Request { cmd_id: 1, ..Request::default() }), 412),
        (Command::Get(request(0, "./DevInfo/Man", None)), 412),
        (Command::Get(Request { cmd_id: 1, items: vec![Item::default()], ..Request::default() }), 412),
        (Command::Replace(request(1, "./Settings/a", None)), 404),
        (Command::Add(request(1, "./Settings/a", None)), 412),
    ] {
        let codes: Vec<u32> = bench.codes(&command).into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, [code], "{command:?}");
    }
}

#[test]
fn values_keep_to_their_format() {
    let mut bench = Bench::new();
    for (name, text, outcome) in [
        ("int", "-5", Ok(())),
        ("int", "5.0", Err(Code::BAD_FORMAT)),
        ("int", "2147483648", Err(Code::BAD_FORMAT)),
        ("bool", "yes", Err(Code::BAD_FORMAT)),
        ("float", "1e3", Ok(())),
        ("b64", "AAEC", Ok(())),
        ("b64", "!", Err(Code::BAD_FORMAT)),
        ("node", "x", Err(Code::BAD_FORMAT)),
        ("colour", "x", Err(Code::BAD_FORMAT)),
    ] {
        let uri = format!("./Settings/{name}-{}", text.len());
        assert_eq!(bench.manager().add(&uri, &format(name), Some(&text.into())), outcome, "{name} {text}");
    }
    assert_eq!(bench.read("./Settings/b64-4?prop=Format"), Ok("bin".into()));
    assert_eq!(bench.read("./Settings/b64-4"), Ok("AAEC".into()));
    let items = Manager { encoding: Encoding::Wbxml, ..bench.manager() }.get("./Settings/b64-4").unwrap();
    assert_eq!(items[0].data, Some(Data::Binary(vec![0, 1, 2])));
    let tnds = Meta { type_: Some("application/vnd.syncml.dmtnds+xml".into()), ..Meta::default() };
    assert_eq!(bench.manager().add("./Settings/t", &tnds, Some(&"<x/>".into())), Err(Code::BAD_FORMAT));
}

#[test]
fn of_the_enrolled_account_only_its_secrets_are_written_by_its_server_and_nothing_of_them_read() {
    let mut bench = Bench::new();
    let client = "./DMAcc/Postern/AppAuth/Client";
    assert_eq!(bench.read(&format!("{client}/AAuthSecret")), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.replace(&format!("{client}/AAuthSecret"), "x"), Ok(()));
    assert_eq!(bench.read(&format!("{client}/AAuthSecret")), Err(Code::NOT_ALLOWED));
    let server = "./DMAcc/Postern/AppAuth/Server/AAuthSecret";
    assert_eq!(bench.replace(server, "x"), Err(Code::NOT_ALLOWED), "this server proves itself by TLS");
    assert_eq!(bench.replace("./DMAcc/Postern/ServerID", "x"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.replace("./DMAcc?prop=ACL", "Get=*&Add=*"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.interior("./DMAcc/Other"), Err(Code::NOT_ALLOWED));
    assert_eq!(bench.read(&format!("{client}/AAuthType")), Ok("BASIC".into()));
    let mut other = bench.by("other");
    assert_eq!(other.replace(&format!("{client}/AAuthSecret"), "x"), Err(Code::DENIED));
}

#[test]
fn a_good_order_wipes_once() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    bench.replace("./Settings?prop=Title", "T").unwrap();
    let order = bench.order(|_| {});
    assert_eq!(bench.wipe(&order), Ok(Code::OK));
    assert_eq!(bench.read("./Settings"), Ok(String::new()));
    assert_eq!(bench.read("./Settings?prop=Title"), Ok(String::new()));
    assert_eq!(bench.state.wipes().len(), 1);
    assert_eq!(bench.read("./Vendor/Postern/Wipe/LastOrder"), Ok(Uuid::from_u128(77).to_string()));
    bench.add("./Settings/b", "2").unwrap();
    assert_eq!(bench.wipe(&order), Ok(Code::OK), "its answer may have been lost");
    assert_eq!(bench.read("./Settings/b"), Ok("2".into()), "a replay wipes nothing");
    let next = bench.order(|order| order.order = OperationId(Uuid::from_u128(78)));
    assert_eq!(bench.wipe(&next), Ok(Code::OK));
    assert_eq!(bench.wipe(&order), Err(Code::FORBIDDEN), "an older one is refused");
    assert_eq!(bench.state.wipes().len(), 2);
}

#[test]
fn an_order_that_is_not_good_wipes_nothing() {
    let mut bench = Bench::new();
    bench.add("./Settings/a", "1").unwrap();
    let stranger = SigningKey::from_pem(&new_request("x").unwrap().key_pem).unwrap();
    let forged = {
        let text = bench.order(|_| {});
        let (json, _) = text.rsplit_once('.').unwrap();
        let order: Order = serde_json::from_str(json).unwrap();
        order.seal(|octets| stranger.sign(octets)).unwrap()
    };
    let good = bench.order(|_| {});
    for (data, what) in [
        (String::new(), "nothing"),
        ("{}".into(), "no order"),
        (forged, "another key"),
        (good.replace("\"generation\":3", "\"generation\":4"), "a changed text"),
        (bench.order(|order| order.enrolment = EnrolmentId(Uuid::nil())), "another enrolment"),
        (bench.order(|order| order.generation = 2), "another generation"),
        (bench.order(|order| order.uri = "./Settings/a".into()), "another URI"),
        (bench.order(|order| order.expires = UtcMillis(1_000)), "an expired order"),
        (bench.order(|order| order.v = 2), "another version"),
    ] {
        bench.events.clear();
        assert_eq!(bench.wipe(&data), Err(Code::FORBIDDEN), "{what}");
        assert!(matches!(&bench.events[..], [Event::OrderRefused { .. }]), "{what}");
    }
    assert_eq!((bench.read("./Settings/a"), bench.state.wipes().len()), (Ok("1".into()), 0));
    bench.account.order_key = None;
    assert_eq!(bench.wipe(&good), Err(Code::FORBIDDEN), "without an order key");
}

#[test]
fn no_list_keeps_the_server_from_a_wipe_and_no_other_server_wipes() {
    let mut bench = Bench::new();
    for uri in ["./Vendor/Postern/Wipe?prop=ACL", "./Vendor/Postern/Wipe/Run?prop=ACL"] {
        assert_eq!(bench.replace(uri, "Get=*"), Err(Code::NOT_ALLOWED));
    }
    bench.replace(".?prop=ACL", "Get=*").unwrap();
    let order = bench.order(|_| {});
    let mut other = Bench::new().by("other");
    other.order_key = SigningKey::from_pem(&new_request("x").unwrap().key_pem).unwrap();
    assert_eq!(other.wipe(&order), Err(Code::DENIED));
    assert_eq!(bench.wipe(&order), Ok(Code::OK));
}

proptest! {
    /// Whatever a server sends, a command that fails changes nothing, and permanent nodes stay.
    #[test]
    fn no_command_harms_the_tree(commands in proptest::collection::vec(a_command(), 0..30)) {
        let mut bench = Bench::new();
        let permanent = permanent_uris(&bench.state.tree);
        for command in &commands {
            let before = bench.state.tree.clone();
            let codes = bench.codes(command);
            prop_assert!(codes.iter().all(|(_, code)| (200..=599).contains(code)));
            if codes.iter().all(|(_, code)| *code >= 300 || matches!(code, 215 | 216)) {
                prop_assert_eq!(&bench.state.tree, &before);
            }
            prop_assert!(!bench.state.tree.get(&Path::root()).unwrap().acl.is_empty());
        }
        prop_assert_eq!(permanent_uris(&bench.state.tree), permanent);
        let mut again = bench.csp.plant(&bench.account, &Hardware::default()).unwrap();
        again.restore(&bench.state.tree.save()).unwrap();
        prop_assert_eq!(again, bench.state.tree);
    }
}

fn a_command() -> impl Strategy<Value = Command> {
    let uri = prop_oneof![
        "\\./(Settings|DevInfo|Vendor|New)(/[ab]){0,3}(\\?prop=(ACL|Name|Title|Type|X))?",
        Just(".".to_owned()),
        Just(".?prop=ACL".to_owned()),
        ".{0,12}",
    ];
    let data = prop_oneof![
        Just(None),
        "[a-c]{0,2}".prop_map(Some),
        Just(Some("Get=*&Replace=srv&Add=srv".to_owned()))
    ];
    let simple = (0u8..6, uri, data, any::<bool>()).prop_map(|(verb, uri, data, interior)| {
        let mut request = request(7, &uri, data.as_deref());
        if interior {
            request.meta = format("node");
        }
        request.items[0].source = Some(Location::uri("./DevInfo/Man"));
        match verb {
            0 => Command::Add(request),
            1 => Command::Replace(request),
            2 => Command::Get(request),
            3 => Command::Delete(request),
            4 => Command::Copy(request),
            _ => Command::Exec(request),
        }
    });
    simple.prop_recursive(2, 8, 4, |inner| {
        (any::<bool>(), proptest::collection::vec(inner, 0..4)).prop_map(|(atomic, commands)| {
            let group = Group { cmd_id: 9, commands, ..Group::default() };
            if atomic { Command::Atomic(group) } else { Command::Sequence(group) }
        })
    })
}

fn permanent_uris(tree: &Tree) -> Vec<String> {
    let mut uris = Vec::new();
    tree.walk(&Path::root(), &mut |path, node| {
        if node.permanent {
            uris.push(path.to_string());
        }
    });
    uris
}

fn acl_of(bench: &Bench, uri: &str) -> String {
    bench.state.tree.get(&Path::parse(uri).unwrap().0).unwrap().acl.to_text()
}

fn answered(codes: &[(&str, u32)]) -> Vec<(String, u32)> {
    codes.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect()
}
