"""A bearer token is verified as aws-iam-authenticator does it."""
import base64
import datetime
import unittest
from unittest import mock

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ..token_webhook import Refused, verify
from ..world import World

HOST = "sts.eu-central-1.amazonaws.com"


class Tokens(unittest.TestCase):
    def setUp(self):
        self.world = World("eu-central-1", 30)
        self.identity = self.world.identities.by_key("ASIAPLATFORM00000001")

    def token(self, host=HOST, path="/", cluster="demo", more="", scheme="https", region="eu-central-1", expires=60, header="x-k8s-aws-id", service="sts"):
        request = AWSRequest("GET", f"{scheme}://{host}{path}?Action=GetCallerIdentity&Version=2011-06-15{more}", headers={header: cluster})
        credentials = Credentials(self.identity.access_key, self.identity.secret, self.identity.token)
        SigV4QueryAuth(credentials, service, region, expires=expires).add_auth(request)
        return self.encode(request.url)

    def url(self):
        token = self.token()[11:]
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()

    @staticmethod
    def encode(url):
        return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")

    def refused(self, token, words, cluster="demo"):
        with self.assertRaises(Refused) as raised:
            verify(token, cluster, self.world)
        self.assertIn(words, str(raised.exception))

    def test_a_good_token_says_who_signed_it(self):
        self.assertEqual(verify(self.token(), "demo", self.world).role, "arn:aws:iam::123456789012:role/platform")
        globally = self.token(host="sts.amazonaws.com", region="us-east-1")
        self.assertEqual(verify(globally, "demo", self.world).role, "arn:aws:iam::123456789012:role/platform")

    def test_a_token_for_another_cluster_is_refused_by_sts(self):
        self.refused(self.token(), "SignatureDoesNotMatch", cluster="other")

    def test_what_the_authenticator_does_not_know_is_refused(self):
        self.refused(self.token(more="&x-id=GetCallerIdentity"), "non-whitelisted query parameter 'x-id'")
        self.refused(self.encode(self.url() + "&action=GetCallerIdentity"), "multiple values")
        self.refused(self.token(host="127.0.0.1:4566"), "unexpected hostname")
        self.refused(self.token(host="sts.eu-central-1.amazonaws.com.example.org"), "unexpected hostname")
        self.refused(self.token(path="/x"), "unexpected path")
        self.refused(self.token(scheme="http"), "unexpected scheme")
        self.refused(self.token(header="x-other"), "did not sign the x-k8s-aws-id")
        self.refused(self.token(expires=901), "invalid X-Amz-Expires")
        self.refused(self.token(region="eu-west-1"), "valid region")
        self.refused(self.token(service="ec2"), "valid region and to sts")
        self.refused("k8s-aws-v2." + self.token()[11:], "prefix")
        self.refused(self.token() + "=", "no base64 without padding")
        self.refused("k8s-aws-v1." + "a" * 5000, "too large")

    def test_a_changed_url_is_refused(self):
        self.refused(self.encode(self.url().replace("2011-06-15", "2011-06-16")), "SignatureDoesNotMatch")

    def test_a_token_lives_fifteen_minutes_whatever_it_says(self):
        token, now = self.token(expires=60), self.world.now()
        with mock.patch.object(World, "now", staticmethod(lambda: now + datetime.timedelta(minutes=14))):
            self.assertTrue(verify(token, "demo", self.world))
        with mock.patch.object(World, "now", staticmethod(lambda: now + datetime.timedelta(minutes=15, seconds=2))):
            self.refused(token, "is expired")

    def test_an_unknown_key_and_a_session_that_is_over_are_refused(self):
        self.identity = self.world.identities.by_key("ASIAEXPIRED000000001")
        self.refused(self.token(), "ExpiredToken")
        del self.world.identities.known["ASIAEXPIRED000000001"]
        self.refused(self.token(), "InvalidClientTokenId")


if __name__ == "__main__":
    unittest.main()
