"""A template of a small network with every type that is modelled."""
import json

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def ref(name):
    return {"Ref": name}


def att(name, attribute):
    return {"Fn::GetAtt": [name, attribute]}


def thing(kind, needs=None, **properties):
    found = {"Type": f"AWS::{kind}", "Properties": properties}
    return found | ({"DependsOn": needs} if needs else {})


def resources():
    return {
        "Vpc": thing("EC2::VPC", CidrBlock="10.0.0.0/16", EnableDnsHostnames=True),
        "Private": thing("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/19", AvailabilityZone="eu-central-1a"),
        "Public": thing("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.32.0/20", AvailabilityZone="eu-central-1a", MapPublicIpOnLaunch=True),
        "Gateway": thing("EC2::InternetGateway", Tags=[{"Key": "Name", "Value": "way-out"}]),
        "Attachment": thing("EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")),
        "Address": thing("EC2::EIP", "Attachment", Domain="vpc"),
        "Nat": thing("EC2::NatGateway", SubnetId=ref("Public"), AllocationId=att("Address", "AllocationId")),
        "PublicTable": thing("EC2::RouteTable", VpcId=ref("Vpc")),
        "PrivateTable": thing("EC2::RouteTable", VpcId=ref("Vpc")),
        "Out": thing("EC2::Route", "Attachment", RouteTableId=ref("PublicTable"), DestinationCidrBlock="0.0.0.0/0", GatewayId=ref("Gateway")),
        "ByNat": thing("EC2::Route", RouteTableId=ref("PrivateTable"), DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ref("Nat")),
        "PublicUse": thing("EC2::SubnetRouteTableAssociation", RouteTableId=ref("PublicTable"), SubnetId=ref("Public")),
        "PrivateUse": thing("EC2::SubnetRouteTableAssociation", RouteTableId=ref("PrivateTable"), SubnetId=ref("Private")),
        "Storage": thing("EC2::VPCEndpoint", VpcId=ref("Vpc"), ServiceName="com.amazonaws.eu-central-1.s3", RouteTableIds=[ref("PrivateTable")]),
        "Group": thing("EC2::SecurityGroup", VpcId=ref("Vpc"), GroupDescription="nodes",
                       SecurityGroupIngress=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/16"}]),
        "FromItself": thing("EC2::SecurityGroupIngress", GroupId=att("Group", "GroupId"), IpProtocol="-1", SourceSecurityGroupId=att("Group", "GroupId")),
        "ToWorld": thing("EC2::SecurityGroupEgress", GroupId=att("Group", "GroupId"), IpProtocol="tcp", FromPort=53, ToPort=53, CidrIp="10.1.0.0/16"),
        "Machines": thing("EC2::LaunchTemplate", LaunchTemplateData={
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 80, "VolumeType": "gp3", "Encrypted": True}}]}),
        "Role": thing("IAM::Role", RoleName="nodes", AssumeRolePolicyDocument=TRUST, ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"]),
        "Policy": thing("IAM::ManagedPolicy", ManagedPolicyName="pull", PolicyDocument=ALLOW, Roles=[ref("Role")]),
        "Inline": thing("IAM::Policy", PolicyName="inline", PolicyDocument=ALLOW, Roles=[ref("Role")]),
        "Profile": thing("IAM::InstanceProfile", Roles=[ref("Role")]),
        "Logs": thing("Logs::LogGroup", LogGroupName="/aws/eks/dev/cluster", RetentionInDays=30),
    }


def template(**changes):
    """The template as text; a change of None takes a resource out."""
    found = resources()
    for name, entry in changes.items():
        if entry is None:
            del found[name]
        else:
            found[name] = entry
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": found, "Outputs": {"Vpc": {"Value": ref("Vpc")}, "Role": {"Value": att("Role", "Arn")}}})
