"""The table of resource types is held against the resource schemas of cfn-lint, and the template of these tests passes it."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import cfnlint

from ..services.cloudformation import kinds, rights
from .network import template

SCHEMAS = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas"


def schema(name):
    index = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    return json.loads((SCHEMAS / "resources" / f"{index[name]}.json").read_text(encoding="utf-8"))


def named(values):
    """The property names of JSON pointers such as /properties/VpcId; those inside a property are left out."""
    return {value.removeprefix("/properties/") for value in values or [] if "/" not in value.removeprefix("/properties/")}


class Types(unittest.TestCase):
    def test_properties_are_known_and_change_as_the_schemas_say(self):
        for name, kind in kinds.KINDS.items():
            with self.subTest(name=name):
                published = schema(name)
                self.assertLessEqual(kind.properties, set(published["properties"]))
                self.assertEqual(kind.replaces, named(published.get("createOnlyProperties")) & kind.properties)
                self.assertEqual(kind.required, set(published.get("required", [])))
                self.assertLessEqual(kind.attributes, set(published["properties"]))
                self.assertFalse(kind.properties & named(published.get("readOnlyProperties")))

    def test_rights_are_those_that_the_schemas_name(self):
        for name in kinds.KINDS:
            handlers = schema(name)["handlers"]
            allowed = {phase: set(handlers[phase]["permissions"]) for phase in ("create", "delete")}
            allowed["update"] = set(handlers.get("update", {}).get("permissions", []))
            with self.subTest(name=name):
                given = {right for (kind, _), found in rights.GIVEN.items() if kind == name for right in found.split()}
                changed = {right for (kind, _), found in rights.CHANGED.items() if kind == name for right in found.split()}
                self.assertLessEqual(set(rights.BASE[name][0].split()) | given, allowed["create"])
                self.assertLessEqual(set(rights.BASE[name][1].split()), allowed["delete"])
                self.assertLessEqual(changed, allowed["update"])
                if kinds.KINDS[name].tagged and "Tags" in kinds.KINDS[name].properties:
                    self.assertIn(rights.untagging(name), allowed["update"])

    def test_the_template_of_these_tests_passes_cfn_lint(self):
        with tempfile.TemporaryDirectory() as folder:
            body = pathlib.Path(folder, "network.json")
            body.write_text(template(), encoding="utf-8")
            program = pathlib.Path(sys.executable).parent / "cfn-lint"
            # W3010: zones are said by name here, as a client does that has chosen them.
            ran = subprocess.run([program, "--regions", "eu-central-1", "--ignore-checks", "W3010", "--", body], capture_output=True, text=True, timeout=120)
        self.assertEqual((ran.returncode, ran.stdout), (0, ""), ran.stdout)


if __name__ == "__main__":
    unittest.main()
