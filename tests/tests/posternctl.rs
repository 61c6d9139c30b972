//! posternctl as a client: pages, versions, repeats, refusals, and an answer that tries to act on the terminal.
#![forbid(unsafe_code)]

use postern_api::problem::Slug;
use postern_tests::stub::{Answer, Asked, Stub};
use serde_json::{Value, json};

const ADMIN: &str = r#"{"id":"0199f7a0-0000-7000-8000-000000000001","name":"helga","roles":["helpdesk"],
"created_at":"2026-11-21T21:05:00Z","disabled":false,"revision":3}"#;

fn ok(body: impl ToString) -> Answer {
    (200, Vec::new(), body.to_string())
}

fn problem(slug: Slug) -> Answer {
    let problem = serde_json::to_string(&slug.problem("this is why")).unwrap_or_default();
    (slug.status(), vec![("Content-Type", "application/problem+json".to_owned())], problem)
}

fn stub(answer: impl FnMut(&Asked) -> Answer + Send + 'static) -> (tempfile::TempDir, Stub) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stub = Stub::start(folder.path(), answer);
    (folder, stub)
}

fn group(name: &str) -> Value {
    json!({"id": "0199f7a0-0000-7000-8000-000000000002", "name": name, "device_count": 0, "group_count": 0, "revision": 1})
}

#[test]
fn a_list_is_read_page_by_page_to_its_end() {
    let (_folder, stub) = stub(|asked| match asked.head.contains("cursor=") {
        false => ok(json!({"items": [group("a"), group("b")], "next_cursor": "x/y z"})),
        true => ok(json!({"items": [group("c")]})),
    });

    let groups = stub.ctl().ok(&["group", "list"]);

    let names: Vec<_> =
        groups.as_array().into_iter().flatten().filter_map(|group| group["name"].as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(stub.asked()[1].head.contains("cursor=x%2Fy+z"), "{:?}", stub.asked());
}

#[test]
fn a_limit_ends_a_list_where_it_was_asked_to_end() {
    let (_folder, stub) = stub(|_| ok(json!({"items": [{"bad": 1}], "next_cursor": "more"})));
    let devices = stub.ctl().run(&["device", "list", "--limit", "1"]);
    assert_eq!(devices.slug(), "unexpected-answer", "{devices:?}");

    assert_eq!(stub.asked().len(), 1);
    assert!(stub.asked()[0].head.contains("limit=1"), "{:?}", stub.asked());
}

#[test]
fn every_request_carries_the_token_and_a_write_a_key_against_repeats() {
    let (_folder, stub) = stub(|_| ok(group("a")));

    let _ = stub.ctl().ok(&["group", "create", "a"]);
    let _ = stub.ctl().ok(&["group", "create", "a"]);

    let asked = stub.asked();
    let field = |head: &str, name: &str| {
        let line = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(name))
            .unwrap_or_default()
            .to_owned();
        assert!(!line.is_empty(), "{name} in {head}");
        line
    };
    for one in &asked {
        assert!(field(&one.head, "authorization").ends_with("Bearer pst_test"));
    }
    assert_ne!(field(&asked[0].head, "idempotency-key"), field(&asked[1].head, "idempotency-key"));
}

#[test]
fn a_change_names_the_version_that_was_read() {
    let (_folder, stub) = stub(|_| (200, vec![("ETag", "\"3\"".to_owned())], ADMIN.to_owned()));

    let _ = stub.ctl().ok(&["role", "give", "helga", "auditor", "--reason", "asked for"]);

    let change = &stub.asked()[1];
    assert!(
        change.head.starts_with("PATCH /api/1/admins/0199f7a0-0000-7000-8000-000000000001 "),
        "{change:?}"
    );
    assert!(change.head.to_ascii_lowercase().contains("if-match: \"3\""), "{change:?}");
    let body: Value = serde_json::from_str(&change.body).expect("a JSON body");
    assert_eq!(body, json!({"roles": ["helpdesk", "auditor"], "reason": "asked for"}));
}

#[test]
fn a_name_is_one_segment_of_the_path_whatever_is_in_it() {
    let (_folder, stub) = stub(|_| problem(Slug::NotFound));

    let ran = stub.ctl().run(&["device", "show", "../tokens?x=1#y"]);

    assert_eq!(ran.exit, 1);
    let asked = &stub.asked()[0].head;
    assert!(asked.starts_with("GET /api/1/devices/..%2Ftokens%3Fx=1%23y "), "{asked}");
}

#[test]
fn every_kind_of_refusal_keeps_its_slug_and_has_its_exit_code() {
    for (slug, exit) in [
        (Slug::NotFound, 1),
        (Slug::QueueFull, 1),
        (Slug::InvalidRequest, 2),
        (Slug::NotYet, 2),
        (Slug::Unavailable, 3),
        (Slug::Standby, 3),
        (Slug::Unauthenticated, 4),
        (Slug::Forbidden, 4),
    ] {
        let (_folder, stub) = stub(move |_| problem(slug));
        let ran = stub.ctl().run(&["device", "list"]);
        assert_eq!((ran.exit, ran.slug().as_str()), (exit, slug.as_str()), "{ran:?}");
        assert!(ran.err.contains("this is why"), "{ran:?}");
    }
}

#[test]
fn a_server_that_is_not_the_core_is_said_to_be_none() {
    for answer in [
        ok("<html>"),
        (200, Vec::new(), "{}".to_owned()),
        (302, vec![("Location", "/x".to_owned())], String::new()),
    ] {
        let (_folder, stub) = stub(move |_| answer.clone());
        let ran = stub.ctl().run(&["status"]);
        assert_eq!((ran.exit, ran.slug().as_str()), (1, "unexpected-answer"), "{ran:?}");
        assert_eq!(stub.asked().len(), 1, "a redirection is not followed");
    }
}

#[test]
fn a_core_whose_certificate_is_of_another_ca_is_not_told_the_token() {
    let (_folder, stub) = stub(|_| ok("{}"));
    let (_other_folder, other) = self::stub(|_| ok("{}"));
    let mut ctl = stub.ctl();
    ctl.ca_file = other.ctl().ca_file;

    let ran = ctl.run(&["status"]);

    assert_eq!((ran.exit, ran.slug().as_str()), (3, "unreachable"), "{ran:?}");
    assert!(stub.asked().is_empty());
}

#[test]
fn text_from_a_device_does_not_act_on_the_terminal() {
    let (_folder, stub) = stub(|_| ok(json!({"items": [group("evil\u{1b}[2J\u{202e}gpj\nrow")]})));

    let table =
        stub.ctl().command(&["group", "list", "--output", "table"]).output().expect("posternctl starts");
    let json = stub.ctl().run(&["group", "list"]);

    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains(r"evil\u{1b}[2J\u{202e}gpj\nrow"), "{table}");
    assert!(!json.out.contains(['\u{1b}', '\u{202e}']), "{json:?}");
    assert_eq!(json.json()[0]["name"], "evil\u{1b}[2J\u{202e}gpj\nrow");
}

#[test]
fn status_shows_one_screen_and_ends_as_the_system_is() {
    for (state, problems, exit) in [("healthy", 0, 0), ("degraded", 1, 1), ("standby", 0, 0)] {
        let problems: Vec<_> = (0..problems).map(|_| "gateway edge: no link").collect();
        let status = json!({
            "state": state, "problems": problems, "version": "0.1.0", "now": "2026-11-21T21:05:00Z",
            "started_at": "2026-11-21T20:05:00Z",
            "database": {"kind": "sqlite", "up": true, "active": true, "write_queue": 0, "write_queue_oldest_ms": 0},
            "gateways": [], "devices": [{"state": "managed", "count": 25}],
            "certificates": [{"name": "admin", "state": "valid", "not_after": "2027-11-21T21:05:00Z"}],
            "queue": {"queued": 2, "sent": 1, "in_doubt": 0, "oldest_pending": "2026-11-21T20:35:00Z"},
        });
        let (_folder, stub) = stub(move |_| ok(status.clone()));

        let ran = stub.ctl().command(&["status", "--output", "table"]).output().expect("posternctl starts");

        let screen = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.status.code(), Some(exit), "{screen}");
        for shown in
            [state, "up 1 h 0 min", "25 managed", "2 queued", "the oldest for 30 min 0 s", "admin", "valid"]
        {
            assert!(screen.contains(shown), "{shown} in\n{screen}");
        }
        println!("{screen}");
    }
}

const READING: &str = r#"{"id":"0199f7a0-0000-7000-8000-000000000003","device":"0199f7a0-0000-7000-8000-000000000001",
"uri":".","whole":true,"state":"STATE","cause":"why","asked":1,"requested_by":"a","created_at":"2026-11-21T21:05:00Z",
"updated_at":"2026-11-21T21:05:00Z"}"#;

const TREE: &str = r#"{"device":"0199f7a0-0000-7000-8000-000000000001","uri":".","nodes":[{"uri":".","format":"node",
"explored":true},{"uri":"./A","format":"chr","value":"\u001b[31mred","at":"2026-11-21T21:05:00Z"},
{"uri":"./S","format":"chr","secret":true}]}"#;

#[test]
fn a_tree_is_read_waited_for_and_shown_with_what_a_device_said_made_harmless() {
    let (_folder, stub) = stub(|asked| {
        let ended = READING
            .replace("STATE", "done")
            .replace("\"asked\"", "\"snapshot\":\"0199f7a0-0000-7000-8000-000000000004\",\"asked\"");
        match asked.head.split_whitespace().next().unwrap_or_default() {
            "POST" => (202, Vec::new(), READING.replace("STATE", "open")),
            _ if asked.head.contains("/readings/") => ok(ended),
            _ => ok(TREE),
        }
    });

    let shown = stub.ctl().run(&["device", "tree", "d", "./A", "--whole", "--wait", "--output", "table"]);

    assert_eq!(shown.exit, 0, "{shown:?}");
    assert!(shown.out.contains("(secret)") && !shown.out.contains('\u{1b}'), "{shown:?}");
    let asked = stub.asked();
    let body: Value = serde_json::from_str(&asked[0].body).expect("a JSON body");
    assert_eq!(body, json!({"uri": "./A", "whole": true}));
    assert!(
        asked[1].head.contains("/tree/readings/0199f7a0-0000-7000-8000-000000000003?wait=30"),
        "{asked:?}"
    );
    assert!(asked[2].head.starts_with("GET /api/1/devices/d/tree?uri=.%2FA "), "{asked:?}");
}

#[test]
fn a_tree_that_could_not_be_read_is_a_refusal() {
    let (_folder, stub) = stub(|asked| match asked.head.starts_with("POST") {
        true => (202, Vec::new(), READING.replace("STATE", "open")),
        false => ok(READING.replace("STATE", "failed")),
    });
    let ran = stub.ctl().run(&["device", "tree", "d", "--depth", "2", "--wait"]);
    assert_eq!((ran.exit, ran.slug().as_str()), (1, "tree-not-read"), "{ran:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&stub.asked()[0].body).expect("JSON"),
        json!({"whole": false, "levels": 2})
    );
}

#[test]
fn the_ways_of_looking_at_a_tree_do_not_mix() {
    for arguments in [
        &["--whole", "--depth", "2"][..],
        &["--snapshots", "--read"],
        &["--from", "0199f7a0-0000-7000-8000-000000000004"],
        &["--wait"],
    ] {
        let (_folder, stub) = stub(|_| ok(TREE));
        let ran = stub.ctl().run(&[&["device", "tree", "d"], arguments].concat());
        assert_eq!(ran.exit, 64, "{arguments:?} {ran:?}");
        assert!(stub.asked().is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_description_is_imported_as_text_or_in_base64() {
    let object =
        json!({"name": "a", "origin": "imported", "ids": [], "places": ["./a"], "nodes": 1, "skipped": 0});
    for (content, key, text) in [
        (&b"\xEF\xBB\xBF<MgmtTree/>"[..], "document", "\u{FEFF}<MgmtTree/>"),
        (b"\x02\x00\xff", "document_base64", "AgD/"),
    ] {
        let (folder, stub) = stub({
            let object = object.clone();
            move |_| (201, Vec::new(), object.to_string())
        });
        let path = folder.path().join("a.ddf");
        std::fs::write(&path, content).expect("a file");
        let _ = stub.ctl().ok(&["mo", "import", path.to_str().expect("a name"), "--name", "a"]);
        let body: Value = serde_json::from_str(&stub.asked()[0].body).expect("a JSON body");
        assert_eq!(body, json!({"name": "a", key: text}));
    }
}

#[test]
fn an_address_is_completed_with_the_names_of_a_device() {
    let (_folder, stub) =
        stub(|_| ok(json!({"items": [{"uri": "./DMAcc/<Account>", "placeholder": true, "more": true}]})));
    let found = stub.ctl().run(&["mo", "complete", "./DMAcc/", "--device", "d", "--output", "table"]);
    assert!(found.out.contains("./DMAcc/<Account>/"), "{found:?}");
    assert!(stub.asked()[0].head.contains("?device=d&prefix=.%2FDMAcc%2F "), "{:?}", stub.asked());
}

#[test]
fn a_session_is_aborted_recorded_listed_and_forgotten_at_its_own_addresses() {
    let id = "0199f7a0-0000-7000-8000-000000000009";
    let (_folder, stub) = stub(move |asked| match asked.head.starts_with("GET") {
        true => ok(
            json!({"items": [{"session": id, "at": "2026-11-21T21:05:00Z", "messages": 3, "octets": 900}]}),
        ),
        false => (204, Vec::new(), String::new()),
    });
    let ctl = stub.ctl();
    for args in [
        &["session", "abort", "d"][..],
        &["session", "record", "d", "--next", "2"],
        &["session", "forget", "d", id],
    ] {
        assert_eq!(ctl.run(args).exit, 0, "{args:?}");
    }
    let recorded = ctl.ok(&["session", "recordings", "d"]);
    assert_eq!(recorded[0]["session"], id);
    let starts: Vec<_> =
        stub.asked().iter().map(|asked| asked.head.lines().next().unwrap_or_default().to_owned()).collect();
    for (start, wanted) in starts.iter().zip([
        "DELETE /api/1/devices/d/sessions/open ",
        "POST /api/1/devices/d/sessions/record ",
        "DELETE /api/1/devices/d/recordings/",
        "GET /api/1/devices/d/recordings",
    ]) {
        assert!(start.starts_with(wanted), "{start}");
    }
    assert_eq!(stub.asked()[1].body, r#"{"sessions":2}"#);
}

#[test]
fn a_notification_names_its_bearer_and_its_way_of_proof_and_is_waited_for() {
    let job = |state: &str| {
        json!({"id": "0199f7a0-0000-7000-8000-000000000007", "session_id": "2A", "state": state, "cause": "x", "attempts": 1,
               "created_at": "2026-11-21T21:05:00Z", "expires_at": "2026-11-21T21:05:00Z", "steps": []})
    };
    for (state, exit) in [("answered", 0), ("failed", 1)] {
        let (_folder, stub) = stub(move |asked| match asked.head.starts_with("GET") {
            true => ok(json!({"notifications": [job(state)]})),
            false => (202, Vec::new(), job("wanted").to_string()),
        });
        let ran = stub.ctl().run(&["device", "notify", "d", "--bearer", "listen", "--resync", "--wait"]);
        assert_eq!(ran.exit, exit, "{ran:?}");
        let asked: Value = serde_json::from_str(&stub.asked()[0].body).expect("a JSON body");
        assert_eq!((&asked["bearer"], &asked["resync"]), (&"listen".into(), &true.into()));
        assert!(stub.asked()[0].head.starts_with("POST /api/1/devices/d/notify "), "{:?}", stub.asked());
    }
}

#[test]
fn a_setting_is_set_under_the_version_that_was_read_and_an_unknown_one_never_sent() {
    let settings = json!({"scope": "global", "revision": 4, "settings": [{
        "name": "ConnectInterval", "value": "8h", "from": "default", "because": "nobody set another value",
        "range": "1m to 365d", "default": "8h", "acts": true, "doc": "x", "unit": "duration", "scopes": ["global"],
        "source": "original"}]});
    let (_folder, stub) = stub(move |_| (200, vec![("ETag", "\"4\"".to_owned())], settings.to_string()));

    let shown = stub.ctl().run(&["settings", "get", "connectinterval"]);
    let set = stub.ctl().run(&["settings", "set", "ConnectInterval", "2h", "--group", "g"]);
    let unknown = stub.ctl().run(&["settings", "set", "NoSuch", "1"]);

    assert_eq!((shown.exit, set.exit), (0, 0), "{shown:?} {set:?}");
    let asked = stub.asked();
    let change = asked.iter().find(|asked| asked.head.starts_with("PATCH")).expect("a change");
    assert!(change.head.starts_with("PATCH /api/1/groups/g/settings "), "{change:?}");
    assert!(change.head.to_ascii_lowercase().contains("if-match: \"4\""), "{change:?}");
    assert_eq!(change.body, r#"{"values":{"ConnectInterval":"2h"}}"#);
    assert_eq!(unknown.exit, 2, "{unknown:?}");
    assert_eq!(asked.iter().filter(|asked| asked.head.starts_with("PATCH")).count(), 1);
}

#[test]
fn a_bootstrap_by_pap_warns_of_what_a_gateway_may_drop() {
    let made = json!({"content_type": "text/vnd.wap.connectivity-wbxml", "bearer": "pap", "reference": "r"});
    let (folder, stub) = stub(move |_| ok(&made));
    let pin = folder.path().join("pin");
    std::fs::write(&pin, "1234\n").expect("a file");
    let pin = pin.to_str().expect("a name").to_owned();
    let make = |to: &str| {
        let args = [
            "bootstrap",
            "make",
            "d",
            "--profile",
            "cp",
            "--security",
            "userpin",
            "--pin-file",
            &pin,
            "--to",
            to,
        ];
        // Without `--output json`, as a person has it.
        let mut command = std::process::Command::new(postern_tests::binaries::path("posternctl"));
        let ctl = stub.ctl();
        command.args(args).env("POSTERN_URL", &ctl.url);
        command.env("POSTERN_TOKEN_FILE", &ctl.token_file).env("POSTERN_CA_FILE", &ctl.ca_file);
        String::from_utf8(command.output().expect("posternctl starts").stderr).expect("UTF-8")
    };
    assert!(make("pap").contains("Kannel 1.4.5"));
    assert!(!make("sms").contains("Kannel"));
}
