"""The stand-in as a program of its own, with its levers, awscli and clients of botocore."""
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import botocore.session
from botocore.config import Config

FAKES = pathlib.Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
ADMIN = ("AKIAADMIN00000000001", "admin-secret-key-of-the-stand-in-000001", None)
EXPIRED = ("ASIAEXPIRED000000001", "expired-secret-key-of-the-stand-in-00001", "fake-token-of-platform-0001")


class Program:
    """Runs until `close`."""

    def __init__(self, *arguments, speed=60):
        self.process = subprocess.Popen([sys.executable, "-m", "aws", "--speed", str(speed), *arguments], cwd=FAKES, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "PYTHONPATH": str(FAKES), "PYTHONDONTWRITEBYTECODE": "1"})
        self.url = json.loads(self.process.stdout.readline())["url"]
        self._clients = {}

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def lever(self, method, path, value=None):
        request = urllib.request.Request(f"{self.url}/_fake/{path}", json.dumps(value).encode() if value is not None else None, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return [json.loads(line) for line in text.splitlines()] if path.startswith("log") else json.loads(text)

    def environment(self, who=ADMIN):
        found = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": who[0], "AWS_SECRET_ACCESS_KEY": who[1],
                 "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
                 "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "HOME": os.devnull}
        return found | ({"AWS_SESSION_TOKEN": who[2]} if who[2] else {})

    def awscli(self, *arguments, who=ADMIN):
        """What awscli prints, as JSON; its complaint is in the error that is raised."""
        program = pathlib.Path(sys.executable).parent / "aws"
        ran = subprocess.run([program, *arguments, "--output", "json"], env=self.environment(who), capture_output=True, text=True, timeout=60)
        if ran.returncode:
            raise AssertionError(ran.stderr.strip())
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def client(self, service, who=ADMIN, retries=0, region=REGION):
        key = (service, who, retries, region)
        if key not in self._clients:
            self._clients[key] = botocore.session.get_session().create_client(
                service, region, endpoint_url=self.url, aws_access_key_id=who[0], aws_secret_access_key=who[1], aws_session_token=who[2],
                config=Config(retries={"max_attempts": retries}, parameter_validation=False, read_timeout=30))
        return self._clients[key]


def until(condition, what, seconds=30):
    """Polls until it is true; says what was waited for when it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come in {seconds} s")
