//! Each reason word, and what it says beside the word.

use std::{collections::BTreeSet, sync::Arc};

use postern_engine::policy::{
    directory::AccountKind,
    gplink,
    gpo::{FilterRef, NoSecurity},
    rsop::{Error, Loopback, Target, Unread, WmiUnknown, reason::Reason, resultant},
    security_descriptor::{AceKind, access::READ},
    sid::Sid,
    wql::Filter,
};
use uuid::Uuid;

use crate::common::{Hand, KEY, ace, descriptor, dn, order};

const ALLOW: AceKind = AceKind::Allowed { object: false, conditional: false };
const DENY: AceKind = AceKind::Denied { object: false, conditional: false };

/// A GPO changed by `change`, and the word and detail that it ends with.
fn after(change: impl FnOnce(&mut Hand, &postern_engine::policy::dn::Dn)) -> (String, String) {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("G", "OU=U,DC=t", 0);
    change(&mut hand, &gpo);
    let pass = hand.computer();
    let link = pass.links.first().unwrap();
    assert_eq!(pass.order.is_empty(), link.reason != Reason::Applied);
    (link.reason.word().to_owned(), link.detail.to_string())
}

#[test]
fn every_state_has_its_word_and_says_the_rest_beside_it() {
    let filter = Uuid::from_u128(9);
    let with_filter = |text: &'static str| {
        move |hand: &mut Hand, gpo: &postern_engine::policy::dn::Dn| {
            hand.world.directory.set_filter(filter, Filter::read("f", text));
            hand.change_gpo(gpo, |gpo| gpo.filter = Some(FilterRef::Id(filter)));
            let facts = serde_json::json!({"Win32_OperatingSystem.Version": "6.1"});
            hand.target.facts =
                Arc::new(postern_engine::policy::wql::facts::Facts::from_json(&facts).unwrap());
        }
    };
    let cases: Vec<((String, String), Reason, &str)> = vec![
        (after(|_, _| {}), Reason::Applied, ""),
        (
            after(|hand, _| {
                hand.change_som("OU=U,DC=t", |som| som.links.as_mut().unwrap()[0].disabled = true)
            }),
            Reason::LinkDisabled,
            "",
        ),
        (
            after(|hand, gpo| hand.world.directory.remove_gpo(gpo)),
            Reason::NotReadableByService,
            "not returned",
        ),
        (
            after(|hand, gpo| hand.change_gpo(gpo, |gpo| gpo.security = Err(NoSecurity::Absent))),
            Reason::NotReadableByService,
            "no nTSecurityDescriptor",
        ),
        (
            after(|hand, gpo| hand.change_gpo(gpo, |gpo| gpo.functionality = Some(1))),
            Reason::BadFunctionalityVersion,
            "is 1",
        ),
        (
            after(|hand, gpo| hand.change_gpo(gpo, |gpo| gpo.flags = 2)),
            Reason::GpoDisabled,
            "the computer half",
        ),
        (
            after(|hand, gpo| {
                let entries = vec![ace(ALLOW, 0x100, Sid::everyone())];
                hand.change_gpo(gpo, |gpo| gpo.security = Ok(descriptor(entries)));
            }),
            Reason::DeniedRead,
            "the computer is not granted Read",
        ),
        (
            after(|hand, gpo| {
                let entries =
                    vec![ace(DENY, READ, Sid::everyone()), ace(ALLOW, 0x1000_0000, Sid::everyone())];
                hand.change_gpo(gpo, |gpo| gpo.security = Ok(descriptor(entries)));
            }),
            Reason::DeniedRead,
            "entry 1 denies S-1-1-0: (D;;RPLCRC;;;WD)",
        ),
        (
            after(|hand, gpo| {
                let entries =
                    vec![ace(DENY, 0x100, Sid::everyone()), ace(ALLOW, 0x1000_0000, Sid::everyone())];
                hand.change_gpo(gpo, |gpo| gpo.security = Ok(descriptor(entries)));
            }),
            Reason::DeniedExplicit,
            "entry 1 denies S-1-1-0",
        ),
        (
            after(|hand, gpo| {
                let entries = vec![ace(ALLOW, READ, Sid::everyone())];
                hand.change_gpo(gpo, |gpo| gpo.security = Ok(descriptor(entries)));
            }),
            Reason::DeniedNotGranted,
            "",
        ),
        (
            after(|hand, gpo| {
                hand.change_gpo(gpo, |gpo| gpo.version = 0x0001_0000);
                hand.change_folder(gpo, |folder| folder.version = Ok(0x0001_0000));
            }),
            Reason::EmptyVersion,
            "the computer half",
        ),
        (
            after(|hand, gpo| hand.change_gpo(gpo, |gpo| gpo.computer_extensions = None)),
            Reason::NoExtension,
            "no list",
        ),
        (
            after(with_filter(
                "1;3;10;0;WQL;root\\CIMv2;SELECT * FROM Win32_OperatingSystem WHERE Version LIKE '10.%';",
            )),
            Reason::WmiFilterFalse,
            "Version = \"6.1\"",
        ),
        (
            after(with_filter("1;3;10;0;WQL;root\\CIMv2;SELECT * FROM Win32_Battery;")),
            Reason::WmiFilterUnevaluated,
            "what cannot be decided does not apply",
        ),
        (
            after(|hand, gpo| hand.change_folder(gpo, |folder| folder.computer = Err("timed out".into()))),
            Reason::SysvolUnreadable,
            "timed out",
        ),
        (
            after(|hand, gpo| {
                hand.change_gpo(gpo, |gpo| gpo.filter = Some(FilterRef::Id(filter)));
            }),
            Reason::Applied,
            "was not found",
        ),
    ];
    let mut words: BTreeSet<Reason> = [Reason::BlockedInheritance].into(); // order.rs
    for ((word, detail), reason, says) in cases {
        assert_eq!(word, reason.word());
        assert!(detail.contains(says), "{word}: {detail:?} does not say {says:?}");
        words.insert(reason);
    }
    assert_eq!(words, Reason::ALL.into());
}

#[test]
fn an_undecided_filter_applies_where_that_was_chosen_and_says_so() {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("G", "OU=U,DC=t", 0);
    hand.world.directory.set_filter(Uuid::from_u128(9), Filter::read("f", "nonsense"));
    hand.change_gpo(&gpo, |gpo| gpo.filter = Some(FilterRef::Id(Uuid::from_u128(9))));
    assert_eq!((hand.reason(&gpo), hand.computer().order.len()), ("wmi-filter-unevaluated", 0));

    hand.world.options.wmi_unknown = WmiUnknown::Allow;

    assert_eq!((hand.reason(&gpo), hand.computer().order.len()), ("wmi-filter-unevaluated", 1));
}

#[test]
fn what_could_not_be_read_keeps_the_last_good_result_in_force() {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("G", "OU=U,DC=t", 0);
    assert!(!hand.computer().is_incomplete());

    hand.change_folder(&gpo, |folder| folder.version = Err("no GPT.INI".into()));
    assert_eq!(hand.computer().unread, [Unread::Folder(gpo.clone())]);

    hand.change_gpo(&gpo, |gpo| gpo.security = Err(NoSecurity::Absent));
    assert_eq!(hand.computer().unread, [Unread::Security(gpo.clone())]);

    hand.change_som("OU=U,DC=t", |som| som.links = Err(gplink::read("x").unwrap_err()));
    assert_eq!(hand.computer().unread, [Unread::Links(dn("OU=U,DC=t"))]);
}

#[test]
fn a_broken_link_list_still_blocks_what_its_container_blocks() {
    let mut hand = Hand::new(&["U"]);
    hand.gpo("Domain", "DC=t", 0);
    hand.change_som("OU=U,DC=t", |som| {
        som.links = Err(gplink::read("x").unwrap_err());
        som.blocks = true;
    });

    assert!(order(&hand.computer()).is_empty());
}

#[test]
fn versions_that_differ_are_flagged_and_sysvol_counts() {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("G", "OU=U,DC=t", 0);
    hand.change_folder(&gpo, |folder| folder.version = Ok(0x0001_0002));

    let pass = hand.computer();

    assert!(pass.links[0].version_mismatch);
    assert!(pass.settings.value(KEY, "Winner").is_some());
}

#[test]
fn the_computer_has_to_be_able_to_read_its_users_policy() {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("G", "OU=U,DC=t", 0);
    let user = dn("CN=P,OU=U,DC=t");
    hand.account(&user, postern_engine::policy::directory::AccountKind::User, 2000);
    let entries = vec![ace(ALLOW, 0x1000_0000, Sid::new(5, &[21, 1, 2, 3, 2000]))];
    hand.change_gpo(&gpo, |gpo| gpo.security = Ok(descriptor(entries)));
    hand.target.user = Some(user);

    let link = hand.resultant().user.unwrap().links[0].clone();
    assert_eq!(link.reason, Reason::DeniedRead);
    assert_eq!(link.detail.to_string(), "the computer is not granted Read");

    hand.world.options.computer_reads_user_policy = false;
    assert_eq!(hand.resultant().user.unwrap().links[0].reason, Reason::Applied);
}

#[test]
fn a_target_that_the_directory_does_not_hold_is_refused() {
    let hand = Hand::new(&["U"]);
    let ask = |target: Target| resultant(&hand.world, &target).unwrap_err();

    assert_eq!(ask(Target::default()), Error::Nobody);
    let other = Some(dn("CN=X,DC=t"));
    assert_eq!(
        ask(Target { computer: other.clone(), ..Target::default() }),
        Error::NoAccount(dn("CN=X,DC=t"))
    );
    assert_eq!(ask(Target { site: other, ..hand.target.clone() }), Error::NoSite(dn("CN=X,DC=t")));
    assert_eq!(hand.resultant().loopback, Loopback::Normal);
}

#[test]
fn a_container_of_the_account_that_the_service_may_not_see_leaves_the_result_incomplete() {
    let mut hand = Hand::new(&["U"]);
    hand.gpo("G", "OU=U,DC=t", 0);
    assert!(!hand.computer().is_incomplete());
    let below = dn("CN=c,OU=Hidden,OU=U,DC=t");
    hand.account(&below, AccountKind::Computer, 1199);
    hand.target.computer = Some(below);
    let pass = hand.computer();
    assert_eq!(pass.unseen, [dn("OU=Hidden,OU=U,DC=t")]);
    assert!(pass.is_incomplete(), "its links, and whether it blocks, are not known");
}
