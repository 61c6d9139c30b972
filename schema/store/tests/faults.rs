//! What the store does when its database, its disk or its own process is taken away.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use postern_store::{
    Ambient, Options, Place, PostgresPlace, Store, StoreError, WriteError, meta,
    testkit::{self, Cluster, Durability},
};

fn fresh() -> uuid::Uuid {
    (Ambient::system().id)()
}

fn open(options: Options) -> Store {
    Store::open(options, Ambient::system()).expect("the store opens")
}

fn sqlite(path: &Path) -> Options {
    Options { readers: 1, ..Options::new(Place::Sqlite { path: path.to_owned() }, fresh()) }
}

fn postgres(place: PostgresPlace) -> Options {
    Options { readers: 1, ..Options::new(Place::Postgres(place), fresh()) }
}

fn get(store: &Store, key: &str) -> Option<String> {
    let key = key.to_owned();
    store.read_blocking(move |r| meta::get(r, &key)).expect("a read")
}

// --- our own process

/// Set for the child of the test below: the database that it writes to.
const CHILD: &str = "POSTERN_TEST_KILLED_WRITER";

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("test.sqlite");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut acknowledged = Vec::new();
    for line in lines.map_while(Result::ok) {
        acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
        if acknowledged.len() == 40 {
            child.kill().expect("kill -9");
        }
    }
    child.wait().expect("it is gone");

    let store = open(sqlite(&path));

    assert!(acknowledged.len() >= 40);
    for key in &acknowledged {
        assert!(get(&store, key).is_some(), "{key} was acknowledged and is lost");
    }
    store.shutdown();
}

/// No test of its own: the other process of the test above, which fails when this one does not do its part. Without what
/// that one gives it there is nothing to do.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = open(sqlite(Path::new(&path)));
    let mut out = std::io::stdout();
    for n in 0.. {
        let key = format!("key {n}");
        let stored = key.clone();
        store.write_blocking(move |tx| meta::set(tx, &stored, "x")).expect("a write");
        writeln!(out, "acknowledged {key}").and_then(|()| out.flush()).expect("the parent reads");
    }
}

#[test]
fn a_killed_core_on_sqlite_is_followed_at_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("test.sqlite");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.any(|line| line.is_ok_and(|l| l.starts_with("acknowledged"))), "the child is active");
    child.kill().expect("kill -9");
    child.wait().expect("it is gone");

    let store = open(Options { patience: Duration::from_secs(3600), ..sqlite(&path) });

    store
        .write_blocking(|tx| meta::set(tx, "by", "the next"))
        .expect("active, although its patience is an hour");
    store.shutdown();
}

// --- the disk

#[test]
fn a_full_disk_is_told_apart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(sqlite(&dir.path().join("test.sqlite")));
    store
        .write_blocking(|tx| testkit::run(tx, "PRAGMA max_page_count = 1"))
        .expect("no more pages than there are");
    let fill = |key: &'static str| store.write(move |tx| meta::set(tx, key, &"x".repeat(1_000_000)));
    let small = store.write(|tx| meta::set(tx, "small", "x"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");

    let (one, two) = (fill("one"), fill("two"));
    let answers = runtime.block_on(async { [one.await, small.await, two.await] });

    assert!(matches!(&answers[0], Err(WriteError::Rejected(StoreError::Full(_)))), "{answers:?}");
    assert!(matches!(&answers[2], Err(WriteError::Rejected(StoreError::Full(_)))), "{answers:?}");
    assert_eq!(answers[1], Ok(()), "what still fits is written");
    assert!(store.health().up, "a full disk is not a lost database");
    store.write_blocking(|tx| testkit::run(tx, "PRAGMA max_page_count = 1000000")).expect("room again");
    store.write_blocking(|tx| meta::set(tx, "one", "x")).expect("and so are writes");
    store.shutdown();
}

/// Set for the child of the test below: a folder on a file system of 24 MiB.
const SMALL_DISK: &str = "POSTERN_TEST_SMALL_DISK";

#[test]
fn a_full_disk_refuses_orders_and_lets_a_wipe_through() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script =
        "mount -t tmpfs -o size=24m none \"$0\" && exec \"$1\" --exact child_on_a_small_disk --nocapture";
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this test"))
        .env(SMALL_DISK, dir.path())
        .output()
        .expect("unshare of util-linux");

    let said =
        format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "needs CAP_SYS_ADMIN for a small file system of its own: {said}");
    assert!(said.contains("a wipe got through"), "{said}");
}

/// No test of its own: the other process of the test above, which fails when this one does not do its part. Without what
/// that one gives it there is nothing to do.
#[test]
fn child_on_a_small_disk() {
    let Some(dir) = std::env::var_os(SMALL_DISK) else { return };
    let store = open(sqlite(&Path::new(&dir).join("test.sqlite")));
    let order =
        |n: usize| store.write_blocking(move |tx| meta::set(tx, &format!("order {n}"), &"x".repeat(200_000)));
    let refused = (0..1000).map(order).find_map(Result::err);
    let again = order(1001);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let wipe = runtime.block_on(store.write_urgent(|tx| meta::set(tx, "wipe", &"x".repeat(200_000))));

    assert!(matches!(refused, Some(WriteError::Rejected(StoreError::Full(_)))), "{refused:?}");
    assert!(matches!(again, Err(WriteError::Rejected(StoreError::Full(_)))), "{again:?}");
    assert_eq!(wipe, Ok(()));
    assert!(get(&store, "order 0").is_some() && get(&store, "wipe").is_some());
    store.shutdown();
    println!("a wipe got through");
}

// --- the database

#[test]
fn a_lost_database_holds_writes_and_lets_them_through_when_it_is_back() {
    let cluster = Cluster::start(Durability::On).expect("PostgreSQL");
    let store = open(postgres(cluster.database().expect("a database")));
    store.write_blocking(|tx| meta::set(tx, "before", "x")).expect("a write");
    get(&store, "before");

    cluster.kill();
    let during = store.write(|tx| meta::set(tx, "during", "x"));
    let lost = store.read_blocking(|r| meta::get(r, "before"));
    let noticed = (0..3000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !store.health().up
    });
    assert!(noticed, "the store did not notice that its database is gone: {:?}", store.health());
    let more = store.write(|tx| meta::set(tx, "more", "x"));
    cluster.launch().expect("it starts again");

    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(runtime.block_on(async { (during.await, more.await) }), (Ok(()), Ok(())));
    assert!(matches!(lost, Err(postern_store::ReadError::Failed(StoreError::Lost(_)))), "{lost:?}");
    for key in ["before", "during", "more"] {
        assert!(get(&store, key).is_some(), "{key}");
    }
    assert!(store.health().up);
    store.shutdown();
}

#[test]
fn a_database_that_stays_away_is_told_to_the_callers() {
    let cluster = Cluster::start(Durability::Off).expect("PostgreSQL");
    let options = postgres(cluster.database().expect("a database"));
    let store = open(Options { retry_for: Duration::from_millis(300), ..options });
    cluster.kill();

    let first = store.write_blocking(|tx| meta::set(tx, "a", "x"));
    let second = store.write_blocking(|tx| meta::set(tx, "b", "x"));

    for refused in [first, second] {
        assert!(matches!(refused, Err(WriteError::Unavailable { .. })), "{refused:?}");
    }
    assert!(store.health().lost_since.is_some());
    store.shutdown();
}

/// One write after another, until one of them meets the fault (a server takes a setting when it gets to it).
struct Writes {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Result<(), WriteError>, u32)>>,
}

impl Writes {
    fn start(store: &Store) -> Self {
        let (stop, store) = (Arc::new(AtomicBool::new(false)), store.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let runs = Arc::new(AtomicU32::new(0));
                let (counted, key) = (runs.clone(), format!("key {}", answers.len()));
                let answer = store.write_blocking(move |tx| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    meta::set(tx, &key, "x")
                });
                answers.push((answer, runs.load(Ordering::SeqCst)));
            }
            answers
        });
        Self { stop, thread }
    }

    fn each_ran_once(self, otherwise: &str) {
        self.stop.store(true, Ordering::SeqCst);
        let answers = self.thread.join().expect("the writes");
        let once = (Ok(()), 1);
        assert!(answers.iter().all(|answer| *answer == once), "{otherwise}: {answers:?}");
    }
}

/// The server is made to commit and then to cut the connection before it answers: it waits for a replica that
/// does not exist, after the commit is on its own disk, and is told to end that session.
#[test]
fn a_batch_that_was_committed_as_the_connection_died_is_not_run_again() {
    let cluster = Cluster::start(Durability::On).expect("PostgreSQL");
    let store = open(postgres(cluster.database().expect("a database")));
    cluster.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").expect("set");
    cluster.execute("SELECT pg_reload_conf()").expect("reloaded");

    let writes = Writes::start(&store);
    cluster
        .execute(
            "DO $$ BEGIN LOOP
                 PERFORM pg_stat_clear_snapshot();
                 PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep';
                 EXIT WHEN FOUND;
                 PERFORM pg_sleep(0.02);
             END LOOP; END $$",
        )
        .expect("the waiting session is ended");
    cluster.execute("ALTER SYSTEM RESET synchronous_standby_names").expect("reset");
    cluster.execute("SELECT pg_reload_conf()").expect("reloaded");

    writes.each_ran_once("looked up by its batch id, not run again");
    store.shutdown();
}

/// As above, but the server does not notice that its client is gone: its COMMIT is still under way when the store
/// is back, and the look-up has to wait for it.
#[test]
fn a_commit_that_is_still_under_way_is_waited_for() {
    let cluster = Cluster::start(Durability::On).expect("PostgreSQL");
    let _ = cluster.database().expect("a database");
    let between = Between::start(cluster.port());
    let url = format!("postgresql://app:s3cret@127.0.0.1:{}/t0", between.port);
    let place = PostgresPlace { ca_file: cluster.by_password("t0").ca_file, ..PostgresPlace::at(url) };
    let store = open(postgres(place));
    cluster.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").expect("set");
    cluster.execute("SELECT pg_reload_conf()").expect("reloaded");
    let wait_for = |what: &str| {
        let sql = format!(
            "DO $$ BEGIN LOOP
                 PERFORM pg_stat_clear_snapshot();
                 PERFORM FROM pg_stat_activity WHERE {what};
                 EXIT WHEN FOUND;
                 PERFORM pg_sleep(0.02);
             END LOOP; END $$"
        );
        cluster.execute(&sql).expect("it comes");
    };

    let writes = Writes::start(&store);
    wait_for("wait_event = 'SyncRep'");
    between.cut();
    wait_for("wait_event_type = 'Lock'");
    cluster.execute("ALTER SYSTEM RESET synchronous_standby_names").expect("reset");
    cluster.execute("SELECT pg_reload_conf()").expect("reloaded");

    writes.each_ran_once("not run beside the commit that was under way");
    store.shutdown();
}

/// A relay between store and server. Cutting it ends the store's side of each connection and keeps the server's.
struct Between {
    port: u16,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Between {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let clients = Arc::new(Mutex::new(Vec::new()));
        let known = clients.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
                let twin = |stream: &TcpStream| stream.try_clone().expect("a twin");
                known.lock().expect("the list").push(twin(&client));
                let (mut from, mut to) = (twin(&client), twin(&server));
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                // The server's side stays open for as long as this thread reads from it.
                let (mut from, mut to) = (server, client);
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        });
        Self { port, clients }
    }

    fn cut(&self) {
        for client in self.clients.lock().expect("the list").drain(..) {
            client.shutdown(Shutdown::Both).ok();
        }
    }
}

// --- the way to PostgreSQL

#[test]
fn a_client_certificate_is_enough_to_sign_in() {
    let cluster = Cluster::shared();
    cluster.database().expect("a database to count by");
    cluster.execute("CREATE DATABASE certified OWNER certified").expect("a database");

    let store = open(postgres(cluster.by_certificate("certified")));

    store.write_blocking(|tx| meta::set(tx, "a", "b")).expect("a write");
    assert_eq!(get(&store, "a").as_deref(), Some("b"));
    store.shutdown();
}

#[test]
fn a_unix_socket_needs_no_tls() {
    let cluster = Cluster::shared();
    cluster.execute("CREATE DATABASE socketed OWNER app").expect("a database");

    let store = open(postgres(cluster.by_socket("socketed")));

    store.write_blocking(|tx| meta::set(tx, "a", "b")).expect("a write");
    store.shutdown();
}

#[test]
fn a_server_that_cannot_be_verified_is_refused() {
    let cluster = Cluster::shared();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let wrong_ca = dir.path().join("ca.pem");
    std::fs::write(&wrong_ca, other.cert.pem()).expect("a file");
    let good = cluster.by_password("postgres");
    let port = cluster.port();
    let at = |url: String| PostgresPlace { ca_file: good.ca_file.clone(), ..PostgresPlace::at(url) };
    let brief = |place| Options { retry_for: Duration::ZERO, ..postgres(place) };
    let refusal = |place| match Store::open(brief(place), Ambient::system()) {
        Ok(_) => panic!("it was let in"),
        Err(error) => error,
    };

    let untrusted = refusal(PostgresPlace { ca_file: Some(wrong_ca), ..good.clone() });
    let misnamed = refusal(at(format!("postgresql://app:s3cret@127.0.0.2:{port}/postgres")));
    let no_ca = refusal(PostgresPlace { ca_file: None, ..good.clone() });
    let clear = refusal(at(format!("postgresql://app:s3cret@127.0.0.1:{port}/postgres?sslmode=disable")));
    let clear_far = refusal(at("postgresql://app@db.example/postgres?sslmode=disable".to_owned()));
    let prefer = refusal(at(format!("postgresql://app@127.0.0.1:{port}/postgres?sslmode=prefer")));

    assert!(matches!(untrusted, StoreError::Lost(_)), "{untrusted}");
    assert!(matches!(misnamed, StoreError::Lost(_)), "{misnamed}");
    assert!(matches!(no_ca, StoreError::Configuration(_)), "{no_ca}");
    assert!(
        matches!(&clear, StoreError::Lost(why) if why.contains("reject")),
        "the server refuses it: {clear}"
    );
    assert!(matches!(clear_far, StoreError::Configuration(_)), "{clear_far}");
    assert!(matches!(prefer, StoreError::Configuration(_)), "{prefer}");
}
