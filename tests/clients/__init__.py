"""Programs that use the service, and the table of what works for them."""

import pytest

# They assert as tests do, and should explain themselves as tests do.
for _module in (
    *("chat_program", "messages_program", "responses_program"),
    *("content_features", "option_features", "tool_features"),
    "program",
):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")
