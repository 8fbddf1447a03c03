"""A py-libp2p peer that speaks the line protocol of docs/specs/interop-peer.md."""

import argparse
import json
import sys

import trio

import peer


async def serve(running):
    ready = {
        "ready": True,
        "peer": running.id,
        "addrs": running.addrs(),
        "versions": peer.versions(),
    }
    print(json.dumps(ready), flush=True)
    while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            with trio.fail_after(request["within_ms"] / 1000):
                answer["ok"] = await running.do(request)
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--listen", action="append", default=[])
    arguments.add_argument("--mdns", action="store_true")
    arguments.add_argument("--relay", action="store_true")
    options = arguments.parse_args()
    trio.run(peer.run, options.listen, options.mdns, options.relay, serve)


if __name__ == "__main__":
    main()
