"""The peer of the start-up rows: a bare two-container pod, read the way the controller reads: a websocket watch that is
open before, and a websocket log opened when the watch says that the first container runs."""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import aiohttp

_numbers = itertools.count(1)
PATIENCE_S = 60


def manifest(name: str, helper_image: str, image: str, with_token: bool) -> dict:
    """Both containers print a line at once and wait; the images are those of a job's pod."""
    def container(called: str, of: str) -> dict:
        return {"name": called, "image": of, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", "echo it-speaks; exec sleep 60"]}

    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": with_token,
                     "containers": [container("first", helper_image), container("last", image)]}}


async def _first_running(watch: aiohttp.ClientWebSocketResponse, name: str) -> None:
    async for message in watch:
        event = json.loads(message.data)
        if event["object"]["metadata"].get("name") != name:
            continue
        for status in event["object"]["status"].get("containerStatuses") or []:
            if status["name"] == "first" and "running" in status["state"]:
                return
    raise RuntimeError("the watch ended")


async def _measure(place, with_token: bool) -> float:
    url, context = place.server()
    name = f"bare-{next(_numbers)}"
    pods = f"{url}/api/v1/namespaces/{place.namespace}/pods"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.get(pods) as listed:
            version = (await listed.json())["metadata"]["resourceVersion"]
        async with session.ws_connect(f"{pods}?watch=1&resourceVersion={version}", origin=url, max_msg_size=0) as watch:
            began = time.time()
            async with session.post(pods, json=manifest(name, place.helper_image, place.image, with_token)) as created:
                created.raise_for_status()
            await _first_running(watch, name)
            async with session.ws_connect(f"{pods}/{name}/log?container=first&follow=true", origin=url) as log:
                async for message in log:
                    if message.data:
                        break
                took = time.time() - began
        async with session.delete(f"{pods}/{name}") as deleted:
            deleted.raise_for_status()
    return took


def first_log_byte(place, with_token: bool = True) -> float:
    """Seconds from the create to the first log byte. The pod is deleted; place.wait_no_pods() waits until it is gone.

    with_token: the volume with the service account token that every pod gets unless it says no; a pod without any volume starts
    0.3 s earlier, because the kubelet asks for the first time after that long whether volumes are there.
    """
    return asyncio.run(asyncio.wait_for(_measure(place, with_token), PATIENCE_S))
