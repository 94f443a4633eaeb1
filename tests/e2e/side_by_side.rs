//! Two labs on one machine.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

use crate::lab::Lab;

/// A profile with a port of the machine, a registry and a pool of addresses.
fn write_profile(lab: &Lab) {
    lab.profile(&format!(
        "cluster:\n  kind:\n    version: \"1.36\"\n    ports: [{{host: {}, node: 30080}}]\n\
         registry:\n  local: {{port: {}}}\naddons:\n  metallb: {{addresses: auto}}\n",
        lab.port(0),
        lab.port(1)
    ));
}

/// The ranges of its pools, as they are written.
fn ranges(lab: &Lab) -> String {
    let path = "jsonpath={.items[*].spec.addresses[*]}";
    lab.kubectl_says(&["get", "ipaddresspools", "-A", "-o", path])
}

/// The first and the last address of each range of its pools.
fn pool(lab: &Lab) -> BTreeSet<(Ipv4Addr, Ipv4Addr)> {
    let ranges = ranges(lab);
    let range = |text: &str| {
        let address = |text: &str| text.parse::<Ipv4Addr>().expect("an address");
        if let Some((first, last)) = text.split_once('-') {
            return (address(first), address(last));
        }
        let (first, bits) = text.split_once('/').unwrap_or_else(|| panic!("no range: {text}"));
        let others = u32::MAX.checked_shr(bits.parse().expect("a length")).unwrap_or_default();
        (address(first), Ipv4Addr::from(address(first).to_bits() | others))
    };
    ranges.split_whitespace().map(range).collect()
}

#[test]
fn two_labs_made_at_once_share_no_pool_no_port_and_no_registry() {
    let Some((one, other)) = Lab::pair("side-one", "side-other", 1) else { return };
    thread::scope(|scope| {
        for lab in [&one, &other] {
            write_profile(lab);
            scope.spawn(|| lab.berth("up", &["--yes"]).expect(0));
        }
    });
    let (pool_of_one, pool_of_other) = (pool(&one), pool(&other));
    assert!(!pool_of_one.is_empty() && !pool_of_other.is_empty(), "no pools");
    for (first, last) in &pool_of_one {
        for (other_first, other_last) in &pool_of_other {
            assert!(last < other_first || other_last < first, "{pool_of_one:?} meets {pool_of_other:?}");
        }
    }
    for lab in [&one, &other] {
        TcpStream::connect((Ipv4Addr::LOCALHOST, lab.port(1))).expect("its registry listens");
        lab.berth("up", &["--yes"]).expect(0);
    }
    one.berth("down", &["--yes", "--registries"]).expect(0);
    assert_eq!(one.nodes(), Vec::<String>::new());
    TcpStream::connect((Ipv4Addr::LOCALHOST, one.port(1))).expect_err("its registry is gone");
    TcpStream::connect((Ipv4Addr::LOCALHOST, other.port(1))).expect("the other's is not");
    other.berth("status", &[]).expect(0);
    other.berth("down", &["--yes", "--registries"]).expect(0);
}

/// A profile with a pool: `auto`, or a range.
fn write_pool(lab: &Lab, addresses: &str) {
    lab.profile(&format!(
        "cluster:\n  kind: {{version: \"1.36\"}}\naddons:\n  metallb: {{addresses: {addresses}}}\n"
    ));
}

#[test]
fn the_pool_of_a_lab_that_does_not_run_is_known_wherever_it_lies() {
    let Some((one, other)) = Lab::pair("side-stops", "side-asks", 1) else { return };
    write_pool(&one, "auto");
    one.berth("up", &["--yes"]).expect(0);
    let first_choice = ranges(&one);
    one.berth("down", &["--yes"]).expect(0);
    // The other lab has what this one would choose, so that it has to lie elsewhere.
    write_pool(&other, &first_choice);
    other.berth("up", &["--yes"]).expect(0);
    one.berth("up", &["--yes"]).expect(0);
    let second_choice = ranges(&one);
    assert_ne!(second_choice, first_choice);
    let again = one.berth("up", &["--yes"]).expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.said());

    one.docker(&["stop", &format!("{}-control-plane", one.name())]).expect(0);
    write_pool(&other, &second_choice);
    for command in ["plan", "up"] {
        let refused = other.berth(command, &[]).expect(3);
        let why = format!("overlaps {second_choice}, the pool of cluster `{}`", one.name());
        assert!(refused.stderr.contains(&why), "{}", refused.said());
        assert!(refused.stderr.contains(".yaml:7:"), "{}", refused.said());
    }
    one.berth("up", &["--yes"]).expect(0);
    assert_eq!(ranges(&one), second_choice);
    for lab in [&one, &other] {
        lab.berth("down", &["--yes"]).expect(0);
    }
}
