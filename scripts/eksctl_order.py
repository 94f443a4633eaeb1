"""Plays the order in which eksctl v0.230 makes a cluster with one managed node group, on the stand-in for AWS:
eksctl_order.py URL SPEED (by `scripts/aws-fake --run python`). Prints when what stood, as JSON, in seconds.

It is eksctl's order, stacks and pauses, replayed, and not the program: the stand-in's CloudFormation has no EKS types, so
this makes the control plane and the node group by the API at the moment at which CloudFormation would, and asks for their
state without a pause where CloudFormation would know it. Read from github.com/eksctl-io/eksctl v0.230.0:
- pkg/cfn/waiter/stack.go: the stack of the cluster is looked at after 30 s, 30 s, then each minute;
- pkg/cfn/manager/waiters.go: other stacks by the waiter of the AWS SDK for Go, 30 to 120 s apart, the first look at once;
- pkg/cfn/manager/create_tasks.go, pkg/ctl/create/cluster.go: one stack after the other;
- pkg/actions/addon/tasks.go: the addons one after the other, those behind the nodes waited for (10 s and more apart).
Left out, all in its favour: the OIDC provider, stacks of roles for addons, retries, CloudFormation's own polling of EKS."""

import json
import random
import sys
import time

import botocore.session
from botocore.config import Config

URL, SPEED = sys.argv[1], float(sys.argv[2])
REGION, NAME = "eu-central-1", "order"
TRUST = lambda service: {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
MANAGED = "arn:aws:iam::aws:policy/"


def client(service):
    return botocore.session.get_session().create_client(service, REGION, endpoint_url=URL, config=Config(retries={"max_attempts": 3}))


eks, stacks = client("eks"), client("cloudformation")
ref = lambda name: {"Ref": name}
att = lambda name, attribute: {"Fn::GetAtt": [name, attribute]}
thing = lambda kind, needs=None, **properties: {"Type": f"AWS::{kind}", "Properties": properties} | ({"DependsOn": needs} if needs else {})


def pause(seconds):
    """A pause of eksctl's, in the time of the stand-in."""
    time.sleep(seconds / SPEED)


def network():
    """Its stack of the cluster, without the cluster: three zones, one NAT gateway, two security groups, a role."""
    found = {
        "VPC": thing("EC2::VPC", CidrBlock="192.168.0.0/16", EnableDnsHostnames=True, EnableDnsSupport=True),
        "InternetGateway": thing("EC2::InternetGateway"),
        "VPCGatewayAttachment": thing("EC2::VPCGatewayAttachment", VpcId=ref("VPC"), InternetGatewayId=ref("InternetGateway")),
        "NATIP": thing("EC2::EIP", "VPCGatewayAttachment", Domain="vpc"),
        "NATGateway": thing("EC2::NatGateway", AllocationId=att("NATIP", "AllocationId"), SubnetId=ref("SubnetPublicA")),
        "PublicRouteTable": thing("EC2::RouteTable", VpcId=ref("VPC")),
        "PublicSubnetRoute": thing("EC2::Route", "VPCGatewayAttachment", RouteTableId=ref("PublicRouteTable"), DestinationCidrBlock="0.0.0.0/0", GatewayId=ref("InternetGateway")),
        "ControlPlaneSecurityGroup": thing("EC2::SecurityGroup", VpcId=ref("VPC"), GroupDescription="control plane and nodes"),
        "ClusterSharedNodeSecurityGroup": thing("EC2::SecurityGroup", VpcId=ref("VPC"), GroupDescription="all nodes"),
        "IngressInterNodeGroupSG": thing("EC2::SecurityGroupIngress", GroupId=att("ClusterSharedNodeSecurityGroup", "GroupId"), IpProtocol="-1", SourceSecurityGroupId=att("ClusterSharedNodeSecurityGroup", "GroupId")),
        "ServiceRole": thing("IAM::Role", AssumeRolePolicyDocument=TRUST("eks.amazonaws.com"), ManagedPolicyArns=[f"{MANAGED}AmazonEKSClusterPolicy", f"{MANAGED}AmazonEKSVPCResourceController"]),
    }
    for index, zone in enumerate("abc"):
        letter = zone.upper()
        found[f"SubnetPublic{letter}"] = thing("EC2::Subnet", VpcId=ref("VPC"), CidrBlock=f"192.168.{index * 32}.0/19", AvailabilityZone=f"{REGION}{zone}", MapPublicIpOnLaunch=True)
        found[f"SubnetPrivate{letter}"] = thing("EC2::Subnet", VpcId=ref("VPC"), CidrBlock=f"192.168.{96 + index * 32}.0/19", AvailabilityZone=f"{REGION}{zone}")
        found[f"PrivateRouteTable{letter}"] = thing("EC2::RouteTable", VpcId=ref("VPC"))
        found[f"NATPrivateSubnetRoute{letter}"] = thing("EC2::Route", RouteTableId=ref(f"PrivateRouteTable{letter}"), DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ref("NATGateway"))
        found[f"RouteTableAssociationPublic{letter}"] = thing("EC2::SubnetRouteTableAssociation", RouteTableId=ref("PublicRouteTable"), SubnetId=ref(f"SubnetPublic{letter}"))
        found[f"RouteTableAssociationPrivate{letter}"] = thing("EC2::SubnetRouteTableAssociation", RouteTableId=ref(f"PrivateRouteTable{letter}"), SubnetId=ref(f"SubnetPrivate{letter}"))
    return found


def machines():
    """Its stack of a managed node group, without the group."""
    return {
        "LaunchTemplate": thing("EC2::LaunchTemplate", LaunchTemplateData={
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 80, "VolumeType": "gp3"}}]}),
        "NodeInstanceRole": thing("IAM::Role", AssumeRolePolicyDocument=TRUST("ec2.amazonaws.com"), ManagedPolicyArns=[
            f"{MANAGED}{policy}" for policy in ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore")]),
    }


def create(name, resources):
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_IAM"])


def resources_of(name):
    """What CloudFormation knows of the resources of its stack: it is no call of eksctl's."""
    listed = stacks.list_stack_resources(StackName=name)["StackResourceSummaries"]
    return {entry["LogicalResourceId"]: entry for entry in listed}


def done(name, *wanted):
    """The resources `wanted`, once they stand; CloudFormation begins what needs them in the same moment."""
    while True:
        found = resources_of(name)
        if all(found.get(one, {}).get("ResourceStatus") == "CREATE_COMPLETE" for one in wanted):
            return {one: found[one]["PhysicalResourceId"] for one in wanted}
        time.sleep(0.02)


def heard(call, **parameters):
    """CloudFormation tries again while EKS has not heard of a new role."""
    while True:
        try:
            return call(**parameters)
        except eks.exceptions.InvalidParameterException:
            time.sleep(1 / SPEED)


def is_complete(stack, *things):
    """Whether the stack would be CREATE_COMPLETE, with the `things` of EKS that were its own."""
    status = stacks.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    return status == "CREATE_COMPLETE" and all(one() == "ACTIVE" for one in things)


def role_arn(name):
    return client("iam").get_role(RoleName=name)["Role"]["Arn"]


def main():
    random.seed(0)
    began, reached = time.monotonic(), {}
    mark = lambda what: reached.__setitem__(what, time.monotonic() - began)
    # 1. The stack of the cluster.
    stack = f"eksctl-{NAME}-cluster"
    create(stack, network())
    subnets = [f"Subnet{side}{letter}" for side in ("Public", "Private") for letter in "ABC"]
    found = done(stack, *subnets, "ControlPlaneSecurityGroup", "ServiceRole")
    heard(
        eks.create_cluster, name=NAME, version="1.36", roleArn=role_arn(found["ServiceRole"]),
        resourcesVpcConfig={"subnetIds": [found[one] for one in subnets], "securityGroupIds": [found["ControlPlaneSecurityGroup"]]},
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True}, bootstrapSelfManagedAddons=False,
    )
    cluster = lambda: eks.describe_cluster(name=NAME)["cluster"]["status"]
    attempt = 0
    while True:
        attempt += 1
        pause(30 if attempt <= 2 else 60)
        if is_complete(stack, cluster):
            break
    mark("cluster")
    # 2. Access entries; 3. the addons before the nodes, which are not waited for.
    for role in ("platform", "developers"):
        eks.create_access_entry(clusterName=NAME, principalArn=f"arn:aws:iam::123456789012:role/{role}")
    for addon in ("eks-pod-identity-agent", "vpc-cni", "kube-proxy", "coredns"):
        eks.create_addon(clusterName=NAME, addonName=addon)
    # 7. The stack of the node group, by the waiter of the SDK.
    stack = f"eksctl-{NAME}-nodegroup-general"
    create(stack, machines())
    found = done(stack, "LaunchTemplate", "NodeInstanceRole")
    private = resources_of(f"eksctl-{NAME}-cluster")
    heard(
        eks.create_nodegroup, clusterName=NAME, nodegroupName="general", nodeRole=role_arn(found["NodeInstanceRole"]), instanceTypes=["m7i.large"], amiType="AL2023_x86_64_STANDARD",
        subnets=[private[f"SubnetPrivate{letter}"]["PhysicalResourceId"] for letter in "AB"], scalingConfig={"minSize": 2, "maxSize": 2, "desiredSize": 2},
        launchTemplate={"id": found["LaunchTemplate"]},
    )
    group = lambda: eks.describe_nodegroup(clusterName=NAME, nodegroupName="general")["nodegroup"]["status"]
    attempt = 0
    while not is_complete(stack, group):
        attempt += 1
        pause(random.uniform(30, min(120, 30 * 2 ** (attempt - 1))))
    mark("nodes")
    # 11. The addons behind the nodes, one after the other, each waited for.
    state = lambda addon: eks.describe_addon(clusterName=NAME, addonName=addon)["addon"]["status"]
    for addon in ("metrics-server", "aws-ebs-csi-driver"):
        eks.create_addon(clusterName=NAME, addonName=addon)
        attempt = 0
        while state(addon) != "ACTIVE":
            attempt += 1
            pause(random.uniform(10, min(120, 10 * 2 ** (attempt - 1))))
    while any(state(addon) != "ACTIVE" for addon in ("vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent")):
        time.sleep(0.05)
    mark("addons")
    print(json.dumps(reached))


main()
