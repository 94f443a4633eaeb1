use std::time::{Duration, Instant};

use serde_json::Value;

use super::canary::{PART, container, job, pod};
use super::pod::{Place, Standing, condition, ended, is_about_image, is_going, place, standing};
use crate::base::{Fault, FaultKind};
use crate::flow::Flow;
use crate::k8s::Trial;

/// How long an answer over the network of the cluster may take.
const ANSWER: &str = "--timeout=2s";
/// How long a pod may take to run, with its image.
pub(super) const START: Duration = Duration::from_mins(2);

/// The label by which the pod of a Job is known.
const JOB: &str = "batch.kubernetes.io/job-name";

/// The canary in its namespace: what it is asked with.
#[derive(Clone, Copy)]
pub(super) struct Canary<'a> {
    pub(super) trial: &'a Trial,
    pub(super) image: &'a str,
    /// What helps where its image cannot be had.
    pub(super) remedy: &'a str,
    pub(super) flow: &'a Flow,
}

/// How an attempt to connect from a pod ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Somebody answered.
    Connected,
    /// Nobody did: `REFUSED`, `TIMEOUT`, or what the network said. All of them are a denial.
    Unanswered(String),
    /// The name is not known.
    NoName(String),
    /// It was not made; the text says why.
    NotMade(String),
}

/// An attempt to connect to `to`, made by a pod that is known as `part`.
#[derive(Clone, Copy)]
pub(super) struct Connection<'a> {
    /// The name of its Job.
    pub(super) name: &'a str,
    pub(super) part: &'a str,
    /// What has to answer before, from the same pod; else the attempt is not made.
    pub(super) first: Option<&'a str>,
    pub(super) to: &'a str,
}

/// What the pod of a Job tells of its attempt; `None` while it is under way.
fn judge(pod: &Value) -> Option<Attempt> {
    match ended(pod, "first") {
        Some((0, _)) | None => {}
        Some((_, said)) => {
            return Some(Attempt::NotMade(format!("the way there is not open: {said}")));
        }
    }
    match ended(pod, "attempt") {
        Some((0, _)) => Some(Attempt::Connected),
        Some((_, said)) if said.starts_with("DNS") => Some(Attempt::NoName(said)),
        Some((_, said)) if ["REFUSED", "TIMEOUT", "OTHER"].iter().any(|word| said.starts_with(word)) => {
            Some(Attempt::Unanswered(said))
        }
        Some((code, said)) => Some(Attempt::NotMade(format!("the canary ended with {code}: {said}"))),
        None => match standing(pod) {
            Standing::Stuck(why) => Some(Attempt::NotMade(why)),
            // All containers of a Job's pod end; one that is stopped from outside says so here.
            _ if pod["status"]["phase"] == "Failed" => {
                let why = pod["status"]["message"].as_str().unwrap_or("its pod was stopped");
                Some(Attempt::NotMade(why.to_string()))
            }
            _ => None,
        },
    }
}

/// Looking again and again, less often as time goes by, for so long.
struct Wait {
    began: Instant,
    limit: Duration,
}

impl Wait {
    fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), limit }
    }

    /// Waits a moment; false when the limit or the time of the run is over.
    async fn again(&self, flow: &Flow) -> Result<bool, Fault> {
        let passed = self.began.elapsed();
        if passed >= self.limit {
            return Ok(false);
        }
        let pause = (passed / 10).clamp(Duration::from_millis(100), Duration::from_secs(2));
        match flow.pause(pause, "wait for the canary").await {
            Err(fault) if fault.kind == FaultKind::Deadline => Ok(false),
            paused => paused.map(|()| true),
        }
    }
}

impl Canary<'_> {
    /// Looks until there is something, or `limit` or the time of the run is over: then why there is not.
    pub(super) async fn until<T>(
        &self,
        limit: Duration,
        mut look: impl AsyncFnMut() -> Result<Result<T, String>, Fault>,
    ) -> Result<Result<T, String>, Fault> {
        let wait = Wait::new(limit);
        loop {
            let why = match look().await? {
                Ok(found) => return Ok(Ok(found)),
                Err(why) => why,
            };
            if !wait.again(self.flow).await? {
                return Ok(Err(why));
            }
        }
    }

    /// Waits until the one pod of the Deployment `part` is ready: where it is, or why it is not.
    pub(super) async fn ready(&self, part: &str, limit: Duration) -> Result<Result<Place, String>, Fault> {
        let wait = Wait::new(limit);
        loop {
            let pods = self.trial.pods(PART, part, self.flow).await?;
            let why = match pods.iter().find(|pod| !is_going(pod)).map(standing) {
                Some(Standing::Ready(place)) => return Ok(Ok(place)),
                Some(Standing::Stuck(why)) => return Ok(Err(self.with_advice(why))),
                Some(Standing::OnItsWay(why)) => why,
                None => self.why_no_pod(part).await?,
            };
            if !wait.again(self.flow).await? {
                return Ok(Err(why));
            }
        }
    }

    /// Waits until the pod of `part` has a node, whether it runs there or not.
    pub(super) async fn scheduled(
        &self,
        part: &str,
        limit: Duration,
    ) -> Result<Result<Place, String>, Fault> {
        let wait = Wait::new(limit);
        loop {
            let pods = self.trial.pods(PART, part, self.flow).await?;
            let why = match pods.first().map(|pod| (place(pod), standing(pod))) {
                Some((place, _)) if !place.node.is_empty() => return Ok(Ok(place)),
                Some((_, Standing::OnItsWay(why) | Standing::Stuck(why))) => why,
                Some((_, Standing::Ready(place))) => return Ok(Ok(place)),
                None => self.why_no_pod(part).await?,
            };
            if !wait.again(self.flow).await? {
                return Ok(Err(why));
            }
        }
    }

    /// Has a pod try to connect, once.
    pub(super) async fn attempt(&self, connection: &Connection<'_>) -> Result<Attempt, Fault> {
        let client = |name: &str, to: &str| container(name, self.image, &["connect", to, ANSWER]);
        let first: Vec<Value> = connection.first.map(|to| client("first", to)).into_iter().collect();
        let pod = pod(&first, &[client("attempt", connection.to)]);
        self.trial.put(job(connection.name, connection.part, pod), self.flow).await?;
        let wait = Wait::new(START);
        loop {
            let pods = self.trial.pods(JOB, connection.name, self.flow).await?;
            match pods.first().and_then(judge) {
                Some(Attempt::NotMade(why)) => return Ok(Attempt::NotMade(self.with_advice(why))),
                Some(attempt) => return Ok(attempt),
                None => {}
            }
            if !wait.again(self.flow).await? {
                return Ok(Attempt::NotMade(match pods.first().map(standing) {
                    Some(Standing::OnItsWay(why) | Standing::Stuck(why)) => why,
                    Some(Standing::Ready(_)) => "it does not end".to_string(),
                    None => "no pod is made for its Job".to_string(),
                }));
            }
        }
    }

    async fn why_no_pod(&self, part: &str) -> Result<String, Fault> {
        let deployment = self.trial.get("apps/v1", "Deployment", part, self.flow).await?.unwrap_or_default();
        let failure =
            condition(&deployment, "ReplicaFailure").and_then(|failure| failure["message"].as_str());
        Ok(match failure {
            Some(why) => format!("no pod is made: {why}"),
            None => "no pod is made yet".to_string(),
        })
    }

    /// What is wrong, with what helps when it is the image.
    fn with_advice(&self, why: String) -> String {
        if is_about_image(&why) { format!("the image `{}` cannot be had: {why}", self.image) } else { why }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended_with(first: Option<(i64, &str)>, attempt: Option<(i64, &str)>) -> Value {
        let status = |name: &str, ended: Option<(i64, &str)>| {
            ended.map(|(code, said)| {
                json!({"name": name, "state": {"terminated": {"exitCode": code, "message": said}}})
            })
        };
        let list = |one: Option<Value>| one.into_iter().collect::<Vec<Value>>();
        json!({"status": {"initContainerStatuses": list(status("first", first)),
            "containerStatuses": list(status("attempt", attempt))}})
    }

    #[test]
    fn a_refused_connection_is_as_unanswered_as_one_that_times_out() {
        for said in ["REFUSED", "TIMEOUT", "OTHER: no route to host"] {
            let pod = ended_with(Some((0, "Completed")), Some((1, said)));
            assert_eq!(judge(&pod), Some(Attempt::Unanswered(said.to_string())));
        }
        assert_eq!(judge(&ended_with(None, Some((0, "Completed")))), Some(Attempt::Connected));
    }

    #[test]
    fn an_attempt_that_was_not_made_proves_nothing() {
        let blocked = judge(&ended_with(Some((1, "TIMEOUT")), None));
        assert_eq!(blocked, Some(Attempt::NotMade("the way there is not open: TIMEOUT".to_string())));
        let killed = judge(&ended_with(None, Some((137, "OOMKilled"))));
        assert_eq!(killed, Some(Attempt::NotMade("the canary ended with 137: OOMKilled".to_string())));
        assert_eq!(judge(&ended_with(Some((0, "Completed")), None)), None);
    }

    #[test]
    fn a_name_that_is_not_known_is_told_from_nobody_answering() {
        let said = "DNS: lookup target: no such host";
        assert_eq!(judge(&ended_with(None, Some((1, said)))), Some(Attempt::NoName(said.to_string())));
    }
}
