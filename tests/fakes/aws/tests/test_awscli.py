"""awscli, a client that knows nothing of this program, drives it."""
import pathlib
import tempfile
import unittest

from .network import template
from .program import EXPIRED, Program, until


class AwscliDrivesIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = Program(speed=200)

    @classmethod
    def tearDownClass(cls):
        cls.fake.close()

    def test_a_stack_is_created_described_followed_and_deleted(self):
        aws = self.fake.awscli
        with tempfile.TemporaryDirectory() as folder:
            body = pathlib.Path(folder, "network.json")
            body.write_text(template(), encoding="utf-8")
            made = aws("cloudformation", "create-stack", "--stack-name", "dev", "--template-body", f"file://{body}", "--disable-rollback",
                       "--capabilities", "CAPABILITY_NAMED_IAM", "--tags", "Key=owner,Value=me")
        aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "dev")
        stack = aws("cloudformation", "describe-stacks", "--stack-name", "dev")["Stacks"][0]
        self.assertEqual(stack["StackId"], made["StackId"])
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE")
        vpc = next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "Vpc")
        events = aws("cloudformation", "describe-stack-events", "--stack-name", "dev")["StackEvents"]
        self.assertEqual(events[0]["ResourceStatus"], "CREATE_COMPLETE")
        self.assertEqual(events[-1]["ResourceStatusReason"], "User Initiated")
        resources = aws("cloudformation", "list-stack-resources", "--stack-name", "dev")["StackResourceSummaries"]
        self.assertEqual({resource["ResourceStatus"] for resource in resources}, {"CREATE_COMPLETE"})
        subnets = aws("ec2", "describe-subnets", "--filters", f"Name=vpc-id,Values={vpc}", "Name=tag:owner,Values=me")["Subnets"]
        self.assertEqual(sorted(subnet["CidrBlock"] for subnet in subnets), ["10.0.0.0/19", "10.0.32.0/20"])
        nat = aws("ec2", "describe-nat-gateways", "--filter", f"Name=vpc-id,Values={vpc}")["NatGateways"]
        self.assertEqual([gateway["State"] for gateway in nat], ["available"])
        role = aws("iam", "get-role", "--role-name", "nodes")["Role"]
        self.assertEqual({tag["Key"] for tag in role["Tags"]}, {"owner"})
        self.assertEqual(aws("logs", "describe-log-groups")["logGroups"][0]["retentionInDays"], 30)
        with self.assertRaisesRegex(AssertionError, "No updates are to be performed"):
            aws("cloudformation", "update-stack", "--stack-name", "dev", "--use-previous-template", "--capabilities", "CAPABILITY_NAMED_IAM")
        aws("cloudformation", "delete-stack", "--stack-name", "dev")
        aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", made["StackId"])
        until(lambda: self.fake.lever("GET", "inventory")["all"] == [], "an empty inventory")
        self.assertEqual(self.fake.lever("GET", "violations"), [])

    def test_it_says_who_calls_and_refuses_a_session_that_is_over(self):
        self.assertEqual(self.fake.awscli("sts", "get-caller-identity")["Arn"], "arn:aws:iam::123456789012:user/admin")
        session = self.fake.awscli("sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/platform", "--role-session-name", "night")["Credentials"]
        who = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        self.assertEqual(self.fake.awscli("sts", "get-caller-identity", who=who)["Arn"], "arn:aws:sts::123456789012:assumed-role/platform/night")
        with self.assertRaisesRegex(AssertionError, "ExpiredToken"):
            self.fake.awscli("sts", "get-caller-identity", who=EXPIRED)


if __name__ == "__main__":
    unittest.main()
