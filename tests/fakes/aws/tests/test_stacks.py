"""Stacks in every state: failures, continuation, rollback, updates in place and by replacement, deletions that are held."""
import unittest

from botocore.exceptions import ClientError

from .network import att, ref, resources, template, thing
from .program import Program, until

OVER = ("_COMPLETE", "_FAILED")


class Stacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = Program(speed=400)
        cls.stacks, cls.ec2 = cls.fake.client("cloudformation"), cls.fake.client("ec2")

    @classmethod
    def tearDownClass(cls):
        cls.fake.close()

    def setUp(self):
        self.fake.lever("POST", "reset", {})

    def tearDown(self):
        self.assertEqual(self.fake.lever("GET", "violations"), [])

    def create(self, body=None, **options):
        options.setdefault("DisableRollback", True)
        return self.stacks.create_stack(StackName="dev", TemplateBody=body or template(), Capabilities=["CAPABILITY_NAMED_IAM"], **options)["StackId"]

    def update(self, body, **options):
        options.setdefault("DisableRollback", True)
        self.stacks.update_stack(StackName="dev", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"], **options)

    def status(self, name="dev"):
        return self.stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]

    def settled(self, name="dev", status=None):
        found = until(lambda: (lambda now: now.endswith(OVER) and "IN_PROGRESS" not in now and now)(self.status(name)), "a state that lasts")
        if status:
            self.assertEqual(found, status, self.reasons(name))
        return found

    def events(self, name="dev"):
        pages = self.stacks.get_paginator("describe_stack_events").paginate(StackName=name)
        return [event for page in pages for event in page["StackEvents"]]

    def reasons(self, name="dev"):
        return {event["LogicalResourceId"]: event.get("ResourceStatusReason", "") for event in self.events(name) if event["ResourceStatus"].endswith("FAILED")}

    def resources(self):
        return {each["LogicalResourceId"]: each for each in self.stacks.describe_stack_resources(StackName="dev")["StackResources"]}

    def refused(self, text, call, *arguments, **options):
        with self.assertRaises(ClientError) as caught:
            call(*arguments, **options)
        self.assertIn(text, str(caught.exception))

    def test_resources_come_in_the_order_of_their_needs_and_in_parallel(self):
        self.create()
        self.settled(status="CREATE_COMPLETE")
        order = [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(self.events())]
        for later, earlier in (("Nat", "Address"), ("Address", "Attachment"), ("ByNat", "Nat"), ("Private", "Vpc"), ("Profile", "Role")):
            self.assertLess(order.index((earlier, "CREATE_COMPLETE")), order.index((later, "CREATE_IN_PROGRESS")))
        # What needs nothing starts before the first thing is done.
        self.assertLess(order.index(("Role", "CREATE_IN_PROGRESS")), order.index(("Vpc", "CREATE_COMPLETE")))

    def test_a_failure_without_rollback_stops_only_what_needs_it_and_is_continued_by_the_same_template(self):
        self.fake.lever("POST", "scenario", {"stuckResources": [{"logicalId": "Nat", "reason": "no capacity in this zone"}]})
        self.create()
        self.settled(status="CREATE_FAILED")
        self.assertEqual(self.reasons()["Nat"], "no capacity in this zone")
        before = self.resources()
        self.assertEqual(before["Role"]["ResourceStatus"], "CREATE_COMPLETE")
        self.assertNotIn("ByNat", before)
        self.refused("please use the disable-rollback parameter", self.update, template(), DisableRollback=False)
        self.update(template())
        self.settled(status="UPDATE_COMPLETE")
        after = self.resources()
        self.assertEqual(after["ByNat"]["ResourceStatus"], "CREATE_COMPLETE")
        self.assertEqual({name: each["PhysicalResourceId"] for name, each in before.items() if "PhysicalResourceId" in each},
                         {name: after[name]["PhysicalResourceId"] for name, each in before.items() if "PhysicalResourceId" in each})

    def test_a_failure_with_rollback_leaves_a_stack_that_can_only_be_deleted(self):
        self.fake.lever("POST", "scenario", {"stuckResources": [{"logicalId": "Nat"}]})
        self.create(DisableRollback=False)
        self.settled(status="ROLLBACK_COMPLETE")
        self.assertEqual([thing["kind"] for thing in self.fake.lever("GET", "inventory")["all"]], ["cloudformation:stack"])
        self.refused("is in ROLLBACK_COMPLETE state and can not be updated", self.update, template())
        self.refused("already exists", self.create)
        self.stacks.delete_stack(StackName="dev")
        until(lambda: self.fake.lever("GET", "inventory")["all"] == [], "an empty inventory")

    def test_on_failure_delete_takes_the_stack_away(self):
        self.fake.lever("POST", "scenario", {"stuckResources": [{"logicalId": "Vpc"}]})
        ident = self.stacks.create_stack(StackName="dev", TemplateBody=template(), Capabilities=["CAPABILITY_NAMED_IAM"], OnFailure="DELETE")["StackId"]
        self.settled(ident, "DELETE_COMPLETE")
        self.refused("does not exist", self.status)

    def test_rollback_stack_undoes_what_was_kept(self):
        self.fake.lever("POST", "scenario", {"stuckResources": [{"logicalId": "Nat"}]})
        self.create()
        self.settled(status="CREATE_FAILED")
        self.stacks.rollback_stack(StackName="dev")
        self.settled(status="ROLLBACK_COMPLETE")

    def test_a_name_that_is_taken_by_somebody_else_fails_with_its_own_reason(self):
        self.fake.lever("POST", "make", {"kind": "log-group", "name": "/aws/eks/dev/cluster"})
        self.create()
        self.settled(status="CREATE_FAILED")
        self.assertIn("already exists", self.reasons()["Logs"])
        self.assertIn("HandlerErrorCode: AlreadyExists", self.reasons()["Logs"])

    def test_a_quota_is_the_reason_that_is_given(self):
        self.fake.lever("POST", "scenario", {"quotas": {"L-0263D0A3": 0}})
        self.create()
        self.settled(status="CREATE_FAILED")
        self.assertIn("The maximum number of addresses has been reached.", self.reasons()["Address"])

    def test_changes_in_place_replace_nothing(self):
        self.create(Tags=[{"Key": "owner", "Value": "a"}])
        self.settled(status="CREATE_COMPLETE")
        before = self.resources()
        self.refused("No updates are to be performed.", self.update, template())
        entries = resources()
        entries["Logs"]["Properties"]["RetentionInDays"] = 90
        entries["Machines"]["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] = 100
        entries["Role"]["Properties"]["ManagedPolicyArns"].append("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")
        entries["Group"]["Properties"]["SecurityGroupIngress"] = []
        self.update(template(**entries), Tags=[{"Key": "owner", "Value": "b"}])
        self.settled(status="UPDATE_COMPLETE")
        after = self.resources()
        self.assertEqual({name: each["PhysicalResourceId"] for name, each in before.items()}, {name: each["PhysicalResourceId"] for name, each in after.items()})
        self.assertEqual(self.fake.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"], 90)
        self.assertEqual(len(self.fake.client("iam").list_attached_role_policies(RoleName="nodes")["AttachedPolicies"]), 3)
        versions = self.ec2.describe_launch_template_versions(LaunchTemplateId=after["Machines"]["PhysicalResourceId"])["LaunchTemplateVersions"]
        self.assertEqual([version["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] for version in versions], [80, 100])
        tags = {tag["Key"]: tag["Value"] for tag in self.ec2.describe_vpcs()["Vpcs"][0]["Tags"]}
        self.assertEqual(tags["owner"], "b")
        self.assertEqual([entry for entry in self.fake.lever("GET", "log") if entry.get("to") == "REPLACED"], [])

    def test_a_property_that_cannot_change_makes_a_new_resource_and_the_log_says_so(self):
        self.create()
        self.settled(status="CREATE_COMPLETE")
        before = self.resources()
        entries = resources()
        entries["Private"]["Properties"]["CidrBlock"] = "10.0.64.0/19"
        self.update(template(**entries))
        self.settled(status="UPDATE_COMPLETE")
        after = self.resources()
        self.assertNotEqual(before["Private"]["PhysicalResourceId"], after["Private"]["PhysicalResourceId"])
        self.assertEqual({entry["resource"] for entry in self.fake.lever("GET", "log") if entry.get("to") == "REPLACED"}, {"dev/Private", "dev/PrivateUse"})
        self.assertEqual(len(self.ec2.describe_subnets()["Subnets"]), 2)

    def test_a_failed_update_rolls_back_to_what_stood_unless_told_not_to(self):
        self.create()
        self.settled(status="CREATE_COMPLETE")
        entries = resources()
        entries["Logs"]["Properties"]["RetentionInDays"] = 90
        entries["More"] = thing("EC2::Subnet", "Logs", VpcId=ref("Vpc"), CidrBlock="192.168.0.0/24")
        self.update(template(**entries), DisableRollback=False)
        self.settled(status="UPDATE_ROLLBACK_COMPLETE")
        self.assertIn("The CIDR '192.168.0.0/24' is invalid", self.reasons()["More"])
        self.assertEqual(self.fake.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"], 30)
        self.assertNotIn("More", self.resources())
        self.update(template(**entries))
        self.settled(status="UPDATE_FAILED")
        self.assertEqual(self.fake.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"], 90)
        self.update(template())
        self.settled(status="UPDATE_COMPLETE")

    def test_an_update_is_cancelled_and_a_stuck_rollback_is_continued(self):
        self.create()
        self.settled(status="CREATE_COMPLETE")
        self.fake.lever("POST", "scenario", {"durations": {"AWS::EC2::Subnet": 100000}, "stuckResources": [{"logicalId": "Logs", "on": "rollback"}]})
        entries = resources()
        entries["Logs"]["Properties"]["RetentionInDays"] = 90
        entries["More"] = thing("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.128.0/24")
        self.update(template(**entries), DisableRollback=False)
        until(lambda: self.resources().get("More", {}).get("PhysicalResourceId"), "the new subnet")
        until(lambda: self.resources()["Logs"]["ResourceStatus"] == "UPDATE_COMPLETE", "the log group's change")
        self.stacks.cancel_update_stack(StackName="dev")
        self.settled(status="UPDATE_ROLLBACK_FAILED")
        self.stacks.continue_update_rollback(StackName="dev")
        self.settled(status="UPDATE_ROLLBACK_COMPLETE")
        self.assertEqual(len(self.ec2.describe_subnets()["Subnets"]), 2)

    def test_a_leaked_interface_holds_the_deletion_until_it_is_swept(self):
        self.create()
        self.settled(status="CREATE_COMPLETE")
        leaked = self.fake.lever("POST", "make", {"kind": "interface", "count": 2})["interfaces"]
        self.stacks.delete_stack(StackName="dev")
        self.settled(status="DELETE_FAILED")
        self.assertRegex(self.reasons()["Private"] + self.reasons().get("Public", ""), "has dependencies and cannot be deleted")
        self.refused("and can not be updated", self.update, template())
        for interface in leaked:
            self.ec2.delete_network_interface(NetworkInterfaceId=interface)
        self.stacks.delete_stack(StackName="dev")
        until(lambda: self.fake.lever("GET", "inventory")["all"] == [], "an empty inventory")

    def test_a_load_balancer_holds_gateway_and_subnets_and_its_interfaces_go_later(self):
        self.create()
        self.settled(status="CREATE_COMPLETE")
        self.fake.lever("POST", "scenario", {"durations": {"ec2.interface.release": 40}})
        arn = self.fake.lever("POST", "make", {"kind": "balancer", "name": "front"})["arn"]
        self.fake.client("elbv2").delete_load_balancer(LoadBalancerArn=arn)
        self.assertEqual(len(self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB net/front/*"]}])["NetworkInterfaces"]), 2)
        self.stacks.delete_stack(StackName="dev")
        until(lambda: self.fake.lever("GET", "inventory")["all"] == [], "an empty inventory")

    def test_deletion_works_while_the_stack_is_created_and_not_while_it_is_protected(self):
        ident = self.create(EnableTerminationProtection=True)
        self.refused("cannot be deleted while TerminationProtection is enabled", self.stacks.delete_stack, StackName="dev")
        self.stacks.update_termination_protection(StackName="dev", EnableTerminationProtection=False)
        until(lambda: "Vpc" in self.resources(), "the first resource")
        self.stacks.delete_stack(StackName="dev")
        self.settled(ident, "DELETE_COMPLETE")
        self.assertEqual(self.fake.lever("GET", "inventory")["all"], [])
        self.stacks.delete_stack(StackName="dev")

    def test_a_token_makes_one_stack_and_another_call_with_the_name_is_refused(self):
        first = self.create(ClientRequestToken="t1")
        self.assertEqual(self.create(ClientRequestToken="t1"), first)
        self.refused("AlreadyExistsException", self.create, ClientRequestToken="t2")

    def test_templates_are_refused_as_cloudformation_refuses_them(self):
        self.refused("Unresolved resource dependencies [Nothing]", self.create, template(More=thing("EC2::RouteTable", VpcId=ref("Nothing"))))
        self.refused("Circular dependency", self.create, template(A=thing("EC2::RouteTable", VpcId=ref("B")), B=thing("EC2::RouteTable", VpcId=ref("A"))))
        self.refused("does not support attribute type Colour", self.create, template(More=thing("EC2::RouteTable", VpcId=att("Vpc", "Colour"))))
        self.refused("Requires capabilities : [CAPABILITY_NAMED_IAM]", self.stacks.create_stack, StackName="dev", TemplateBody=template(), Capabilities=["CAPABILITY_IAM"])
        self.refused("less than or equal to 51200", self.create, template(More=thing("Logs::LogGroup", LogGroupName="x" * 52000)))
        self.create(template(Gateway=thing("EC2::InternetGateway", Colour="red")))
        self.settled(status="CREATE_FAILED")
        self.assertIn("extraneous key [Colour] is not permitted", self.reasons()["Gateway"])

    def test_what_is_not_modelled_is_refused_and_told(self):
        self.refused("Unrecognized resource types: [AWS::S3::Bucket]", self.create, template(More=thing("S3::Bucket")))
        self.assertEqual([violation["side"] for violation in self.fake.lever("GET", "violations")], ["fake"])
        self.fake.lever("POST", "reset", {})

    def test_rights_of_the_caller_are_asked_for_each_resource(self):
        self.fake.lever("POST", "scenario", {"deny": ["ec2:CreateNatGateway"]})
        self.create()
        self.settled(status="CREATE_FAILED")
        self.assertEqual(self.reasons()["Nat"], "API: ec2:CreateNatGateway You are not authorized to perform this operation.")
        self.assertIn("iam:CreateRole", self.fake.lever("GET", "rights"))

    def test_a_missing_right_of_iam_is_told_with_who_lacks_it(self):
        self.fake.lever("POST", "scenario", {"deny": ["iam:CreateRole"]})
        self.create(Tags=[{"Key": "a", "Value": "b"}])
        self.settled(status="CREATE_FAILED")
        self.assertIn("API: iam:CreateRole User: arn:aws:", self.reasons()["Role"])
        self.assertIn("is not authorized to perform: iam:CreateRole on resource: ", self.reasons()["Role"])
        self.assertIn("cloudformation:TagResource", self.fake.lever("GET", "rights"))

    def test_events_are_paged_newest_first_without_holes(self):
        more = {f"Table{number}": thing("EC2::RouteTable", VpcId=ref("Vpc")) for number in range(40)}
        self.create(template(**more))
        self.settled(status="CREATE_COMPLETE")
        first = self.stacks.describe_stack_events(StackName="dev")
        self.assertEqual(len(first["StackEvents"]), 100)
        self.assertIn("NextToken", first)
        events = self.events()
        self.assertEqual(len({event["EventId"] for event in events}), len(events))
        self.assertEqual(events, sorted(events, key=lambda event: event["Timestamp"], reverse=True))


if __name__ == "__main__":
    unittest.main()
