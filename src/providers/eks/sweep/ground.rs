use aws_sdk_eks::types::Cluster;

use crate::base::{Fault, Owner, label};
use crate::clouds::aws::{Aws, Params, Refusal, Service};
use crate::flow::Flow;
use crate::providers::eks::names::Names;
use crate::providers::eks::stack::{Calls, LiveStack, left};

/// What the template calls the network.
const VPC: &str = "Vpc";

/// What is known of the environment before anything of it goes: by it everything else is judged, also once this is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ground {
    /// Whether its stack or its cluster stands, with our mark. Without either, a thing that carries the name of the
    /// cluster may be of anybody's cluster of that name.
    pub ours: bool,
    /// Whose the cluster of our name is, when it is not ours.
    pub stranger: Option<String>,
    /// The network of the cluster.
    pub vpc: Option<String>,
    /// Whether berth made that network.
    pub owns_network: bool,
}

impl Ground {
    /// Asks for the stack and the cluster.
    /// Of a cluster that is gone already only the profile tells the `subnets` of somebody else that it lived in.
    pub async fn ask(
        aws: &Aws,
        names: &Names,
        owner: &Owner,
        subnets: &[String],
        flow: &Flow,
    ) -> Result<Self, Fault> {
        let calls = Calls::new(aws, flow, names.stack());
        let stack = calls.stack().await?.filter(|stack| is_of(stack, owner));
        let made = match &stack {
            Some(_) => left(&calls.resources().await?).remove(VPC),
            None => None,
        };
        let cluster = cluster(aws, names.cluster(), flow).await?;
        let mark = cluster.as_ref().map(|cluster| cluster.tags().and_then(|tags| tags.get(label::OWNER)));
        let stranger = match mark {
            Some(mark) if mark != Some(&owner.id) => Some(match mark {
                Some(id) => format!("it belongs to the environment with the id `{id}`"),
                None => "berth did not make it".to_string(),
            }),
            _ => None,
        };
        let lives_in = cluster.as_ref().filter(|_| stranger.is_none());
        let lives_in = lives_in.and_then(|cluster| cluster.resources_vpc_config()?.vpc_id());
        let mut vpc = made.clone().or(lives_in.map(str::to_string));
        if vpc.is_none() && stack.is_some() && !subnets.is_empty() {
            vpc = vpc_of(aws, subnets, flow).await?;
        }
        Ok(Self {
            ours: stranger.is_none() && (stack.is_some() || cluster.is_some()),
            stranger,
            owns_network: made.is_some(),
            vpc,
        })
    }
}

/// The network of these subnets, as long as there is one of them.
async fn vpc_of(aws: &Aws, subnets: &[String], flow: &Flow) -> Result<Option<String>, Fault> {
    let params = Params::new().filter("subnet-id", subnets);
    let found = aws.query(Service::Ec2).all(flow, "DescribeSubnets", &params, "subnetSet").await;
    let found = found.map_err(|refusal| refusal.fault("look at the subnets of the profile"))?;
    Ok(found.iter().find_map(|subnet| subnet.text("vpcId").map(str::to_string)))
}

fn is_of(stack: &LiveStack, owner: &Owner) -> bool {
    stack.tags.get(label::OWNER) == Some(&owner.id)
}

async fn cluster(aws: &Aws, name: &str, flow: &Flow) -> Result<Option<Cluster>, Fault> {
    match aws.eks(flow).describe_cluster().name(name).send().await.map_err(Refusal::from) {
        Ok(answer) => Ok(answer.cluster),
        Err(refusal) if refusal.is_absent() => Ok(None),
        Err(refusal) => Err(refusal.fault(format!("look at the EKS cluster {name}"))),
    }
}
