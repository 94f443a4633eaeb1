//! The logins that `docker login` has kept, found as docker finds them: in its configuration, or by asking
//! the credential helper that it names. The protocol of helpers is that of
//! <https://github.com/docker/docker-credential-helpers>.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::DockerConfig;
use super::credentials::NOT_FOUND;
use crate::base::{Fault, FaultKind, Secret};
use crate::flow::Flow;
use crate::os::{Finished, Program, find_on_path};

/// How docker calls the registry of `docker.io`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// Other names under which there may be a login for it.
const DOCKER_HUB_TOO: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];
/// A helper may have to ask its user to unlock a key ring.
const PATIENCE: Duration = Duration::from_mins(1);
/// The user name by which a helper says that its secret is an identity token.
const IDENTITY_TOKEN: &str = "<token>";

/// The logins for the registries `hosts`, and no others, as what a Secret of the type
/// `kubernetes.io/dockerconfigjson` keeps: a configuration of docker, in base64. Helpers are looked for in
/// the folders of `search_path`.
///
/// Fails when there is none for one of them, and tells all of those. Changes nothing.
pub async fn pull_secret(
    config: &DockerConfig,
    hosts: &[String],
    search_path: &OsStr,
    flow: &Flow,
) -> Result<Secret<String>, Fault> {
    let entries = config.read()?;
    // Sorted, so that their order in the profile makes no difference.
    let mut logins: BTreeMap<&str, Value> = BTreeMap::new();
    let mut missing: Vec<&str> = Vec::new();
    // One after the other: two helpers that ask for the same key ring would ask twice.
    for host in hosts {
        flow.check(&attempt(host))?;
        let found = match helper(&entries, host) {
            Some(helper) => ask(&helper, host, search_path, flow).await?,
            None => kept(&entries, host)?,
        };
        match found {
            Some(auth) => drop(logins.insert(server(host), json!({"auth": auth.reveal()}))),
            None => missing.push(host),
        }
    }
    if missing.is_empty() {
        let whole = json!({"auths": logins}).to_string();
        return Ok(Secret::new(BASE64.encode(whole)));
    }
    let list = |quoted: &dyn Fn(&str) -> String| {
        missing.iter().map(|host| quoted(host)).collect::<Vec<String>>().join(", ")
    };
    let reason = format!(
        "there is no login for {}, which `registry.pullSecrets` names, in `{}` or in the credential helper that \
         it names",
        list(&|host| format!("`{host}`")),
        config.path().display()
    );
    let hint = format!("{}, then the same command again", list(&|host| format!("`docker login {host}`")));
    Err(Fault::new(FaultKind::Denied, "read the logins that pods pull images with", reason).hint(hint))
}

fn attempt(host: &str) -> String {
    format!("read the login for `{host}`")
}

/// How docker and nodes call the registry `host`.
fn server(host: &str) -> &str {
    if host == "docker.io" { DOCKER_HUB } else { host }
}

/// Whether `key` of a configuration, a host or a URL, stands for the registry `host`.
fn stands_for(key: &str, host: &str) -> bool {
    let bare = key.split_once("://").map_or(key, |(_, bare)| bare);
    let (name, path) = bare.split_once('/').unwrap_or((bare, ""));
    // Docker Hub keeps tokens under longer ones, which are no logins.
    let is_whole = matches!(path.trim_end_matches('/'), "" | "v1" | "v2");
    let is_hub = host == "docker.io" && DOCKER_HUB_TOO.contains(&name);
    is_whole && (is_hub || name.eq_ignore_ascii_case(host))
}

/// The entry of `map` for `host`: that under docker's own name for it, or else the first that stands for it.
fn entry<'a>(map: Option<&'a Value>, host: &str) -> Option<&'a Value> {
    let map = map?.as_object()?;
    map.get(server(host))
        .or_else(|| map.iter().find(|(key, _)| stands_for(key, host)).map(|(_, value)| value))
}

/// The name of the helper that keeps the login for `host`.
fn helper(entries: &Map<String, Value>, host: &str) -> Option<String> {
    let own = entry(entries.get("credHelpers"), host).and_then(Value::as_str);
    let shared = entries.get("credsStore").and_then(Value::as_str);
    own.or(shared).filter(|name| !name.is_empty()).map(str::to_string)
}

/// The login for `host` that stands in the configuration itself, as `USER:PASSWORD` in base64.
fn kept(entries: &Map<String, Value>, host: &str) -> Result<Option<Secret<String>>, Fault> {
    let Some(entry) = entry(entries.get("auths"), host) else { return Ok(None) };
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("identitytoken").is_some() {
        return Err(is_token(host));
    }
    let Some(auth) = text("auth") else {
        let login = text("username").zip(text("password"));
        return Ok(login.map(|(user, password)| encoded(user, password)));
    };
    let decoded = BASE64.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let login = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
    match login {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Some(encoded(user, password)))
        }
        _ => {
            let reason = "its `auth` in the configuration of docker is no user and password in base64";
            Err(Fault::new(FaultKind::Denied, attempt(host), reason)
                .hint(format!("`docker login {host}` writes it anew, then the same command again")))
        }
    }
}

fn encoded(user: &str, password: &str) -> Secret<String> {
    Secret::new(BASE64.encode(format!("{user}:{password}")))
}

/// Asks the credential helper called `name`; nothing when it knows no login.
async fn ask(
    name: &str,
    host: &str,
    search_path: &OsStr,
    flow: &Flow,
) -> Result<Option<Secret<String>>, Fault> {
    let program = format!("docker-credential-{name}");
    let Some(path) = find_on_path(&program, search_path) else {
        let reason =
            format!("the configuration of docker names the helper `{program}`, which is not on your PATH");
        return Err(Fault::new(FaultKind::Invalid, attempt(host), reason)
            .hint(format!("install `{program}`, or put its folder on PATH, then the same command again")));
    };
    let answer = Program::new(path).arg("get").input(format!("{}\n", server(host))).run();
    let answer = flow.within(PATIENCE, &attempt(host), answer).await.map_err(|fault| match fault.kind {
        FaultKind::Transient => {
            let hint = format!("see whether it waits for you: `echo {} | {program} get`", server(host));
            Fault { reason: format!("`{program}` gave no answer within {} s", PATIENCE.as_secs()), ..fault }
                .hint(hint)
        }
        _ => fault,
    })?;
    judge(&program, host, &answer)
}

/// What `answer` of the helper `program` means. Nothing of what it says of a login is ever repeated.
fn judge(program: &str, host: &str, answer: &Finished) -> Result<Option<Secret<String>>, Fault> {
    let again = format!("`docker login {host}`, then the same command again");
    let refused = |reason: String| Fault::new(FaultKind::Denied, attempt(host), reason).hint(&again);
    let said = answer.stdout.trim();
    if !answer.succeeded() {
        // Helpers say on standard output what is wrong.
        if said.contains(NOT_FOUND) {
            return Ok(None);
        }
        let first = said.lines().next().filter(|line| !line.contains(['{', '"'])).unwrap_or_default();
        let told = if first.is_empty() { answer.stderr_tail(1) } else { first.to_string() };
        let told: String = told.chars().take(200).collect();
        return Err(refused(match (told.is_empty(), answer.code) {
            (false, _) => format!("`{program}` says: {told}"),
            (true, Some(code)) => format!("`{program}` ended with code {code} and said nothing"),
            (true, None) => format!("`{program}` was ended by a signal"),
        }));
    }
    let login: Map<String, Value> = serde_json::from_str(said)
        .map_err(|_| refused(format!("what `{program}` answers is no JSON object")))?;
    let text = |key: &str| login.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("Username"), text("Secret")) {
        (Some(IDENTITY_TOKEN), _) => Err(is_token(host)),
        (Some(user), Some(password)) => Ok(Some(encoded(user, password))),
        _ => Ok(None),
    }
}

/// Nodes read a user and a password alone:
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/credentialprovider/config.go>.
fn is_token(host: &str) -> Fault {
    let reason = "it is an identity token, with which nodes cannot pull";
    let hint = format!("`docker login {host} --username USER` with an access token as its password");
    Fault::new(FaultKind::Denied, attempt(host), reason).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn revealed(found: Result<Option<Secret<String>>, Fault>) -> Option<String> {
        found.expect("no fault").map(|auth| auth.reveal().clone())
    }

    fn answered(code: i32, stdout: &str) -> Finished {
        Finished { code: Some(code), stdout: stdout.to_string(), stderr: String::new() }
    }

    #[test]
    fn a_login_is_found_under_the_names_that_docker_has_for_its_registry() {
        let auth = BASE64.encode("ann:word");
        let found = |key: &str, host: &str| {
            revealed(kept(
                &entries(&json!({"auths": {"other.io": {"auth": "eA=="}, key: {"auth": auth}}})),
                host,
            ))
        };
        for (key, host) in [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/v1/", "ghcr.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("registry.example.com:5000", "registry.example.com:5000"),
        ] {
            assert_eq!(found(key, host).as_deref(), Some(auth.as_str()), "{key}");
        }
        for (key, host) in [
            ("https://index.docker.io/v1/refresh-token", "docker.io"),
            ("ghcr.io.example.com", "ghcr.io"),
            ("registry.example.com", "registry.example.com:5000"),
            ("index.docker.io", "ghcr.io"),
        ] {
            assert_eq!(found(key, host), None, "{key}");
        }
    }

    #[test]
    fn the_helper_of_a_registry_comes_before_that_of_all() {
        let both =
            json!({"credsStore": "desktop", "credHelpers": {"ghcr.io": "gh", "index.docker.io": "hub"}});
        let named = |host| helper(&entries(&both), host);
        assert_eq!(named("ghcr.io").as_deref(), Some("gh"));
        assert_eq!(named("docker.io").as_deref(), Some("hub"));
        assert_eq!(named("quay.io").as_deref(), Some("desktop"));
        assert_eq!(helper(&entries(&json!({"credsStore": ""})), "quay.io"), None);
    }

    #[test]
    fn a_registry_without_a_login_is_told_from_one_whose_login_is_of_no_use() {
        let of = |entry: Value| kept(&entries(&json!({"auths": {"ghcr.io": entry}})), "ghcr.io");
        assert_eq!(revealed(of(json!({}))), None);
        assert_eq!(
            revealed(of(json!({"username": "ann", "password": "word"}))),
            Some(BASE64.encode("ann:word"))
        );
        assert_eq!(
            revealed(of(json!({"auth": BASE64.encode("ann:word\0\0")}))),
            Some(BASE64.encode("ann:word"))
        );
        let token = of(json!({"auth": "eDp5", "identitytoken": "hush"})).expect_err("a token");
        assert!(token.reason.contains("identity token") && !format!("{token:?}").contains("hush"));
        let damaged = of(json!({"auth": "hush!"})).expect_err("no base64");
        assert!(!format!("{damaged:?}").contains("hush"));
    }

    #[test]
    fn what_a_helper_answers_is_understood_and_never_repeated() {
        let judged = |code, stdout: &str| judge("docker-credential-x", "ghcr.io", &answered(code, stdout));
        let login = r#"{"ServerURL":"ghcr.io","Username":"ann","Secret":"hush"}"#;
        assert_eq!(revealed(judged(0, login)), Some(BASE64.encode("ann:hush")));
        assert_eq!(revealed(judged(1, "credentials not found in native keychain\n")), None);
        assert_eq!(revealed(judged(0, "{}")), None);
        assert!(judged(0, r#"{"Username":"<token>","Secret":"hush"}"#).is_err());
        let locked = judged(1, "the key ring is locked\n").expect_err("refused");
        assert_eq!(locked.reason, "`docker-credential-x` says: the key ring is locked");
        for (code, stdout) in
            [(0, "hush"), (0, "{\"Secret\":\"hush\""), (1, "{\"Secret\":\"hush\"}"), (1, "")]
        {
            let fault = judged(code, stdout).expect_err("no answer");
            assert!(!format!("{fault:?}").contains("hush"), "{fault:?}");
        }
    }
}
