"""ECR: repositories and what hangs on them, pull-through caches, the registry's scanning, tokens."""
from .. import Operations

operations = Operations()

# Each module adds its own operations to the table.
from . import images, policies, registry, repositories  # noqa: E402, F401
from .state import Ecr  # noqa: E402

__all__ = ["Ecr", "operations"]
