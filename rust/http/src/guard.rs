//! Addresses that are never connected to.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Metadata services outside the link-local ranges.
///
/// # Source
/// Vendor documentation: Alibaba Cloud and Azure (wire server), AWS and Google Cloud over IPv6.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Whether `address` is link-local or a metadata service, in whatever notation.
pub(crate) fn is_blocked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6)
                || embedded(v6).is_some_and(|v4| is_blocked(IpAddr::V4(v4)))
        }
    }
}

/// Whether `address` is this machine, in whatever notation.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

/// The IPv4 address inside a mapped, compatible, NAT64 or 6to4 one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

/// Resolves names with the system's resolver and hands out only addresses that may be used.
///
/// What it returns is what is connected to, so a name cannot change its address after the check.
#[derive(Debug)]
pub(crate) struct GuardedResolver {
    /// Plain `http` without leave: the name must mean this machine.
    pub(crate) loopback_only: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback_only = self.loopback_only;
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = allowed(name.as_str(), &found, loopback_only)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    host: &str,
    found: &[SocketAddr],
    loopback_only: bool,
) -> Result<Vec<SocketAddr>, RefusedAddress> {
    let usable = |a: &&SocketAddr| !is_blocked(a.ip()) && (!loopback_only || is_loopback(a.ip()));
    let allowed: Vec<_> = found.iter().filter(usable).copied().collect();
    match (allowed.is_empty(), found.first()) {
        (true, Some(first)) => Err(RefusedAddress { host: host.to_owned(), address: first.ip() }),
        _ => Ok(allowed),
    }
}

/// A name has no address that may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedAddress {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        if is_blocked(*address) {
            write!(f, "refused address {address} of host '{host}': link-local or metadata service")
        } else {
            write!(f, "refused address {address} of host '{host}': not this machine, over http")
        }
    }
}

impl std::error::Error for RefusedAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_blocked_in_every_notation() {
        let cases = [
            ("169.254.169.254", true),
            ("169.254.0.1", true),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("2002:a9fe:a9fe::1", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fd00:ec2::254", true),
            ("fd20:ce::254", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("169.253.0.1", false),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("fd00::1", false),
            ("140.82.112.5", false),
            ("2606:50c0::1", false),
        ];
        for (address, expected) in cases {
            assert_eq!(is_blocked(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn only_allowed_addresses_of_a_name_are_handed_out() {
        let of = |text: &[&str]| -> Vec<SocketAddr> {
            text.iter().map(|t| SocketAddr::new(t.parse().unwrap(), 0)).collect()
        };
        let refused = |address: &str| {
            Err(RefusedAddress { host: "h".into(), address: address.parse().unwrap() })
        };
        let cases = [
            (vec!["10.0.0.1", "fe80::1"], false, Ok(of(&["10.0.0.1"]))),
            (vec!["169.254.169.254"], false, refused("169.254.169.254")),
            (vec!["127.0.0.1", "10.0.0.1"], true, Ok(of(&["127.0.0.1"]))),
            (vec!["10.0.0.1"], true, refused("10.0.0.1")),
            (vec![], false, Ok(vec![])),
        ];
        for (found, loopback_only, expected) in cases {
            assert_eq!(allowed("h", &of(&found), loopback_only), expected, "{found:?}");
        }
    }
}
