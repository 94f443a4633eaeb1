"""EC2: reads, sweeps and security group rules for clients; creation through CloudFormation and the other services."""
from .. import Operations

operations = Operations()

from .state import Ec2  # noqa: E402
from . import machines, networks, tags  # noqa: E402,F401: they fill the table

__all__ = ["Ec2", "operations"]
