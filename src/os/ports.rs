//! Who listens at which port of this machine.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

/// Whether a program could listen at an address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vacancy {
    /// It could.
    Free,
    /// Somebody listens there.
    Taken,
    /// This machine has no such address.
    NoAddress,
    /// Only programs with more rights than this one can.
    Privileged,
    /// It could not be tried: sctp, or a machine without that family of addresses.
    Unknown,
}

/// A program that listens at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its process id.
    pub process: u32,
    /// The name of its program.
    pub name: String,
}

/// Tries to listen at `address`, for a moment; `protocol` is `tcp` or `udp`.
pub fn vacancy(address: SocketAddr, protocol: &str) -> Vacancy {
    let tried = match protocol {
        "tcp" => TcpListener::bind(address).map(drop),
        "udp" => UdpSocket::bind(address).map(drop),
        _ => return Vacancy::Unknown,
    };
    match tried.map_err(|error| error.kind()) {
        Ok(()) => Vacancy::Free,
        Err(ErrorKind::AddrInUse) => Vacancy::Taken,
        Err(ErrorKind::AddrNotAvailable) => Vacancy::NoAddress,
        Err(ErrorKind::PermissionDenied) => Vacancy::Privileged,
        Err(_) => Vacancy::Unknown,
    }
}

/// The program that listens at `address`, where the kernel tells it: on Linux, of processes that this
/// user may look at.
pub fn listener(address: SocketAddr, protocol: &str) -> Option<Listener> {
    let inodes: Vec<u64> = ["", "6"]
        .iter()
        .filter_map(|family| std::fs::read_to_string(format!("/proc/net/{protocol}{family}")).ok())
        .flat_map(|table| listening(&table, address, protocol))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((process, entry.path()))
    });
    processes
        .filter(|(_, folder)| holds_socket(folder, &inodes))
        .map(|(process, folder)| {
            let name = std::fs::read_to_string(folder.join("comm")).unwrap_or_default();
            Listener { process, name: name.trim().to_string() }
        })
        .min_by_key(|listener| listener.process)
}

/// The inodes of the sockets in a table of `/proc/net` that are in the way of one at `address`.
fn listening(table: &str, address: SocketAddr, protocol: &str) -> Vec<u64> {
    // TCP_LISTEN, and for a datagram socket that is not connected TCP_CLOSE.
    let state = if protocol == "tcp" { "0A" } else { "07" };
    let of = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (host, port) = columns.get(1)?.split_once(':')?;
        let there = u16::from_str_radix(port, 16).ok()? == address.port()
            && columns.get(3) == Some(&state)
            && collide(kernel_address(host)?, address.ip());
        if there { columns.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(of).collect()
}

/// Whether sockets at the same port of these two addresses are in each other's way.
fn collide(one: IpAddr, other: IpAddr) -> bool {
    let one = one.to_canonical();
    let other = other.to_canonical();
    one == other || one.is_unspecified() || other.is_unspecified()
}

/// An address as `/proc/net` writes it: words of 32 bits in the order of the machine.
fn kernel_address(text: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = text
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<_>>()?;
    let bytes = words.concat();
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

fn holds_socket(process: &Path, inodes: &[u64]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let Ok(target) = std::fs::read_link(descriptor.path()) else { return false };
        let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_that_somebody_listens_at_is_taken_and_free_again_afterwards() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = held.local_addr().expect("it is bound");
        assert_eq!(vacancy(address, "tcp"), Vacancy::Taken);
        let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        assert_eq!(vacancy(everywhere, "tcp"), Vacancy::Taken);
        if cfg!(target_os = "linux") {
            let listener = listener(everywhere, "tcp").expect("our own process can be looked at");
            assert_eq!(listener.process, std::process::id());
            assert!(!listener.name.is_empty());
        }
        drop(held);
        // A child that another test starts at this moment has it for as long as it is no program yet.
        assert!((0..100_000).any(|_| vacancy(address, "tcp") == Vacancy::Free));
        assert_eq!(listener(address, "tcp"), None);
    }

    #[test]
    fn datagrams_have_ports_of_their_own() {
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = held.local_addr().expect("it is bound");
        assert_eq!(vacancy(address, "udp"), Vacancy::Taken);
        assert_eq!(vacancy(address, "sctp"), Vacancy::Unknown);
        if cfg!(target_os = "linux") {
            assert!(listener(address, "udp").is_some());
        }
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_told_apart() {
        let address = "192.0.2.77:8080".parse().expect("an address");
        assert_eq!(vacancy(address, "tcp"), Vacancy::NoAddress);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_tables_are_read_in_both_families() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
            1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n";
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(listening(table, at("127.0.0.1:8080"), "tcp"), [4711]);
        assert_eq!(listening(table, at("0.0.0.0:8080"), "tcp"), [4711]);
        assert_eq!(listening(table, at("127.0.0.2:8080"), "tcp"), [0_u64; 0]);
        assert_eq!(
            kernel_address("0000000000000000FFFF00000100007F").map(|ip| ip.to_canonical()),
            "127.0.0.1".parse().ok()
        );
        assert_eq!(kernel_address("00000000000000000000000001000000"), "::1".parse().ok());
        assert_eq!(kernel_address("xyz"), None);
    }
}
