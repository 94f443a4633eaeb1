use serde_json::Value;

use super::http::{Answer, Call, Wire};
use super::refusal::Refusal;
use super::service::Service;
use crate::flow::Flow;

/// A client for a service that speaks the AWS JSON protocol, version 1.1.
#[derive(Debug, Clone)]
pub struct Json {
    pub(super) wire: Wire,
    pub(super) service: Service,
    pub(super) address: String,
    pub(super) signed_for: String,
}

impl Json {
    /// Calls `operation` with `input` and gives its answer.
    pub async fn call(&self, flow: &Flow, operation: &str, input: &Value) -> Result<Value, Refusal> {
        let action = format!("{}:{operation}", self.service.right());
        let call = Call {
            address: &self.address,
            signed_for: (self.service.signing_name(), &self.signed_for),
            headers: vec![
                ("content-type", "application/x-amz-json-1.1".to_string()),
                ("x-amz-target", format!("{}.{operation}", self.service.target())),
            ],
            body: input.to_string(),
            action: action.clone(),
        };
        self.wire.send(flow, &call, |answer| read(answer, &action)).await
    }

    /// Calls `operation` page after page and gives all members of the list `list`. The token of a page goes by
    /// the name `token` in questions and answers: `NextToken`, `nextToken`, `PaginationToken`.
    pub async fn all(
        &self,
        flow: &Flow,
        operation: &str,
        input: &Value,
        list: &str,
        token: &str,
    ) -> Result<Vec<Value>, Refusal> {
        let mut found = Vec::new();
        let mut page = input.clone();
        loop {
            let mut answer = self.call(flow, operation, &page).await?;
            if let Some(members) = answer[list].as_array_mut() {
                found.append(members);
            }
            match answer[token].as_str().filter(|next| !next.is_empty()) {
                Some(next) => page[token] = Value::from(next),
                None => return Ok(found),
            }
        }
    }
}

/// The answer, or the refusal in it.
fn read(answer: &Answer, action: &str) -> Result<Value, Refusal> {
    let body: Result<Value, _> = match answer.body.trim() {
        "" => Ok(Value::Object(serde_json::Map::new())),
        text => serde_json::from_str(text),
    };
    if (200..300).contains(&answer.status) {
        let (id, action) = (answer.request_id.clone(), Some(action.to_string()));
        return body.map_err(|error| Refusal::unreadable(&error.to_string(), id, action));
    }
    let body = body.unwrap_or_default();
    let code = body["__type"].as_str().or(body["code"].as_str()).or(answer.error_type.as_deref());
    // `com.amazonaws.servicequotas#NoSuchResourceException:http://…` (AWS JSON 1.1, "Operation error serialization").
    let code = code.map(|code| code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code));
    let message = body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default();
    let id = answer.request_id.clone();
    Err(Refusal::answered(answer.status, code, message, id, Some(action.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FaultKind;

    #[test]
    fn the_code_of_a_refusal_is_read_without_its_namespace() {
        let refused = |body: &str, error_type: Option<&str>| {
            let error_type = error_type.map(str::to_string);
            let answer =
                Answer { status: 400, request_id: None, error_type, body: body.to_string(), date: None };
            read(&answer, "servicequotas:GetServiceQuota").expect_err("refused")
        };
        let typed =
            refused("{\"__type\":\"com.amazonaws#NoSuchResourceException\",\"message\":\"none\"}", None);
        assert!(typed.is("NoSuchResourceException") && typed.says("none"));
        let headed = refused("{\"Message\":\"slow\"}", Some("ThrottlingException:http://internal/"));
        assert_eq!(headed.kind, FaultKind::Throttled);
    }
}
