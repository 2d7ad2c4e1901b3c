"""Which commit the workflows' code comes from. Only the git program is asked, and only here; a Lambda has none."""

from __future__ import annotations

from pathlib import Path

from cascade_flow.model.workflows import GitInfo

_PATIENCE_S = 10


def git_info(path: str | Path) -> GitInfo | None:
    """Commit, branch and whether anything is uncommitted, of the work tree that holds `path` (a file or a folder).

    None where there is no git, no work tree or no commit yet. The branch is `HEAD` where none is checked out.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    commit = _git(folder, "rev-parse", "HEAD")
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if not commit or not branch or changes is None:
        return None
    return GitInfo(commit=commit, branch=branch, dirty=bool(changes))


def _git(folder: Path, *arguments: str) -> str | None:
    import subprocess  # noqa: PLC0415  (no Lambda needs it)

    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
