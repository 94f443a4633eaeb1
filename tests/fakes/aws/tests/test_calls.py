"""Signatures, forms, faults, holds and rights: what every call goes through, whatever its service."""
import subprocess
import sys
import threading
import unittest
import urllib.error
import urllib.request

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from botocore.parsers import ResponseParserError

from .network import template
from .program import ADMIN, EXPIRED, REGION, Program, until

PLATFORM = ("ASIAPLATFORM00000001", "platform-secret-key-of-the-stand-in-0001", "fake-token-of-platform-0001")
SSO = ("ASIASSOADMIN00000001", "sso-secret-key-of-the-stand-in-00000001", "fake-token-of-AWSReservedSSO_Admin_0123456789abcdef-0001")
# Creates a stack from another process, which a test can kill.
CLIENT = """
import sys
from aws.tests.program import Program
fake = Program.__new__(Program)
fake.url, fake._clients = sys.argv[1], {}
fake.client("cloudformation").create_stack(StackName="killed", TemplateBody=sys.stdin.read(), Capabilities=["CAPABILITY_NAMED_IAM"])
print("answered")
"""


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = Program(speed=400)

    @classmethod
    def tearDownClass(cls):
        cls.fake.close()

    def setUp(self):
        self.fake.lever("POST", "reset", {})

    def code(self, call, **options):
        """The code and the status of the error that the call is answered with."""
        with self.assertRaises(ClientError) as caught:
            call(**options)
        answer = caught.exception.response
        self.assertTrue(answer["ResponseMetadata"].get("RequestId"), "a request id")
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]

    def arn(self, who):
        return self.fake.client("sts", who).get_caller_identity()["Arn"]

    def test_every_identity_is_who_its_keys_say(self):
        self.assertEqual(self.arn(ADMIN), "arn:aws:iam::123456789012:user/admin")
        self.assertEqual(self.arn(PLATFORM), "arn:aws:sts::123456789012:assumed-role/platform/session")
        # The path of the role is not in it: it must be read from IAM.
        self.assertEqual(self.arn(SSO), "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/jane@example.com")
        roles = self.fake.client("iam").list_roles(PathPrefix="/aws-reserved/")["Roles"]
        self.assertEqual([role["Arn"] for role in roles],
                         ["arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Admin_0123456789abcdef"])

    def test_a_wrong_secret_an_unknown_key_and_an_old_session_are_refused_in_each_form(self):
        wrong, unknown = (ADMIN[0], "wrong", None), ("AKIANOBODY0000000001", "x", None)
        for service, call, options, codes in (
                ("sts", "get_caller_identity", {}, ("SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken")),
                ("ec2", "describe_vpcs", {}, ("AuthFailure", "AuthFailure", "RequestExpired")),
                ("cloudformation", "describe_stacks", {}, ("SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken")),
                ("logs", "describe_log_groups", {}, ("InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException")),
                ("service-quotas", "list_service_quotas", {"ServiceCode": "ec2"},
                 ("InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException"))):
            for who, code in zip((wrong, unknown, EXPIRED), codes):
                with self.subTest(service=service, code=code):
                    self.assertEqual(self.code(getattr(self.fake.client(service, who), call), **options)[0], code)

    def test_a_clock_that_is_wrong_is_refused_with_the_time_of_the_server(self):
        self.fake.lever("POST", "scenario", {"clock": {"offset": 900}})
        with self.assertRaisesRegex(ClientError, "Signature expired: .* is now earlier than"):
            self.fake.client("sts").get_caller_identity()
        self.fake.lever("POST", "scenario", {"clock": {"offset": -900, "code": "RequestTimeTooSkewed"}})
        self.assertEqual(self.code(self.fake.client("sts").get_caller_identity)[0], "RequestTimeTooSkewed")

    def test_a_role_is_assumed_only_by_whom_it_trusts(self):
        sts = self.fake.client("sts")
        sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/platform", RoleSessionName="night")
        self.fake.lever("POST", "make", {"kind": "role", "name": "nodes", "trust": {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}]}})
        self.assertEqual(self.code(sts.assume_role, RoleArn="arn:aws:iam::123456789012:role/nodes", RoleSessionName="night"), ("AccessDenied", 403))

    def test_a_login_of_identity_center_gives_credentials_of_its_role(self):
        portal = self.fake.client("sso")
        found = portal.get_role_credentials(roleName="Admin", accountId="123456789012", accessToken="logged-in")["roleCredentials"]
        who = (found["accessKeyId"], found["secretAccessKey"], found["sessionToken"])
        self.assertIn("assumed-role/AWSReservedSSO_Admin_0123456789abcdef/", self.arn(who))
        self.assertEqual(self.code(portal.get_role_credentials, roleName="Admin", accountId="123456789012", accessToken="expired")[0], "UnauthorizedException")

    def test_a_rate_is_kept(self):
        self.fake.lever("POST", "scenario", {"rates": {"logs:DescribeLogGroups": 2}})
        logs = self.fake.client("logs")
        logs.describe_log_groups()
        logs.describe_log_groups()
        self.assertEqual(self.code(logs.describe_log_groups), ("ThrottlingException", 400))

    def test_a_gateway_that_is_gone_is_still_shown_as_deleted_and_by_its_tags(self):
        made = self.fake.lever("POST", "make", {"kind": "vpc"})
        ec2 = self.fake.client("ec2")
        nat = ec2.describe_nat_gateways()["NatGateways"][0]["NatGatewayId"]
        ec2.create_tags(Resources=[nat], Tags=[{"Key": "mine", "Value": "yes"}])
        ec2.delete_nat_gateway(NatGatewayId=nat)
        until(lambda: ec2.describe_nat_gateways(Filter=[{"Name": "vpc-id", "Values": [made["vpc"]]}])["NatGateways"][0]["State"] == "deleted", "the deletion")
        tagging = self.fake.client("resourcegroupstaggingapi")
        self.assertEqual(len(tagging.get_resources(TagFilters=[{"Key": "mine"}])["ResourceTagMappingList"]), 1)
        self.fake.lever("POST", "scenario", {"deletedStay": 0})
        self.assertEqual(tagging.get_resources(TagFilters=[{"Key": "mine"}])["ResourceTagMappingList"], [])
        self.assertNotIn("ec2:natgateway", {thing["kind"] for thing in self.fake.lever("GET", "inventory")["all"]})

    def test_an_unsigned_call_is_refused(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{self.fake.url}/?Action=GetCallerIdentity&Version=2011-06-15", timeout=10)
        self.assertEqual(caught.exception.code, 403)
        self.assertIn("MissingAuthenticationToken", caught.exception.read().decode())

    def test_a_presigned_identity_is_good_only_with_the_headers_that_were_signed(self):
        request = AWSRequest("GET", f"{self.fake.url}/?Action=GetCallerIdentity&Version=2011-06-15", headers={"x-k8s-aws-id": "dev"})
        SigV4QueryAuth(Credentials(*PLATFORM), "sts", REGION, expires=60).add_auth(request)
        for cluster, status in (("dev", 200), ("prod", 403)):
            asked = urllib.request.Request(request.url, headers={"x-k8s-aws-id": cluster})
            try:
                with urllib.request.urlopen(asked, timeout=10) as answer:
                    self.assertEqual(answer.status, status)
                    self.assertIn("assumed-role/platform", answer.read().decode())
            except urllib.error.HTTPError as error:
                self.assertEqual(error.code, status)

    def test_what_the_model_does_not_allow_is_refused_and_kept(self):
        logs, stacks, ec2 = self.fake.client("logs"), self.fake.client("cloudformation"), self.fake.client("ec2")
        self.assertEqual(self.code(logs.create_log_group, logGroupName="no spaces here"), ("ValidationException", 400))
        self.assertEqual(self.code(stacks.create_stack, StackName="-", TemplateBody="{}", OnFailure="HOPE"), ("ValidationError", 400))
        self.assertEqual(self.code(stacks.delete_stack), ("ValidationError", 400))
        self.assertEqual(self.code(ec2.delete_network_interface), ("InvalidParameterValue", 400))
        found = self.fake.lever("GET", "violations")
        self.assertEqual([(each["side"], each["action"]) for each in found],
                         [("request", name) for name in ("CreateLogGroup", "CreateStack", "DeleteStack", "DeleteNetworkInterface")])
        self.assertIn("regular expression", found[0]["problems"][0])
        self.assertIn("[DO_NOTHING, ROLLBACK, DELETE]", " ".join(found[1]["problems"]))
        self.assertIn("'StackName' failed to satisfy constraint: Member must not be null", found[2]["problems"][0])

    def test_an_unknown_parameter_is_refused_and_kept(self):
        from botocore.auth import SigV4Auth
        body = "Action=DescribeStacks&Version=2010-05-15&Colour=red"
        request = AWSRequest("POST", self.fake.url + "/", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        SigV4Auth(Credentials(*ADMIN), "cloudformation", REGION).add_auth(request)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(request.url, body.encode(), dict(request.headers)), timeout=10)
        self.assertIn("unknown parameter `Colour`", caught.exception.read().decode())
        self.assertEqual(self.fake.lever("GET", "violations")[0]["problems"], ["unknown parameter `Colour`"])

    def test_a_fault_strikes_the_call_that_is_meant_as_often_as_is_meant(self):
        ec2 = self.fake.client("ec2")
        self.fake.lever("POST", "faults", {"service": "ec2", "action": "DescribeVpcs", "nth": 2, "times": 2, "do": "throttle"})
        ec2.describe_vpcs()
        ec2.describe_subnets()
        self.assertEqual(self.code(ec2.describe_vpcs), ("RequestLimitExceeded", 503))
        self.assertEqual(self.code(ec2.describe_vpcs), ("RequestLimitExceeded", 503))
        ec2.describe_vpcs()
        self.assertEqual(self.fake.lever("GET", "faults")[0]["hits"], 2)

    def test_faults_come_in_the_form_of_the_service(self):
        for do, service, call, expected in (
                ({"do": "throttle"}, "logs", "describe_log_groups", ("ThrottlingException", 400)),
                ({"do": "throttle"}, "cloudformation", "describe_stacks", ("Throttling", 400)),
                ({"do": "error", "status": 503}, "iam", "list_roles", ("ServiceUnavailable", 503)),
                ({"do": "error", "code": "Odd", "status": 418, "message": "short"}, "sts", "get_caller_identity", ("Odd", 418)),
                ({"do": "deny"}, "ec2", "describe_vpcs", ("UnauthorizedOperation", 403)),
                ({"do": "expired-token"}, "logs", "describe_log_groups", ("ExpiredTokenException", 400))):
            with self.subTest(do=do, service=service):
                self.fake.lever("POST", "faults", {"service": service, **do})
                self.assertEqual(self.code(getattr(self.fake.client(service), call)), expected)
                self.fake.lever("DELETE", "faults")

    def test_a_connection_closes_before_or_after_the_call_took_effect(self):
        logs = self.fake.client("logs")
        for do, made in (("close-before", []), ("close-after", ["close-after"])):
            self.fake.lever("POST", "faults", {"action": "CreateLogGroup", "do": do})
            with self.assertRaises(ConnectionClosedError):
                logs.create_log_group(logGroupName=do)
            self.assertEqual([group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]], made)

    def test_an_answer_is_cut_and_a_front_end_answers_in_its_own_form(self):
        logs = self.fake.client("logs")
        self.fake.lever("POST", "faults", {"action": "CreateStack", "do": "cut"})
        self.fake.lever("POST", "faults", {"action": "DescribeLogGroups", "do": "html", "status": 502})
        with self.assertRaises((HTTPClientError, ResponseParserError)):
            self.fake.client("cloudformation").create_stack(StackName="made", TemplateBody=template(), Capabilities=["CAPABILITY_NAMED_IAM"])
        self.assertEqual([stack["StackName"] for stack in self.fake.client("cloudformation").describe_stacks()["Stacks"]], ["made"])
        with self.assertRaises((ResponseParserError, ClientError)) as caught:
            logs.describe_log_groups()
        self.assertIn("502", str(caught.exception))

    def test_a_session_ends_when_the_lever_says_so(self):
        session = self.fake.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/platform", RoleSessionName="night")["Credentials"]
        who = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        self.assertIn("platform/night", self.arn(who))
        self.fake.lever("POST", "expire", {"accessKey": who[0]})
        self.assertEqual(self.code(self.fake.client("ec2", who).describe_vpcs)[0], "RequestExpired")
        self.assertIn("platform/session", self.arn(PLATFORM))

    def test_a_stalled_call_is_never_answered(self):
        self.fake.lever("POST", "faults", {"action": "DescribeLogGroups", "do": "stall", "seconds": 0.1})
        with self.assertRaises(ConnectionClosedError):
            self.fake.client("logs").describe_log_groups()

    def test_a_client_that_is_killed_while_held_has_called_or_has_not(self):
        for when, made in (("before", False), ("after", True)):
            with self.subTest(when=when):
                self.fake.lever("POST", "reset", {})
                hold = self.fake.lever("POST", "holds", {"nth": 1, "when": when})["id"]
                client = subprocess.Popen([sys.executable, "-c", CLIENT, self.fake.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                client.stdin.write(template())
                client.stdin.close()
                held = self.fake.lever("GET", f"holds/{hold}?wait=30")
                self.assertEqual((held["state"], held["call"]["action"], held["call"]["status"]), ("held", "CreateStack", None))
                client.kill()
                self.assertEqual(client.stdout.read(), "")
                client.wait()
                client.stdout.close()
                until(lambda: self.fake.lever("GET", f"holds/{hold}")["state"] == "gone", "the end of the hold")
                stacks = self.fake.client("cloudformation").describe_stacks()["Stacks"]
                self.assertEqual([stack["StackName"] for stack in stacks], ["killed"] if made else [])

    def test_a_held_call_goes_on_when_it_is_released_and_only_mutating_calls_count(self):
        hold = self.fake.lever("POST", "holds", {"nth": 2})["id"]
        client = subprocess.Popen([sys.executable, "-c", CLIENT, self.fake.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.fake.client("ec2").describe_vpcs()
        self.fake.client("logs").create_log_group(logGroupName="first")
        client.stdin.write(template())
        client.stdin.close()
        self.assertEqual(self.fake.lever("GET", f"holds/{hold}?wait=30")["state"], "held")
        self.fake.lever("POST", f"holds/{hold}/release")
        self.assertEqual(client.stdout.read(), "answered\n")
        client.wait()
        client.stdout.close()

    def test_a_call_that_is_refused_is_held_before_its_answer_too(self):
        self.fake.client("logs").create_log_group(logGroupName="there")
        hold = self.fake.lever("POST", "holds", {"nth": 1, "when": "after"})["id"]
        codes = []
        caller = threading.Thread(target=lambda: codes.append(self.code(lambda: self.fake.client("logs").create_log_group(logGroupName="there"))[0]))
        caller.start()
        self.assertEqual(self.fake.lever("GET", f"holds/{hold}?wait=30")["state"], "held")
        self.assertEqual(codes, [])
        self.fake.lever("POST", f"holds/{hold}/release")
        caller.join()
        self.assertEqual(codes, ["ResourceAlreadyExistsException"])

    def test_a_right_that_is_denied_is_named(self):
        self.fake.lever("POST", "scenario", {"deny": [{"action": "logs:Create*", "principal": "arn:aws:iam::123456789012:role/platform"}]})
        self.fake.client("logs").create_log_group(logGroupName="mine")
        with self.assertRaisesRegex(ClientError, "User: .*platform/session is not authorized to perform: logs:CreateLogGroup on resource"):
            self.fake.client("logs", PLATFORM).create_log_group(logGroupName="theirs")
        answer = self.fake.client("iam").simulate_principal_policy(PolicySourceArn="arn:aws:iam::123456789012:role/platform", ActionNames=["logs:CreateLogGroup", "eks:CreateCluster"])
        self.assertEqual([result["EvalDecision"] for result in answer["EvaluationResults"]], ["implicitDeny", "allowed"])

    def test_what_was_just_made_is_not_seen_while_the_scenario_says_so(self):
        self.fake.lever("POST", "scenario", {"lag": {"cloudformation:DescribeStacks": 400}})
        stacks = self.fake.client("cloudformation")
        stacks.create_stack(StackName="dev", TemplateBody=template(), Capabilities=["CAPABILITY_NAMED_IAM"])
        self.assertEqual(self.code(stacks.describe_stacks, StackName="dev"), ("ValidationError", 400))

        def seen():
            try:
                return stacks.describe_stacks(StackName="dev")["Stacks"]
            except ClientError:
                return None
        until(seen, "the stack")

    def test_the_log_has_calls_and_changes_of_state_in_one_order(self):
        self.fake.client("cloudformation").create_stack(StackName="dev", TemplateBody=template(), Capabilities=["CAPABILITY_NAMED_IAM"])
        log = self.fake.lever("GET", "log")
        self.assertEqual([entry["seq"] for entry in log], sorted(entry["seq"] for entry in log))
        call = log[0]
        self.assertEqual((call["kind"], call["service"], call["action"], call["mutating"], call["status"]), ("call", "cloudformation", "CreateStack", True, 200))
        self.assertEqual(call["parameters"]["StackName"], "dev")
        self.assertEqual((log[1]["kind"], log[1]["resource"], log[1]["to"]), ("state", "stack/dev", "CREATE_IN_PROGRESS"))
        self.assertTrue(all(entry["seq"] > log[0]["seq"] for entry in self.fake.lever("GET", f"log?since={log[0]['seq']}")))

    def test_things_of_others_are_there_to_be_found_by_tag(self):
        made = self.fake.lever("POST", "make", {"kind": "vpc", "tags": {"Name": "theirs"}, "subnets": [{"zone": "a"}, {"zone": "b", "public": True}]})
        self.fake.lever("POST", "make", {"kind": "balancer", "name": "front", "tags": {"kubernetes.io/cluster/dev": "owned"}, "targetGroup": "front"})
        found = self.fake.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "kubernetes.io/cluster/dev", "Values": ["owned"]}])
        self.assertEqual(sorted(each["ResourceARN"].split(":")[5].split("/")[0] for each in found["ResourceTagMappingList"]), ["loadbalancer", "targetgroup"])
        table = self.fake.client("ec2").describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": made["subnets"][:1]}])["RouteTables"][0]
        self.assertTrue(any(route.get("NatGatewayId") for route in table["Routes"]))
        self.assertIn("theirs", self.fake.lever("GET", "inventory?by=Name")["by"])
        self.assertEqual(self.fake.lever("GET", "violations"), [])

    def test_instance_types_and_zones_are_as_the_scenario_says(self):
        ec2 = self.fake.client("ec2")
        self.assertEqual(self.code(ec2.describe_instance_types, InstanceTypes=["m7i.huge"]), ("InvalidInstanceType", 400))
        self.fake.lever("POST", "scenario", {"typeZonesWithout": {"g6.xlarge": ["b", "euc1-az1"]}})
        where = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["g6.xlarge"]}])
        self.assertEqual([each["Location"] for each in where["InstanceTypeOfferings"]], ["eu-central-1a"])
        gpu = ec2.describe_instance_types(InstanceTypes=["g6.xlarge"])["InstanceTypes"][0]["GpuInfo"]["Gpus"][0]
        self.assertEqual((gpu["Manufacturer"], gpu["Count"]), ("NVIDIA", 1))
        self.fake.lever("POST", "scenario", {"quotas": {"L-DB2E81BA": 0}})
        quota = self.fake.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")["Quota"]
        self.assertEqual(quota["Value"], 0.0)
        self.assertEqual(self.fake.lever("GET", "violations"), [])

    def test_the_newest_machine_images_are_those_of_new_node_groups(self):
        ssm = self.fake.client("ssm")
        name = "/aws/service/eks/optimized-ami/{}/amazon-linux-2023/{}/recommended/release_version".format
        self.fake.lever("POST", "scenario", {"eksNewestRelease": "20261120"})
        answer = ssm.get_parameters(Names=[name("1.36", "x86_64/nvidia"), name("1.36", "x86_64/amd"), name("1.9", "x86_64/standard")])
        self.assertEqual([found["Value"] for found in answer["Parameters"]], ["1.36.3-20261120"])
        self.assertEqual(len(answer["InvalidParameters"]), 2)
        self.assertEqual(self.code(ssm.get_parameter, Name="/aws/service/nothing"), ("ParameterNotFound", 400))
        self.fake.lever("POST", "scenario", {"eksNewestRelease": None})
        self.assertEqual(self.fake.lever("GET", "violations"), [])

    def test_a_world_moves_with_a_reset_and_a_call_to_another_region_is_told(self):
        self.fake.lever("POST", "reset", {"region": "us-east-1"})
        try:
            zones = self.fake.client("ec2", region="us-east-1").describe_availability_zones()["AvailabilityZones"]
            self.assertEqual({zone["ZoneId"] for zone in zones if zone["ZoneName"] == "us-east-1e"}, {"use1-az3"})
            self.assertEqual(self.code(self.fake.client("ec2").describe_vpcs)[0], "InvalidRegion")
            self.assertEqual(self.code(self.fake.client("ec2", region="ap-east-1").describe_vpcs)[0], "AuthFailure")
        finally:
            self.fake.lever("POST", "reset", {"region": REGION})

    def test_the_program_says_where_it_listens_and_lists_its_identities(self):
        self.assertRegex(self.fake.url, r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(self.fake.lever("GET", "identities")[ADMIN[0]]["secret"], ADMIN[1])


if __name__ == "__main__":
    unittest.main()
