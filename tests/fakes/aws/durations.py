"""How long AWS takes for each thing, in seconds: published or reported figures, divided by `--speed`.

`--durations FILE` (JSON, the same keys) and `scenario.durations` replace single ones.
"""
DURATIONS = {
    # AWS: "9 minutes on average" (aws/containers-roadmap 1227); deletion: a terraform log of 15 min, eksctl's users 2-3 to 15 min.
    "eks.cluster.create": 540, "eks.cluster.delete": 180, "eks.cluster.update": 60, "eks.cluster.version": 1500,
    "eks.nodegroup.create": 180, "eks.nodegroup.delete": 180, "eks.nodegroup.update": 60, "eks.nodegroup.fail": 600,
    "eks.addon.create": 30, "eks.addon.delete": 15, "eks.addon.update": 30, "eks.encryption.associate": 900,
    # Network and IAM through CloudFormation.
    "iam.propagation": 10,
    "AWS::EC2::VPC": 6, "AWS::EC2::Subnet": 4, "AWS::EC2::InternetGateway": 15, "AWS::EC2::VPCGatewayAttachment": 4,
    "AWS::EC2::EIP": 15, "AWS::EC2::NatGateway": 120, "AWS::EC2::NatGateway.delete": 60, "AWS::EC2::RouteTable": 10,
    "AWS::EC2::Route": 4, "AWS::EC2::SubnetRouteTableAssociation": 3, "AWS::EC2::VPCEndpoint": 10,
    "AWS::EC2::SecurityGroup": 5, "AWS::EC2::SecurityGroupIngress": 2, "AWS::EC2::SecurityGroupEgress": 2,
    "AWS::EC2::LaunchTemplate": 5, "AWS::IAM::Role": 17, "AWS::IAM::Policy": 12, "AWS::IAM::ManagedPolicy": 15,
    # Two minutes to the second in a log (eksctl-io/eksctl 4108).
    "AWS::IAM::InstanceProfile": 120, "AWS::Logs::LogGroup": 4, "AWS::ECR::Repository": 2,
    "cloudformation.start": 3, "cloudformation.finish": 2,
    "ec2.instance.terminate": 40, "ec2.interface.release": 20, "elb.create": 120, "elb.delete": 20,
}
