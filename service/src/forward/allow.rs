//! The next hops that may be called: origins of NEXT_URL_ALLOW, but never link-local or metadata addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Maximum length of a next URL.
pub const NEXT_URL_LEN_MAX: usize = 2048;

/// Maximum length of an unsupported scheme in an error; registered schemes are shorter.
const SCHEME_SHOWN_MAX: usize = 32;

/// Addresses of cloud metadata services, which return credentials. Link-local addresses are not listed, because all of them are
/// forbidden.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 1] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)];

/// Why a next hop is not called. Its text is the value of `X-Next-Error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not an absolute URL with a host, too long, or with credentials.
    #[error("invalid URL")]
    Malformed,
    #[error("only http is supported, not {0}")]
    NotHttp(String),
    /// NEXT_URL_ALLOW does not list the origin of the URL, or the address is forbidden.
    #[error("not allowed (NEXT_URL_ALLOW)")]
    NotAllowed,
}

/// A parsed http URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextUrl {
    url: Url,
    origin: Origin,
}

/// Host and port of an http URL, normalized by the URL parser.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    host: Host<String>,
    port: u16,
}

impl NextUrl {
    /// Parses the URL of a request or setting.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::NotHttp`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > NEXT_URL_LEN_MAX {
            return Err(Refusal::Malformed);
        }
        let mut url = Url::parse(text).map_err(|_| Refusal::Malformed)?;
        if url.scheme() != "http" {
            return Err(Refusal::NotHttp(
                url.scheme().chars().take(SCHEME_SHOWN_MAX).collect(),
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Malformed);
        }
        url.set_fragment(None);
        let host = url.host().ok_or(Refusal::Malformed)?.to_owned();
        let port = url.port_or_known_default().ok_or(Refusal::Malformed)?;
        Ok(Self {
            url,
            origin: Origin { host, port },
        })
    }

    /// Parses a setting.
    ///
    /// # Errors
    /// An error with a remedy.
    pub fn parse_setting(text: &str) -> Result<Self, String> {
        Self::parse(text)
            .map_err(|refusal| format!("{refusal}; use a URL such as http://10.0.0.2:8080/blob/gzip"))
    }

    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The host, IPv6 in brackets.
    pub fn host(&self) -> String {
        self.origin.host.to_string()
    }

    pub fn port(&self) -> u16 {
        self.origin.port
    }

    pub fn path(&self) -> &str {
        self.url.path()
    }
}

/// The origins that may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    origins: Vec<Origin>,
}

impl AllowList {
    /// Parses a comma-separated list of origins and ignores paths.
    ///
    /// # Errors
    /// An error with a remedy.
    pub fn parse_setting(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let origins = named.map(|item| {
            NextUrl::parse(item)
                .map(|next| next.origin)
                .map_err(|refusal| format!("'{item}': {refusal}; list origins such as http://10.0.0.2:8080"))
        });
        Ok(Self {
            origins: origins.collect::<Result<_, _>>()?,
        })
    }

    /// Also allows the origin of this URL, the default next hop.
    pub fn allow_origin_of(&mut self, next: &NextUrl) {
        self.origins.push(next.origin.clone());
    }

    /// Checks the URL. The addresses of a name are checked when it is resolved.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`].
    pub fn check(&self, next: &NextUrl) -> Result<(), Refusal> {
        let literal = match next.origin.host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(is_forbidden) || !self.origins.contains(&next.origin) {
            return Err(Refusal::NotAllowed);
        }
        Ok(())
    }
}

/// Whether an address is never called, even if it is allowed by NEXT_URL_ALLOW.
pub fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || METADATA_V6.contains(&v6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(list: &str, url: &str) -> Result<(), Refusal> {
        AllowList::parse_setting(list)
            .unwrap()
            .check(&NextUrl::parse(url)?)
    }

    #[test]
    fn only_listed_origins_may_be_called() {
        let list = "http://127.0.0.1:8080, http://edge:8080/ignored";
        assert_eq!(verdict(list, "http://127.0.0.1:8080/blob/gzip"), Ok(()));
        assert_eq!(verdict(list, "http://EDGE:8080/x"), Ok(()));
        for other in [
            "http://127.0.0.1:8081/",
            "http://127.0.0.2:8080/",
            "http://edge/",
            "http://edge.evil:8080/",
        ] {
            assert_eq!(verdict(list, other), Err(Refusal::NotAllowed), "{other}");
        }
        assert_eq!(verdict("", "http://127.0.0.1:8080/"), Err(Refusal::NotAllowed));
    }

    #[test]
    fn another_spelling_of_an_address_is_the_same_address() {
        for spelling in [
            "http://2130706433:8080/",
            "http://0x7f.1:8080/",
            "http://127.1:8080/",
        ] {
            assert_eq!(verdict("http://127.0.0.1:8080", spelling), Ok(()), "{spelling}");
        }
        assert_eq!(
            verdict("http://2852039166", "http://169.254.169.254/"),
            Err(Refusal::NotAllowed)
        );
    }

    #[test]
    fn metadata_addresses_are_refused_even_when_allowed() {
        for address in [
            "169.254.169.254",
            "169.254.1.1",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]",
            "[::]",
        ] {
            let url = format!("http://{address}/");
            assert_eq!(verdict(&url, &url), Err(Refusal::NotAllowed), "{address}");
        }
    }

    #[test]
    fn urls_other_than_plain_http_are_refused_with_the_reason() {
        for (url, scheme) in [
            ("https://127.0.0.1/", "https"),
            ("file:///etc/passwd", "file"),
            ("GOPHER://127.0.0.1/", "gopher"),
        ] {
            let refusal = NextUrl::parse(url).unwrap_err();
            assert_eq!(
                refusal.to_string(),
                format!("only http is supported, not {scheme}")
            );
        }
        let long = NextUrl::parse(&format!("{}://h/", "x".repeat(500))).unwrap_err();
        assert!(long.to_string().len() < 100, "{long}");
        for malformed in [
            "",
            "/hash/sha256",
            "127.0.0.1:8080",
            "http://",
            "http://u:p@127.0.0.1/",
        ] {
            assert!(NextUrl::parse(malformed).is_err(), "{malformed}");
        }
        assert_eq!(
            NextUrl::parse(&format!("http://h/{}", "x".repeat(NEXT_URL_LEN_MAX))),
            Err(Refusal::Malformed)
        );
    }

    #[test]
    fn an_invalid_allow_list_is_refused_with_a_remedy() {
        let error = AllowList::parse_setting("http://a:1,nonsense").unwrap_err();
        assert!(
            error.contains("'nonsense'") && error.contains("list origins such as"),
            "{error}"
        );
    }
}
