//! Discovery: which server a device goes to, when a person gives it an e-mail address.
//!
//! Promise: nothing here is believed. A wrong answer sends the device to a server that cannot prove the password.

use serde::{Deserialize, Serialize};

use super::VERSION;

/// An answer is at most so many octets.
pub const DISCOVERY_LIMIT: usize = 4_096;
/// A host name has at most 253 octets, then a port.
const SERVER_LIMIT: usize = 260;
const MOST_VERSIONS: usize = 16;
/// The host names below a mail domain that are asked, in this order.
const HOSTS: [&str; 2] = ["mobileenroll", "enterpriseenrollment"];

/// The answer of `/enrol/1/discover`, as `application/json`. Members that are not known are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// The versions of the protocol that the server speaks.
    pub versions: Vec<u8>,
    /// `host[:port]` where the enrolment goes on.
    pub server: String,
}

/// Why a discovery leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDiscovery {
    /// Too long, or not the JSON of a discovery.
    #[error("this is no answer to a discovery")]
    Malformed,
    /// No version that is known here.
    #[error("the server speaks another version of the enrolment protocol")]
    Version,
    /// Not `host` or `host:port`.
    #[error("the server that is named is not of the form host or host:port")]
    Server,
    /// Not an e-mail address.
    #[error("this is not an e-mail address")]
    Email,
}

impl Discovery {
    /// Reads an answer and takes it only if it can be followed.
    ///
    /// # Errors
    /// [`BadDiscovery`].
    pub fn read(json: &[u8]) -> Result<Self, BadDiscovery> {
        if json.len() > DISCOVERY_LIMIT {
            return Err(BadDiscovery::Malformed);
        }
        let read: Self = serde_json::from_slice(json).map_err(|_| BadDiscovery::Malformed)?;
        if read.versions.len() > MOST_VERSIONS || !read.versions.contains(&VERSION) {
            return Err(BadDiscovery::Version);
        }
        if is_authority(&read.server) { Ok(read) } else { Err(BadDiscovery::Server) }
    }

    /// The hosts to ask for the domain of an e-mail address.
    ///
    /// # Errors
    /// [`BadDiscovery::Email`].
    pub fn hosts(email: &str) -> Result<[String; 2], BadDiscovery> {
        let (local, domain) = email.trim().rsplit_once('@').ok_or(BadDiscovery::Email)?;
        if local.is_empty() || local.chars().any(char::is_whitespace) || !is_host(domain) {
            return Err(BadDiscovery::Email);
        }
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        Ok(HOSTS.map(|host| format!("{host}.{domain}")))
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().is_ok_and(|port| port > 0)),
        None => (text, true),
    };
    text.len() <= SERVER_LIMIT && port && is_host(host)
}

/// A name of letters, digits, dashes and dots; an international one in its ASCII form.
fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_an_address_names_two_hosts() {
        let hosts = Discovery::hosts("Ann.Other@Example.ORG ").unwrap();
        assert_eq!(hosts, ["mobileenroll.example.org", "enterpriseenrollment.example.org"]);
        for bad in
            ["", "example.org", "@example.org", "a@", "a b@example.org", "a@exa mple", "a@-x.org", "a@x/y"]
        {
            assert_eq!(Discovery::hosts(bad), Err(BadDiscovery::Email), "{bad}");
        }
    }

    #[test]
    fn a_discovery_that_cannot_be_followed_is_refused_by_type() {
        let good = br#"{"versions":[2,1],"server":"dm.example.org:8443","more":true}"#;
        assert_eq!(Discovery::read(good).unwrap().server, "dm.example.org:8443");
        let long = format!("{{\"versions\":[1],\"server\":\"{}\"}}", "a".repeat(DISCOVERY_LIMIT));
        for (json, why) in [
            ("", BadDiscovery::Malformed),
            ("[]", BadDiscovery::Malformed),
            (long.as_str(), BadDiscovery::Malformed),
            (r#"{"versions":[],"server":"a"}"#, BadDiscovery::Version),
            (r#"{"versions":[2],"server":"a"}"#, BadDiscovery::Version),
            (r#"{"versions":[1],"server":""}"#, BadDiscovery::Server),
            (r#"{"versions":[1],"server":"a:0"}"#, BadDiscovery::Server),
            (r#"{"versions":[1],"server":"a:99999"}"#, BadDiscovery::Server),
            (r#"{"versions":[1],"server":"https://a/"}"#, BadDiscovery::Server),
            (r#"{"versions":[1],"server":"u@a"}"#, BadDiscovery::Server),
            (r#"{"versions":[1],"server":"a\r\nHost: b"}"#, BadDiscovery::Server),
        ] {
            assert_eq!(Discovery::read(json.as_bytes()), Err(why), "{json}");
        }
    }
}
