//! Where the device speaks to: an https URI, and the rule that a session never leaves its origin.

use std::fmt;

/// An https URI in its parts. User information is refused, a fragment dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUri {
    /// Host name or address; an IPv6 address without its brackets. Lower case.
    pub host: String,
    /// The port; 443 where none is given.
    pub port: u16,
    /// Path and query; at least `/`.
    pub target: String,
}

/// A URI that the device does not speak to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServerUri {
    /// Another scheme than https.
    #[error("only https is spoken")]
    Scheme,
    /// No host, a user name, or a port that is none.
    #[error("the host or the port is malformed")]
    Authority,
    /// White space or a control character in path or query.
    #[error("the path is malformed")]
    Path,
    /// RespURI names another scheme, host or port.
    #[error("RespURI leads to another origin")]
    OtherOrigin,
}

impl ServerUri {
    /// Reads an absolute https URI.
    pub fn parse(uri: &str) -> Result<Self, BadServerUri> {
        let uri = uri.trim();
        let scheme = uri.get(..8).ok_or(BadServerUri::Scheme)?;
        if !scheme.eq_ignore_ascii_case("https://") {
            return Err(BadServerUri::Scheme);
        }
        let rest = &uri[8..];
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = split_authority(authority).ok_or(BadServerUri::Authority)?;
        Ok(Self { host, port, target: clean_target(target)? })
    }

    /// Where the next message goes after the server sent `resp_uri`: the same origin, or nowhere. A relative
    /// reference has to be an absolute path.
    pub fn follow(&self, resp_uri: &str) -> Result<Self, BadServerUri> {
        if resp_uri.starts_with('/') && !resp_uri.starts_with("//") {
            return Ok(Self { target: clean_target(resp_uri)?, ..self.clone() });
        }
        let next = Self::parse(resp_uri).map_err(|error| match error {
            BadServerUri::Scheme => BadServerUri::OtherOrigin,
            other => other,
        })?;
        if (&next.host, next.port) == (&self.host, self.port) {
            Ok(next)
        } else {
            Err(BadServerUri::OtherOrigin)
        }
    }

    /// `host:port` as the Host field and the dialler write it.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.target)
    }
}

fn split_authority(authority: &str) -> Option<(String, u16)> {
    if authority.contains('@') {
        return None;
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, after.strip_prefix(':').or((after.is_empty()).then_some(""))?)
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let port = if port.is_empty() { 443 } else { port.parse().ok().filter(|port| *port != 0)? };
    let clean = |c: char| c.is_ascii_alphanumeric() || "-._:~%".contains(c);
    (!host.is_empty() && host.chars().all(clean)).then(|| (host.to_ascii_lowercase(), port))
}

fn clean_target(target: &str) -> Result<String, BadServerUri> {
    let target = target.split('#').next().unwrap_or_default();
    if !target.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(BadServerUri::Path);
    }
    Ok(if target.starts_with('/') { target.to_owned() } else { format!("/{target}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_uri_is_taken_apart() {
        for (uri, host, port, target) in [
            ("https://Example.test/dm/1/abc", "example.test", 443, "/dm/1/abc"),
            ("https://127.0.0.1:8443", "127.0.0.1", 8443, "/"),
            ("HTTPS://[::1]:9?x=1#frag", "::1", 9, "/?x=1"),
        ] {
            let read = ServerUri::parse(uri).unwrap();
            assert_eq!((read.host.as_str(), read.port, read.target.as_str()), (host, port, target));
        }
    }

    #[test]
    fn what_is_not_an_https_uri_is_refused() {
        for (uri, error) in [
            ("http://a/", BadServerUri::Scheme),
            ("a", BadServerUri::Scheme),
            ("https://", BadServerUri::Authority),
            ("https://u@a/", BadServerUri::Authority),
            ("https://a:0/", BadServerUri::Authority),
            ("https://a:b/", BadServerUri::Authority),
            ("https://[::1/", BadServerUri::Authority),
            ("https://a/ b", BadServerUri::Path),
        ] {
            assert_eq!(ServerUri::parse(uri), Err(error), "{uri}");
        }
    }

    #[test]
    fn a_resp_uri_is_followed_within_the_origin_only() {
        let server = ServerUri::parse("https://dm.test:8443/dm/1/abc").unwrap();
        assert_eq!(server.follow("https://DM.test:8443/next?t=1").unwrap().target, "/next?t=1");
        assert_eq!(server.follow("/next").unwrap().to_string(), "https://dm.test:8443/next");
        for other in ["https://dm.test/dm", "https://evil.test:8443/", "http://dm.test:8443/", "//evil.test/"]
        {
            assert_eq!(server.follow(other), Err(BadServerUri::OtherOrigin), "{other}");
        }
    }
}
