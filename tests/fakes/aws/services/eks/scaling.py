"""The Auto Scaling group behind a node group: its size, its machines, and what it tried."""
from ..autoscaling import Autoscaling
from . import network


def create(nodegroup):
    cluster, scaling = nodegroup.cluster.name, nodegroup.scaling
    tags = {"eks:cluster-name": cluster, "eks:nodegroup-name": nodegroup.name, f"kubernetes.io/cluster/{cluster}": "owned",
            f"k8s.io/cluster-autoscaler/{cluster}": "owned", "k8s.io/cluster-autoscaler/enabled": "true"}
    nodegroup.world.state(Autoscaling).create_group(nodegroup.group, scaling["minSize"], scaling["maxSize"], scaling["desiredSize"], nodegroup.subnets,
                                                    sorted(network.zones_of(nodegroup.world, nodegroup.subnets)), tags)


def follow(nodegroup):
    """The group shows the sizes and the machines of the node group."""
    group = nodegroup.world.state(Autoscaling).groups.get(nodegroup.group)
    if group is None:
        return
    scaling = nodegroup.scaling
    group.update(MinSize=scaling["minSize"], MaxSize=scaling["maxSize"], DesiredCapacity=scaling["desiredSize"])
    group["Instances"] = [{"InstanceId": instance.id, "InstanceType": instance.type, "AvailabilityZone": instance.zone, "HealthStatus": "Healthy",
                           "LifecycleState": "Terminating" if instance.state == "leaving" else "InService", "ProtectedFromScaleIn": False}
                          for instance in nodegroup.instances]


def delete(nodegroup):
    nodegroup.world.state(Autoscaling).delete_group(nodegroup.group)


def _activity(nodegroup, description, status, text, number, message=None):
    state = nodegroup.world.state(Autoscaling)
    if nodegroup.group in state.groups:
        cause = f"At {nodegroup.world.now():%Y-%m-%dT%H:%M:%SZ} {text} {number}."
        state.add_activity(nodegroup.group, description, status, message, cause)


def failed(nodegroup, message):
    text = "an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 0 to"
    _activity(nodegroup, f"Launching a new EC2 instance.  Status Reason: {message}", "Failed", text, nodegroup.scaling["desiredSize"], message)


def launched(nodegroup, instance):
    text = "an instance was started in response to a difference between desired and actual capacity, increasing the capacity to"
    _activity(nodegroup, f"Launching a new EC2 instance: {instance.id}", "Successful", text, len(nodegroup.living))
    follow(nodegroup)


def terminating(nodegroup, instance):
    text = "an instance was taken out of service in response to a user request, shrinking the capacity to"
    _activity(nodegroup, f"Terminating EC2 instance: {instance.id}", "InProgress", text, len(nodegroup.living))
    follow(nodegroup)


def terminated(nodegroup, instance):
    for activity in nodegroup.world.state(Autoscaling).activities.get(nodegroup.group, []):
        if activity["Description"] == f"Terminating EC2 instance: {instance.id}":
            activity.update(StatusCode="Successful", EndTime=nodegroup.world.now())
    follow(nodegroup)
