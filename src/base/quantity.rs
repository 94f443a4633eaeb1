use std::fmt;
use std::str::FromStr;

/// A Kubernetes quantity: `10`, `500m`, `20Gi`. Keeps the text as written and its exact value.
///
/// The grammar is that of `k8s.io/apimachinery/pkg/api/resource.Quantity`.
#[derive(Debug, Clone)]
pub struct Quantity {
    text: String,
    /// In thousandths of the unit, rounded up as the API server does.
    thousandths: i128,
}

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The number is missing or malformed.
    #[error("`{0}` is no quantity: write a number with a unit, such as `500m`, `10` or `20Gi`")]
    Malformed(String),
    /// The unit is not one that Kubernetes knows.
    #[error("`{unit}` is no unit of a quantity: use one of m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei")]
    UnknownUnit {
        /// What stands behind the number.
        unit: String,
    },
    /// Below zero.
    #[error("`{0}` is negative")]
    Negative(String),
    /// Greater than the API server can hold.
    #[error("`{0}` is greater than 2^63, the most that Kubernetes can hold")]
    TooLarge(String),
}

impl Quantity {
    /// The value in thousandths of its unit: `500m` is 500, `1Gi` is 1,073,741,824,000.
    pub fn thousandths(&self) -> i128 {
        self.thousandths
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn parse(text: &str) -> Result<i128, QuantityError> {
        let malformed = || QuantityError::Malformed(text.to_string());
        let too_large = || QuantityError::TooLarge(text.to_string());
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if unsigned.starts_with('-') {
            return Err(QuantityError::Negative(text.to_string()));
        }
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, unit) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(malformed());
        }
        if whole.trim_start_matches('0').len() > 30 || fraction.len() > 18 {
            return Err(too_large());
        }
        let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| malformed())?;
        // digits / 10^fraction × unit × 1000, rounded up, in whole numbers.
        let (times, over) = scale(unit)?;
        let shift = 10_i128.pow(u32::try_from(fraction.len()).map_err(|_| malformed())?);
        let product = digits.checked_mul(times).and_then(|n| n.checked_mul(1000)).ok_or_else(too_large)?;
        let divisor = over.checked_mul(shift).ok_or_else(too_large)?;
        let thousandths = product / divisor + i128::from(product % divisor != 0);
        if thousandths > i128::from(i64::MAX) * 1000 { Err(too_large()) } else { Ok(thousandths) }
    }
}

/// A unit as a fraction `(times, over)`.
fn scale(unit: &str) -> Result<(i128, i128), QuantityError> {
    let unknown = || QuantityError::UnknownUnit { unit: unit.to_string() };
    Ok(match unit {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exponent = unit.strip_prefix(['e', 'E']).ok_or_else(unknown)?;
            let exponent: i32 = exponent.parse().map_err(|_| unknown())?;
            match exponent {
                0..=18 => (10_i128.pow(exponent.unsigned_abs()), 1),
                -18..=-1 => (1, 10_i128.pow(exponent.unsigned_abs())),
                _ => return Err(unknown()),
            }
        }
    })
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Ok(Self { text: text.to_string(), thousandths: Self::parse(text)? })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.thousandths == other.thousandths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.thousandths.cmp(&other.thousandths)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<i128, QuantityError> {
        text.parse::<Quantity>().map(|quantity| quantity.thousandths())
    }

    #[test]
    fn values_are_those_of_the_api_server() {
        for (text, thousandths) in [
            ("10", 10_000),
            ("500m", 500),
            ("0.5", 500),
            (".5", 500),
            ("1.", 1_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("1E3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("1u", 1),
            ("100n", 1),
        ] {
            assert_eq!(value(text), Ok(thousandths), "{text}");
        }
    }

    #[test]
    fn equal_values_in_other_words_are_equal() {
        assert_eq!("1000m".parse::<Quantity>(), "1".parse::<Quantity>());
        assert_eq!("1024Mi".parse::<Quantity>(), "1Gi".parse::<Quantity>());
    }

    #[test]
    fn what_is_no_quantity_says_why() {
        assert!(matches!(value(""), Err(QuantityError::Malformed(_))));
        assert!(matches!(value("ten"), Err(QuantityError::Malformed(_))));
        assert!(matches!(value("1.2.3"), Err(QuantityError::Malformed(_))));
        assert!(matches!(value("20GB"), Err(QuantityError::UnknownUnit { .. })));
        assert!(matches!(value("-1"), Err(QuantityError::Negative(_))));
        assert!(matches!(value("10E"), Err(QuantityError::TooLarge(_))));
    }
}
