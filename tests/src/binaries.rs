//! Where the real binaries are: beside the test executable, as cargo built them for the same profile.

use std::path::{Path, PathBuf};

/// The path of a binary of this workspace. Panics with the command that builds it when it is missing: a
/// system test is never skipped.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let path = profile_folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing: system tests start the real binaries, build them first with `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// `target/<profile>`: the test executable lies in its `deps`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.parent().expect("an executable lies in a folder");
    if folder.ends_with("deps") {
        folder.parent().map_or_else(PathBuf::new, Path::to_path_buf)
    } else {
        folder.to_path_buf()
    }
}
