"""Pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .profile import Profile


@dataclass(frozen=True)
class ProfilePlots:
    profile: Profile
