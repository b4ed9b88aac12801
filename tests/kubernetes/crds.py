"""Checks manifests against CustomResourceDefinitions, strictly: what a definition does not know is an error.

Usage: crds.py DIRECTORY-OF-DEFINITIONS MANIFEST...
"""

import glob
import sys

import jsonschema
import yaml


def strict(schema):
    """The schema with every object closed that does not say that it is open."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not open_ended:
        closed["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
        closed["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return closed


def definitions(directory):
    known = {}
    for path in glob.glob(directory + "/*.yaml"):
        with open(path, encoding="utf-8") as file:
            for crd in yaml.safe_load_all(file):
                if not crd or crd.get("kind") != "CustomResourceDefinition":
                    continue
                for version in crd["spec"]["versions"]:
                    name = (crd["spec"]["group"] + "/" + version["name"], crd["spec"]["names"]["kind"])
                    schema = strict(version["schema"]["openAPIV3Schema"])
                    # The API server knows what every object has.
                    schema["properties"]["metadata"] = {"type": "object"}
                    known[name] = schema
    return known


def main():
    known = definitions(sys.argv[1])
    wrong = False
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            for document in yaml.safe_load_all(file):
                name = (document["apiVersion"], document["kind"])
                if name not in known:
                    print(f"{path}: {name}: no definition")
                    wrong = True
                    continue
                errors = list(jsonschema.Draft202012Validator(known[name]).iter_errors(document))
                for error in errors:
                    print(f"{path}: {name[1]}: {error.json_path}: {error.message[:200]}")
                    wrong = True
                if not errors:
                    print(f"{path}: {name[1]}: valid")
    sys.exit(1 if wrong else 0)


main()
