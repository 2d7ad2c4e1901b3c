"""A workflow's versions, and workflows that no deployment brings: registered by whoever runs their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.client.asking import Asks, Json, part


class WorkflowMethods(Asks):
    """What is asked of workflows."""

    def workflows(self) -> list[Json]:
        """The registered workflows, by slug."""
        found: list[Json] = self._get("/workflows")["workflows"]
        return found

    def workflow(self, slug: str) -> Json:
        """A workflow with its steps and versions. Raises WorkflowNotFoundError."""
        return self._get(f"/workflows/{part(slug)}")

    def versions(self, slug: str) -> list[Json]:
        """A workflow's versions, oldest first, without their steps. Raises WorkflowNotFoundError."""
        found: list[Json] = self._get(f"/workflows/{part(slug)}/versions")["versions"]
        return found

    def version(self, slug: str, version_id: str) -> Json:
        """A version with its steps. Raises WorkflowNotFoundError, VersionNotFoundError."""
        return self._get(f"/workflows/{part(slug)}/versions/{part(version_id)}")

    def limits(self) -> list[Json]:
        """The limits that steps of the workflows name, by name."""
        found: list[Json] = self._get("/limits")["limits"]
        return found

    def limit(self, name: str, *, key: str | None = None) -> Json:
        """A limit: who has its places, who waits; of one that is kept by key, that of a value. Raises
        LimitNotFoundError.
        """
        return self._get(f"/limits/{part(name)}", {"key": key} if key is not None else {})

    def register(self, slug: str, document: Mapping[str, Any]) -> Json:
        """Make a workflow known: `{name, steps: [{stepId, dependencies...}], ...}`; doing it again changes nothing.

        The answer is the workflow as it is registered now. Raises GraphInvalidError, RequestInvalidError.
        """
        return self._put(f"/workflows/{part(slug)}", document)
