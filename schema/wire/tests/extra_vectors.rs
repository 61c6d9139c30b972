//! The second suite: vectors that may not be copied into the project, over the folder that
//! `POSTERN_EXTRA_VECTORS` names. `tests/run` builds and runs this file only when the variable is set; run
//! without it, it fails and says so.

mod common;

use std::path::PathBuf;

use common::{check_all, manifest};

#[test]
fn every_extra_vector_comes_out_as_its_manifest_says() {
    let Some(folder) = std::env::var_os("POSTERN_EXTRA_VECTORS").map(PathBuf::from) else {
        panic!("POSTERN_EXTRA_VECTORS is not set: this suite needs the folder of the extra vectors");
    };
    let count = check_all(&folder, |_| true).unwrap_or_else(|failures| panic!("{failures}"));
    println!("{count} extra vectors");
    let expected = manifest(&folder)
        .iter()
        .filter(|row| matches!(row.encoding.as_str(), "xml" | "wbxml" | "hex"))
        .count();
    assert_eq!(count, expected, "vectors of the manifest");
    assert!(count > 0, "{} lists no vectors", folder.display());
}
