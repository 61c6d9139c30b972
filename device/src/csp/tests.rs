//! What every provider may rely on, shown with one that does everything.

use postern_wire::syncml::{Command, Group};

use super::{
    bench::{Bench, request},
    *,
};
use crate::state::Storage;

/// Counts looks at `./Probe/Looks`, refuses the value `bad`, gives every interior child an `Id`, and takes Execs of
/// `./Probe/Run` that end after two steps of work.
struct Probe;

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Memory {
    looks: u32,
    changes: Vec<String>,
    running: Option<(u32, Asker)>,
}

impl Provider for Probe {
    fn root(&self) -> Path {
        path(&["Probe"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let open = Node::interior().permanent(&[Verb::Add, Verb::Get]);
        ground.tree.insert(&self.root(), open)?;
        ground.fact(&self.root().child("Looks"), "")?;
        ground.tree.insert(&self.root().child("Run"), Node::leaf(Format::Null, "").permanent(&[Verb::Exec]))
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Executed, Code> {
        let mut memory: Memory = state.memory("probe");
        memory.running = Some((2, Asker::of(exec)));
        state.remember("probe", &memory);
        Ok(Executed::Accepted)
    }

    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        let mut memory: Memory = state.memory("probe");
        memory.changes.push(format!("{:?} {}", change.verb, change.path));
        state.remember("probe", &memory);
        let Some(node) = state.tree.get(change.path) else { return Ok(()) };
        if node.text() == Some("bad") {
            return Err(Code::BAD_FORMAT);
        }
        if change.verb == Verb::Add && node.is_interior() {
            let id = Node::leaf(Format::Int, "1").permanent(&[Verb::Get]);
            state.tree.insert(&change.path.child("Id"), id)?;
        }
        Ok(())
    }

    fn refresh(&self, state: &mut State, scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        let leaf = self.root().child("Looks");
        if scope.covers(&leaf) {
            let mut memory: Memory = state.memory("probe");
            memory.looks += 1;
            state.remember("probe", &memory);
            state.tree.update(&leaf, |node| node.value = memory.looks.to_string().into_bytes())?;
        }
        Ok(())
    }

    fn work<'a>(&'a self, state: &'a mut State, _now: UtcMillis) -> Option<Working<'a>> {
        let mut memory: Memory = state.memory("probe");
        let (left, asker) = memory.running.take()?;
        Some(Box::pin(async move {
            if left > 1 {
                memory.running = Some((left - 1, asker));
            } else {
                state.complete(asker.told("probe", Mark::Informational, "1200".into()));
            }
            state.remember("probe", &memory);
        }))
    }
}

fn bench() -> Bench {
    Bench::new(Providers::default().with(Probe))
}

fn changes(bench: &Bench) -> Vec<String> {
    bench.state.memory::<Memory>("probe").changes
}

#[test]
fn an_accepted_exec_is_202_and_ends_with_one_completion_for_who_gave_it() {
    let mut bench = bench();
    assert_eq!(bench.exec("./Probe/Run", ""), Ok(Code::ACCEPTED));
    let ended = bench.ended();
    let [one] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!((one.server_id.as_str(), one.correlator.as_deref()), ("srv", Some("c1")));
    assert_eq!(bench.ended(), []);
}

#[test]
fn what_was_accepted_goes_on_after_kill_9_at_any_step() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::folder(folder.path()).unwrap();
    for steps in 0..=2 {
        let mut bench = bench();
        bench.exec("./Probe/Run", "").unwrap();
        (0..steps).for_each(|_| assert!(bench.step()));
        storage.save(&bench.state).unwrap();
        let planted = bench.csp.plant(&bench.account, &Hardware::default()).unwrap();
        bench.state = storage.load(planted).unwrap();
        assert_eq!(bench.ended().len(), 1, "killed after {steps} steps");
    }
}

#[test]
fn a_value_is_computed_when_it_is_read_and_only_for_who_may_read_it() {
    let mut bench = bench();
    assert_eq!(bench.read("./Probe/Looks"), Ok("1".into()));
    assert_eq!(bench.read("./Probe/Looks"), Ok("2".into()));
    assert_eq!(bench.read("./DevInfo/Man"), Ok("Postern".into()));
    bench.replace("./Probe?prop=ACL", "Get=other").unwrap();
    assert_eq!(bench.read("./Probe/Looks"), Err(Code::DENIED));
    assert_eq!(bench.state.memory::<Memory>("probe").looks, 2);
}

#[test]
fn a_change_that_the_provider_refuses_leaves_tree_and_memory_as_they_were() {
    let mut bench = bench();
    bench.add("./Probe/a", "good").unwrap();
    let before = (bench.state.tree.clone(), changes(&bench));
    assert_eq!(bench.add("./Probe/x/b", "bad"), Err(Code::BAD_FORMAT));
    assert_eq!(bench.replace("./Probe/a", "bad"), Err(Code::BAD_FORMAT));
    assert_eq!((bench.state.tree.clone(), changes(&bench)), before);
}

#[test]
fn the_provider_hears_of_every_change_below_it_and_of_no_other() {
    let mut bench = bench();
    bench.add("./Settings/s", "1").unwrap();
    bench.add("./Probe/x/b", "1").unwrap();
    bench.replace("./Probe/x/b", "2").unwrap();
    bench.replace("./Probe/x/b?prop=Name", "c").unwrap();
    bench.delete("./Probe/x/c").unwrap();
    assert_eq!(bench.read("./Probe/x/Id"), Ok("1".into()));
    assert_eq!(
        changes(&bench),
        [
            "Add ./Probe/x",
            "Add ./Probe/x/b",
            "Replace ./Probe/x/b",
            "Delete ./Probe/x/b",
            "Add ./Probe/x/c",
            "Delete ./Probe/x/c"
        ]
    );
}

#[test]
fn an_atomic_that_fails_takes_the_providers_memory_back() {
    let mut bench = bench();
    let commands = vec![
        Command::Add(request("./Probe/a", Some("good"))),
        Command::Replace(request("./Probe/none", Some("1"))),
    ];
    let atomic = Command::Atomic(Group { cmd_id: 1, commands, ..Group::default() });
    assert_eq!(bench.codes(&atomic), [507, 216, 404]);
    assert_eq!(changes(&bench), Vec::<String>::new());
}

#[test]
fn a_provider_deeper_in_the_tree_is_asked_before_one_above_it() {
    struct Deep;
    impl Provider for Deep {
        fn root(&self) -> Path {
            path(&["Probe", "Deep"])
        }
        fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
            ground.interior(&self.root(), None)
        }
    }
    let csp = Providers::default().with(Deep).with(Probe);
    csp.plant(&Bench::new(Providers::default()).account, &Hardware::default()).unwrap();
    assert_eq!(csp.of(&path(&["Probe", "Deep", "x"])).root(), Deep.root());
    assert_eq!(csp.of(&path(&["Probe", "Other"])).root(), Probe.root());
    assert_eq!(csp.of(&path(&["Nowhere"])).root(), Path::root());
}
