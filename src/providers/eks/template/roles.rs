use serde_json::{Value, json};

use super::blueprint::Blueprint;
use super::document::{Template, tags};
use super::ids;
use crate::providers::eks::names::PodRole;

/// What the control plane needs.
/// <https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html>
const CLUSTER: &str = "AmazonEKSClusterPolicy";
/// What it needs besides to make nodes itself.
/// <https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html>
const CLUSTER_IN_AUTO_MODE: [&str; 4] =
    ["AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy", STORAGE];
/// What it needs to make volumes, for all clusters of an account; the second one for its own cluster alone, where it
/// is known to exist.
/// <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSBlockStoragePolicyV2.html>
const STORAGE: &str = "AmazonEKSBlockStoragePolicy";
const STORAGE_OF_ITS_OWN: &str = "AmazonEKSBlockStoragePolicyV2";
/// What nodes need: to join, and to pull images. Pods take roles of their own.
/// <https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html>
const NODE: &str = "AmazonEKSWorkerNodePolicy";
const NODE_IN_AUTO_MODE: &str = "AmazonEKSWorkerNodeMinimalPolicy";
const PULL: &str = "AmazonEC2ContainerRegistryPullOnly";
const POLICY_LANGUAGE: &str = "2012-10-17";

/// Adds the roles of control plane, nodes and pods.
pub fn add(template: &mut Template, blueprint: &Blueprint) {
    let names = &blueprint.names;
    let cluster = Role {
        name: names.cluster_role(),
        trust: trust("eks.amazonaws.com", &["sts:AssumeRole", "sts:TagSession"], None),
        managed: of_cluster(blueprint).iter().map(ToString::to_string).collect(),
        policies: Vec::new(),
    };
    cluster.add(template, ids::CLUSTER_ROLE, blueprint);
    let (id, name, node) = if blueprint.auto_mode {
        (ids::AUTO_NODE_ROLE, names.auto_node_role(), NODE_IN_AUTO_MODE)
    } else {
        (ids::NODE_ROLE, names.node_role(), NODE)
    };
    let machines = match blueprint.site.partition.as_str() {
        "aws-cn" => "ec2.amazonaws.com.cn",
        _ => "ec2.amazonaws.com",
    };
    let node = Role {
        name,
        trust: trust(machines, &["sts:AssumeRole"], None),
        managed: vec![node.to_string(), PULL.to_string()],
        policies: pulling_through(blueprint).into_iter().collect(),
    };
    node.add(template, id, blueprint);
    for role in &blueprint.pod_roles {
        of_pods(*role, blueprint).add(template, ids::pod_role(*role), blueprint);
    }
}

/// The policies of the control plane.
fn of_cluster(blueprint: &Blueprint) -> Vec<&'static str> {
    let is_narrow = blueprint.site.partition == "aws";
    let storage = |policy| if policy == STORAGE && is_narrow { STORAGE_OF_ITS_OWN } else { policy };
    let of_auto_mode: &[&str] = if blueprint.auto_mode { &CLUSTER_IN_AUTO_MODE } else { &[] };
    [CLUSTER].into_iter().chain(of_auto_mode.iter().copied().map(storage)).collect()
}

/// Whether the control plane of the cluster that stands by `template` may make nodes, volumes and load balancers.
pub fn carry_auto_mode(template: &Template) -> bool {
    let policies =
        &template.resources().get(ids::CLUSTER_ROLE).map(|role| &role["Properties"]["ManagedPolicyArns"]);
    let names: Vec<&str> = policies
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|arn| arn.as_str()?.rsplit('/').next())
        .collect();
    let has = |policy: &&str| {
        names.contains(policy) || (**policy == *STORAGE && names.contains(&STORAGE_OF_ITS_OWN))
    };
    CLUSTER_IN_AUTO_MODE.iter().all(has) && template.resources().contains_key(ids::AUTO_NODE_ROLE)
}

struct Role {
    name: String,
    trust: Value,
    managed: Vec<String>,
    policies: Vec<Value>,
}

impl Role {
    fn add(self, template: &mut Template, id: &str, blueprint: &Blueprint) {
        let Self { name, trust, managed, policies } = self;
        let mut properties = json!({
            "RoleName": name,
            "AssumeRolePolicyDocument": trust,
            "Tags": tags(&blueprint.tags),
        });
        if !managed.is_empty() {
            let arn = |policy: &String| format!("arn:{}:iam::aws:policy/{policy}", blueprint.site.partition);
            properties["ManagedPolicyArns"] = managed.iter().map(arn).collect();
        }
        if !policies.is_empty() {
            properties["Policies"] = Value::Array(policies);
        }
        template.resource(id, "AWS::IAM::Role", properties);
    }
}

/// What nodes need besides where the first of them that pulls an image through ECR makes its repository.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html>
fn pulling_through(blueprint: &Blueprint) -> Option<Value> {
    (!blueprint.pulled_through.is_empty()).then(|| {
        json!({"PolicyName": "pull-through", "PolicyDocument": {"Version": POLICY_LANGUAGE, "Statement": [{
            "Effect": "Allow",
            "Action": ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"],
            "Resource": blueprint.pulled_through,
        }]}})
    })
}

/// Who may take a role.
fn trust(service: &str, actions: &[&str], condition: Option<Value>) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": actions,
    });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    json!({"Version": POLICY_LANGUAGE, "Statement": [statement]})
}

/// A role that one service account of this one cluster may take: EKS tags the session with both.
/// <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html>
fn of_pods(role: PodRole, blueprint: &Blueprint) -> Role {
    let condition = json!({"StringEquals": {
        "aws:RequestTag/eks-cluster-arn": blueprint.names.cluster_arn(&blueprint.site),
        "aws:RequestTag/kubernetes-namespace": role.namespace(),
        "aws:RequestTag/kubernetes-service-account": role.service_account(),
    }});
    let (managed, policies) = match role {
        PodRole::EbsCsi => (vec!["service-role/AmazonEBSCSIDriverPolicy".to_string()], Vec::new()),
        PodRole::VpcCni => (vec!["AmazonEKS_CNI_Policy".to_string()], Vec::new()),
        PodRole::Autoscaler => (Vec::new(), vec![autoscaling(blueprint)]),
    };
    Role {
        name: blueprint.names.pod_role(role),
        trust: trust("pods.eks.amazonaws.com", &["sts:AssumeRole", "sts:TagSession"], Some(condition)),
        managed,
        policies,
    }
}

/// What the cluster autoscaler needs: to look at all groups, for which AWS knows no narrower right, and to set the
/// size of those that EKS marked as this cluster's.
/// <https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md>
fn autoscaling(blueprint: &Blueprint) -> Value {
    let cluster = blueprint.names.cluster();
    let site = &blueprint.site;
    let node_groups =
        format!("arn:{}:eks:{}:{}:nodegroup/{cluster}/*", site.partition, site.region, site.account);
    let owned = format!("aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}");
    json!({"PolicyName": "autoscaling", "PolicyDocument": {"Version": POLICY_LANGUAGE, "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeTags",
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "Resource": "*",
        },
        {"Effect": "Allow", "Action": ["eks:DescribeNodegroup"], "Resource": node_groups},
        {
            "Effect": "Allow",
            "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            "Resource": "*",
            "Condition": {"StringEquals": {owned: "owned"}},
        },
    ]}})
}
