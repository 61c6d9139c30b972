//! Folders of GPOs as a source gives them, kept as they were last read well.

use std::{
    sync::{Mutex as StdMutex, atomic::AtomicI64},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_engine::policy::{
    gpo::{GpoId, NoSecurity},
    registry_pol::{File, Record},
    rsop::settings::Policy,
    sysvol::{Contents, Refused},
};
use uuid::Uuid;

use super::*;
use crate::abilities::SysvolRead;

#[derive(Default)]
struct Told(AtomicI64);

impl Clock for Told {
    fn wall(&self) -> UtcMillis {
        UtcMillis(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A folder's version and what is in it.
type Holding = Result<(u32, Contents), SysvolError>;

/// What SYSVOL holds of each GPO, and which were asked for.
#[derive(Default)]
struct Scripted {
    holds: StdMutex<BTreeMap<Dn, Holding>>,
    asked: StdMutex<Vec<(String, Option<u32>)>>,
}

impl Scripted {
    fn holds(&self, gpo: &Gpo, what: Holding) {
        self.holds.lock().unwrap().insert(gpo.dn.clone(), what);
    }

    fn asked(&self) -> Vec<(String, Option<u32>)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl SysvolSource for Scripted {
    fn folder<'s>(
        &'s self,
        gpo: &'s Gpo,
        known: Option<u32>,
    ) -> BoxFuture<'s, Result<SysvolRead, SysvolError>> {
        self.asked.lock().unwrap().push((gpo.name.clone(), known));
        let held = self.holds.lock().unwrap().get(&gpo.dn).cloned().unwrap_or(Err(SysvolError::NoFolder));
        let read = held.map(|(version, contents)| {
            if known == Some(version) { SysvolRead::Same } else { SysvolRead::Contents(Box::new(contents)) }
        });
        std::future::ready(read).boxed()
    }
}

fn gpo(number: u128, version: u32) -> Gpo {
    let id = GpoId(Uuid::from_u128(number));
    Gpo {
        dn: Dn::new(&format!("CN={id},CN=Policies,CN=System,DC=corp,DC=example")).unwrap(),
        id: Some(id),
        name: format!("GPO {number}"),
        flags: 0,
        version,
        functionality: Some(2),
        computer_extensions: Some(
            "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]".to_owned(),
        ),
        user_extensions: None,
        filter: None,
        security: Err(NoSecurity::Absent),
    }
}

fn file(number: u32) -> File {
    File { records: vec![Record::dword("Software\\Policies\\Test", "V", number)], trailing_octets: 0 }
}

/// A folder of a version whose computer half sets a value.
fn holding(version: u32, number: u32) -> Holding {
    let contents = Contents {
        gpt_ini: Ok(format!("[General]\r\nVersion={version}\r\n").into_bytes()),
        computer: Ok(file(number).write()),
        user: Err(Refused::Missing("User\\Registry.pol".to_owned())),
        others: Vec::new(),
    };
    Ok((version, contents))
}

fn directory(gpos: &[Gpo]) -> Directory {
    let mut directory = Directory::default();
    gpos.iter().cloned().for_each(|gpo| directory.set_gpo(gpo));
    directory
}

fn cache() -> (Arc<Scripted>, Arc<Told>, SysvolCache) {
    let (source, clock) = (Arc::new(Scripted::default()), Arc::new(Told::default()));
    let cache = SysvolCache::new(source.clone(), clock.clone());
    (source, clock, cache)
}

/// What is in force of a GPO's computer half: the number that it sets.
fn in_force(cache: &SysvolCache, gpo: &Gpo) -> Option<u32> {
    let folders = cache.folders();
    let policy = folders[&gpo.dn].computer.clone().ok()?;
    (0..100).find(|number| *policy == Policy::of(&file(*number)))
}

fn state(cache: &SysvolCache, gpo: &Gpo) -> SysvolState {
    cache.status().gpos[&gpo.dn].state.clone()
}

#[tokio::test]
async fn a_folder_is_read_once_for_each_version_of_the_directory() {
    let (source, _, cache) = cache();
    let generation = cache.generation();
    let (one, two) = (gpo(1, 1), gpo(2, 1));
    source.holds(&one, holding(1, 10));
    source.holds(&two, holding(1, 20));

    let look = cache.refresh(&directory(&[one.clone(), two.clone()]), false).await;
    assert_eq!(look, SysvolLook { changed: true, asked: 2, troubles: 0 });
    assert_eq!((in_force(&cache, &one), in_force(&cache, &two)), (Some(10), Some(20)));
    let _ = source.asked();
    let look = cache.refresh(&directory(&[one.clone(), two.clone()]), false).await;
    assert_eq!(look, SysvolLook::default());
    assert_eq!((source.asked(), *generation.borrow()), (vec![], 1));

    let one = gpo(1, 2);
    source.holds(&one, holding(2, 11));
    let look = cache.refresh(&directory(std::slice::from_ref(&one)), false).await;
    assert_eq!(look, SysvolLook { changed: true, asked: 1, troubles: 0 });
    assert_eq!(source.asked(), [("GPO 1".to_owned(), Some(1))]);
    assert_eq!((in_force(&cache, &one), cache.folders().len(), *generation.borrow()), (Some(11), 1, 2));

    // A whole look trusts no version.
    source.holds(&one, holding(2, 12));
    assert!(!cache.refresh(&directory(std::slice::from_ref(&one)), false).await.changed);
    assert!(cache.refresh(&directory(std::slice::from_ref(&one)), true).await.changed);
    assert_eq!((in_force(&cache, &one), *generation.borrow()), (Some(12), 3));
}

#[tokio::test]
async fn a_sysvol_older_than_the_directory_leaves_the_last_good_folder_and_says_so() {
    let (source, clock, cache) = cache();
    let first = gpo(1, 1);
    source.holds(&first, holding(1, 10));
    cache.refresh(&directory(&[first]), false).await;

    let second = gpo(1, 2);
    clock.0.store(5, std::sync::atomic::Ordering::Relaxed);
    let look = cache.refresh(&directory(std::slice::from_ref(&second)), false).await;
    assert_eq!(look, SysvolLook { changed: false, asked: 1, troubles: 1 });
    let status = cache.status().gpos[&second.dn].clone();
    assert_eq!((status.directory, status.sysvol, status.in_force), (2, Some(1), Some(1)));
    assert_eq!((status.state, status.since), (SysvolState::Older, UtcMillis(5)));

    // It is asked for until it has come.
    source.holds(&second, holding(2, 11));
    cache.refresh(&directory(std::slice::from_ref(&second)), false).await;
    assert_eq!((in_force(&cache, &second), state(&cache, &second)), (Some(11), SysvolState::Same));

    // Another replica went back behind it.
    source.holds(&second, holding(1, 10));
    cache.refresh(&directory(std::slice::from_ref(&second)), true).await;
    assert_eq!((in_force(&cache, &second), state(&cache, &second)), (Some(11), SysvolState::Older));

    // The GPO itself was put back: the directory says so, too.
    let back = gpo(1, 1);
    cache.refresh(&directory(std::slice::from_ref(&back)), false).await;
    assert_eq!((in_force(&cache, &back), state(&cache, &back)), (Some(10), SysvolState::Same));
}

#[tokio::test]
async fn what_was_good_before_the_start_is_in_force_until_it_is_looked_at_and_written_once() {
    let (source, _, cache) = cache();
    let one = gpo(1, 1);
    source.holds(&one, holding(1, 10));
    cache.refresh(&directory(std::slice::from_ref(&one)), false).await;
    let unkept = cache.unkept();
    assert_eq!(unkept.len(), 1);
    cache.was_kept(&unkept[0].0, &unkept[0].1);
    cache.refresh(&directory(std::slice::from_ref(&one)), true).await;
    assert!(cache.unkept().is_empty(), "the same folder is not written again");

    let before = || kept::Kept { gpo: one.dn.clone(), contents: (*unkept[0].1).clone(), at: UtcMillis(3) };
    let (source, clock, cache) = self::cache();
    clock.0.store(9, std::sync::atomic::Ordering::Relaxed);
    cache.restore(vec![before()]).await;
    let status = cache.status();
    assert_eq!(
        (in_force(&cache, &one), status.at, status.is_restored()),
        (Some(10), Some(UtcMillis(3)), true)
    );
    assert!(status.is_stale() && *cache.generation().borrow() == 1);

    // The place is down: it stays in force, and is stale.
    source.holds(&one, Err(SysvolError::Down("x".to_owned())));
    cache.refresh(&directory(std::slice::from_ref(&one)), false).await;
    assert_eq!((in_force(&cache, &one), cache.status().is_stale()), (Some(10), true));
    source.holds(&one, holding(1, 10));
    let look = cache.refresh(&directory(std::slice::from_ref(&one)), false).await;
    assert_eq!(
        (look.changed, source.asked().pop(), cache.status().is_stale()),
        (false, Some(("GPO 1".to_owned(), Some(1))), false)
    );
    assert!(cache.unkept().is_empty());
}

#[tokio::test]
async fn a_sysvol_newer_than_the_directory_counts_and_is_told() {
    let (source, _, cache) = cache();
    let one = gpo(1, 1);
    source.holds(&one, holding(2, 11));

    cache.refresh(&directory(std::slice::from_ref(&one)), false).await;

    assert_eq!((in_force(&cache, &one), state(&cache, &one)), (Some(11), SysvolState::Newer));
    // Each half counts for itself: the user half is ahead, the computer half behind.
    source.holds(&one, holding(0x0001_0000, 12));
    cache.refresh(&directory(std::slice::from_ref(&one)), false).await;
    assert_eq!((in_force(&cache, &one), state(&cache, &one)), (Some(11), SysvolState::Older));
}

#[tokio::test]
async fn what_is_refused_leaves_the_last_good_folder_in_force() {
    let good = holding(1, 10);
    let with = |change: &dyn Fn(&mut Contents)| {
        let (version, mut contents) = holding(2, 11).unwrap();
        change(&mut contents);
        Ok((version, contents))
    };
    let link = Refused::NotPlain("Machine\\x".to_owned());
    let missing = || Refused::Missing("Machine\\Registry.pol".to_owned());
    for (holds, word, stands_alone) in [
        (Err(SysvolError::Down("x".to_owned())), "down", false),
        (Err(SysvolError::NoFolder), "no-folder", false),
        (Err(SysvolError::Hostile(link)), "hostile", false),
        (with(&|contents| contents.gpt_ini = Ok(b"Version=2".to_vec())), "damaged", false),
        (with(&|contents| contents.computer = Ok(b"PReg".to_vec())), "damaged", false),
        (
            with(&|contents| contents.user = Err(Refused::TooLarge("User\\Registry.pol".to_owned(), 1))),
            "hostile",
            false,
        ),
        // Half of it came: the settings that the version tells of are missing.
        (with(&|contents| contents.computer = Err(missing())), "hostile", true),
    ] {
        let (source, _, cache) = cache();
        let (first, second) = (gpo(1, 1), gpo(1, 2));
        source.holds(&first, good.clone());
        cache.refresh(&directory(&[first]), false).await;
        source.holds(&second, holds.clone());

        let look = cache.refresh(&directory(std::slice::from_ref(&second)), false).await;

        assert!(!look.changed, "{holds:?}");
        assert_eq!((in_force(&cache, &second), state(&cache, &second).word()), (Some(10), word));

        let (source, _, cache) = self::cache();
        source.holds(&second, holds.clone());
        cache.refresh(&directory(std::slice::from_ref(&second)), false).await;
        assert!(cache.folders()[&second.dn].computer.is_err(), "without a good one nothing is in force");
        assert_eq!(cache.folders()[&second.dn].version.is_ok(), stands_alone, "{holds:?}");
    }
}

#[tokio::test]
async fn a_place_that_is_down_is_asked_once() {
    let (source, _, cache) = cache();
    let gpos = [gpo(1, 1), gpo(2, 1), gpo(3, 1)];
    let down = SysvolError::Down("refused".to_owned());
    gpos.iter().for_each(|gpo| source.holds(gpo, Err(down.clone())));

    let look = cache.refresh(&directory(&gpos), false).await;

    assert_eq!((look.asked, look.troubles), (1, 3));
    assert!(cache.status().troubles().all(|(_, gpo)| gpo.state == SysvolState::Refused(down.clone())));
}

#[tokio::test]
async fn all_folders_together_are_limited() {
    let (source, _, mut cache) = cache();
    let octets = file(1).write().len() as u64;
    cache.all_octets = 2 * octets;
    let gpos = [gpo(1, 1), gpo(2, 1), gpo(3, 1)];
    gpos.iter().for_each(|gpo| source.holds(gpo, holding(1, 1)));

    cache.refresh(&directory(&gpos), false).await;
    cache.refresh(&directory(&gpos), true).await;

    let states = gpos.each_ref().map(|gpo| state(&cache, gpo));
    let refused = SysvolState::Refused(SysvolError::TooLarge(2 * octets));
    assert_eq!(states, [SysvolState::Same, SysvolState::Same, refused]);
}
