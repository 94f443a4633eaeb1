"""ListInsights and DescribeInsight: what the scenario says, or one that passes."""
import datetime

from . import operations
from .base import not_found, page
from .state import Eks


def _insights(cluster):
    # [{"name": …, "status": "PASSING|WARNING|ERROR", "reason": …, "recommendation": …, "version": "1.36"}]
    given = cluster.world.scenario.get("eksInsights") or [
        {"name": "Deprecated APIs removed in the next version", "status": "PASSING", "reason": "No deprecated API usage detected within the last 30 days."}]
    checked = cluster.created + datetime.timedelta(seconds=1)
    for number, insight in enumerate(given, 1):
        yield {
            "id": f"00000000-0000-4000-8000-{number:012}", "name": insight["name"], "category": "UPGRADE_READINESS",
            "kubernetesVersion": insight.get("version", cluster.version), "lastRefreshTime": checked, "lastTransitionTime": checked,
            "description": insight.get("description", insight["name"]),
            "insightStatus": {"status": insight["status"], "reason": insight.get("reason", "")},
        }, insight


@operations("ListInsights")
def list_insights(call):
    cluster = call.world.state(Eks).find(call.parameters["clusterName"])
    wanted = call.get("filter", {})
    found = [shown for shown, _ in _insights(cluster)
             if (not wanted.get("statuses") or shown["insightStatus"]["status"] in wanted["statuses"])
             and (not wanted.get("categories") or shown["category"] in wanted["categories"])
             and (not wanted.get("kubernetesVersions") or shown["kubernetesVersion"] in wanted["kubernetesVersions"])]
    return page(found, call.parameters, "insights")


@operations("DescribeInsight")
def describe_insight(call):
    cluster = call.world.state(Eks).find(call.parameters["clusterName"])
    for shown, insight in _insights(cluster):
        if shown["id"] == call.parameters["id"]:
            return {"insight": {**shown, "recommendation": insight.get("recommendation", ""), "additionalInfo": {},
                                "resources": [], "categorySpecificSummary": {"deprecationDetails": []}}}
    raise not_found(f"No insight found for id: {call.parameters['id']}", clusterName=cluster.name)
