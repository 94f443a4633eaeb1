"""Systems Manager: the public parameters in which EKS publishes its machine images.

https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html
"""
import re

from ..errors import AwsError
from . import Operations
from .eks import nodegroups, versions

operations = Operations()

FAMILIES = ("x86_64/standard", "arm64/standard", "x86_64/nvidia", "arm64/nvidia", "x86_64/neuron")
NAME = re.compile(r"/aws/service/eks/optimized-ami/(\d+\.\d+)/amazon-linux-2023/(\w+/\w+)/recommended/release_version")
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
AT_ONCE = 10


def _parameter(call, name):
    found = NAME.fullmatch(name)
    if not found or found[1] not in versions.NAMES or found[2] not in FAMILIES:
        return None
    return {"Name": name, "Type": "String", "Version": 1, "DataType": "text", "LastModifiedDate": call.world.now(),
            "Value": versions.release_of(found[1], nodegroups.newest(call.world)), "ARN": f"arn:aws:ssm:{call.region}::parameter{name}"}


@operations("GetParameter")
def get_parameter(call):
    parameter = _parameter(call, call.parameters["Name"])
    if parameter is None:
        raise AwsError("ParameterNotFound", "", 400)
    return {"Parameter": parameter}


@operations("GetParameters")
def get_parameters(call):
    names = call.parameters["Names"]
    if len(names) > AT_ONCE:
        raise AwsError("ValidationException", f"1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length less than or equal to {AT_ONCE}", 400)
    found = {name: _parameter(call, name) for name in names}
    return {"Parameters": [shown for shown in found.values() if shown], "InvalidParameters": [name for name, shown in found.items() if not shown]}
