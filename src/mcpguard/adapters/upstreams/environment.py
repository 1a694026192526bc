"""An upstream's environment: its own settings with the credentials filled in, and nothing of ours.

Law of this file: a value is revealed only into the environment of the upstream whose configuration names
it. The redactor holds it already: whoever gives credentials sees to that (laws 2 and 3).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from mcpguard.adapters.upstreams.process import child_environment
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import Template
from mcpguard.recipients import Credentials, Recipient


class Environment:
    """The environment of one upstream, resolved anew at each start."""

    def __init__(self, templates: Mapping[str, Template], credentials: Credentials, to: Recipient) -> None:
        """`credentials` gives what the templates refer to, for `to`."""
        self._templates = templates
        self._credentials = credentials
        self._to = to

    async def resolve(self) -> dict[str, str]:
        """The whole environment. Raises CredentialError, which names the reference.

        A source may block (a keychain asks a person), so this runs in a thread.
        """
        if not any(template.refs for template in self._templates.values()):
            return child_environment(os.environ, {name: t.texts[0] for name, t in self._templates.items()})
        return await asyncio.to_thread(self._resolve)

    def _resolve(self) -> dict[str, str]:
        own = {name: self._fill(template) for name, template in self._templates.items()}
        return child_environment(os.environ, own)

    def _fill(self, template: Template) -> str:
        parts = [template.texts[0]]
        for ref, text in zip(template.refs, template.texts[1:], strict=True):
            parts += [self._credentials.get(ref, self._to).reveal(), text]
        value = "".join(parts)
        if "\0" in value:
            raise CredentialError("a credential holds a zero byte, which no environment can carry")
        return value
