use minijinja::Environment;
use serde::Deserialize;
use serde_json::Value;

use super::error::AddonError;
use super::template::problem;

/// A value that is worked out once: templates, rules and later ones see it as `values.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// An expression of templates.
    pub is: String,
}

impl Named {
    /// Adds the value to `values.values`.
    pub(super) fn add(
        &self,
        templates: &Environment<'_>,
        values: &mut Value,
        place: &str,
    ) -> Result<(), AddonError> {
        let value = evaluate(templates, &self.is, values)
            .and_then(|value| {
                serde_json::to_value(value).map_err(|error| {
                    minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string())
                })
            })
            .map_err(|error| {
                AddonError::file(place, format!("value `{}`: {}", self.name, problem(&error)))
            })?;
        values["values"][&self.name] = value;
        Ok(())
    }
}

/// The value of an expression.
pub(super) fn evaluate(
    templates: &Environment<'_>,
    expression: &str,
    values: &Value,
) -> Result<minijinja::Value, minijinja::Error> {
    templates.compile_expression(expression)?.eval(minijinja::value::Serde(values))
}

/// Something that a profile must not ask for: options that do not go together, or not with the platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The option that is wrong then: `service.internal`.
    pub option: String,
    /// An expression of templates: `options.service.internal and platform.provider == "kind"`.
    pub when: String,
    /// Why it cannot be had.
    pub because: String,
    /// What to write instead.
    pub hint: String,
}

impl Rule {
    /// Refuses `values`, the same that templates see, when the rule is about them. `path` is where the options
    /// stand in the profile, `place` the file of the rule.
    pub(super) fn check(
        &self,
        templates: &Environment<'_>,
        values: &Value,
        path: &str,
        place: &str,
    ) -> Result<(), AddonError> {
        let holds = evaluate(templates, &self.when, values).map_err(|error| {
            AddonError::file(place, format!("`when: {}`: {}", self.when, problem(&error)))
        })?;
        if holds.is_true() {
            let path = format!("{path}.{}", self.option);
            return Err(AddonError::option(&path, self.because.clone(), Some(self.hint.clone())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::addons::template::Templates;

    fn check(when: &str) -> Result<(), AddonError> {
        let rule = Rule {
            option: "service.internal".to_string(),
            when: when.to_string(),
            because: "nothing here is external".to_string(),
            hint: "leave it out".to_string(),
        };
        let values = json!({"options": {"internal": true}, "platform": {"provider": "kind"}});
        rule.check(Templates::new().environment(), &values, "addons.x", "x/addon.yaml")
    }

    #[test]
    fn a_rule_that_holds_refuses_the_option_by_its_path() {
        assert_eq!(check("options.internal and platform.provider in ['eks']"), Ok(()));
        let error = check("options.internal and platform.provider not in ['eks']").expect_err("refused");
        assert_eq!(error.to_string(), "`addons.x.service.internal`: nothing here is external");
        assert_eq!(error.hint().as_deref(), Some("leave it out"));
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_refused_by_its_file() {
        for when in ["options.internal and", "options.no.such"] {
            let error = check(when).expect_err("refused").to_string();
            assert!(error.starts_with(&format!("`x/addon.yaml`: `when: {when}`: ")), "{error}");
        }
    }
}
