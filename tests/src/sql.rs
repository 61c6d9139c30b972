//! A site's PostgreSQL as a test sees it from beside: rows by psql, and a lock that holds the core's transaction up.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::site::Site;

/// What psql says when it has said everything.
const SAID: &str = "-- said";

/// The database, by psql. What is looked at goes through one session, what is changed through one of its own each time, which
/// may have to wait for the core.
#[derive(Clone, Debug)]
pub struct Sql {
    url: String,
    eyes: Arc<Mutex<Session>>,
}

/// A running psql.
#[derive(Debug)]
struct Session {
    psql: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A session that holds a lock.
#[derive(Debug)]
pub struct Locked {
    /// Its end lets go.
    _session: Session,
}

impl Sql {
    /// The database of a site that was planned with PostgreSQL.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let url = site.read("postgres.url").trim().to_owned();
        let eyes = Arc::new(Mutex::new(Session::start(&url)));
        Self { url, eyes }
    }

    /// What a query gives, as text.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn rows(&self, query: &str) -> Vec<Vec<String>> {
        self.eyes.lock().expect("no query failed before").ask(query)
    }

    /// Makes a change; several statements are one transaction.
    ///
    /// # Panics
    /// When it fails.
    pub fn change(&self, statements: &str) {
        let mut session = Session::start(&self.url);
        let _ = session.ask(&format!("BEGIN; {statements}; COMMIT"));
    }

    /// Nobody writes into this table until the lock is let go.
    ///
    /// # Panics
    /// When there is no such table.
    #[must_use]
    pub fn lock(&self, table: &str) -> Locked {
        let mut session = Session::start(&self.url);
        let _ = session.ask(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE"));
        Locked { _session: session }
    }

    /// Whether a transaction of the core waits for the lock on this table.
    #[must_use]
    pub fn is_waited_for(&self, table: &str) -> bool {
        let waiting =
            format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass");
        self.rows(&waiting)[0][0] != "0"
    }
}

impl Locked {
    /// Lets go: a lock whose session ends is gone.
    pub fn release(self) {
        drop(self);
    }
}

impl Session {
    fn start(url: &str) -> Self {
        let mut command = Command::new(psql());
        command.arg(url).args(["-XqAt", "-F", "|", "-v", "ON_ERROR_STOP=1"]).env("PGSSLMODE", "require");
        let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql starts");
        let input = psql.stdin.take();
        let output = psql.stdout.take().expect("a pipe");
        Self { psql, input, lines: BufReader::new(output).lines() }
    }

    fn ask(&mut self, query: &str) -> Vec<Vec<String>> {
        let mut input = self.input.as_ref().expect("it is not over");
        // A psql that has failed has said why, and says nothing more.
        let _ = write!(input, "{query};\n\\echo '{SAID}'\n");
        let mut rows = Vec::new();
        loop {
            match self.lines.next() {
                Some(Ok(line)) if line == SAID => return rows,
                Some(Ok(line)) => rows.push(line.split('|').map(str::to_owned).collect()),
                end => panic!("{query}: psql ended ({end:?}); its own words stand above"),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.psql.wait();
    }
}

/// The program itself: what Debian puts into the path is a script that takes longer to start than most queries take.
fn psql() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin/psql"));
    programs.filter(|program| program.is_file()).max().unwrap_or_else(|| PathBuf::from("psql"))
}
