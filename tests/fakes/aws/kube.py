"""A small client for the API server of a cluster's control plane, as its administrator."""

import http.client
import json
import ssl
import threading
import urllib.parse


class KubeError(Exception):
    """The API server refused, or did not answer. `status` is the HTTP status, 0 for no answer."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class Kube:
    """Each thread keeps its own connection."""

    def __init__(self, control_plane):
        authority, certificate, key = control_plane.client_files()
        address = urllib.parse.urlsplit(control_plane.endpoint)
        self.host, self.port = address.hostname, address.port
        try:
            self.context = ssl.create_default_context(cafile=authority)
            self.context.load_cert_chain(certificate, key)
        except OSError as error:
            raise KubeError(0, str(error)) from error
        self._connections = threading.local()

    def raw(self, method, path, body=None, content_type="application/json", timeout=10):
        """The status and the parsed answer, or its text when it is no JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "User-Agent": "eks-controller"}
        if data is not None:
            headers["Content-Type"] = content_type
        for attempt in (1, 2):
            connection = getattr(self._connections, "value", None)
            if connection is None:
                connection = http.client.HTTPSConnection(
                    self.host, self.port, timeout=timeout, context=self.context
                )
                self._connections.value = connection
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._connections.value = None
                # A kept connection may have been closed meanwhile.
                if attempt == 2:
                    raise KubeError(0, str(error)) from error
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def close(self):
        """Ends this thread's connection."""
        connection = getattr(self._connections, "value", None)
        if connection is not None:
            connection.close()
            self._connections.value = None

    def ask(self, method, path, body=None, content_type="application/json"):
        status, answer = self.raw(method, path, body, content_type)
        if status >= 300:
            message = answer.get("message") if isinstance(answer, dict) else answer
            raise KubeError(status, message)
        return answer

    def list(self, path):
        return self.ask("GET", path).get("items") or []

    def find(self, path):
        """The object, or None."""
        try:
            return self.ask("GET", path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, path, body, manager="eks"):
        """Server-side apply."""
        query = urllib.parse.urlencode({"fieldManager": manager, "force": "true"})
        return self.ask("PATCH", f"{path}?{query}", body, "application/apply-patch+yaml")

    def merge(self, path, body):
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path, options=None):
        """That it is gone already is fine."""
        try:
            return self.ask("DELETE", path, options)
        except KubeError as error:
            if error.status != 404:
                raise
            return None
