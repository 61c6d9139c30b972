//! Nodes by which a device finds its way back to us: one wrong value, and it does not come any more.
//!
//! Promise: names are compared without ASCII case and with escapes resolved, as protected addresses are. What is not in the
//! table is not known to cut a device off; a value below a node counts with the node.

use postern_wire::{terms::Dialect, uri::TreeUri};

use crate::destructive::names;

/// Nodes with all below them, in lower case, without `./Device` or `./User`; `*` is any one name.
const NODES: &[&str] = &[
    // Our own client: when it comes, and all else by which it is managed.
    "vendor/postern",
    "syncacc",
    "settings/policy/proxy",
    "settings/policy/vpn",
    "settings/policy/certificates",
    "settings/policy/lockdown/wlan",
    // Classic devices: access points, connections, proxies, accounts, certificates.
    "nap",
    "napdef",
    "proxy",
    "con",
    "bearers",
    "vendor/msft/w4",
    "vendor/msft/w7",
    "vendor/msft/cm_*",
    "vendor/msft/cmpolicy*",
    "vendor/msft/napdef",
    "vendor/msft/pxlogical",
    "vendor/msft/proxy",
    "vendor/msft/sync",
    "vendor/msft/gprs",
    // Both: certificates and networks.
    "vendor/msft/certificatestore",
    "vendor/msft/rootcatrustedcertificates",
    "vendor/msft/clientcertificateinstall",
    "vendor/msft/networkproxy",
    "vendor/msft/wifi",
    "vendor/msft/wirednetwork",
    "vendor/msft/vpn*",
    "vendor/msft/euiccs",
    "vendor/msft/multisim",
    "vendor/msft/firewall",
    "vendor/msft/dmclient",
    "vendor/msft/enterpriseapn",
    "vendor/msft/policy/config/connectivity",
    "vendor/msft/policy/config/wifi",
    "vendor/msft/policy/config/networkisolation",
    "vendor/msft/policy/config/admx_networkconnections",
    "vendor/msft/policy/config/admx_wcm",
];

/// Whether a node is one of them, or below one. What is no address is one: nobody knows what it reaches.
#[must_use]
pub fn is_lifeline(uri: &str) -> bool {
    let Ok(uri) = TreeUri::parse(uri) else { return true };
    let names = names(Dialect::Windows, &uri);
    NODES.iter().any(|node| {
        let mut own = names.iter();
        node.split('/').all(|wanted| own.next().is_some_and(|name| is_named(wanted, name)))
    })
}

/// `*` at the end is any end.
fn is_named(wanted: &str, name: &str) -> bool {
    wanted.strip_suffix('*').map_or(wanted == name, |begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cuts_a_device_off_is_known_by_any_spelling() {
        for uri in [
            "./Vendor/Postern/Schedule/Interval",
            "./vendor/postern/%53chedule/Interval",
            "./Settings/Policy/Proxy/Address",
            "./Settings/Policy/Certificates/Root/1",
            "./SyncAcc/mail/AppAddr",
            "./Device/Vendor/MSFT/VPNv2/x/ProfileXML",
            "./User/Vendor/MSFT/WiFi/Profile/x/WlanXml",
            "./Vendor/MSFT/CM_ProxyEntries/x",
            "not an address \u{7}",
        ] {
            assert!(is_lifeline(uri), "{uri}");
        }
        for uri in [
            "./Settings/Policy/Lockdown/Camera",
            "./Vendor/Example/Banner",
            "./Vendor/Posternest/x",
            "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera",
        ] {
            assert!(!is_lifeline(uri), "{uri}");
        }
    }
}
