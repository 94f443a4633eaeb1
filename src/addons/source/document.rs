use serde_json::Value;

/// One YAML document of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it is, for messages: ``document 3 of `install.yaml` (line 40)``.
    pub place: String,
    /// What stands in it.
    pub body: Value,
}
