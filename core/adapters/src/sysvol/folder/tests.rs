//! SYSVOL from a folder: what is read, and what hostile names and links come to.

use std::{fs, os::unix::fs::symlink};

use postern_actors::sysvol::{Dn, GpoId, NoSecurity, Refused};

use super::*;

const ID: &str = "{31B2F340-016D-11D2-945F-00C04FB984F9}";

fn gpo() -> Gpo {
    Gpo {
        dn: Dn::new(&format!("CN={ID},CN=Policies,CN=System,DC=corp,DC=example")).unwrap(),
        id: GpoId::read(ID),
        name: "Test".to_owned(),
        flags: 0,
        version: 1,
        functionality: Some(2),
        computer_extensions: None,
        user_extensions: None,
        filter: None,
        security: Err(NoSecurity::Absent),
    }
}

fn source(path: &Path) -> FolderSysvol {
    let config: SysvolConfig = toml::from_str(&format!("path = {path:?}")).unwrap();
    FolderSysvol::of(&config, Path::new("/")).unwrap()
}

async fn read(path: &Path) -> Result<SysvolRead, SysvolError> {
    source(path).folder(&gpo(), None).await
}

/// A folder of the GPO at a place below a new one.
fn put(place: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let gpo = folder.path().join(place);
    fs::create_dir_all(gpo.join("MACHINE")).unwrap();
    fs::write(gpo.join("gpt.ini"), "[General]\r\nVersion=3\r\n").unwrap();
    fs::write(gpo.join("MACHINE/registry.pol"), b"PReg\x01\0\0\0").unwrap();
    (folder, gpo)
}

#[tokio::test]
async fn a_gpo_is_found_in_a_mount_a_tree_or_a_copy_whatever_the_case_of_names() {
    for place in [
        format!("CORP.EXAMPLE/policies/{}", ID.to_lowercase()),
        format!("sysvol/corp.example/Policies/{ID}"),
        format!("Policies/{ID}"),
        ID.to_owned(),
    ] {
        let (folder, _) = put(&place);
        let Ok(SysvolRead::Contents(contents)) = read(folder.path()).await else { panic!("{place}") };
        assert_eq!(contents.computer, Ok(b"PReg\x01\0\0\0".to_vec()), "{place}");
        assert_eq!(source(folder.path()).folder(&gpo(), Some(3)).await, Ok(SysvolRead::Same));
        assert!(matches!(source(folder.path()).folder(&gpo(), Some(2)).await, Ok(SysvolRead::Contents(_))));
    }
}

#[tokio::test]
async fn nothing_outside_is_read_through_a_link() {
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("Registry.pol"), "secret").unwrap();

    let (folder, gpo) = put(ID);
    fs::remove_file(gpo.join("MACHINE/registry.pol")).unwrap();
    symlink(secret.path().join("Registry.pol"), gpo.join("MACHINE/registry.pol")).unwrap();
    let Ok(SysvolRead::Contents(contents)) = read(folder.path()).await else { panic!() };
    assert_eq!(contents.computer, Err(Refused::NotPlain("MACHINE\\Registry.pol".to_owned())));

    let (folder, gpo) = put(ID);
    fs::remove_dir_all(gpo.join("MACHINE")).unwrap();
    symlink(secret.path(), gpo.join("Machine")).unwrap();
    let refused = SysvolError::Hostile(Refused::NotPlain("Machine".to_owned()));
    assert_eq!(read(folder.path()).await, Err(refused));

    let folder = tempfile::tempdir().unwrap();
    symlink(gpo, folder.path().join(ID)).unwrap();
    assert_eq!(read(folder.path()).await, Err(SysvolError::NoFolder));
}

#[tokio::test]
async fn a_pipe_is_not_opened_and_a_name_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;

    let (folder, gpo) = put(ID);
    let pipe = gpo.join("MACHINE/pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let refused = SysvolError::Hostile(Refused::NotPlain("MACHINE\\pipe".to_owned()));
    assert_eq!(read(folder.path()).await, Err(refused));
    fs::remove_file(pipe).unwrap();
    fs::write(gpo.join("MACHINE").join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    assert_eq!(read(folder.path()).await, Err(SysvolError::Hostile(Refused::Name("\0".to_owned()))));
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_is_down_and_one_without_the_gpo_has_none() {
    let folder = tempfile::tempdir().unwrap();

    assert_eq!(read(folder.path()).await, Err(SysvolError::NoFolder));
    assert!(matches!(read(&folder.path().join("gone")).await, Err(SysvolError::Down(_))));
}
