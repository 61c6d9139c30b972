//! The site's database as the walk sees it: rows by psql, and a lock that holds the core's transaction up.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
};

use postern_tests::site::Site;

/// The database, by psql.
#[derive(Clone)]
pub(super) struct Sql {
    url: String,
}

/// A session that holds a lock.
pub(super) struct Locked {
    psql: Child,
    input: ChildStdin,
}

impl Sql {
    pub(super) fn of(site: &Site) -> Self {
        Self { url: site.read("postgres.url").trim().to_owned() }
    }

    fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        command.arg(&self.url).args(["-qAt", "-F", "|", "-v", "ON_ERROR_STOP=1"]).env("PGSSLMODE", "require");
        command
    }

    pub(super) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let output = self.psql().args(["-c", sql]).output().expect("psql starts");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
    }

    /// Nobody writes a step until this is let go.
    pub(super) fn lock_steps(&self) -> Locked {
        let mut psql = self.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql starts");
        let mut input = psql.stdin.take().expect("a pipe");
        let output = psql.stdout.take().expect("a pipe");
        writeln!(input, "BEGIN; LOCK TABLE wipe_steps IN SHARE MODE;\n\\echo locked").expect("written");
        let mut line = String::new();
        let _ = BufReader::new(output).read_line(&mut line).expect("read");
        assert_eq!(line.trim(), "locked");
        Locked { psql, input }
    }

    /// Whether a transaction of the core waits for that lock.
    pub(super) fn is_waited_for(&self) -> bool {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'wipe_steps'::regclass";
        self.rows(waiting)[0][0] != "0"
    }

    /// How often each device's wipe took each event.
    pub(super) fn taken(&self) -> BTreeMap<(String, String), usize> {
        let sql = "SELECT w.device_id, s.event, count(*) FROM wipe_steps s JOIN wipes w ON w.id = s.wipe GROUP BY 1, 2";
        let rows = self.rows(sql).into_iter();
        rows.map(|row| ((row[0].clone(), row[1].clone()), row[2].parse().expect("a count"))).collect()
    }
}

impl Locked {
    pub(super) fn release(mut self) {
        // A lock whose session ends is gone, whatever became of the words.
        let _ = writeln!(self.input, "ROLLBACK;");
        drop(self.input);
        let _ = self.psql.wait();
    }
}
