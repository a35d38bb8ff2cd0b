//! [`Reach`]: which addresses of the network a place may connect to.
//!
//! A name is resolved once, every address it has is checked, and the connection goes to one of those that were checked: a
//! name that means something else a moment later changes nothing. An address that stands in a URL is checked before the
//! request, and before a redirect to it is followed.
//!
//! | address | reached from a rooted place |
//! |---|---|
//! | link-local with the metadata services, multicast, unspecified, reserved, IPv4 inside of IPv6 | never |
//! | loopback, private networks | when the operator allows the [`Network`] |
//! | all others | yes |

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::remote::secret::Secret;

/// Addresses that begin with the same bits: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        Self { address, bits }
    }

    const fn v6(first: u16, second: u16, third: u16, last: u16, bits: u8) -> Self {
        let address = IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, last));
        Self { address, bits }
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a network such as 10.0.0.0/8");
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: u8 = bits.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if bits > longest {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Reached by no tenant, whatever the operator allows.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>
const NEVER: [(Network, &str); 18] = [
    (Network::v4(0, 0, 0, 0, 8), "unspecified"),
    (Network::v4(169, 254, 0, 0, 16), "link-local"),
    (Network::v4(224, 0, 0, 0, 4), "multicast"),
    (Network::v4(240, 0, 0, 0, 4), "reserved"),
    // Metadata services of other clouds.
    (Network::v4(100, 100, 100, 200, 32), "a metadata service"),
    (Network::v4(168, 63, 129, 16, 32), "a metadata service"),
    (Network::v4(192, 0, 0, 192, 32), "a metadata service"),
    (Network::v6(0xfd00, 0xec2, 0, 0, 32), "a metadata service"),
    (Network::v6(0, 0, 0, 0, 128), "unspecified"),
    (Network::v6(0xff00, 0, 0, 0, 8), "multicast"),
    (Network::v6(0xfe80, 0, 0, 0, 10), "link-local"),
    (Network::v6(0xfec0, 0, 0, 0, 10), "site-local"),
    // IPv4 inside of IPv6: translated, tunnelled.
    (Network::v6(0x64, 0xff9b, 0, 0, 96), "IPv4 inside of IPv6"),
    (Network::v6(0x64, 0xff9b, 1, 0, 48), "IPv4 inside of IPv6"),
    (Network::v6(0x2002, 0, 0, 0, 16), "IPv4 inside of IPv6"),
    (Network::v6(0x2001, 0, 0, 0, 32), "IPv4 inside of IPv6"),
    (Network::v6(0x100, 0, 0, 0, 64), "reserved"),
    (Network::v6(0x5f00, 0, 0, 0, 16), "reserved"),
];

/// Reached when the operator allows it.
const ON_REQUEST: [(Network, &str); 13] = [
    (Network::v4(127, 0, 0, 0, 8), "loopback"),
    (Network::v6(0, 0, 0, 1, 128), "loopback"),
    (Network::v4(10, 0, 0, 0, 8), "private"),
    (Network::v4(172, 16, 0, 0, 12), "private"),
    (Network::v4(192, 168, 0, 0, 16), "private"),
    (Network::v4(100, 64, 0, 0, 10), "private"),
    (Network::v4(192, 0, 0, 0, 24), "private"),
    (Network::v4(198, 18, 0, 0, 15), "private"),
    (Network::v4(192, 0, 2, 0, 24), "for documentation"),
    (Network::v4(198, 51, 100, 0, 24), "for documentation"),
    (Network::v4(203, 0, 113, 0, 24), "for documentation"),
    (Network::v6(0x2001, 0xdb8, 0, 0, 32), "for documentation"),
    (Network::v6(0xfc00, 0, 0, 0, 7), "private"),
];

/// Finds the addresses of a name. Called for each new connection, and at no other time.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// All addresses of `host`, which is a name and no address.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Debug)]
struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// Which addresses there are for a place.
#[derive(Clone, Debug)]
enum Allowed {
    Anywhere,
    /// The public ones, and those of these networks.
    Public(Vec<Network>),
    Nowhere,
}

/// Which addresses may be connected to, and through whom. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reach {
    allowed: Allowed,
    proxy: Option<Secret>,
    resolver: Arc<dyn Resolver>,
}

/// An address that may not be connected to. Found again in the causes of the client's error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotReached(String);

impl Reach {
    /// Every address. For the user of the command line, who could reach them without us.
    #[must_use]
    pub fn anywhere() -> Self {
        Self {
            allowed: Allowed::Anywhere,
            proxy: None,
            resolver: Arc::new(SystemResolver),
        }
    }

    /// Public addresses only. For tenants.
    #[must_use]
    pub fn public() -> Self {
        Self {
            allowed: Allowed::Public(Vec::new()),
            ..Self::anywhere()
        }
    }

    /// No address. For a process that is to work with files alone.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            allowed: Allowed::Nowhere,
            ..Self::anywhere()
        }
    }

    /// Allows a private network too. For the operator to call.
    #[must_use]
    pub fn allow(mut self, network: Network) -> Self {
        if let Allowed::Public(networks) = &mut self.allowed {
            networks.push(network);
        }
        self
    }

    /// Sends every request through a proxy, which then finds the names; addresses that stand in URLs are checked
    /// all the same. For the operator to call: `http://user:password@host:port`.
    #[must_use]
    pub fn through(mut self, proxy: Secret) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Finds names in another way than the system does.
    #[must_use]
    pub fn resolved_by(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    pub(crate) fn proxy(&self) -> Option<&Secret> {
        self.proxy.as_ref()
    }

    pub(crate) fn is_anywhere(&self) -> bool {
        matches!(self.allowed, Allowed::Anywhere)
    }

    /// The addresses of a name, all of which may be connected to.
    pub(crate) async fn resolve(
        &self,
        host: &str,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        self.check_host(host)?;
        let found = self.resolver.resolve(host.to_owned()).await?;
        if found.is_empty() {
            return Err(format!("{host} has no address").into());
        }
        for address in &found {
            self.check(host, *address)?;
        }
        // Port 0 stands for the one that the URL names.
        Ok(found.into_iter().map(|ip| (ip, 0).into()).collect())
    }

    /// Refuses a host that is written as an address, if that may not be connected to.
    pub(crate) fn check_host(&self, host: &str) -> Result<(), NotReached> {
        if matches!(self.allowed, Allowed::Nowhere) {
            return Err(NotReached(format!(
                "{host} may not be reached: this process works with files alone"
            )));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(ip) => self.check(host, ip),
            // A name: its addresses are checked when they are known.
            Err(_) => Ok(()),
        }
    }

    fn check(&self, host: &str, ip: IpAddr) -> Result<(), NotReached> {
        let Allowed::Public(allowed) = &self.allowed else {
            return Ok(());
        };
        let among = |networks: &[(Network, &'static str)]| {
            let found = networks.iter().find(|(network, _)| network.contains(ip));
            found.map(|(_, kind)| *kind)
        };
        if let Some(kind) =
            among(&NEVER).or_else(|| holds_ipv4(ip).then_some("IPv4 inside of IPv6"))
        {
            return Err(NotReached(format!(
                "{host} may not be reached: its address is {kind}"
            )));
        }
        match among(&ON_REQUEST) {
            Some(kind) if !allowed.iter().any(|network| network.contains(ip)) => {
                Err(NotReached(format!(
                    "{host} may not be reached: its address is {kind} and the operator has not allowed its network"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// `::ffff:127.0.0.1` and the older `::127.0.0.1`; `::1` is neither.
fn holds_ipv4(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.to_ipv4().is_some() && ip != Ipv6Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allowed: &[&str]) -> Reach {
        let networks = allowed.iter().map(|text| text.parse().unwrap());
        networks.fold(Reach::public(), Reach::allow)
    }

    #[test]
    fn nowhere_is_nowhere() {
        for host in ["1.1.1.1", "[2606:4700::1]", "example.com", "127.0.0.1"] {
            let error = Reach::nowhere().check_host(host).unwrap_err();
            assert!(error.to_string().contains("files alone"), "{error}");
        }
    }

    fn allows(reach: &Reach, ip: &str) -> bool {
        reach.check_host(ip).is_ok()
    }

    #[test]
    fn addresses_inside_are_refused_unless_the_operator_allows_them() {
        let (strict, open) = (reach(&[]), reach(&["0.0.0.0/0", "::/0"]));
        for ip in [
            "8.8.8.8",
            "172.32.0.1",
            "2606:4700::1",
            "192.169.0.1",
            "100.128.0.1",
        ] {
            assert!(allows(&strict, ip), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "::1",
            "[::1]",
            "fd12::1",
        ] {
            assert!(!allows(&strict, ip) && allows(&open, ip), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "169.254.169.254",
            "169.254.170.2",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "[::ffff:8.8.8.8]",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            assert!(!allows(&open, ip), "{ip}");
            assert!(allows(&Reach::anywhere(), ip), "{ip}");
        }
    }

    #[test]
    fn networks_are_read_as_they_are_written() {
        for text in ["10.0.0.0/8", "::1/128", "0.0.0.0/0", "fc00::/7"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "x/8"] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.ends_with("is not a network such as 10.0.0.0/8"));
        }
    }
}
