//! [`Reach`]: the one way by which the server connects to an address that a caller names.
//!
//! A name is resolved once, every address it has is checked, and the connection goes to a checked address: a
//! name that means something else a moment later changes nothing.
//!
//! | address | reached |
//! |---|---|
//! | link-local with the metadata services, multicast, unspecified, reserved, IPv4 inside of IPv6 | never |
//! | where this server listens | never |
//! | loopback, private networks | when the operator allows the [`Network`] |
//! | all others | yes |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use tenon_store::Tenant;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::share::Shares;

/// Time for resolving and connecting together.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Attempts of one tenant under way at the same time: each keeps a thread that may block for as long.
const OF_ONE_AT_ONCE: usize = 4;

/// Attempts of all tenants.
const OF_ALL_AT_ONCE: usize = 64;

/// Addresses that begin with the same bits: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Reached by nobody, whatever the operator allows.
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

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// The address is not one to connect to.
    NotAllowed(String),
    /// There is no such host, or nobody answers there.
    Failed(String),
    /// It took too long.
    TimedOut(String),
    /// Too many others try at the moment.
    Busy(String),
}

/// Connects to addresses that callers name.
#[derive(Debug)]
pub(crate) struct Reach {
    allowed: Vec<Network>,
    own: SocketAddr,
    slots: Shares,
}

impl Reach {
    /// `own` is where this server listens.
    pub(crate) fn new(allowed: &[Network], own: SocketAddr) -> Self {
        Self {
            allowed: allowed.to_vec(),
            own,
            slots: Shares::new(OF_ONE_AT_ONCE, OF_ALL_AT_ONCE),
        }
    }

    /// Connects on behalf of a tenant and hangs up again. Blocks; must be called where a tokio runtime can be found
    /// and blocking is allowed.
    pub(crate) fn try_connect(
        &self,
        tenant: Tenant,
        host: &str,
        port: u16,
    ) -> Result<(), Unreachable> {
        let _slot = self.slots.take(tenant).map_err(|taken| {
            let reason = format!("{taken} connections are being tried already; try again later");
            Unreachable::Busy(reason)
        })?;
        let seconds = TIME_LIMIT.as_secs();
        let reason = format!("{host}:{port} did not answer within {seconds} s");
        let connected = async { timeout(TIME_LIMIT, self.connect(host, port)).await };
        let connected = tokio::runtime::Handle::current().block_on(connected);
        connected.unwrap_or(Err(Unreachable::TimedOut(reason)))
    }

    async fn connect(&self, host: &str, port: u16) -> Result<(), Unreachable> {
        let failed = |error: &dyn fmt::Display| {
            Unreachable::Failed(format!("{host}:{port} cannot be reached: {error}"))
        };
        let found = lookup_host((host, port)).await;
        let addresses: Vec<_> = found.map_err(|error| failed(&error))?.collect();
        for address in &addresses {
            self.check(*address).map_err(|reason| {
                Unreachable::NotAllowed(format!("{host}:{port} may not be reached: {reason}"))
            })?;
        }
        let stream = TcpStream::connect(addresses.as_slice()).await;
        stream.map(drop).map_err(|error| failed(&error))
    }

    /// Whether the address may be connected to; if not, why.
    fn check(&self, address: SocketAddr) -> Result<(), String> {
        let ip = address.ip();
        let among = |networks: &[(Network, &'static str)]| {
            let found = networks.iter().find(|(network, _)| network.contains(ip));
            found.map(|(_, kind)| *kind)
        };
        if let Some(kind) =
            among(&NEVER).or_else(|| holds_ipv4(ip).then_some("IPv4 inside of IPv6"))
        {
            return Err(format!("its address is {kind}"));
        }
        if address.port() == self.own.port() && self.is_own(ip) {
            return Err("this server listens there".to_owned());
        }
        match among(&ON_REQUEST) {
            Some(kind) if !self.allowed.iter().any(|network| network.contains(ip)) => Err(format!(
                "its address is {kind} and the operator has not allowed its network"
            )),
            _ => Ok(()),
        }
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        // An address can be bound only where it is.
        ip == self.own.ip() || (self.own.ip().is_unspecified() && UdpSocket::bind((ip, 0)).is_ok())
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
        let allowed: Vec<Network> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        Reach::new(&allowed, SocketAddr::from(([127, 0, 0, 1], 8080)))
    }

    fn allows(reach: &Reach, ip: &str) -> bool {
        reach
            .check(SocketAddr::new(ip.parse().unwrap(), 5432))
            .is_ok()
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
            "fd12::1",
        ] {
            assert!(!allows(&strict, ip) && allows(&open, ip), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            assert!(!allows(&open, ip), "{ip}");
        }
        let some = reach(&["10.1.0.0/16"]);
        assert!(
            allows(&some, "10.1.9.9") && !allows(&some, "10.2.0.1") && !allows(&some, "127.0.0.1")
        );
        let own = SocketAddr::from(([127, 0, 0, 1], 8080));
        assert_eq!(open.check(own).unwrap_err(), "this server listens there");
    }

    #[test]
    fn networks_are_read_as_they_are_written() {
        for text in ["10.0.0.0/8", "::1/128", "0.0.0.0/0", "fc00::/7"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "::/129",
            "x/8",
            "10.0.0.0/-1",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(
                error.ends_with("is not a network such as 10.0.0.0/8"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_tenant_that_tries_all_it_may_leaves_room_for_others() {
        let reach = reach(&[]);
        let (busy, other) = (Tenant::new(1), Tenant::new(2));
        let _under_way: Vec<_> = (0..OF_ONE_AT_ONCE)
            .map(|_| reach.slots.take(busy).unwrap())
            .collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let reach = &reach;
        let attempt = |tenant| {
            let _inside = runtime.enter();
            reach.try_connect(tenant, "127.0.0.1", 1)
        };
        assert!(matches!(attempt(busy), Err(Unreachable::Busy(_))));
        // It comes as far as the address.
        assert!(matches!(attempt(other), Err(Unreachable::NotAllowed(_))));
    }

    #[test]
    fn names_are_resolved_checked_and_connected_to() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let attempt = |reach: Reach, host: &'static str, port| {
            let work =
                runtime.spawn_blocking(move || reach.try_connect(Tenant::new(1), host, port));
            runtime.block_on(work).unwrap()
        };
        attempt(reach(&["127.0.0.0/8", "::1/128"]), "127.0.0.1", port).unwrap();
        // However an address is written, it is the resolved one that counts.
        for host in ["127.0.0.1", "localhost", "0x7f000001", "127.1"] {
            let refused = attempt(reach(&[]), host, port).unwrap_err();
            assert!(
                matches!(refused, Unreachable::NotAllowed(_) | Unreachable::Failed(_)),
                "{refused:?}"
            );
        }
        drop(listener);
        let refused = attempt(reach(&["127.0.0.0/8"]), "127.0.0.1", port).unwrap_err();
        assert!(matches!(refused, Unreachable::Failed(_)), "{refused:?}");
    }
}
