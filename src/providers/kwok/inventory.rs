use super::folder::{Dirs, Folder};
use super::processes;
use crate::base::{Fault, Owner};

/// What of an environment's local cluster still exists, in words: nothing after a whole `down`.
pub async fn remains(dirs: &Dirs, owner: &Owner) -> Result<Vec<String>, Fault> {
    let folder = Folder::new(dirs, owner);
    let mut found: Vec<String> = processes::running(&folder.programs())
        .await?
        .into_iter()
        .map(|process| format!("process {} ({})", process.component, process.pid))
        .collect();
    for path in [folder.cluster_folder(), folder.mark(), folder.kubeconfig(), folder.kwokctl_kubeconfig()] {
        if path.exists() {
            found.push(format!("`{}`", path.display()));
        }
    }
    Ok(found)
}
