//! What the codes in answers of AWS mean.

use crate::base::FaultKind;

/// Codes of callers that AWS does not know, or no longer.
pub(super) const UNKNOWN_CALLER: [&str; 12] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes of callers that may not do what they asked for.
const MISSING_RIGHT: [&str; 9] = [
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SubscriptionRequiredException",
    "UnauthorizedOperation",
    "UnauthorizedException",
];

/// Codes that say that what was asked about is not there, whatever the words.
pub(super) const ABSENT: [&str; 8] = [
    "LifecyclePolicyNotFoundException",
    "LoadBalancerNotFound",
    "NoSuchEntity",
    "PullThroughCacheRuleNotFoundException",
    "RepositoryNotFoundException",
    "RepositoryPolicyNotFoundException",
    "ResourceNotFoundException",
    "TargetGroupNotFound",
];

/// Codes that ask for fewer calls, as the SDKs take them (aws-runtime, `THROTTLING_ERRORS`).
const THROTTLED: [&str; 12] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// How the rest of berth has to treat an answer of `status` with `code`.
pub(super) fn kind_of(status: u16, code: &str) -> FaultKind {
    if status == 429 || THROTTLED.contains(&code) {
        return FaultKind::Throttled;
    }
    if UNKNOWN_CALLER.contains(&code) || MISSING_RIGHT.contains(&code) {
        return FaultKind::Denied;
    }
    // IAM answers 409 while it works at the same thing for somebody else, and a moment later does not.
    if status >= 500
        || matches!(code, "RequestTimeout" | "RequestTimeoutException" | "ConcurrentModification")
    {
        return FaultKind::Transient;
    }
    let any = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
    if any(&["LimitExceeded", "QuotaExceeded", "Insufficient"]) {
        return FaultKind::Quota;
    }
    if any(&["AlreadyExist", "ResourceInUse", "Conflict", "NotEmpty", ".InUse", ".Duplicate"])
        || matches!(code, "DependencyViolation" | "OperationInProgressException")
    {
        return FaultKind::Conflict;
    }
    FaultKind::Invalid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_kind() {
        use FaultKind::{Conflict, Denied, Invalid, Quota, Throttled, Transient};
        for (status, code, kind) in [
            (400, "ThrottlingException", Throttled),
            (503, "RequestLimitExceeded", Throttled),
            (429, "", Throttled),
            (500, "InternalFailure", Transient),
            (503, "ServiceUnavailable", Transient),
            (409, "ConcurrentModification", Transient),
            (403, "AccessDeniedException", Denied),
            (403, "UnauthorizedOperation", Denied),
            (403, "ExpiredToken", Denied),
            (400, "UnrecognizedClientException", Denied),
            (401, "AuthFailure", Denied),
            (400, "ResourceLimitExceededException", Quota),
            (400, "VpcLimitExceeded", Quota),
            (400, "InsufficientFreeAddressesInSubnet", Quota),
            (409, "ResourceInUseException", Conflict),
            (400, "DependencyViolation", Conflict),
            (400, "AlreadyExistsException", Conflict),
            (409, "EntityAlreadyExists", Conflict),
            (400, "InvalidParameterException", Invalid),
        ] {
            assert_eq!(kind_of(status, code), kind, "{status} {code}");
        }
    }
}
