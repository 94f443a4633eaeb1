use std::collections::BTreeSet;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::node::Node;
use super::wanted::{Source, Wanted};
use crate::base::{Fault, FaultKind};
use crate::containers::{Engine, EngineKind};
use crate::flow::{Flow, Notice};
use crate::os::{Finished, Pipe, Piped, Program, Source as From, files};

/// Bytes in what is counted.
const MEGABYTE: u64 = 1_000_000;
/// Kubernetes learns of an image a moment after containerd has it.
const SIGHT: Duration = Duration::from_millis(100);
/// And if it has not by then, it does not.
const LOOKS: u32 = 50;
const WRITE_ANEW: &str = "write the archive anew: `docker save -o FILE IMAGE`";

/// Images that are sent in one stream, since they come from one place and the same nodes lack them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The images.
    pub wanted: Vec<Wanted>,
    /// The nodes that lack them.
    pub nodes: Vec<Node>,
}

/// How a batch ended on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The node.
    pub node: String,
    /// The names that it now has; or why it has none of them.
    pub result: Result<Vec<String>, Fault>,
}

/// What has to be sent: images that lack on the same nodes together. What no node lacks is in none.
pub fn batches(wanted: &[Wanted], nodes: &[Node]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for image in wanted {
        let lacking: Vec<Node> =
            nodes.iter().filter(|node| !node.has(&image.names, &image.ids)).cloned().collect();
        if lacking.is_empty() {
            continue;
        }
        match batches.iter_mut().find(|batch| batch.nodes == lacking && batch.takes(image)) {
            Some(batch) => batch.wanted.push(image.clone()),
            None => batches.push(Batch { wanted: vec![image.clone()], nodes: lacking }),
        }
    }
    batches
}

impl Batch {
    /// How it is told.
    pub fn title(&self) -> String {
        self.wanted.iter().map(Wanted::title).collect::<Vec<_>>().join(", ")
    }

    fn takes(&self, image: &Wanted) -> bool {
        let first = &self.wanted[0];
        match (&first.source, &image.source) {
            (Source::Archive { path: one, .. }, Source::Archive { path: other, .. }) => one == other,
            (Source::Engine { platform: one, .. }, Source::Engine { platform: other, .. }) => {
                // Of what has no name in its archive there may be one alone.
                one == other && !first.by_digest() && !image.by_digest()
            }
            _ => false,
        }
    }

    /// Sends it to all its nodes at once. Reports how far it is, in megabytes. If this dies half way, no node has
    /// a name for what it got: containerd gives names last, and removes what has none.
    ///
    /// # Errors
    /// When the images cannot be read; what befalls a single node is in its result.
    pub async fn send(&self, engine: &Engine, flow: &Flow) -> Result<Vec<Landed>, Fault> {
        let attempted = format!("load `{}`", self.title());
        flow.check(&attempted)?;
        let from = self.source(engine)?;
        let total = self.wanted.iter().map(|image| image.size).sum::<u64>();
        let total = usize::try_from(total.div_ceil(MEGABYTE)).unwrap_or(usize::MAX);
        let by_digest = self.wanted[0].by_digest();
        let readers = self.nodes.iter().map(|node| node.import(engine, by_digest)).collect();
        let last = AtomicUsize::new(0);
        let told = |bytes: u64| {
            let done = usize::try_from(bytes / MEGABYTE).unwrap_or(usize::MAX).min(total);
            if done > last.swap(done, Ordering::Relaxed) {
                flow.report(Notice::Counted { done, total, unit: "MB" });
                if done == total {
                    flow.report(Notice::Waiting("sent, being unpacked".to_string()));
                }
            }
        };
        let finished = match Pipe::new(from, readers).run(told).await? {
            Piped::Cut(source) => return Err(self.unreadable(engine, &source)),
            Piped::Through(finished) => finished,
        };
        let landings = self.nodes.iter().zip(&finished).map(|(node, finished)| async move {
            let result = self.land(engine, flow, node, finished).await;
            Landed { node: node.name.clone(), result }
        });
        Ok(futures::future::join_all(landings).await)
    }

    fn source(&self, engine: &Engine) -> Result<From, Fault> {
        let first = &self.wanted[0];
        match &first.source {
            Source::Archive { path, unpacker: Some(unpacker) } => {
                Ok(From::Program(Program::new(unpacker).arg("-dc").arg(path)))
            }
            Source::Archive { path, unpacker: None } => {
                let file = File::open(path).map_err(|error| files::fault("open", path, &error))?;
                Ok(From::File(file))
            }
            Source::Engine { platform, .. } => {
                let saved_as = self.wanted.iter().flat_map(|image| match &image.source {
                    Source::Engine { saved_as, .. } => saved_as.clone(),
                    Source::Archive { .. } => Vec::new(),
                });
                // An id may stand for names that were asked for too.
                let saved_as: BTreeSet<String> = saved_as.collect();
                let saved_as: Vec<String> = saved_as.into_iter().collect();
                Ok(From::Program(engine.save(&saved_as, platform.as_deref())))
            }
        }
    }

    /// The fault of the program that the images come from.
    fn unreadable(&self, engine: &Engine, source: &Finished) -> Fault {
        match &self.wanted[0].source {
            Source::Engine { .. } => engine.failed(&format!("read `{}`", self.title()), source),
            Source::Archive { path, .. } => {
                let attempted = format!("read image archive `{}`", path.display());
                Fault::new(FaultKind::Invalid, attempted, source.stderr_tail(1)).hint(WRITE_ANEW)
            }
        }
    }

    /// What came of it on `node`, whose import ended so: until Kubernetes sees every name.
    async fn land(
        &self,
        engine: &Engine,
        flow: &Flow,
        node: &Node,
        finished: &Finished,
    ) -> Result<Vec<String>, Fault> {
        if !finished.succeeded() {
            return Err(self.refused(engine.kind(), node, finished));
        }
        let given = given_names(&finished.stdout);
        let mut names: Vec<String> = self.wanted.iter().flat_map(|image| image.names.clone()).collect();
        if names.is_empty() {
            names.clone_from(&given);
        }
        if self.wanted[0].by_digest()
            && let (Some(name), Some(own)) = (names.first(), given.first())
            && name != own
        {
            node.rename(engine, own, name).await?;
        }
        let attempted = format!("see `{}` on node `{}`", names.join(", "), node.name);
        let mut now = Node::look(engine, &node.name).await?;
        for _ in 0..LOOKS {
            if self.wanted.iter().all(|image| image.names.is_empty() || now.has(&image.names, &image.ids))
                && now.shows(&names)
            {
                return Ok(names);
            }
            flow.pause(SIGHT, &attempted).await?;
            now = Node::look(engine, &node.name).await?;
        }
        if now.shows(&names) {
            return Ok(names);
        }
        Err(Fault::new(FaultKind::Transient, attempted, "its container runtime took it and does not show it")
            .hint(format!("`{} exec {} crictl images` shows what it has", engine.kind(), node.name)))
    }

    fn refused(&self, engine: EngineKind, node: &Node, finished: &Finished) -> Fault {
        let said =
            finished.stderr.lines().filter(|line| !line.starts_with("time=")).collect::<Vec<_>>().join("\n");
        let reason = said.trim().trim_start_matches("ctr: ").to_string();
        let reason = if reason.is_empty() { "its import ended without a word".to_string() } else { reason };
        let attempted = format!("load `{}` into node `{}`", self.title(), node.name);
        let archive = matches!(self.wanted[0].source, Source::Archive { .. });
        let (kind, hint) = if reason.contains("no space left on device") {
            (FaultKind::Quota, format!("its disk is that of {engine}: {}", engine.how_to_make_room()))
        } else if ["unexpected EOF", "unrecognized image format", "invalid tar header", "short read"]
            .iter()
            .any(|word| reason.contains(word))
        {
            let hint = if archive { WRITE_ANEW } else { "run the same command again" };
            (FaultKind::Invalid, hint.to_string())
        } else if reason.contains("not found") && reason.contains("digest") {
            (FaultKind::Invalid, "a part of it is not here: pull it anew for this platform, or save an archive of it for that platform alone".to_string())
        } else {
            (FaultKind::Transient, "run the same command again: nodes that have it are skipped".to_string())
        };
        Fault::new(kind, attempted, reason).hint(hint)
    }
}

/// The names in `unpacking localhost/hello:v1 (sha256:…)...done`.
fn given_names(stdout: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("unpacking ")?.split_whitespace().next()?.to_string());
    stdout.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::flow::Cancel;

    const ID: &str = "sha256:8c76";

    fn wanted(name: &str) -> Wanted {
        Wanted {
            names: vec![name.to_string()],
            ids: vec![ID.to_string()],
            size: 7,
            note: None,
            source: Source::Engine { saved_as: vec![name.to_string()], platform: None },
        }
    }

    /// An engine whose node shows what stands in the file `shown` of `folder`, and calls what it is sent by a name of
    /// its own.
    fn engine(folder: &std::path::Path, kind: EngineKind) -> Engine {
        let script = format!(
            r#"cd '{}'
echo "$*" >>calls
case "$*" in
'save '*) printf archive ;;
'exec --interactive lab '*) cat >/dev/null; echo 'unpacking import-1@{ID} ({ID})...done' ;;
*' import-1@{ID} '*) echo '{{"images": [{{"id": "{ID}", "repoTags": ["app@{ID}"]}}]}}' >shown ;;
'exec lab sh '*) cat shown; printf '\n>\nREF\n>\n' ;;
*) exit 70 ;;
esac"#,
            folder.display()
        );
        fs::write(folder.join("shown"), r#"{"images": []}"#).expect("the folder is ours");
        Engine::played(kind, folder, &script)
    }

    #[tokio::test]
    async fn an_image_that_is_asked_for_by_digest_goes_alone_and_gets_its_name_on_the_node() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = engine(folder.path(), EngineKind::Docker);
        let node = Node::look(&engine, "lab").await.expect("it answers");
        let all = [
            wanted(&format!("app@{ID}")),
            wanted("docker.io/library/app:v1"),
            wanted("docker.io/library/b:v1"),
        ];
        let batches = batches(&all, std::slice::from_ref(&node));
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.wanted.len()).collect();
        assert_eq!(sizes, [1, 2]);
        let landed = batches[0].send(&engine, &Flow::new(Cancel::default())).await.expect("it is read");
        assert_eq!(landed[0].result, Ok(vec![format!("app@{ID}")]));
    }

    #[test]
    fn what_a_node_took_is_told_by_its_words() {
        let said = "unpacking localhost/ld:v3 (sha256:49df)...done\nunpacking docker.io/library/b:v1 (sha256:00)...done\n";
        assert_eq!(given_names(said), ["localhost/ld:v3", "docker.io/library/b:v1"]);
    }
}
