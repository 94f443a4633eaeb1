use std::net::{Ipv4Addr, SocketAddr};

use serde::Serialize;
use serde_json::Value;

use super::http::{self, Answer};
use super::store::host;
use crate::base::{Fault, FaultKind};
use crate::flow::{Flow, Tally};

/// So many repositories are asked for at once.
const PAGE: usize = 200;
/// So many repositories are asked for their tags at a time.
const AT_ONCE: usize = 8;

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Its name: `checkout/api`.
    pub name: String,
    /// Its tags, sorted; none when all were deleted.
    pub tags: Vec<String>,
}

/// What is in the registry at `port` of this machine, by name. `up` is the command that starts it.
pub async fn repositories(port: u16, up: &str, flow: &Flow) -> Result<Vec<Repository>, Fault> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let attempted = format!("list what is in the registry {}", host(port));
    let mut names: Vec<String> = Vec::new();
    loop {
        let last = names.last().map_or_else(String::new, |last| format!("&last={}", escaped(last)));
        let answer = http::get(address, &format!("/v2/_catalog?n={PAGE}{last}"), flow).await;
        let answer = answer.map_err(|fault| Fault {
            kind: FaultKind::Invalid,
            attempted: attempted.clone(),
            hint: Some(format!("`{up}` starts the registry that its profile declares")),
            ..fault
        })?;
        let page = texts(&checked(&answer, &attempted)?["repositories"]);
        let is_last = page.len() < PAGE;
        // One that gives the same page again would be asked for ever.
        let is_old = page.iter().any(|name| names.contains(name));
        names.extend(page);
        if is_last || is_old {
            break;
        }
    }
    names.sort();
    names.dedup();
    let mut tally = Tally::new(names.len(), "repositories");
    let (flow_of, attempted) = (flow, &attempted);
    flow.each(names, AT_ONCE, &mut tally, |name| async move {
        let answer = http::get(address, &format!("/v2/{name}/tags/list"), flow_of).await?;
        // One whose last image was deleted is known by its name alone.
        let mut tags = match answer.status {
            404 => Vec::new(),
            _ => texts(&checked(&answer, attempted)?["tags"]),
        };
        tags.sort();
        Ok(Repository { name, tags })
    })
    .await
}

/// Whether the registry at `port` of this machine lets nobody in without a login: one that berth started
/// never does that. One that does not answer does not, either.
pub async fn wants_login(port: u16, flow: &Flow) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    http::get(address, "/v2/", flow).await.is_ok_and(|answer| answer.status == 401)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}

fn escaped(name: &str) -> String {
    name.replace('/', "%2F")
}

/// The body of an answer that is a success.
fn checked(answer: &Answer, attempted: &str) -> Result<Value, Fault> {
    let Answer { status, body, .. } = answer;
    let fault = |why: String, hint: &str| Fault::new(FaultKind::Invalid, attempted, why).hint(hint);
    match status {
        200 => serde_json::from_str(body)
            .map_err(|error| fault(format!("its answer is no JSON: {error}"), "is this a registry?")),
        401 => {
            Err(fault("it wants a login".to_string(), "berth did not start it: ask it with its own tools"))
        }
        _ => Err(fault(format!("it answered {status}"), "a registry that keeps no catalog cannot be listed")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::flow::Cancel;

    /// What is listed of a registry that answers each request with what `answer` says of its path: a status and a
    /// body.
    async fn listed(answer: impl Fn(&str) -> (u16, Value)) -> Result<Vec<Repository>, Fault> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let serving = async {
            loop {
                let (mut stream, _) = listener.accept().await.expect("somebody asks");
                let mut bytes = [0; 2048];
                let length = stream.read(&mut bytes).await.expect("a request");
                let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let (status, body) = answer(request.split(' ').nth(1).unwrap_or_default());
                let text = format!("HTTP/1.0 {status} x\r\nContent-Type: application/json\r\n\r\n{body}");
                stream.write_all(text.as_bytes()).await.expect("it reads");
            }
        };
        let flow = Flow::new(Cancel::default());
        tokio::select! {
            listed = repositories(port, "berth up lab", &flow) => listed,
            () = serving => unreachable!("it serves for ever"),
        }
    }

    #[tokio::test]
    async fn a_catalog_of_several_pages_is_read_to_its_end() {
        let names =
            |range: std::ops::Range<usize>| range.map(|n| format!("team/app-{n:03}")).collect::<Vec<_>>();
        let all = listed(|path| match path {
            "/v2/_catalog?n=200" => (200, json!({"repositories": names(0..200)})),
            "/v2/_catalog?n=200&last=team%2Fapp-199" => (200, json!({"repositories": names(200..203)})),
            _ => (404, json!({})),
        });
        let all = all.await.expect("it answers");
        assert_eq!((all.len(), all[202].name.as_str()), (203, "team/app-202"));
        // One whose images were all deleted is known by its name alone.
        assert!(all.iter().all(|repository| repository.tags.is_empty()));
    }

    #[tokio::test]
    async fn a_registry_that_gives_one_page_for_ever_is_not_asked_for_ever() {
        let page: Vec<String> = (0..200).map(|n| format!("app-{n}")).collect();
        let all = listed(|path| {
            let is_catalog = path.starts_with("/v2/_catalog");
            (200, if is_catalog { json!({"repositories": page}) } else { json!({"tags": ["v1"]}) })
        });
        assert_eq!(all.await.expect("it answers").len(), 200);
    }
}
