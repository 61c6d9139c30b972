//! `kill -9` at any point: the tree that is found again is the one before or after a message, and never older than
//! what the device has told its server.

use std::{
    fs,
    path::Path,
    process::{Command as Process, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_device::{
    Account, Enrolment,
    csp::{Hardware, Providers},
    state::Storage,
    tree::path::Path as TreePath,
};
use postern_wire::syncml::{Command, Group};
use rustls::version::TLS13;

use crate::{
    https::{Server, ok, write_enrolment},
    support::{add, answer, statuses},
};

const ROUNDS: usize = 40;

/// Which round the device was last sent, and which it last told to be done.
#[derive(Default)]
struct Progress {
    sent: usize,
    told: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_survives_kill_9_at_any_point() {
    let progress: Arc<Mutex<Progress>> = Arc::default();
    let shared = Arc::clone(&progress);
    let server = Server::start(
        &[&TLS13],
        Arc::new(move |to| {
            let mut progress = shared.lock().unwrap();
            let mut commands = Vec::new();
            if to.header.msg_id == 1 {
                progress.sent += 1;
                commands.push(round(progress.sent));
            } else if statuses(to).iter().any(|(cmd, code)| cmd == "Atomic" && *code == 200) {
                progress.told = progress.sent;
            }
            ok(&answer(to, 212, commands, true))
        }),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let enrolment = write_enrolment(folder.path(), &server);
    let mut mid_write = 0;
    let mut rounds = 0;
    // A kill in the middle of a save is what this is about: it goes on until there was one.
    while rounds < ROUNDS || (mid_write == 0 && rounds < 10 * ROUNDS) {
        let number = rounds;
        rounds += 1;
        mid_write += usize::from(run_and_kill(&enrolment, &state, number));
        let found = rounds_found(&enrolment, &state);
        let progress = progress.lock().unwrap();
        if let Some(last) = found {
            assert!(last <= progress.sent);
        }
        assert!(found.unwrap_or_default() >= progress.told, "{found:?} found, {} told", progress.told);
    }
    let progress = progress.lock().unwrap();
    let (sent, told) = (progress.sent, progress.told);
    assert!(mid_write > 0 && told > 0 && sent < rounds, "{mid_write} in a save, {told} told of {sent} sent");
}

/// Each round changes a large value and the number beside it, in one Atomic.
fn round(number: usize) -> Command {
    let replace = |uri: &str, data: &str| match add(uri, data) {
        Command::Add(request) => Command::Replace(request),
        other => other,
    };
    let value = number.to_string().repeat(20_000 / number.to_string().len());
    let commands = if number == 1 {
        vec![add("./Settings/large", &value), add("./Settings/number", "1")]
    } else {
        vec![
            // a round that was killed before its tree was kept is made good by the next
            add(&format!("./Settings/of/{number}"), "1"),
            replace("./Settings/large", &value),
            replace("./Settings/number", &number.to_string()),
        ]
    };
    Command::Atomic(Group { commands, ..Group::default() })
}

/// Runs one check-in and kills it: in every second round when a save has begun, else after a moment that grows from
/// none. `true` when a
/// save was under way.
fn run_and_kill(enrolment: &Path, state: &Path, number: usize) -> bool {
    let mut process = Process::new(env!("CARGO_BIN_EXE_postern-device"));
    process.args(["run", "--once", "--enrolment"]).arg(enrolment).arg("--state").arg(state);
    let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let temporary = state.join("state.json.new");
    let mut mid_write = false;
    match number % 4 {
        // the first round and some others run to their end
        0 => {}
        1 | 3 => {
            while !mid_write && child.try_wait().unwrap().is_none() {
                mid_write = temporary.exists();
            }
            child.kill().unwrap();
        }
        _ => {
            std::thread::sleep(Duration::from_millis(10 * (number as u64 - 2)));
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    mid_write
}

/// The number in the tree that is found again; the value beside it has to be of the same round.
fn rounds_found(enrolment: &Path, state: &Path) -> Option<usize> {
    let account = Account::new(&Enrolment::read(enrolment).unwrap(), None).unwrap();
    let planted = Providers::default().plant(&account, &Hardware::default()).unwrap();
    fs::create_dir_all(state).unwrap();
    let found = Storage::folder(state).unwrap().load(planted).expect("the state is never damaged");
    let text = |uri: &str| {
        let (path, _) = TreePath::parse(uri).unwrap();
        found.tree.get(&path).map(|node| node.text().unwrap().to_owned())
    };
    let number = text("./Settings/number")?;
    let large = text("./Settings/large").expect("both or neither");
    assert!(large.starts_with(&number) && large.len() + number.len() > 20_000, "one round's value");
    Some(number.parse().unwrap())
}
