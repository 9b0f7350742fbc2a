"""All rows of the table, in their order."""

from tests.clients.content_features import CONTENT
from tests.clients.option_features import OPTIONS
from tests.clients.tool_features import TOOLS

FEATURES = {feature.name: feature for feature in (*CONTENT, *TOOLS, *OPTIONS)}
