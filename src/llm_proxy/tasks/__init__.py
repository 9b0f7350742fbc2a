"""The tasks behind `/webhook`: prompts from templates, results from answers."""

from llm_proxy.tasks.answers import TaskResult, UnusableAnswerError, read_answer
from llm_proxy.tasks.languages import language_name
from llm_proxy.tasks.task import Source, Task, TaskType
from llm_proxy.tasks.templates import RenderedTask, Templates, load_templates

__all__ = [
    "RenderedTask",
    "Source",
    "Task",
    "TaskResult",
    "TaskType",
    "Templates",
    "UnusableAnswerError",
    "language_name",
    "load_templates",
    "read_answer",
]
