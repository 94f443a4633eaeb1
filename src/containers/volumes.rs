use std::collections::BTreeMap;

use super::Engine;
use super::inspect::texts;
use crate::base::Fault;

impl Engine {
    /// The labels of the volume `name`; `None` when there is no such volume.
    pub async fn volume_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let finished = self.question("look at a volume", ["volume", "inspect", name]).await?;
        let values = self.values("volume inspect", &finished.stdout)?;
        Ok(values.first().map(|volume| texts(&volume["Labels"])))
    }
}
