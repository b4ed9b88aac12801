"""Holds requests against Google's own description of Drive's API (the discovery document of its Python client).

Argument: a file with the requests, [{"method", "path", "query": [[key, value]], "body"}]. What is checked of each: the
method and path, every query parameter's name, type, range and enumeration, those that are required, the keys and types
of the body, and every name in `fields`. Requests to sessions go to addresses that the service itself has given out:
of them only the method is checked.
"""
import copy
import json
import os
import re
import sys

import googleapiclient
import jsonschema

path = os.path.join(os.path.dirname(googleapiclient.__file__), "discovery_cache", "documents", "drive.v3.json")
with open(path, encoding="utf-8") as file:
    DOCUMENT = json.load(file)
# What is no part of the API: tokens.
ELSEWHERE = {("POST", "/token")}


class Refused(Exception):
    """A request that Google's description does not know."""


def closed(schema):
    """The description's own dialect as JSON Schema: references, numbers in strings, nothing unknown."""
    if "$ref" in schema:
        return {"$ref": "#/$defs/" + schema["$ref"]}
    if schema.get("format") in ("int64", "uint64"):
        return {"type": "string", "pattern": "^-?[0-9]+$"}
    out = {key: schema[key] for key in ("type", "enum") if key in schema and schema[key] != "any"}
    if "items" in schema:
        out["items"] = closed(schema["items"])
    if "properties" in schema:
        out["properties"] = {key: closed(value) for key, value in schema["properties"].items()}
    if schema.get("type") == "object":
        more = schema.get("additionalProperties")
        out["additionalProperties"] = closed(more) if isinstance(more, dict) else False
    return out


DEFS = {name: closed(schema) for name, schema in DOCUMENT["schemas"].items()}


def methods(resources):
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from methods(resource.get("resources", {}))


def templates(method):
    """The paths of a method, and whether they take content."""
    yield "/" + DOCUMENT["servicePath"] + method["path"], False
    for protocol in method.get("mediaUpload", {}).get("protocols", {}).values():
        yield protocol["path"], True


def find(request):
    for method in methods(DOCUMENT["resources"]):
        for template, content in templates(method):
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            # `files/generateIds` is no id of a file.
            literal = "{" not in template
            if method["httpMethod"] == request["method"] and re.fullmatch(pattern, request["path"]):
                if literal or request["path"].rsplit("/", 1)[-1] != "generateIds":
                    return method, content
    raise Refused("no method %(method)s %(path)s" % request)


def check_parameter(name, value, described):
    kind = described["type"]
    if kind == "boolean" and value not in ("true", "false"):
        raise Refused("%s is no boolean: %s" % (name, value))
    if kind == "integer":
        number = int(value) if re.fullmatch(r"-?\d+", value) else None
        least, most = (int(described.get(key, number or 0)) for key in ("minimum", "maximum"))
        if number is None or not least <= number <= most:
            raise Refused("%s is not within its range: %s" % (name, value))
    if "enum" in described and value not in described["enum"]:
        raise Refused("%s has no value %s" % (name, value))


def names_of(mask):
    """`a,b(c,d/e)` as a tree."""
    tree, stack = {}, []
    here, name = tree, ""
    for char in mask + ",":
        if char in ",(/)":
            below = here.setdefault(name, {}) if name else None
            if char == "(":
                stack.append(here)
                here = below
            elif char == "/":
                raise Refused("a slash in fields: %s" % mask)
            elif char == ")":
                here = stack.pop()
            name = ""
        else:
            name += char
    if stack:
        raise Refused("fields are not closed: %s" % mask)
    return tree


def check_fields(tree, schema):
    while "$ref" in schema or "items" in schema:
        schema = DOCUMENT["schemas"][schema["$ref"]] if "$ref" in schema else schema["items"]
    for name, below in tree.items():
        if name == "*":
            continue
        if name not in schema.get("properties", {}):
            raise Refused("no field %s in %s" % (name, schema.get("id")))
        if below:
            check_fields(below, schema["properties"][name])


def check(request):
    """The id of the method that this is; raises what is wrong with it."""
    method, content = find(request)
    described = {**DOCUMENT["parameters"], **method.get("parameters", {})}
    query = dict(request["query"])
    if len(query) != len(request["query"]):
        raise Refused("a parameter comes twice")
    for name, value in query.items():
        if name not in described or described[name].get("location") == "path":
            raise Refused("no parameter %s of %s" % (name, method["id"]))
        check_parameter(name, value, described[name])
    for name, parameter in method.get("parameters", {}).items():
        if parameter.get("required") and parameter.get("location") == "query" and name not in query:
            raise Refused("%s lacks %s" % (method["id"], name))
    if content != ("uploadType" in query):
        raise Refused("uploadType does not go with the path")
    if query.get("alt") == "media" and not method.get("supportsMediaDownload"):
        raise Refused("%s gives no content" % method["id"])
    if request["body"] is not None:
        if "request" not in method:
            raise Refused("%s takes no body" % method["id"])
        try:
            jsonschema.validate(request["body"], {"$ref": "#/$defs/" + method["request"]["$ref"], "$defs": DEFS})
        except jsonschema.ValidationError as error:
            raise Refused(error.message) from error
    elif "request" in method and method["httpMethod"] != "GET":
        raise Refused("%s lacks its body" % method["id"])
    if "fields" in query:
        check_fields(names_of(query["fields"]), method["response"])
    return method["id"]


def refuses(request, change):
    changed = copy.deepcopy(request)
    change(changed)
    try:
        check(changed)
    except Refused:
        return True
    return False


with open(sys.argv[1], encoding="utf-8") as file:
    requests = json.load(file)
sessions = [one for one in requests if any(key == "upload_id" for key, _ in one["query"])]
assert all(one["method"] in ("PUT", "DELETE") for one in sessions), sessions
rest = [one for one in requests if one not in sessions and (one["method"], one["path"]) not in ELSEWHERE]
seen = {}
for one in rest:
    try:
        seen.setdefault(check(one), one)
    except Refused as error:
        raise SystemExit("%s: %s" % (error, json.dumps(one)))

# Negative controls: every kind of mistake, in requests that fit otherwise.
listing, upload = seen["drive.files.list"], seen["drive.files.create"]
controls = [
    (listing, lambda one: one["query"].append(["supportAllDrives", "true"])),
    (listing, lambda one: one["query"].append(["orderBy", "name"]) or one["query"].append(["orderBy", "name"])),
    (listing, lambda one: one.update(query=[["pageSize", "2000"]])),
    (listing, lambda one: one.update(query=[["supportsAllDrives", "yes"]])),
    (listing, lambda one: one.update(query=[["fields", "files(id,sha257Checksum)"]])),
    (listing, lambda one: one.update(query=[["alt", "media"]])),
    (listing, lambda one: one.update(body={})),
    (listing, lambda one: one.update(path="/drive/v3/file")),
    (listing, lambda one: one.update(method="PUT")),
    (upload, lambda one: one["body"].update(title="x")),
    (upload, lambda one: one["body"].update(parents="x")),
    (upload, lambda one: one["body"].update(appProperties={"a": 1})),
    (upload, lambda one: one.update(body=None)),
]
for request, change in controls:
    assert not refuses(request, lambda one: None) and refuses(request, change), request
print(len(rest), "requests fit;", len(sessions), "to sessions;", len(controls), "mistakes refused;", *sorted(seen))
