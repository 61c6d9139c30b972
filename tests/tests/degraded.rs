//! A core whose disk fills up: it says so, refuses new orders with 507, still takes what is urgent, and recovers by
//! itself. (Clock and certificates: core/tests/admin/degraded.rs; the store's part: schema/store/tests/faults.rs.)
#![forbid(unsafe_code)]

use std::{io::Write as _, path::Path, process::Command};

use postern_tests::{
    site::{Plan, READY, Site},
    wait,
};

/// Where this test's own binary, started again by itself, finds the small disk.
const SMALL_DISK: &str = "POSTERN_SMALL_DISK";

/// Starts the test again in a mount namespace of its own, with a small disk on `$0`.
const AGAIN: &str = "mount -t tmpfs -o size=32m none \"$0\" && exec \"$1\" --exact \"$2\" --nocapture";

#[test]
fn on_a_full_disk_new_orders_get_507_urgent_ones_pass_and_it_recovers_by_itself() {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return fill_up_and_recover(Path::new(&disk));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let this = std::env::current_exe().expect("this test's own binary");
    let name = std::thread::current().name().expect("the runner names its threads").to_owned();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", AGAIN]);
    let output = command.arg(folder.path()).arg(this).arg(name).env(SMALL_DISK, folder.path()).output();
    let output = output.expect("unshare is part of util-linux");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!err.contains("Operation not permitted"), "a mount namespace is needed: run the tests as root");
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

fn fill_up_and_recover(disk: &Path) {
    let database = disk.join("state.sqlite").display().to_string();
    let settings = [("POSTERN_DATABASE_PATH", database.as_str())];
    let site = Site::start(&Plan { core_settings: &settings, ..Plan::default() });
    let ctl = site.ctl();
    let _ = site.enrol("IMEI:1", "basic", &[]);
    let order = ["device", "command", "IMEI:1", "get", "./DevDetail/SwV"];
    let _ = ctl.ok(&order);

    let filler = disk.join("filler");
    fill(&filler);
    let refused = || {
        let ran = ctl.run(&order);
        (ran.slug() == "out-of-space").then_some(ran)
    };
    let ran = wait::until("an order to be refused", READY, refused, || site.logs());
    assert_eq!(ran.exit, 1, "{ran:?}");
    let told = || {
        let found = ctl.run(&["doctor"]);
        let text = format!("{}{}", found.out, found.err);
        (text.contains("disk.free") && text.contains("\"fail\"")).then_some(())
    };
    wait::until("doctor to see it", READY, told, || site.logs());
    let urgent = ctl.run(&[&order[..], &["--lane", "urgent"]].concat());
    assert_eq!(urgent.exit, 0, "the reserve is given up for what is urgent: {urgent:?}\n{}", site.logs());

    std::fs::remove_file(&filler).expect("room again");
    let taken = || (ctl.run(&order).exit == 0).then_some(());
    wait::until("orders to be taken again", READY, taken, || site.logs());
    assert_eq!(ctl.run(&["audit", "verify"]).exit, 0);
}

/// Writes until there is no room left.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).expect("a file on the small disk");
    for piece in [65_536, 4_096, 512, 1] {
        let zeroes = vec![0; piece];
        while file.write_all(&zeroes).is_ok() {}
    }
    let _ = file.sync_all();
}
