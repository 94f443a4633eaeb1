/// The known name that somebody who typed `given` most likely meant.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    if given.is_empty() || given.len() > 64 {
        return None;
    }
    let allowed = match given.chars().count() {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    known
        .map(|name| {
            let plain = name.to_lowercase();
            let mut distance = strsim::osa_distance(&given, &plain);
            // `groups` for `nodeGroups`, `node-groups` for `nodeGroups`.
            if given.replace(['-', '_', ' '], "") == plain.replace(['-', '_'], "") {
                distance = 0;
            } else if plain.ends_with(&format!("/{given}")) {
                // `gpu` for `nvidia.com/gpu`, which is closer than `cpu`.
                distance = 0;
            } else if given.len() >= 4 && (plain.starts_with(&given) || plain.ends_with(&given)) {
                distance = distance.min(allowed);
            }
            (distance, name)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_a_stranger_is_not() {
        let known = ["nodeGroups", "tenants", "addons", "machine"];
        let near = |given| nearest(given, known.into_iter());
        assert_eq!(near("nodegroups"), Some("nodeGroups"));
        assert_eq!(near("node_groups"), Some("nodeGroups"));
        assert_eq!(near("groups"), Some("nodeGroups"));
        assert_eq!(near("tennants"), Some("tenants"));
        assert_eq!(near("machien"), Some("machine"));
        assert_eq!(nearest("gpu", ["cpu", "nvidia.com/gpu"].into_iter()), Some("nvidia.com/gpu"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
    }
}
