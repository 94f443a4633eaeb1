"""A world with its server in this process, with a network and roles in it, and clients of it."""
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import botocore.session
from botocore.config import Config

from ..gate import Gate
from ..server import Server
from ..services.ec2 import Ec2
from ..services.iam import Iam
from ..world import World

REGION = "eu-central-1"
POLICY = "arn:aws:iam::aws:policy/"


class Stage:
    """Starts at once; `close` ends everything, the control planes too."""

    def __init__(self, speed=60, durations=None):
        self.world = World(REGION, speed, durations)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="aws-fake-test-"))
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        async def serve():
            listener, port = await Server(Gate(self.world).respond).listen(0)
            self.world.url = f"http://127.0.0.1:{port}"
            self._end = asyncio.Event()
            started.set()
            await self._end.wait()
            listener.close()
            connections = asyncio.all_tasks() - {asyncio.current_task()}
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            # The transports close in the next round.
            await asyncio.sleep(0)

        def run():
            self._loop.run_until_complete(serve())
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        started.wait()

    def close(self):
        self.world.reset()
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        shutil.rmtree(self.home, ignore_errors=True)

    # What a stack would have made.

    def network(self, nat=True):
        """A VPC with a private subnet in each of three zones, and a way out of them."""
        ec2 = self.world.state(Ec2)
        with self.world.lock:
            vpc = ec2.create_vpc("10.0.0.0/16", dns_hostnames=True)["VpcId"]
            subnets = [ec2.create_subnet(vpc, f"10.0.{number * 32}.0/19", f"{REGION}{letter}")["SubnetId"] for number, letter in enumerate("abc")]
            if nat:
                main = next(table for table in ec2.tables.values() if table["main"])
                record = ec2.new("nats", "nat", "NatGatewayId", {}, VpcId=vpc, SubnetId=subnets[0], State="available", NatGatewayAddresses=[])
                main["Routes"].append({"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": record["NatGatewayId"], "State": "active"})
            return vpc, subnets

    def role(self, name, service, *policies):
        iam = self.world.state(Iam)
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
        with self.world.lock:
            role = iam.create_role(name, "/", trust, builtin=True)
            for policy in policies:
                iam.attach(role, POLICY + policy)
            return role["Arn"]

    def roles(self):
        return (self.role("cluster", "eks.amazonaws.com", "AmazonEKSClusterPolicy"),
                self.role("node", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"))

    # Clients.

    def client(self, service, who="AKIAADMIN00000000001"):
        identity = self.world.identities.by_key(who)
        return botocore.session.Session().create_client(
            service, region_name=REGION, endpoint_url=self.world.url, aws_access_key_id=identity.access_key, aws_secret_access_key=identity.secret,
            aws_session_token=identity.token, config=Config(retries={"max_attempts": 0}))

    def environment(self, who="AKIAADMIN00000000001"):
        identity = self.world.identities.by_key(who)
        found = {"AWS_ACCESS_KEY_ID": identity.access_key, "AWS_SECRET_ACCESS_KEY": identity.secret, "AWS_ENDPOINT_URL": self.world.url,
                 "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(self.home), "PATH": os.environ["PATH"],
                 "AWS_PAGER": ""}
        if identity.token:
            found["AWS_SESSION_TOKEN"] = identity.token
        return found

    def aws(self, *arguments, who="AKIAADMIN00000000001"):
        """awscli's answer as JSON; fails with what it said."""
        done = subprocess.run(["aws", *arguments, "--output", "json"], env=self.environment(who), capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: {done.stderr.strip()}")
        with contextlib.suppress(ValueError):
            return json.loads(done.stdout)
        return done.stdout


def until(look, seconds=60, pause=0.1):
    """What `look` gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {look.__name__}")
        time.sleep(pause)
