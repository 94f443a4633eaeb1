"""What kwok plays on the nodes of a control plane: its Stage objects.

kwok has its own, but none of them is left once a single one is given (kwok 0.8), and its own let the pods of
every Job end well. Here a pod that runs `connect` is only put on its node: `services/eks/attempts.py` plays
how it ends.
"""

import json

API = "kwok.x-k8s.io/v1alpha1"
# The containers that are agnhost's `connect`, in a pod that comes to an end.
CONNECTS = '.spec | select(.restartPolicy != "Always") | .containers[] | select((.args // [])[0] == "connect") | .name'
READY = '.status.conditions[]? | select(.type == "Ready") | .status'

NODE_IS_ALIVE = """
conditions:
{{ $now := Now }}
{{ $since := or .metadata.creationTimestamp $now }}
{{ range NodeConditions }}
- {type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }}, message: {{ .message | Quote }},
   lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $since | Quote }}}
{{ end }}
{{ with NodePort }}
daemonEndpoints: {kubeletEndpoint: {Port: {{ . }}}}
{{ end }}
phase: Running
"""
POD_IS_PLACED = """
startTime: {{ Now | Quote }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs: [{{ range . }}{ip: {{ . | Quote }}},{{ end }}]
{{ end }}
{{ with PodIPsWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") }}
podIP: {{ index . 0 | Quote }}
podIPs: [{{ range . }}{ip: {{ . | Quote }}},{{ end }}]
{{ end }}
"""
POD_RUNS = """
phase: Running
{{ $now := Now }}
conditions:
{{ range $type := list "Initialized" "ContainersReady" "Ready" }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
{{ range .spec.readinessGates }}
- {type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
  {{ else }}
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
  {{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
"""
POD_ENDS_WELL = """
phase: Succeeded
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
"""


def _where(key, operator, *values):
    return {"jq": {"key": key, "operator": operator, **({"values": list(values)} if values else {})}}


def _stage(name, kind, where, then):
    return {"apiVersion": API, "kind": "Stage", "metadata": {"name": name},
            "spec": {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": where}, "next": then}}


def stages():
    """Nodes are kept alive by their leases, which kwok renews without a stage."""
    lives, goes = _where(".metadata.deletionTimestamp", "DoesNotExist"), _where(".metadata.deletionTimestamp", "Exists")
    alone, connects = _where(CONNECTS, "DoesNotExist"), _where(CONNECTS, "Exists")
    pending, runs = _where(".status.phase", "In", "Pending"), _where(".status.phase", "In", "Running")
    not_ready = _where(READY, "NotIn", "True")
    return [
        _stage("node-ready", "Node", [not_ready], {"statusTemplate": NODE_IS_ALIVE}),
        _stage("pod-ready", "Pod", [lives, alone, pending, not_ready], {"statusTemplate": POD_IS_PLACED + POD_RUNS}),
        _stage("pod-placed", "Pod", [lives, connects, pending, _where(".status.podIP", "DoesNotExist")], {"statusTemplate": POD_IS_PLACED}),
        _stage("pod-complete", "Pod", [lives, alone, runs, _where(".metadata.ownerReferences[]?.kind", "In", "Job")], {"statusTemplate": POD_ENDS_WELL}),
        _stage("pod-delete", "Pod", [goes], {"delete": True}),
    ]


def documents(*more):
    """`more` and the stages as one file of several documents."""
    return "\n---\n".join(json.dumps(each) for each in (*more, *stages()))
