use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;

use super::http::Wire;
use super::identity::Identity;
use super::json::Json;
use super::query::Query;
use super::service::Service;
use super::session::Whose;
use super::token::ClusterTokens;
use super::told::Told;
use crate::base::{Clock, TokenSource};
use crate::flow::Flow;

/// The clients of an open session. Whoever has it is known to AWS and works in the right account.
///
/// Each client is made for the flow of who calls: what an SDK repeats is told there.
#[derive(Debug)]
pub struct Aws {
    identity: Identity,
    whose: Whose,
    config: SdkConfig,
    eks: aws_sdk_eks::config::Builder,
    ecr: aws_sdk_ecr::config::Builder,
    cloudformation: aws_sdk_cloudformation::config::Builder,
    wire: Wire,
    credentials: SharedCredentialsProvider,
}

impl Aws {
    pub(super) fn new(
        identity: Identity,
        whose: &Whose,
        config: SdkConfig,
        credentials: SharedCredentialsProvider,
    ) -> Self {
        Self {
            identity,
            whose: whose.clone(),
            eks: (&config).into(),
            ecr: (&config).into(),
            cloudformation: (&config).into(),
            wire: Wire::new(credentials.clone()),
            credentials,
            config,
        }
    }

    /// Who we are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The region that everything is made in.
    pub fn region(&self) -> &str {
        &self.whose.region
    }

    /// The client of EKS.
    pub fn eks(&self, flow: &Flow) -> aws_sdk_eks::Client {
        aws_sdk_eks::Client::from_conf(self.eks.clone().interceptor(Told::new(flow)).build())
    }

    /// The client of ECR.
    pub fn ecr(&self, flow: &Flow) -> aws_sdk_ecr::Client {
        aws_sdk_ecr::Client::from_conf(self.ecr.clone().interceptor(Told::new(flow)).build())
    }

    /// The client of `CloudFormation`.
    pub fn cloudformation(&self, flow: &Flow) -> aws_sdk_cloudformation::Client {
        let config = self.cloudformation.clone().interceptor(Told::new(flow)).build();
        aws_sdk_cloudformation::Client::from_conf(config)
    }

    /// The client of a service that speaks Query: EC2, IAM, load balancers, autoscaling.
    pub fn query(&self, service: Service) -> Query {
        let (address, signed_for) = service.endpoint(self.region(), &self.config);
        Query { wire: self.wire.clone(), service, address, signed_for }
    }

    /// The client of a service that speaks JSON: quotas, tagging, logs, machine images.
    pub fn json(&self, service: Service) -> Json {
        let (address, signed_for) = service.endpoint(self.region(), &self.config);
        Json { wire: self.wire.clone(), service, address, signed_for }
    }

    /// The tokens for the API server of `cluster`, for [`Credential::Tokens`](crate::base::Credential::Tokens).
    pub fn tokens(&self, cluster: &str, clock: &Arc<dyn Clock>) -> Arc<dyn TokenSource> {
        let (credentials, clock) = (self.credentials.clone(), Arc::clone(clock));
        Arc::new(ClusterTokens::new(cluster, &self.whose, credentials, clock))
    }
}
