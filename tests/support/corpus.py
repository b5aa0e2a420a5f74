"""Records for the simulator, shaped as the services shape them."""

from datetime import datetime, timedelta, timezone


def instant(moment: datetime) -> str:
    """The text GitHub uses: UTC, whole seconds, `Z`."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def hours_ago(hours: float) -> datetime:
    """A whole second in the past."""
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=hours)


def spread(count: int, days: int) -> list[str]:
    """Instants at equal distances over the last days, the oldest first."""
    return [instant(hours_ago(24 * days * (1 - n / count))) for n in range(count)]


def issue(number: int, updated: datetime, owner: str = "o", repo: str = "r", **more) -> dict:
    """A GitHub issue; `more` replaces or adds fields."""
    root = f"https://api.github.com/repos/{owner}/{repo}"
    record = {
        "url": f"{root}/issues/{number}",
        "repository_url": root,
        "labels_url": f"{root}/issues/{number}/labels{{/name}}",
        "comments_url": f"{root}/issues/{number}/comments",
        "events_url": f"{root}/issues/{number}/events",
        "html_url": f"https://github.com/{owner}/{repo}/issues/{number}",
        "id": 9_000_000_000 + number,
        "node_id": f"I_{number}",
        "number": number,
        "title": f"Issue {number}",
        "user": user("mira", 501),
        "labels": [],
        "state": "open",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": 0,
        "created_at": instant(updated - timedelta(days=1)),
        "updated_at": instant(updated),
        "closed_at": None,
        "author_association": "MEMBER",
        "active_lock_reason": None,
        "body": f"Body of issue {number}.",
        "timeline_url": f"{root}/issues/{number}/timeline",
        "performed_via_github_app": None,
        "state_reason": None,
    }

    return record | more


def user(login: str, number: int) -> dict:
    """A GitHub user as it stands inside other objects."""
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": f"https://api.github.com/users/{login}",
        "html_url": f"https://github.com/{login}",
        "type": "User",
        "site_admin": False,
    }


def event(number: int, created: datetime) -> dict:
    """An event of the example source."""
    return {
        "event_id": f"00000000-0000-4000-8000-{number:012d}",
        "event_type": ("view", "click", "buy")[number % 3],
        "user_id": None if number % 5 == 0 else f"user_{number % 7:04d}",
        "payload": f'{{"n": {number}}}',
        "created_at": created.astimezone(timezone.utc).isoformat(),
    }


def parse(text: str) -> datetime:
    """An instant as either service writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def events_in_threes(count: int) -> list[dict]:
    """Events of some hours ago, three of each instant, so that pages of ten cut such groups."""
    start = hours_ago(5)
    return [event(n, start + timedelta(seconds=10 * (n // 3))) for n in range(count)]
