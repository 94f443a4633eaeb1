use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;

/// One request as the proxy saw it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or the
    /// method in lower case for what is no resource.
    pub verb: &'static str,
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural with its subresource, `namespaces` or `deployments/status`; the path itself for
    /// what is no resource.
    pub resource: String,
    /// The namespace of the request, empty when it has none.
    pub namespace: String,
    /// The object's name, empty for lists and creates.
    pub name: String,
    /// The label selector, decoded.
    pub selector: String,
    /// The page that a list goes on with, empty for its first page.
    pub page: String,
    /// Whether it is marked as a dry run.
    pub dry_run: bool,
    /// Who asked, by client certificate; empty with a bearer token.
    pub user: String,
    /// The path with the query.
    pub uri: String,
    /// The answer's status; 0 when none was passed on.
    pub status: u16,
    /// Bytes of the request's body.
    pub up: u64,
    /// Bytes of the answer's body as they went over the wire.
    pub down: u64,
    /// When it came in, since the proxy began.
    pub at: Duration,
}

impl Request {
    /// What `method` on `uri` with `body` means.
    pub fn read(method: &Method, uri: &http::Uri, body: &[u8]) -> Self {
        let query: BTreeMap<String, String> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_string(), decode(value)))
            .collect();
        let get = |key: &str| query.get(key).cloned().unwrap_or_default();
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", &[][..]),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
            rest => ("", rest),
        };
        let (resource, name) = match rest {
            [] => (uri.path().to_string(), ""),
            [plural] => ((*plural).to_string(), ""),
            [plural, name] => ((*plural).to_string(), *name),
            [plural, name, sub @ ..] => (format!("{plural}/{}", sub.join("/")), *name),
        };
        let verb = match (method.as_str(), rest.is_empty(), name.is_empty()) {
            ("GET", true, _) => "get",
            ("GET", _, _) if matches!(get("watch").as_str(), "true" | "1") => "watch",
            ("GET", _, true) => "list",
            ("GET", _, false) => "get",
            ("POST", _, _) => "create",
            ("PUT", _, _) => "update",
            ("PATCH", _, _) => "patch",
            ("DELETE", _, true) => "deletecollection",
            ("DELETE", _, false) => "delete",
            _ => "other",
        };
        let in_body = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|body| {
            body.get("dryRun").and_then(serde_json::Value::as_array).is_some_and(|list| !list.is_empty())
        });
        Self {
            verb,
            group: group.to_string(),
            resource,
            namespace: namespace.to_string(),
            name: name.to_string(),
            selector: get("labelSelector"),
            page: get("continue"),
            dry_run: !get("dryRun").is_empty() || in_body,
            user: String::new(),
            uri: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            status: 0,
            up: u64::try_from(body.len()).expect("a body fits"),
            down: 0,
            at: Duration::ZERO,
        }
    }

    /// Whether it asks for a change of what is stored. Dry runs and reviews do not.
    pub fn is_mutating(&self) -> bool {
        matches!(self.verb, "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.dry_run
            && !matches!(self.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
    }

    /// `patch namespaces/status checkout-ns`.
    pub fn title(&self) -> String {
        [self.verb, &self.resource, &self.namespace, &self.name, &self.selector]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What a proxy saw, in the order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Log(pub Vec<Request>);

impl Log {
    /// The requests that asked for a change.
    pub fn writes(&self) -> Vec<&Request> {
        self.0.iter().filter(|request| request.is_mutating()).collect()
    }

    /// One line for each request that asked for a change.
    pub fn write_titles(&self) -> Vec<String> {
        self.writes().into_iter().map(Request::title).collect()
    }

    /// How many first pages of lists were asked for, by `group/resource selector`.
    pub fn lists(&self) -> BTreeMap<String, usize> {
        let mut lists = BTreeMap::new();
        for request in self.0.iter().filter(|request| request.verb == "list" && request.page.is_empty()) {
            let key = format!("{}/{} {}", request.group, request.resource, request.selector);
            *lists.entry(key).or_default() += 1;
        }
        lists
    }

    /// Those of `verb`.
    pub fn of(&self, verb: &str) -> Vec<&Request> {
        self.0.iter().filter(|request| request.verb == verb).collect()
    }

    /// How many bytes went up and down.
    pub fn bytes(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(up, down), request| (up + request.up, down + request.down))
    }
}

/// Percent-decoding of a query value.
fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digits =
                    [bytes.next(), bytes.next()].into_iter().flatten().map(char::from).collect::<String>();
                decoded.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            byte => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, uri: &'static str) -> Request {
        Request::read(method, &http::Uri::from_static(uri), b"")
    }

    #[test]
    fn requests_are_read_as_the_api_server_reads_them() {
        let titles: Vec<String> = [
            read(&Method::GET, "/api/v1/namespaces?labelSelector=berth.dev%2Fowner%3Dx&limit=5"),
            read(&Method::GET, "/api/v1/namespaces/shop"),
            read(&Method::PATCH, "/api/v1/namespaces/shop/status"),
            read(&Method::GET, "/apis/apps/v1/namespaces/shop/deployments?watch=true"),
            read(&Method::POST, "/api/v1/namespaces/shop/pods/web/eviction"),
            read(&Method::DELETE, "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
            read(&Method::GET, "/readyz"),
        ]
        .iter()
        .map(Request::title)
        .collect();
        assert_eq!(
            titles,
            [
                "list namespaces berth.dev/owner=x",
                "get namespaces shop",
                "patch namespaces/status shop",
                "watch deployments shop",
                "create pods/eviction shop web",
                "deletecollection clusterroles",
                "get /readyz",
            ]
        );
    }

    #[test]
    fn a_dry_run_and_a_review_are_no_writes() {
        let dry = read(&Method::PATCH, "/api/v1/namespaces/shop?dryRun=All&fieldManager=berth");
        let review = read(&Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        let in_body = Request::read(
            &Method::DELETE,
            &http::Uri::from_static("/api/v1/namespaces/shop"),
            br#"{"kind":"DeleteOptions","dryRun":["All"]}"#,
        );
        assert!(!dry.is_mutating() && !review.is_mutating() && !in_body.is_mutating());
        assert!(read(&Method::DELETE, "/api/v1/namespaces/shop").is_mutating());
    }
}
