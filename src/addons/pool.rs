use serde_json::Value;

use super::error::AddonError;
use super::ranges::Range;

/// The word that stands for a free slice of the network of kind.
pub(super) const AUTO: &str = "auto";

/// One pool of a profile, read without its network.
#[derive(Debug, PartialEq)]
pub(super) struct Pool {
    /// Its name, which no other one has.
    pub(super) name: String,
    /// The pool as the profile has it, with defaults.
    pub(super) value: Value,
    /// Where its addresses stand in the profile.
    pub(super) path: String,
    /// None for `auto`.
    pub(super) ranges: Vec<Range>,
    /// Whether addresses that end in 0 and 255 are left out.
    pub(super) avoids_ends: bool,
}

impl Pool {
    /// The pool that `value` describes. `key` is the option with the addresses under `path`; without it the
    /// profile does not say any.
    pub(super) fn read(value: Value, path: &str, key: Option<&str>) -> Result<Self, Vec<AddonError>> {
        let name = value["name"].as_str().unwrap_or_default().to_string();
        let path = key.map_or(path.to_string(), |key| format!("{path}.{key}"));
        let ranges = match &value["addresses"] {
            Value::String(text) if text == AUTO => Vec::new(),
            Value::Array(texts) => {
                let places = texts.iter().enumerate();
                let read = |(index, text)| Range::read(text, format!("{path}[{index}]"));
                let (good, wrong): (Vec<_>, Vec<_>) = places.map(read).partition(Result::is_ok);
                if !wrong.is_empty() {
                    return Err(wrong.into_iter().filter_map(Result::err).collect());
                }
                good.into_iter().filter_map(Result::ok).collect()
            }
            text => vec![Range::read(text, path.clone()).map_err(|error| vec![error])?],
        };
        let avoids_ends = value["avoidBuggyIPs"] == true;
        Ok(Self { name, value, path, ranges, avoids_ends })
    }
}

/// What is wrong with pools that share an address, each with its place in the list: they would be refused together by
/// whoever announces them.
pub(super) fn overlaps(pools: &[(usize, Pool)]) -> Vec<(usize, AddonError)> {
    let (mut before, mut errors) = (Vec::<(&str, &Range)>::new(), Vec::new());
    let ranges = pools.iter().flat_map(|(position, pool)| {
        pool.ranges.iter().map(move |range| (*position, pool.name.as_str(), range))
    });
    for (position, name, written) in ranges {
        if let Some((other, overlapped)) = before.iter().find(|(_, r)| r.range.overlaps(&written.range)) {
            let problem = format!("{} overlaps {} of pool `{other}`", written.range, overlapped.range);
            let hint = Some("let each address be in one range only".to_string());
            errors.push((position, AddonError::option(&written.path, problem, hint)));
        }
        before.push((name, written));
    }
    errors
}
