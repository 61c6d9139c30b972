//! The core is killed (SIGKILL) at each step of a recovery: before the commit, after it, and after everybody was answered.
//! Whenever it dies, the digits that the core can open are ones that the device takes, nothing is shown that is not on record,
//! and nobody is told twice.
//!
//! *Before*: another session of the database holds a lock on the table, and the core's own transaction is seen to wait for it.
//! *After the commit*: the row stands. *After the answer*: whoever asked has it.

use std::thread;

use postern_store::testkit::Cluster;
use postern_tests::{
    ctl::{Ctl, Ran},
    site::{READY, Site},
    sql::Sql,
    wait,
};

use super::{Device, SOON, digits, held, show, site, status, until};

const NAME: &str = "till";
const PASSWORDS: &str = "recovery_passwords";
const DEVICES: &str = "recovery_devices";

/// When the core dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    BeforeCommit,
    AfterCommit,
    AfterAnswer,
}

#[test]
fn a_recovery_whose_core_is_killed_before_each_commit_leaves_nothing_of_that_step() {
    recovery(Kill::BeforeCommit);
}

#[test]
fn a_recovery_whose_core_is_killed_after_each_commit_goes_on_from_there() {
    recovery(Kill::AfterCommit);
}

#[test]
fn a_recovery_whose_core_is_killed_after_each_answer_repeats_nothing() {
    recovery(Kill::AfterAnswer);
}

struct Scene {
    site: Site,
    sql: Sql,
    kill: Kill,
    own: String,
    device: Device,
}

impl Scene {
    /// Brings something about while the core dies in the middle of it; `stands` is what its commit leaves in this table. Gives
    /// what whoever asked was told, when the core runs again.
    fn dies(&mut self, table: &str, stands: &str, act: impl FnOnce() -> Ran + Send + 'static) -> Ran {
        let stands = || !self.sql.rows(&format!("SELECT 1 FROM {table} WHERE {stands}")).is_empty();
        assert!(!stands(), "it is still to come");
        let lock = (self.kill != Kill::AfterAnswer).then(|| self.sql.lock(table));
        let acts = thread::spawn(act);
        let told = || acts.join().expect("who asks does not panic");
        if let Some(lock) = lock {
            let waits = || self.sql.is_waited_for(table).then_some(());
            wait::until("the core to wait for the lock", READY, waits, || self.site.logs());
            if self.kill == Kill::BeforeCommit {
                self.site.kill_core();
            }
            lock.release();
        }
        let told = match self.kill {
            Kill::BeforeCommit => told(),
            Kill::AfterCommit => {
                wait::until("the commit", READY, || stands().then_some(()), || self.site.logs());
                self.site.kill_core();
                told()
            }
            Kill::AfterAnswer => {
                let told = told();
                assert_eq!(told.exit, 0, "{told:?}");
                self.site.kill_core();
                told
            }
        };
        assert_eq!(stands(), self.is_kept(), "{:?} of {table}", self.kill);
        self.site.start_core();
        self.site.wait_ready();
        told
    }

    fn is_kept(&self) -> bool {
        self.kill != Kill::BeforeCommit
    }

    fn ctl(&self) -> Ctl {
        self.site.ctl()
    }

    /// The number of the newest one that the core has.
    fn newest(&self) -> u64 {
        status(&self.ctl(), NAME)["passwords"][0]["number"].as_u64().unwrap_or(0)
    }

    /// The next sealed password is brought by the device's session, and the core dies at that. An order whose answer was lost
    /// is obeyed once more: then there is one more, and the newest is what counts.
    fn arrives(&mut self) {
        let (device, before) = (self.device.clone(), self.newest());
        let _ = self.dies(PASSWORDS, &format!("number > {before}"), move || device.check_in());
        assert_eq!(self.newest(), before + u64::from(self.is_kept()));
        let came = |now: &serde_json::Value| {
            now["state"] == "held" && now["passwords"][0]["number"].as_u64() > Some(before)
        };
        let _ = until(&self.site, &self.device, "the core to have it", came);
        // What it brought, and had no answer to, it may bring again.
        assert_eq!(self.device.check_in().exit, 0);
        let twice = "SELECT split_part(dedupe, '/', 3) FROM outbox WHERE dedupe LIKE 'recovery:%' AND dedupe NOT LIKE '%/shown/%' \
                     GROUP BY 1 HAVING count(*) > 1";
        assert!(self.sql.rows(twice).is_empty(), "each is told once");
    }

    /// How often the audit has an action.
    fn audited(&self, action: &str) -> usize {
        let rows = self.ctl().ok(&["audit", "list", "--action", action]);
        rows.as_array().map_or(0, Vec::len)
    }
}

fn recovery(kill: Kill) {
    let (site, own) = site(Some(Cluster::shared()));
    let sql = Sql::of(&site);
    let device = Device::enrol(&site, NAME);
    let mut scene = Scene { site, sql, kill, own, device };
    let kept = usize::from(scene.is_kept());
    // The first one came with the enrolment, or comes with the first session.
    let _ = until(&scene.site, &scene.device, "the first recovery password", held(1));

    // A new one is ordered.
    let ctl = scene.ctl();
    let order =
        move || ctl.run(&["recovery", "rotate", NAME, "--reason", "somebody looked over the shoulder"]);
    let told = scene.dies(DEVICES, "state IN ('due', 'ordered')", order);
    assert_eq!(scene.audited("recovery.rotate"), kept, "{told:?}");
    if kill == Kill::BeforeCommit {
        assert_ne!(told.exit, 0, "nothing is acknowledged that is not written");
        assert_eq!(status(&scene.ctl(), NAME)["state"], "held");
        let _ = scene.ctl().ok(&["recovery", "rotate", NAME, "--reason", "once more"]);
    }
    let ordered = || (status(&scene.ctl(), NAME)["state"] == "ordered").then_some(());
    wait::until("the order to stand in the queue", SOON, ordered, || scene.site.logs());

    // The device makes it and brings it. The one before works until the core has it.
    scene.arrives();

    // It is shown: what was not committed was told to nobody, and what is shown is on record.
    let (ctl, own) = (scene.ctl(), scene.own.clone());
    let told = scene.dies(PASSWORDS, "shown > 0", move || show(&ctl, NAME, &own, &[]));
    assert_eq!(scene.audited("recovery.show"), kept, "{told:?}");
    assert_eq!(status(&scene.ctl(), NAME)["passwords"][0]["shown"], kept);
    if kill == Kill::BeforeCommit {
        assert_ne!(told.exit, 0);
        assert!(!told.out.contains("password"), "nothing left before its commit");
    }
    let two = digits(&show(&scene.ctl(), NAME, &scene.own, &[]));
    if told.exit == 0 {
        assert_eq!(digits(&told), two);
    }
    assert_eq!(scene.audited("recovery.show"), kept + 1);

    // It is used while there is no core, and the one that the device made then comes with the next session.
    scene.site.kill_core();
    assert_ne!(scene.device.check_in().exit, 0);
    assert_eq!(scene.device.reset(&two, "remembered"), 0);
    assert!(scene.device.is_password("remembered"));
    scene.site.start_core();
    scene.site.wait_ready();
    scene.arrives();
    assert_eq!(scene.device.reset(&two, "again"), 1, "it was used");
    let three = digits(&show(&scene.ctl(), NAME, &scene.own, &[]));
    assert_eq!(scene.device.reset(&three, "at last"), 0);

    let told = scene.sql.rows("SELECT 1 FROM outbox WHERE dedupe LIKE 'recovery:%/shown/%'");
    assert_eq!(told.len(), scene.audited("recovery.show"), "people are told of each that was shown, once");
    assert_eq!(scene.ctl().run(&["audit", "verify"]).exit, 0);
}
