"""Service Quotas: the ones that a platform runs into, with AWS's defaults."""
from ..errors import AwsError
from . import Operations

operations = Operations()

# Code: service, name, default. Codes: docs.aws.amazon.com/general/latest/gr/{ec2-service,vpc,eks}.html
QUOTAS = {
    "L-1216C47A": ("ec2", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
    "L-34B43A08": ("ec2", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5),
    "L-DB2E81BA": ("ec2", "Running On-Demand G and VT instances", 0),
    "L-3819A6DF": ("ec2", "All G and VT Spot Instance Requests", 0),
    "L-417A185B": ("ec2", "Running On-Demand P instances", 0),
    "L-7212CCBC": ("ec2", "All P4, P3 and P2 Spot Instance Requests", 0), "L-C4BD4855": ("ec2", "All P5 Spot Instance Requests", 0),
    "L-1945791B": ("ec2", "Running On-Demand Inf instances", 0), "L-2C3B7624": ("ec2", "Running On-Demand Trn instances", 0),
    "L-0263D0A3": ("ec2", "EC2-VPC Elastic IPs", 5),
    "L-F678F1CE": ("vpc", "VPCs per Region", 5), "L-FE5A380F": ("vpc", "NAT gateways per Availability Zone", 5),
    "L-A4707A72": ("vpc", "Internet gateways per Region", 5), "L-E79EC296": ("vpc", "VPC security groups per Region", 2500),
    "L-1194D53C": ("eks", "Clusters", 100), "L-6D54EA21": ("eks", "Managed node groups per cluster", 30),
    "L-BD136A63": ("eks", "Nodes per managed node group", 450),
    "L-53DA6B97": ("elasticloadbalancing", "Application Load Balancers per Region", 50),
    "L-69A177A2": ("elasticloadbalancing", "Network Load Balancers per Region", 50),
    "L-CFEB8E8D": ("ecr", "Registered repositories", 100000), "L-FE177D64": ("iam", "Roles per account", 1000),
}
# An account in use has more machines than a new one.
APPLIED = {"L-1216C47A": 640, "L-34B43A08": 640, "L-DB2E81BA": 64, "L-3819A6DF": 64}


def quota(world, code):
    """The value that applies in this world."""
    return world.scenario.get("quotas", {}).get(code, APPLIED.get(code, QUOTAS[code][2]))


def _shown(call, code, default=False):
    service, name, published = QUOTAS[code]
    return {"ServiceCode": service, "ServiceName": service, "QuotaArn": call.world.arn("servicequotas", f"{service}/{code}"), "QuotaCode": code, "QuotaName": name,
            "Value": float(published if default else quota(call.world, code)), "Unit": "None", "Adjustable": True, "GlobalQuota": service == "iam"}


@operations("GetServiceQuota", "GetAWSDefaultServiceQuota")
def get_service_quota(call):
    code = call.parameters["QuotaCode"]
    if code not in QUOTAS or QUOTAS[code][0] != call.parameters["ServiceCode"]:
        raise AwsError("NoSuchResourceException", f"The request failed because the specified quota {code} does not exist.", 400)
    return {"Quota": _shown(call, code, call.action != "GetServiceQuota")}


@operations("ListServiceQuotas", "ListAWSDefaultServiceQuotas")
def list_service_quotas(call):
    codes = [code for code in QUOTAS if QUOTAS[code][0] == call.parameters["ServiceCode"]]
    if not codes:
        raise AwsError("NoSuchResourceException", "The request failed because the specified service does not exist.", 400)
    token, count = int(call.get("NextToken", "0")), call.get("MaxResults", 100)
    answer = {"Quotas": [_shown(call, code, call.action != "ListServiceQuotas") for code in codes[token:token + count]]}
    if len(codes) > token + count:
        answer["NextToken"] = str(token + count)
    return answer
