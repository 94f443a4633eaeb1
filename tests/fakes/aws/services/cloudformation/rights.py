"""The calls that CloudFormation makes in the caller's name, so the rights that a caller needs for a template.

A test holds each against the permissions in the resource schemas that cfn-lint ships.
"""
# Create, delete; what only some properties need is below.
BASE = {
    "AWS::EC2::VPC": ("ec2:CreateVpc ec2:DescribeVpcs ec2:CreateTags", "ec2:DeleteVpc ec2:DescribeVpcs"),
    "AWS::EC2::Subnet": ("ec2:CreateSubnet ec2:DescribeSubnets ec2:CreateTags", "ec2:DeleteSubnet ec2:DescribeSubnets"),
    "AWS::EC2::InternetGateway": ("ec2:CreateInternetGateway ec2:DescribeInternetGateways ec2:CreateTags", "ec2:DeleteInternetGateway ec2:DescribeInternetGateways"),
    "AWS::EC2::VPCGatewayAttachment": ("ec2:AttachInternetGateway ec2:DescribeInternetGateways", "ec2:DetachInternetGateway ec2:DescribeInternetGateways"),
    "AWS::EC2::EIP": ("ec2:AllocateAddress ec2:DescribeAddresses ec2:CreateTags", "ec2:ReleaseAddress ec2:DescribeAddresses"),
    "AWS::EC2::NatGateway": ("ec2:CreateNatGateway ec2:DescribeNatGateways ec2:CreateTags", "ec2:DeleteNatGateway ec2:DescribeNatGateways"),
    "AWS::EC2::RouteTable": ("ec2:CreateRouteTable ec2:DescribeRouteTables ec2:CreateTags", "ec2:DeleteRouteTable ec2:DescribeRouteTables"),
    "AWS::EC2::Route": ("ec2:CreateRoute ec2:DescribeRouteTables", "ec2:DeleteRoute ec2:DescribeRouteTables"),
    "AWS::EC2::SubnetRouteTableAssociation": ("ec2:AssociateRouteTable ec2:DescribeRouteTables", "ec2:DisassociateRouteTable ec2:DescribeRouteTables"),
    "AWS::EC2::VPCEndpoint": ("ec2:CreateVpcEndpoint ec2:DescribeVpcEndpoints ec2:CreateTags", "ec2:DeleteVpcEndpoints ec2:DescribeVpcEndpoints"),
    "AWS::EC2::SecurityGroup": ("ec2:CreateSecurityGroup ec2:DescribeSecurityGroups ec2:CreateTags", "ec2:DeleteSecurityGroup ec2:DescribeSecurityGroups"),
    "AWS::EC2::SecurityGroupIngress": ("ec2:AuthorizeSecurityGroupIngress ec2:DescribeSecurityGroupRules", "ec2:RevokeSecurityGroupIngress ec2:DescribeSecurityGroupRules"),
    "AWS::EC2::SecurityGroupEgress": ("ec2:AuthorizeSecurityGroupEgress ec2:DescribeSecurityGroupRules", "ec2:RevokeSecurityGroupEgress ec2:DescribeSecurityGroupRules"),
    "AWS::EC2::LaunchTemplate": ("ec2:CreateLaunchTemplate ec2:CreateTags", "ec2:DeleteLaunchTemplate ec2:DescribeLaunchTemplates"),
    "AWS::IAM::Role": ("iam:CreateRole iam:GetRole", "iam:DeleteRole iam:GetRole iam:ListAttachedRolePolicies iam:ListRolePolicies"),
    "AWS::IAM::ManagedPolicy": ("iam:CreatePolicy", "iam:DeletePolicy iam:GetPolicy iam:ListPolicyVersions iam:ListEntitiesForPolicy"),
    "AWS::IAM::InstanceProfile": ("iam:CreateInstanceProfile iam:PassRole iam:AddRoleToInstanceProfile iam:GetInstanceProfile",
                                  "iam:RemoveRoleFromInstanceProfile iam:DeleteInstanceProfile iam:GetInstanceProfile"),
    "AWS::IAM::Policy": ("iam:PutRolePolicy", "iam:DeleteRolePolicy"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup logs:DescribeLogGroups", "logs:DeleteLogGroup logs:DescribeLogGroups"),
}
# What a property that is given needs when the thing is made.
GIVEN = {
    ("AWS::EC2::VPC", "EnableDnsHostnames"): "ec2:ModifyVpcAttribute", ("AWS::EC2::VPC", "EnableDnsSupport"): "ec2:ModifyVpcAttribute",
    ("AWS::EC2::Subnet", "MapPublicIpOnLaunch"): "ec2:ModifySubnetAttribute",
    ("AWS::EC2::SecurityGroup", "SecurityGroupIngress"): "ec2:AuthorizeSecurityGroupIngress",
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress"): "ec2:AuthorizeSecurityGroupEgress ec2:RevokeSecurityGroupEgress",
    ("AWS::IAM::Role", "ManagedPolicyArns"): "iam:AttachRolePolicy", ("AWS::IAM::Role", "Policies"): "iam:PutRolePolicy",
    ("AWS::IAM::ManagedPolicy", "Roles"): "iam:AttachRolePolicy", ("AWS::Logs::LogGroup", "RetentionInDays"): "logs:PutRetentionPolicy",
}
# What a property that has changed needs; any other change needs what tags need.
CHANGED = {
    ("AWS::EC2::VPC", "EnableDnsHostnames"): "ec2:ModifyVpcAttribute", ("AWS::EC2::VPC", "EnableDnsSupport"): "ec2:ModifyVpcAttribute",
    ("AWS::EC2::Subnet", "MapPublicIpOnLaunch"): "ec2:ModifySubnetAttribute",
    ("AWS::EC2::VPCGatewayAttachment", "InternetGatewayId"): "ec2:AttachInternetGateway ec2:DetachInternetGateway",
    ("AWS::EC2::Route", "GatewayId"): "ec2:ReplaceRoute", ("AWS::EC2::Route", "NatGatewayId"): "ec2:ReplaceRoute",
    ("AWS::EC2::VPCEndpoint", "RouteTableIds"): "ec2:ModifyVpcEndpoint", ("AWS::EC2::VPCEndpoint", "PolicyDocument"): "ec2:ModifyVpcEndpoint",
    ("AWS::EC2::SecurityGroup", "SecurityGroupIngress"): "ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupIngress",
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress"): "ec2:AuthorizeSecurityGroupEgress ec2:RevokeSecurityGroupEgress",
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateData"): "ec2:CreateLaunchTemplateVersion",
    ("AWS::IAM::Role", "AssumeRolePolicyDocument"): "iam:UpdateAssumeRolePolicy", ("AWS::IAM::Role", "Description"): "iam:UpdateRole",
    ("AWS::IAM::Role", "MaxSessionDuration"): "iam:UpdateRole", ("AWS::IAM::Role", "ManagedPolicyArns"): "iam:AttachRolePolicy iam:DetachRolePolicy",
    ("AWS::IAM::Role", "Policies"): "iam:PutRolePolicy iam:DeleteRolePolicy", ("AWS::IAM::Role", "PermissionsBoundary"): "iam:PutRolePermissionsBoundary",
    ("AWS::IAM::ManagedPolicy", "PolicyDocument"): "iam:GetPolicy iam:ListPolicyVersions iam:CreatePolicyVersion",
    ("AWS::IAM::ManagedPolicy", "Roles"): "iam:AttachRolePolicy iam:DetachRolePolicy", ("AWS::IAM::Policy", "PolicyDocument"): "iam:PutRolePolicy",
    ("AWS::IAM::InstanceProfile", "Roles"): "iam:PassRole iam:RemoveRoleFromInstanceProfile iam:AddRoleToInstanceProfile",
    ("AWS::Logs::LogGroup", "RetentionInDays"): "logs:PutRetentionPolicy",
}


def _tagging(kind):
    return {"AWS::IAM::Role": "iam:TagRole", "AWS::Logs::LogGroup": "logs:TagResource"}.get(kind, "ec2:CreateTags")


def untagging(kind):
    return {"AWS::IAM::Role": "iam:UntagRole", "AWS::Logs::LogGroup": "logs:UntagResource"}.get(kind, "ec2:DeleteTags")


def to_create(kind, properties, tagged):
    found = BASE[kind][0].split()
    for name in properties:
        found += GIVEN.get((kind, name), "").split()
    return found + ([_tagging(kind)] if tagged else [])


def to_change(kind, changed, tagged, untagged):
    found = []
    for name in changed:
        found += CHANGED.get((kind, name), "").split()
    return found + ([_tagging(kind)] if tagged else []) + ([untagging(kind)] if untagged else [])


def to_delete(kind, properties):
    found = BASE[kind][1].split()
    if kind == "AWS::IAM::Role":
        found += ["iam:DetachRolePolicy"] if properties.get("ManagedPolicyArns") else []
        found += ["iam:DeleteRolePolicy"] if properties.get("Policies") else []
    if kind == "AWS::IAM::ManagedPolicy" and properties.get("Roles"):
        found.append("iam:DetachRolePolicy")
    return found
