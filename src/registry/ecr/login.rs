use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::calls::lacking;
use crate::base::{Fault, Secret};
use crate::clouds::aws::{Session, fault};
use crate::flow::Flow;

/// The user of every login to ECR.
pub const USER: &str = "AWS";

/// The host of the registry of `session` and the password for it, which is of use for 12 hours and lets in by the
/// rights of whoever asks.
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>
pub async fn password(session: &Session, flow: &Flow) -> Result<(String, Secret<String>), Fault> {
    let aws = session.open(flow).await?;
    let attempted = format!("ask ECR in {} for a login", session.region());
    let answer = aws.ecr(flow).get_authorization_token().send().await;
    let answer = answer.map_err(|error| fault(attempted.as_str(), &error))?;
    let token = answer.authorization_data().first().and_then(|data| data.authorization_token());
    // What cannot be read is not repeated either.
    let password = token.and_then(read).ok_or_else(|| lacking(&attempted, "login"))?;
    Ok((super::host(&aws.identity().account, session.region()), password))
}

/// The password in the token: `AWS:…` in base64.
fn read(token: &str) -> Option<Secret<String>> {
    let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (user == USER && !password.is_empty()).then(|| Secret::new(password.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_stands_behind_the_user() {
        let read = |text: &str| read(&BASE64.encode(text)).map(|password| password.reveal().clone());
        assert_eq!(read("AWS:a:b"), Some("a:b".to_string()));
        assert_eq!(read("ann:word"), None);
        assert_eq!(read("AWS:"), None);
        assert_eq!(super::read("no base64!"), None);
    }
}
