#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""schema_check.py SCHEMA NAME FILE: is FILE what the schema calls NAME, and has it nothing that the
schema does not tell of?  The schema itself is open, because members may be added; whoever adds one
has to document it.  Exit status 0, 1 (not valid), 77 (python3-jsonschema is not installed)."""
import copy
import json
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def closed(schema):
    """A copy in which objects with declared members have no others."""
    schema = copy.deepcopy(schema)
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if "properties" in node and "additionalProperties" not in node:
                node["additionalProperties"] = False
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return schema


def main():
    path, name, instance_path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    with open(instance_path, encoding="utf-8") as file:
        instance = json.load(file, parse_constant=no_constant)
    one = {"$defs": closed(schema)["$defs"], "$ref": f"#/$defs/{name}"}
    errors = list(jsonschema.Draft202012Validator(one).iter_errors(instance))
    for error in errors[:5]:
        where = "/".join(str(step) for step in error.absolute_path)
        print(f"{instance_path}: {where}: {error.message[:300]}")
    return 1 if errors else 0


sys.exit(main())
