"""`python -m aws`: listens on loopback until it is ended. Its first line on stdout says where."""
import argparse
import asyncio
import json
import os
import signal
import sys

from . import models, services
from .admin import Admin
from .gate import Gate
from .server import Server
from .world import World


def arguments():
    parser = argparse.ArgumentParser(prog="aws-fake", description="A stand-in for AWS on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one (default)")
    parser.add_argument("--region", default="eu-central-1", help="the region of answers to unsigned questions")
    parser.add_argument("--speed", type=float, default=30, help="AWS's durations are divided by this (30)")
    parser.add_argument("--durations", help="a JSON file of published seconds to replace those of durations.py")
    parser.add_argument("--state", help="the folder for what the control planes of clusters keep; a temporary one by default")
    return parser.parse_args()


async def serve(options):
    durations = None
    if options.durations:
        with open(options.durations, encoding="utf-8") as file:
            durations = json.load(file)
    world = World(options.region, options.speed, durations)
    world.folder = options.state
    gate, admin = Gate(world), Admin(world)

    async def respond(request, gone):
        if request.path.startswith("/_fake/"):
            return await admin.respond(request)
        return await gate.respond(request, gone)

    # The models are read before the first call, so that no call pays for it.
    for name in models.SERVICES:
        models.service_model(name)
    models.routes("eks")
    # So are the services, which add their own levers.
    for name in models.SERVICES:
        services.table(name)
    listener, port = await Server(respond).listen(options.port)
    world.url = f"http://127.0.0.1:{port}"
    print(json.dumps({"url": world.url, "pid": os.getpid(), "region": world.region, "speed": world.speed}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    listener.close()
    # What stands behind the services (control planes) ends with this program.
    await asyncio.to_thread(world.reset)


def main():
    asyncio.run(serve(arguments()))
    sys.stdout.flush()
    # Connections that are kept alive must not keep the program.
    os._exit(0)


main()
