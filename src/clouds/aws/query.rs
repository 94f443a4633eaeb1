use super::element::Element;
use super::encoding::encoded;
use super::http::{Answer, Call, Wire};
use super::refusal::Refusal;
use super::service::Service;
use crate::flow::Flow;

/// The parameters of a call by [`Query`], in the notation of the services: `Filter.1.Name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
    filters: usize,
}

impl Params {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.pairs.push((key.into(), value.into()));
        self
    }

    /// With a list, numbered from 1: `InstanceType.1` in EC2, `LoadBalancerNames.member.1` elsewhere.
    #[must_use]
    pub fn list<T: Into<String>>(mut self, key: &str, values: impl IntoIterator<Item = T>) -> Self {
        let numbered = values.into_iter().zip(1..).map(|(value, n)| (format!("{key}.{n}"), value.into()));
        self.pairs.extend(numbered);
        self
    }

    /// With one more filter of EC2: what has one of `values` in the field `name`.
    #[must_use]
    pub fn filter<T: Into<String>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        self.filters += 1;
        let key = format!("Filter.{}", self.filters);
        self.with(format!("{key}.Name"), name).list(&format!("{key}.Value"), values)
    }

    fn encoded(&self, operation: &str, version: &str) -> String {
        let first = [("Action", operation), ("Version", version)];
        let rest = self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let pairs: Vec<String> = first
            .into_iter()
            .chain(rest)
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        pairs.join("&")
    }
}

/// A client for a service that speaks the AWS Query protocol: parameters in a form, answers in XML.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) wire: Wire,
    pub(super) service: Service,
    pub(super) address: String,
    pub(super) signed_for: String,
}

impl Query {
    /// Calls `operation` and gives the root of its answer. For EC2 what is asked for lies right below it, for
    /// the others below `OPERATIONResult`: that is gone into here.
    pub async fn call(&self, flow: &Flow, operation: &str, params: &Params) -> Result<Element, Refusal> {
        let action = format!("{}:{operation}", self.service.right());
        let call = Call {
            address: &self.address,
            signed_for: (self.service.signing_name(), &self.signed_for),
            headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_string())],
            body: params.encoded(operation, self.service.version()),
            action: action.clone(),
        };
        let root = self.wire.send(flow, &call, |answer| read(answer, &action)).await?;
        Ok(root.at(&format!("{operation}Result")).cloned().unwrap_or(root))
    }

    /// Calls `operation` page after page and gives all members of the list at `list`. The services name the
    /// token of the next page differently; all their names are known here.
    pub async fn all(
        &self,
        flow: &Flow,
        operation: &str,
        params: &Params,
        list: &str,
    ) -> Result<Vec<Element>, Refusal> {
        let mut found = Vec::new();
        let mut page = params.clone();
        loop {
            let answer = self.call(flow, operation, &page).await?;
            found.extend(answer.list(list).cloned());
            // EC2, autoscaling; load balancers; IAM.
            let next = [
                ("nextToken", "NextToken"),
                ("NextToken", "NextToken"),
                ("NextMarker", "Marker"),
                ("Marker", "Marker"),
            ];
            let Some((key, token)) = next.iter().find_map(|(given, sent)| Some((*sent, answer.text(given)?)))
            else {
                return Ok(found);
            };
            page = params.clone().with(key, token);
        }
    }
}

/// The root of an answer, or the refusal in it.
fn read(answer: &Answer, action: &str) -> Result<Element, Refusal> {
    let root = Element::parse(&answer.body);
    if (200..300).contains(&answer.status) {
        let (id, action) = (answer.request_id.clone(), Some(action.to_string()));
        return root.map_err(|error| Refusal::unreadable(&error, id, action));
    }
    // EC2 writes Response/Errors/Error and RequestID, the others ErrorResponse/Error and RequestId.
    let root = root.unwrap_or_default();
    let error = root.at("Errors/Error").or_else(|| root.at("Error")).cloned().unwrap_or_default();
    let id = root.text("RequestID").or(root.text("RequestId")).map(str::to_string);
    Err(Refusal::answered(
        answer.status,
        error.text("Code"),
        error.text("Message").unwrap_or_default(),
        id.or_else(|| answer.request_id.clone()),
        Some(action.to_string()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FaultKind;

    #[test]
    fn parameters_are_numbered_and_encoded_as_the_services_want_them() {
        let params = Params::new()
            .filter("tag:berth.dev/owner", ["a b"])
            .filter("vpc-id", ["vpc-1", "vpc-2"])
            .list("InstanceType", ["m7i.large"])
            .with("MaxResults", "100");
        assert_eq!(
            params.encoded("DescribeThings", "2016-11-15"),
            "Action=DescribeThings&Version=2016-11-15&Filter.1.Name=tag%3Aberth.dev%2Fowner&Filter.1.Value.1=a%20b\
             &Filter.2.Name=vpc-id&Filter.2.Value.1=vpc-1&Filter.2.Value.2=vpc-2&InstanceType.1=m7i.large\
             &MaxResults=100"
        );
    }

    fn refused(body: &str) -> Refusal {
        let answer =
            Answer { status: 400, request_id: None, error_type: None, body: body.to_string(), date: None };
        read(&answer, "ec2:DeleteSubnet").expect_err("refused")
    }

    #[test]
    fn both_shapes_of_a_refusal_are_read() {
        let ec2 = refused(
            "<Response><Errors><Error><Code>DependencyViolation</Code><Message>has dependencies</Message></Error>\
             </Errors><RequestID>r-1</RequestID></Response>",
        );
        assert_eq!(
            (ec2.code.as_deref(), ec2.request_id.as_deref()),
            (Some("DependencyViolation"), Some("r-1"))
        );
        assert_eq!(ec2.kind, FaultKind::Conflict);
        let iam = refused(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>NoSuchEntity</Code><Message>gone</Message></Error><RequestId>r-2</RequestId></ErrorResponse>",
        );
        assert!(iam.is_absent());
        assert_eq!(iam.request_id.as_deref(), Some("r-2"));
    }

    #[test]
    fn a_refusal_that_is_no_xml_still_has_a_kind() {
        let answer = Answer {
            status: 502,
            request_id: None,
            error_type: None,
            body: "<html>bad gateway".into(),
            date: None,
        };
        let refusal = read(&answer, "ec2:DescribeVpcs").expect_err("refused");
        assert_eq!((refusal.kind, refusal.message.as_str()), (FaultKind::Transient, "answer 502"));
    }
}
