"""What of a score is the same for every customer of a policy, as JSON."""

import orjson
from mypy_extensions import mypyc_attr

from streams.scoring.policy import Policy


@mypyc_attr(acyclic=True)
class Heads:
    """The text between two numbers of a score where a policy decides it. Not to be changed."""

    __slots__ = ("after_gap", "after_last")

    def __init__(self, policy: Policy) -> None:
        days = orjson.dumps(policy.churn.alert_horizon_days)
        self.after_gap = b',"horizon_days":' + days + b',"last_experience":'
        prior, version = orjson.dumps(policy.ledger.prior), orjson.dumps(policy.hash)
        self.after_last = b',"policy_version":' + version + b',"prior":' + prior + b',"service":'
