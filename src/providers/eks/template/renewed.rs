use std::collections::BTreeMap;

/// Between what a resource is called first and how often it was renewed.
const MARK: &str = "Renewed";

/// What of a stack was made anew under another logical id, and how often: what was deleted behind the back of
/// `CloudFormation` does not come again under its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewed(BTreeMap<String, u32>);

impl Renewed {
    /// What the resource `id` is called by now.
    pub fn id(&self, id: &str) -> String {
        self.0.get(id).map_or_else(|| id.to_string(), |times| format!("{id}{MARK}{times}"))
    }

    /// The same once the resource that is called `id` by now is made anew.
    pub fn renew(&mut self, id: &str) {
        *self.0.entry(first(id).to_string()).or_default() += 1;
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As one text, which [`Renewed::read`] reads.
    pub fn written(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(id, times)| format!("{id}={times}")).collect();
        parts.join(",")
    }

    /// What `text` tells.
    pub fn read(text: &str) -> Self {
        let parts = text.split(',').filter_map(|part| part.split_once('='));
        Self(parts.filter_map(|(id, times)| Some((id.to_string(), times.parse().ok()?))).collect())
    }
}

/// What the resource `id` was called first.
pub fn first(id: &str) -> &str {
    let times = id.rsplit_once(MARK).filter(|(_, times)| times.parse::<u32>().is_ok());
    times.map_or(id, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_renewed_again_has_a_third_name() {
        let mut renewed = Renewed::default();
        assert_eq!(renewed.id("NatGatewayA"), "NatGatewayA");
        renewed.renew("NatGatewayA");
        assert_eq!(renewed.id("NatGatewayA"), "NatGatewayARenewed1");
        let mut renewed = Renewed::read(&renewed.written());
        renewed.renew("NatGatewayARenewed1");
        assert_eq!(renewed.id("NatGatewayA"), "NatGatewayARenewed2");
        assert_eq!(first("NatGatewayARenewed2"), "NatGatewayA");
        assert_eq!(Renewed::read(""), Renewed::default());
    }
}
