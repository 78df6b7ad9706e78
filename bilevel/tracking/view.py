"""The MLflow page of a study, laid out in advance: searches only, grouped by arm, as curves.

MLflow keeps a shared view of its runs page as a tag of the experiment; writing that tag is what
its Share button does. A link that names the view opens it.
"""

import json
import uuid
from typing import Any

from bilevel.tracking.content import DELTA
from bilevel.tracking.keys import key
from bilevel.tracking.location import VIEW_KEY

TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
_SECTION = "Searches by trial"
_COLUMNS = ("arm", "seed", "llm", "task", "ended")


def _id(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"bilevel/{name}").hex[:16]


def _curve(metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "uuid": _id(metric),
        "runsCountToCompare": 100,
        "metricSectionId": _id(_SECTION),
        "deleted": False,
        "isGenerated": False,
        "displayName": metric,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "step",
        "yAxisKey": "metric",
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
    }


def state(metric: str) -> str:
    """Return the stored view, as the value of the experiment's tag; `metric` is the task's name
    of its metric."""
    best = key(f"best_{metric}")
    sections = [
        {
            "uuid": _id(name),
            "name": name,
            "display": name == _SECTION,
            "isReordered": False,
            "deleted": False,
            "isGenerated": name != _SECTION,
            "columns": 2,
            "cardHeight": 420,
        }
        for name in (_SECTION, "Model metrics", "System metrics")
    ]
    return json.dumps(
        {
            "searchFilter": "tags.kind = 'search' AND tags.superseded = 'false'",
            "orderByKey": "attributes.start_time",
            "orderByAsc": False,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "selectedColumns": [f"tags.`{name}`" for name in _COLUMNS]
            + [f"metrics.`{best}`", f"metrics.`{DELTA}`"],
            "groupBy": {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": "tag", "groupByData": "arm"}],
            },
            "useGroupedValuesInCharts": True,
            "runsHiddenMode": "SHOW_ALL",
            "hideEmptyCharts": True,
            "isAccordionReordered": True,
            "compareRunCharts": [_curve(name) for name in (DELTA, best)],
            "compareRunSections": sections,
        },
        separators=(",", ":"),
    )
