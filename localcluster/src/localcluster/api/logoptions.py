"""`PodLogOptions`: the query parameters of a pod's log, checked as the real server does.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""

from __future__ import annotations

import re

import tornado.web

from ..apimachinery import apierrors
from ..apimachinery.jsontypes import Obj, parse_time

_FLAGS = ("follow", "previous", "timestamps")
_LEAST = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}


def read(handler: tornado.web.RequestHandler, pod_name: str) -> list[tuple[str, str]]:
    """Return the parameters for the kubelet.

    Raises:
        ApiError: one of them makes no sense.
    """
    params: list[tuple[str, str]] = []
    causes: list[Obj] = []
    for name in _FLAGS:
        values = handler.get_query_arguments(name)
        if values and values[0].lower() not in ("false", "0"):
            params.append((name, "true"))
    for name, least in _LEAST.items():
        text = handler.get_query_argument(name, "")
        if not text:
            continue
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise apierrors.bad_request(why)
        if int(text) < least:
            bound = "greater than or equal to 0" if least == 0 else "greater than 0"
            causes.append(_cause("FieldValueInvalid", name, f"{int(text)}: must be {bound}"))
        params.append((name, str(int(text))))
    moment = handler.get_query_argument("sinceTime", "")
    if moment:
        _check_time(moment)
        params.append(("sinceTime", moment))
        if any(name == "sinceSeconds" for name, _ in params):
            causes.append(_cause("FieldValueForbidden", "[]", ""))
    if causes:
        raise apierrors.invalid("PodLogOptions", "", pod_name, causes)
    return params


def _check_time(text: str) -> None:
    try:
        parse_time(text)
    except ValueError:
        raise apierrors.bad_request(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        ) from None


def _cause(reason: str, field: str, what: str) -> Obj:
    if reason == "FieldValueForbidden":
        message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
    else:
        message = f"Invalid value: {what}"
    return {"reason": reason, "message": message, "field": field}
