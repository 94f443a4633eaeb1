use std::collections::{BTreeMap, BTreeSet};

use super::ground::Ground;
use super::leftover::{Kind, Leftover, Scope, Tags, tags_at};
use super::rules;
use crate::base::{Fault, FaultKind, label};
use crate::clouds::aws::{Aws, Element, Params, Query, Refusal, Service};
use crate::flow::Flow;

/// So many load balancers may be asked for their tags at once.
/// Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html>.
const AT_ONCE: usize = 20;

/// One environment's part of an account.
pub(super) struct Calls<'a> {
    pub aws: &'a Aws,
    pub flow: &'a Flow,
    pub scope: &'a Scope,
    pub ground: &'a Ground,
}

/// The load balancers of a network: those of the cluster, and what the interfaces of all of them are called.
#[derive(Default)]
struct Balancers {
    ours: Vec<Leftover>,
    labels: BTreeSet<String>,
}

impl Calls<'_> {
    /// Everything that the cluster left, in the order in which it goes.
    pub async fn everything(&self) -> Result<Vec<Leftover>, Fault> {
        let (network, volumes) = futures::try_join!(Box::pin(self.in_network()), Box::pin(self.volumes()))?;
        let mut found: Vec<Leftover> = network.into_iter().chain(volumes).collect();
        found.sort();
        Ok(found)
    }

    /// The interfaces that the nodes left.
    pub async fn interfaces(&self) -> Result<Vec<Leftover>, Fault> {
        let Some(vpc) = self.network() else { return Ok(Vec::new()) };
        let found = self.ec2_list("DescribeNetworkInterfaces", &by_vpc(vpc), "networkInterfaceSet").await?;
        // Those of load balancers are not of nodes.
        let of_nodes = found
            .iter()
            .filter(|found| found.text("description").is_none_or(|words| !words.starts_with("ELB ")));
        Ok(of_nodes.filter_map(|found| self.scope.interface(found, &BTreeSet::new())).collect())
    }

    /// What the controllers in the cluster made outside of it and take away again while they live.
    pub async fn made(&self) -> Result<Vec<Leftover>, Fault> {
        let Some(vpc) = self.network() else { return self.volumes().await };
        let asked = futures::try_join!(
            Box::pin(self.balancers(vpc)),
            Box::pin(self.target_groups(vpc)),
            Box::pin(self.volumes())
        )?;
        let (balancers, targets, volumes) = asked;
        Ok(balancers.ours.into_iter().chain(targets).chain(volumes).collect())
    }

    async fn in_network(&self) -> Result<Vec<Leftover>, Fault> {
        let Some(vpc) = self.network() else { return Ok(Vec::new()) };
        let by_network = by_vpc(vpc);
        let (balancers, targets, endpoints, interfaces, groups) = futures::try_join!(
            Box::pin(self.balancers(vpc)),
            Box::pin(self.target_groups(vpc)),
            Box::pin(self.ec2_list("DescribeVpcEndpoints", &by_network, "vpcEndpointSet")),
            Box::pin(self.ec2_list("DescribeNetworkInterfaces", &by_network, "networkInterfaceSet")),
            Box::pin(self.ec2_list("DescribeSecurityGroups", &by_network, "securityGroupInfo")),
        )?;
        let scope = self.scope;
        let endpoints = endpoints.iter().filter_map(|found| scope.endpoint(found));
        let interfaces = interfaces.iter().filter_map(|found| scope.interface(found, &balancers.labels));
        let groups = groups.iter().filter_map(|found| scope.group(found));
        Ok(balancers
            .ours
            .into_iter()
            .chain(targets)
            .chain(endpoints)
            .chain(interfaces)
            .chain(groups)
            .collect())
    }

    /// The network to sweep, if anything says that what is in it is ours.
    fn network(&self) -> Option<&str> {
        self.ground.vpc.as_deref().filter(|_| self.ground.ours)
    }

    async fn balancers(&self, vpc: &str) -> Result<Balancers, Fault> {
        let (modern, classic) = (self.aws.query(Service::ElbV2), self.aws.query(Service::Elb));
        let none = Params::new();
        let (listed, first) = futures::try_join!(
            self.list(&modern, "DescribeLoadBalancers", &none, "LoadBalancers"),
            self.list(&classic, "DescribeLoadBalancers", &none, "LoadBalancerDescriptions"),
        )?;
        let arns = ids(&listed, vpc, "VpcId", "LoadBalancerArn");
        let names = ids(&first, vpc, "VPCId", "LoadBalancerName");
        let (of_modern, of_classic) = futures::try_join!(
            self.tags(&modern, "ResourceArns.member", "ResourceArn", &arns),
            self.tags(&classic, "LoadBalancerNames.member", "LoadBalancerName", &names),
        )?;
        let mut found = Balancers::default();
        for (id, kind, tags) in arns
            .iter()
            .map(|arn| (arn, Kind::Balancer, of_modern.get(arn)))
            .chain(names.iter().map(|name| (name, Kind::ClassicBalancer, of_classic.get(name))))
        {
            // `net/web/50dc6c495c0c9188`, of a classic one its name: so its interfaces are described.
            let behind = id.rsplit_once(":loadbalancer/").map_or(id.as_str(), |(_, behind)| behind);
            found.labels.insert(behind.to_string());
            if tags.is_some_and(|tags| self.scope.is_of_cluster(tags)) {
                let name = behind.split('/').nth(1).unwrap_or(behind).to_string();
                found.ours.push(Leftover { kind, id: id.clone(), name, goes_alone: false });
            }
        }
        Ok(found)
    }

    async fn target_groups(&self, vpc: &str) -> Result<Vec<Leftover>, Fault> {
        let client = self.aws.query(Service::ElbV2);
        let listed = self.list(&client, "DescribeTargetGroups", &Params::new(), "TargetGroups").await?;
        let arns = ids(&listed, vpc, "VpcId", "TargetGroupArn");
        let tags = self.tags(&client, "ResourceArns.member", "ResourceArn", &arns).await?;
        let ours =
            arns.into_iter().filter(|arn| tags.get(arn).is_some_and(|tags| self.scope.is_of_cluster(tags)));
        let named = ours.map(|id| {
            let name = id.split('/').nth(1).unwrap_or_default().to_string();
            Leftover { kind: Kind::TargetGroup, id, name, goes_alone: false }
        });
        Ok(named.collect())
    }

    /// The tags of load balancers or target groups; of those that go meanwhile nothing.
    async fn tags(
        &self,
        client: &Query,
        key: &str,
        named: &str,
        of: &[String],
    ) -> Result<BTreeMap<String, Tags>, Fault> {
        let mut found = BTreeMap::new();
        for some in of.chunks(AT_ONCE) {
            let params = Params::new().list(key, some);
            let answer = match client.call(self.flow, "DescribeTags", &params).await {
                Ok(answer) => answer,
                // One of them went: each is asked for itself.
                Err(refusal) if refusal.is_absent() && some.len() > 1 => {
                    for one in some {
                        let alone = Box::pin(self.tags(client, key, named, std::slice::from_ref(one)));
                        found.extend(alone.await?);
                    }
                    continue;
                }
                Err(refusal) if refusal.is_absent() => continue,
                Err(refusal) => return Err(self.refused("DescribeTags", &refusal)),
            };
            found.extend(answer.list("TagDescriptions").filter_map(|described| {
                Some((described.text(named)?.to_string(), tags_at(described, "Tags")))
            }));
        }
        Ok(found)
    }

    /// The volumes of claims of the cluster. Those that carry our own mark are ours in any case.
    pub async fn volumes(&self) -> Result<Vec<Leftover>, Fault> {
        let volumes = self.claimed().await?;
        Ok(volumes.iter().filter_map(|found| self.scope.volume(found)).collect())
    }

    /// The volumes of claims of the cluster as EC2 describes them, those too that were marked to stay.
    pub async fn claimed(&self) -> Result<Vec<Element>, Fault> {
        let cluster = &self.scope.cluster;
        let keys = [format!("kubernetes.io/cluster/{cluster}"), "eks:eks-cluster-name".to_string()];
        let (drivers, auto_mode) = (
            Params::new().filter(&format!("tag:{}", keys[0]), ["owned"]),
            Params::new().filter(&format!("tag:{}", keys[1]), [cluster.as_str()]),
        );
        let (mut found, more) = futures::try_join!(
            self.ec2_list("DescribeVolumes", &drivers, "volumeSet"),
            self.ec2_list("DescribeVolumes", &auto_mode, "volumeSet"),
        )?;
        found.extend(more);
        found.retain(|volume| {
            self.ground.ours || volume.tag("tagSet", label::OWNER) == Some(self.scope.owner.id.as_str())
        });
        Ok(found)
    }

    /// Marks a volume to stay, or to go.
    ///
    /// If this dies right after, it is marked, and marking it again changes nothing.
    pub async fn mark(&self, volume: &str, key: &str, value: &str) -> Result<(), Fault> {
        let params =
            Params::new().list("ResourceId", [volume]).with("Tag.1.Key", key).with("Tag.1.Value", value);
        match self.aws.query(Service::Ec2).call(self.flow, "CreateTags", &params).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_absent() => Ok(()),
            Err(refusal) => Err(self.refused("CreateTags", &refusal)),
        }
    }

    /// Removes what can go now; what something else holds still goes the next time.
    ///
    /// If this dies half way, some of it is gone, and the next run finds the rest by the same tags.
    pub async fn remove(&self, things: &[Leftover]) -> Result<(), Fault> {
        let leaving: BTreeSet<&str> =
            things.iter().filter(|thing| thing.kind == Kind::Group).map(|thing| thing.id.as_str()).collect();
        if leaving.len() > 1 {
            self.untie(&leaving).await?;
        }
        for thing in things.iter().filter(|thing| !thing.goes_alone) {
            self.flow.check(&format!("remove {thing}"))?;
            let (service, operation, params) = removal(thing);
            match self.aws.query(service).call(self.flow, operation, &params).await {
                Ok(_) => {}
                Err(refusal) if refusal.is_absent() || is_held(&refusal) => {}
                Err(refusal) => return Err(refusal.fault(format!("remove {thing}"))),
            }
        }
        Ok(())
    }

    /// Takes away the rules by which groups that go hold each other.
    async fn untie(&self, leaving: &BTreeSet<&str>) -> Result<(), Fault> {
        let Some(vpc) = self.network() else { return Ok(()) };
        let found = self.ec2_list("DescribeSecurityGroups", &by_vpc(vpc), "securityGroupInfo").await?;
        for rule in rules::between(&found, leaving) {
            let operation = rule.operation();
            match self.aws.query(Service::Ec2).call(self.flow, operation, &rule.params()).await {
                Ok(_) => {}
                Err(refusal) if refusal.is_absent() => {}
                Err(refusal) => return Err(self.refused(operation, &refusal)),
            }
        }
        Ok(())
    }

    async fn ec2_list(&self, operation: &str, params: &Params, list: &str) -> Result<Vec<Element>, Fault> {
        self.list(&self.aws.query(Service::Ec2), operation, params, list).await
    }

    async fn list(
        &self,
        client: &Query,
        operation: &str,
        params: &Params,
        list: &str,
    ) -> Result<Vec<Element>, Fault> {
        let found = client.all(self.flow, operation, params, list).await;
        found.map_err(|refusal| self.refused(operation, &refusal))
    }

    fn refused(&self, operation: &str, refusal: &Refusal) -> Fault {
        refusal.fault(format!("sweep up after the EKS cluster {} ({operation})", self.scope.cluster))
    }
}

fn by_vpc(vpc: &str) -> Params {
    Params::new().filter("vpc-id", [vpc])
}

/// The texts at `id` of those among `found` that are in the network `vpc`.
fn ids(found: &[Element], vpc: &str, at: &str, id: &str) -> Vec<String> {
    let inside = found.iter().filter(|one| one.text(at) == Some(vpc));
    inside.filter_map(|one| one.text(id).map(str::to_string)).collect()
}

fn removal(thing: &Leftover) -> (Service, &'static str, Params) {
    let with = |key: &str| Params::new().with(key, &thing.id);
    match thing.kind {
        Kind::Balancer => (Service::ElbV2, "DeleteLoadBalancer", with("LoadBalancerArn")),
        Kind::ClassicBalancer => (Service::Elb, "DeleteLoadBalancer", with("LoadBalancerName")),
        Kind::TargetGroup => (Service::ElbV2, "DeleteTargetGroup", with("TargetGroupArn")),
        Kind::Endpoint => {
            (Service::Ec2, "DeleteVpcEndpoints", Params::new().list("VpcEndpointId", [thing.id.as_str()]))
        }
        Kind::Interface => (Service::Ec2, "DeleteNetworkInterface", with("NetworkInterfaceId")),
        Kind::Group => (Service::Ec2, "DeleteSecurityGroup", with("GroupId")),
        Kind::Volume => (Service::Ec2, "DeleteVolume", with("VolumeId")),
    }
}

/// Whether something else that goes too still holds it.
fn is_held(refusal: &Refusal) -> bool {
    matches!(refusal.kind, FaultKind::Conflict | FaultKind::Transient | FaultKind::Throttled)
        || matches!(refusal.code.as_deref(), Some("VolumeInUse" | "ResourceInUse" | "OperationNotPermitted"))
        || refusal.says("currently in use")
}
