"""Has what is generated be said by the token's own subject, and of a round there is ($ROUND), so that
more than its form is tried; pages go on from no place that no page ended at. What is no text stays what
it is.
"""

import os

import schemathesis

SPEAKERS = ["proposer", "agent_id", "reviewer", "reporter"]


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    said = {key: value for key, value in body.items()
            if key not in SPEAKERS or not isinstance(value, str)}
    if context.operation.path != "/v1/proposals" and isinstance(said.get("proposal_id"), str):
        said["proposal_id"] = os.environ["ROUND"]
    return said


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and isinstance(path_parameters.get("proposal_id"), str):
        return {**path_parameters, "proposal_id": os.environ["ROUND"]}
    return path_parameters


@schemathesis.hook
def map_query(context, query):
    if query and isinstance(query.get("after"), str):
        return {key: value for key, value in query.items() if key != "after"}
    return query
