//! ./SyncML/DMAcc/Postern: the enrolment's account under the names of OMA DM 1.1, on a device that speaks 1.1.
//!
//! Promise: a mirror that takes no change. ServerPW, ClientPW and both nonces are there without a value and without Get.

use postern_wire::{
    syncml::Version,
    terms::{AuthType, Verb},
};

use super::{Ground, Provider, path};
use crate::{
    codes::Code,
    enrolment::Origin,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::Path,
    },
};

pub(super) struct DmAcc11;

impl Provider for DmAcc11 {
    fn root(&self) -> Path {
        path(&["SyncML", "DMAcc"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let account = ground.account;
        if ground.hardware.version != Version::V1_1 || account.origin == Origin::Nobody {
            return Ok(());
        }
        let acl = Acl::default().granting_any(&[Verb::Get]);
        let top = Node::interior().permanent(&[Verb::Get]).with_fixed_acl(acl);
        ground.tree.insert(&path(&["SyncML"]), top)?;
        ground.interior(&self.root(), None)?;
        let own = self.root().child("Postern");
        ground.interior(&own, None)?;
        let preferred = match account.auth {
            AuthType::Basic => "syncml:auth-basic",
            AuthType::Md5 => "syncml:auth-md5",
            AuthType::Hmac => "syncml:auth-MAC",
            AuthType::Certificate | AuthType::Signed => "",
        };
        for (leaf, value) in [
            ("Addr", account.server.to_string().as_str()),
            ("AddrType", "1"), // http; nobody has confirmed the number
            ("PortNbr", account.server.port.to_string().as_str()),
            ("ConRef", ""),
            ("ServerId", &account.server_id),
            ("UserName", account.own_credentials().0),
            ("AuthPref", preferred),
            ("Name", "Postern"),
        ] {
            ground.fact(&own.child(leaf), value)?;
        }
        for (leaf, format) in [
            ("ServerPW", Format::Chr),
            ("ServerNonce", Format::Bin),
            ("ClientPW", Format::Chr),
            ("ClientNonce", Format::Bin),
        ] {
            ground.tree.insert(&own.child(leaf), Node::leaf(format, "").permanent(&[]))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Hardware, Providers, bench::Bench},
        *,
    };

    fn of(version: Version) -> Bench {
        let mut bench = Bench::new(Providers::default());
        let hardware = Hardware { version, ..Hardware::default() };
        bench.state = crate::state::State::new(bench.csp.plant(&bench.account, &hardware).unwrap());
        bench
    }

    #[test]
    fn a_device_of_1_1_shows_its_account_under_the_names_of_1_1_and_no_secret() {
        let mut bench = of(Version::V1_1);
        assert_eq!(bench.read("./DevInfo/DmV"), Ok("1.1".into()));
        for (leaf, value) in [
            ("Addr", "https://dm.test/dm/1/abc"),
            ("PortNbr", "443"),
            ("ServerId", "srv"),
            ("UserName", "IMEI:1"),
            ("AuthPref", "syncml:auth-basic"),
        ] {
            assert_eq!(bench.read(&format!("./SyncML/DMAcc/Postern/{leaf}")), Ok(value.into()), "{leaf}");
        }
        for leaf in ["ServerPW", "ServerNonce", "ClientPW", "ClientNonce"] {
            let uri = format!("./SyncML/DMAcc/Postern/{leaf}");
            assert_eq!(bench.read(&uri), Err(Code::NOT_ALLOWED), "{leaf}");
            assert_eq!(bench.replace(&uri, "x"), Err(Code::NOT_ALLOWED), "{leaf}");
        }
        assert_eq!(
            bench.replace("./SyncML/DMAcc/Postern/Addr", "https://evil.test/"),
            Err(Code::NOT_ALLOWED)
        );
        assert_eq!(bench.add("./SyncML/DMAcc/other", "x"), Err(Code::NOT_ALLOWED));
    }

    #[test]
    fn a_device_of_1_2_has_no_object_of_1_1() {
        let mut bench = of(Version::V1_2);
        assert_eq!(bench.read("./DevInfo/DmV"), Ok("1.2".into()));
        assert_eq!(bench.read("./SyncML"), Err(Code::NOT_FOUND));
    }

    #[test]
    fn devinfo_and_devdetail_have_every_node_of_their_objects() {
        let mut bench = of(Version::V1_2);
        for (uri, value) in [
            ("./DevInfo", "Bearer/DevId/DmV/Ext/Lang/Man/Mod"),
            ("./DevInfo?prop=Type", "urn:oma:mo:oma-dm-devinfo:1.0"),
            ("./DevDetail", "Bearer/DevTyp/Ext/FwV/HwV/LrgObj/OEM/SwV/URI"),
            ("./DevDetail?prop=Type", "urn:oma:mo:oma-dm-devdetail:1.0"),
            ("./DevDetail/LrgObj", "true"),
            ("./DevDetail/URI", "MaxDepth/MaxSegLen/MaxTotLen"),
        ] {
            assert_eq!(bench.read(uri), Ok(value.into()), "{uri}");
        }
        assert_eq!(bench.replace("./DevInfo/Man", "x"), Err(Code::NOT_ALLOWED));
        assert_eq!(bench.replace("./DevDetail/LrgObj", "false"), Err(Code::NOT_ALLOWED));
    }

    #[test]
    fn the_limits_of_a_uri_are_those_that_devdetail_tells() {
        let mut bench = of(Version::V1_2);
        let mut limit = |leaf: &str| -> usize {
            bench.read(&format!("./DevDetail/URI/{leaf}")).unwrap().parse().unwrap()
        };
        let (depth, segment, total) = (limit("MaxDepth"), limit("MaxSegLen"), limit("MaxTotLen"));
        let deep = |names: usize| format!("./Settings{}", "/a".repeat(names - 1));
        assert_eq!(bench.add(&deep(depth), "x"), Ok(()));
        assert_eq!(bench.add(&deep(depth + 1), "x"), Err(Code::URI_TOO_LONG));
        assert_eq!(bench.add(&format!("./Settings/{}", "b".repeat(segment)), "x"), Ok(()));
        assert_eq!(
            bench.add(&format!("./Settings/{}", "b".repeat(segment + 1)), "x"),
            Err(Code::URI_TOO_LONG)
        );
        let long =
            format!("./Settings{}", format!("/{}", "c".repeat(segment - 1)).repeat(total / segment + 1));
        assert_eq!(bench.add(&long, "x"), Err(Code::URI_TOO_LONG));
    }
}
