use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::request_id::RequestId;
use jiff::fmt::rfc2822;

use super::codes::{ABSENT, UNKNOWN_CALLER, kind_of};
use super::rights;
use crate::base::{Clock, Fault, FaultKind, SystemClock};

/// What AWS, or the way to it, answered instead of doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// How the rest of berth has to treat it.
    pub kind: FaultKind,
    /// AWS's own code: `ResourceInUseException`, `DependencyViolation`. None when AWS did not answer.
    pub code: Option<String>,
    /// AWS's own words, or why there was no answer.
    pub message: String,
    /// The id under which AWS knows the request.
    pub request_id: Option<String>,
    /// What was asked for, as policies name it: `eks:CreateCluster`.
    pub action: Option<String>,
    /// By how many seconds AWS's clock was ahead of this machine's.
    pub skew: Option<i32>,
}

/// The fault of a call by an SDK: what was attempted, and why AWS refused it.
pub fn fault<E>(attempted: impl Into<String>, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    Refusal::of(error).fault(attempted)
}

impl Refusal {
    /// The refusal in `error`.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let action = action_of(std::any::type_name::<E>());
        let request_id = error.request_id().map(str::to_string);
        if let Some(credentials) = cause::<CredentialsError>(error) {
            return Self { action, ..Self::credentials(credentials) };
        }
        match error {
            SdkError::ConstructionFailure(_) => Self::unanswered(FaultKind::Bug, innermost(error)),
            SdkError::TimeoutError(_) => Self::unanswered(FaultKind::Transient, "no answer in time"),
            SdkError::DispatchFailure(_) => Self::unanswered(FaultKind::Transient, unreached(error)),
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let (code, message) = (answer.err().code(), answer.err().message());
                let refusal = Self::answered(status, code, message.unwrap_or_default(), request_id, action);
                refusal.dated(answer.raw().headers().get("date"))
            }
            _ => Self::unreadable(&innermost(error), request_id, action),
        }
    }

    /// That there was no answer, for a reason of this side.
    pub(super) fn unanswered(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), request_id: None, action: None, skew: None }
    }

    /// That there was an answer and no way to read it.
    pub(super) fn unreadable(why: &str, request_id: Option<String>, action: Option<String>) -> Self {
        let message = format!("the answer cannot be read: {why}");
        Self { request_id, action, ..Self::unanswered(FaultKind::Transient, message) }
    }

    /// The refusal of an answer with `status`.
    pub(super) fn answered(
        status: u16,
        code: Option<&str>,
        message: &str,
        request_id: Option<String>,
        action: Option<String>,
    ) -> Self {
        let message = if message.is_empty() { format!("answer {status}") } else { message.to_string() };
        let kind = match kind_of(status, code.unwrap_or_default()) {
            // EKS says so of what it does for the caller.
            FaultKind::Invalid if rights::is_refused(&message) => FaultKind::Denied,
            kind => kind,
        };
        Self { kind, code: code.map(str::to_string), message, request_id, action, skew: None }
    }

    /// The same, given at `date` of AWS's clock, in the notation of HTTP.
    #[must_use]
    pub(super) fn dated(self, date: Option<&str>) -> Self {
        let skew = date.and_then(|date| {
            let theirs = rfc2822::parse(date).ok()?.timestamp();
            i32::try_from(theirs.duration_since(SystemClock.now()).as_secs()).ok()
        });
        Self { skew, ..self }
    }

    /// Whether this machine's clock is what AWS refuses: a signature counts for five minutes.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
    pub fn is_about_the_clock(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        code == "RequestTimeTooSkewed"
            || matches!(
                code,
                "AuthFailure"
                    | "IncompleteSignature"
                    | "InvalidSignatureException"
                    | "RequestExpired"
                    | "SignatureDoesNotMatch"
            ) && self.skew.is_some_and(is_skewed)
    }

    /// Whether it says that the credentials are over. EC2 has one code for them and for a wrong clock
    /// (<https://github.com/aws/aws-sdk-ruby/issues/143>): the clocks tell which it is.
    pub fn is_expired(&self) -> bool {
        match self.code.as_deref() {
            Some("ExpiredToken" | "ExpiredTokenException") => true,
            Some("RequestExpired") => !self.is_about_the_clock(),
            _ => false,
        }
    }

    /// That the credential chain gave nothing.
    pub(super) fn credentials(error: &CredentialsError) -> Self {
        let kind = match error {
            CredentialsError::InvalidConfiguration(_) => FaultKind::Invalid,
            _ => FaultKind::Denied,
        };
        let answer = cause::<ErrorMetadata>(error);
        let message = match error {
            CredentialsError::CredentialsNotLoaded(_) if error.source().is_none() => {
                "no AWS credentials were found".to_string()
            }
            CredentialsError::ProviderTimedOut(_) => "AWS credentials were not given in time".to_string(),
            other => {
                let why = answer.and_then(ErrorMetadata::message).map(str::to_string);
                format!("no AWS credentials: {}", why.unwrap_or_else(|| innermost(other)))
            }
        };
        let request_id = answer.and_then(RequestId::request_id).map(str::to_string);
        Self { request_id, ..Self::unanswered(kind, message) }
    }

    /// Whether AWS's code is `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether AWS's words contain `words`, whatever their case.
    pub fn says(&self, words: &str) -> bool {
        self.message.to_lowercase().contains(&words.to_lowercase())
    }

    /// Whether it says that what was asked about is not there. EKS also says so as `ClientException`,
    /// `CloudFormation` as `ValidationError`.
    pub fn is_absent(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        ABSENT.contains(&code)
            || code.ends_with(".NotFound")
            || (code == "ClientException" && self.says("no cluster found"))
            || (code == "ValidationError" && self.says("does not exist"))
    }

    /// Whether it says that the credentials themselves do not count: AWS does not know them, or no longer.
    pub fn is_unknown_caller(&self) -> bool {
        self.code.as_deref().is_some_and(|code| UNKNOWN_CALLER.contains(&code))
    }

    /// The fault of `attempted`, with what to do about missing rights and credentials.
    pub fn fault(&self, attempted: impl Into<String>) -> Fault {
        if self.is_expired() {
            // Whatever was asked for: so that it is told once.
            return Fault::new(self.kind, attempted, "the AWS credentials have expired").hint(RENEW);
        }
        if self.is_about_the_clock() {
            let reason = "AWS takes no signature that is more than 5 minutes away from its own time";
            return Fault::new(self.kind, attempted, reason).hint(set_the_clock(self.skew));
        }
        let mut reason = match &self.code {
            Some(code) => format!("{code}: {}", self.message.trim_end_matches('.')),
            None => self.message.clone(),
        };
        if let Some(id) = &self.request_id {
            reason.push_str(&format!(" (request {id})"));
        }
        let fault = Fault::new(self.kind, attempted, reason);
        match self.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }

    fn hint(&self) -> Option<String> {
        const LOGIN: &str = "`aws sts get-caller-identity` shows what AWS makes of your credentials; log in again \
                             (`aws sso login`), or name the profile that has them in AWS_PROFILE";
        match (self.kind, self.code.as_deref()) {
            (FaultKind::Denied, None) => Some(LOGIN.to_string()),
            (FaultKind::Denied, Some(_)) if self.is_unknown_caller() => Some(LOGIN.to_string()),
            (FaultKind::Denied, Some(_)) => {
                // A call may need rights beside its own, as to hand over a role.
                let mut missing = rights::missing(&self.message);
                if missing.is_empty() {
                    missing.extend(self.action.clone());
                }
                (!missing.is_empty()).then(|| rights::hint(missing.iter().map(String::as_str)))
            }
            _ => None,
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Refusal
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        Self::of(&error)
    }
}

/// What to do about credentials that ended.
pub(super) const RENEW: &str =
    "get new ones (`aws sso login`, or whatever gave you these): what is left is done by the same command";

/// Whether a difference of clocks, in seconds, is worth telling: AWS takes five minutes.
fn is_skewed(skew: i32) -> bool {
    skew.unsigned_abs() >= 4 * 60
}

/// What to do about a clock that differs by `skew`.
fn set_the_clock(skew: Option<i32>) -> String {
    let what = match skew.filter(|skew| is_skewed(*skew)) {
        Some(skew) if skew < 0 => format!("{} ahead of AWS's", in_words(skew)),
        Some(skew) => format!("{} behind AWS's", in_words(skew)),
        None => "wrong".to_string(),
    };
    format!(
        "the clock of this machine is {what}: set it (`timedatectl set-ntp true`), then run the same command again"
    )
}

/// `10 min`, `3 h`: rounded.
fn in_words(skew: i32) -> String {
    match (skew.unsigned_abs() + 30) / 60 {
        minutes @ ..=120 => format!("{minutes} min"),
        minutes => format!("{} h", (minutes + 30) / 60),
    }
}

/// `eks:CreateCluster`, from the name of the error type of a call:
/// `aws_sdk_eks::operation::create_cluster::CreateClusterError`. Only words come of it.
fn action_of(type_name: &str) -> Option<String> {
    let service = type_name.strip_prefix("aws_sdk_")?.split("::").next()?;
    let operation = type_name.rsplit("::").next()?.strip_suffix("Error")?;
    Some(format!("{service}:{operation}"))
}

/// The first cause of type `T` behind `error`.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// The words of the last cause behind `error`: the outer ones only say that something failed.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let words = last.to_string();
    let mut letters = words.chars();
    let begun = letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    format!("{begun}{}", letters.as_str().trim_end_matches('.'))
}

/// Why AWS could not be reached.
fn unreached(error: &(dyn Error + 'static)) -> String {
    format!("AWS cannot be reached: {}", innermost(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str, message: &str) -> Refusal {
        let id = Some("4d1c9a2e".to_string());
        Refusal::answered(status, Some(code), message, id, Some("eks:CreateCluster".to_string()))
    }

    #[test]
    fn a_missing_right_is_named_with_the_policy_that_gives_it() {
        let fault = refusal(403, "AccessDeniedException", "User: ann is not authorized.").fault("make it");
        assert_eq!(fault.kind, FaultKind::Denied);
        assert_eq!(fault.reason, "AccessDeniedException: User: ann is not authorized (request 4d1c9a2e)");
        let hint = fault.hint.expect("a hint");
        assert!(hint.contains("\"Action\": \"eks:CreateCluster\""), "{hint}");
    }

    #[test]
    fn a_right_that_a_call_needs_beside_its_own_is_the_one_that_is_named() {
        let hint = |code, message| {
            let fault = refusal(400, code, message).fault("make it");
            assert_eq!(fault.kind, FaultKind::Denied, "{message}");
            fault.hint.expect("a hint")
        };
        let role =
            "User: ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/berth-x";
        assert!(hint("AccessDeniedException", role).starts_with("it needs the right iam:PassRole: {"));
        assert!(hint("InvalidRequestException", role).starts_with("it needs the right iam:PassRole: {"));
        let machines = "You are not authorized to launch instances with this launch template. Encoded: x";
        assert!(hint("InvalidRequestException", machines).contains("ec2:RunInstances"));
    }

    #[test]
    fn credentials_that_do_not_count_are_no_missing_right() {
        let fault = refusal(403, "ExpiredToken", "The security token has expired").fault("make it");
        let hint = fault.hint.expect("a hint");
        assert!(hint.contains("aws sso login") && !hint.contains("Effect"), "{hint}");
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_with_how_wrong_it_is() {
        let now = SystemClock.now();
        let http = |date: jiff::Timestamp| date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let hint = |code: &str, date: jiff::Timestamp| {
            refusal(403, code, "Signature expired")
                .dated(Some(&http(date)))
                .fault("log in")
                .hint
                .expect("a hint")
        };
        let minutes = jiff::SignedDuration::from_mins;
        assert!(hint("SignatureDoesNotMatch", now + minutes(10)).contains("10 min behind AWS's: set it"));
        assert!(hint("InvalidSignatureException", now - minutes(10)).contains("10 min ahead of AWS's"));
        assert!(hint("RequestTimeTooSkewed", now - minutes(60 * 5)).contains("5 h ahead of AWS's"));
        assert!(hint("RequestExpired", now - minutes(10)).contains("10 min ahead of AWS's"));
        assert!(hint("RequestTimeTooSkewed", now).contains("is wrong: set it"));
        assert!(hint("SignatureDoesNotMatch", now + minutes(1)).contains("aws sso login"));
    }

    #[test]
    fn credentials_that_ended_are_told_alike_by_every_service() {
        let now = SystemClock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        for code in ["ExpiredToken", "ExpiredTokenException", "RequestExpired"] {
            for date in [Some(now.as_str()), None] {
                let fault = refusal(400, code, "Request has expired.").dated(date).fault("look");
                assert_eq!(fault.kind, FaultKind::Denied, "{code}");
                assert_eq!(fault.reason, "the AWS credentials have expired", "{code}");
                assert_eq!(fault.hint.as_deref(), Some(RENEW), "{code}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_known_by_the_words_of_each_service() {
        for (code, message) in [
            ("ResourceNotFoundException", "No cluster found for name: dev."),
            ("ClientException", "No cluster found for name: dev."),
            ("ValidationError", "Stack with id berth-dev does not exist"),
            ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
            ("NoSuchEntity", "The role with name x cannot be found."),
        ] {
            assert!(refusal(400, code, message).is_absent(), "{code}");
        }
        assert!(!refusal(400, "ValidationError", "Template error").is_absent());
    }

    #[test]
    fn the_action_is_read_from_the_type_of_a_call() {
        let name = std::any::type_name::<aws_sdk_eks::operation::create_cluster::CreateClusterError>();
        assert_eq!(action_of(name).as_deref(), Some("eks:CreateCluster"));
        assert_eq!(action_of("alloc::string::String"), None);
    }
}
