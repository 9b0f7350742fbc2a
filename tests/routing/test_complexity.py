import pytest

from llm_proxy.routing.complexity import score

KEYWORDS = ("analyze", "Compare", "explain in detail")


# The first four are SEED-REQUIREMENTS TRAP-17.
@pytest.mark.parametrize(
    ("prompt", "points", "level"),
    [
        ("x" * 500, 0.333, "fast"),
        ("analyze this", 0.341, "fast"),
        ("analyze" + "x" * 493, 0.667, "fast"),
        ("analyze?" + "x" * 492, 0.7, "complex"),
        ("", 0.0, "simple"),
        ("x" * 449, 0.299, "simple"),
        ("x" * 450, 0.3, "fast"),
        ("x" * 5000, 0.333, "fast"),
        ("?" * 5, 0.17, "simple"),
        ("ANALYZE", 0.338, "fast"),
        ("compare", 0.338, "fast"),
        ("Analyze and compare", 0.346, "fast"),
        ("Please explain in detail", 0.349, "fast"),
        ("explain detail", 0.009, "simple"),
        ("?" * 10_000, 1.0, "complex"),
    ],
)
def test_the_formula_at_its_boundaries(prompt, points, level):
    found = score(prompt, KEYWORDS)
    assert found.score == pytest.approx(points, abs=0.0006)
    assert found.level((0.3, 0.7)) == level


def test_it_says_what_it_is_made_of():
    found = score("analyze? " * 5, KEYWORDS)
    assert found.length == pytest.approx(0.09)
    assert found.questions == pytest.approx(0.5)
    assert found.keywords == 1


@pytest.mark.parametrize(
    ("thresholds", "level"),
    [((0.0, 1.0), "fast"), ((0.0, 0.0), "complex"), ((1.0, 1.0), "simple")],
)
def test_thresholds_are_the_operators(thresholds, level):
    assert score("Hello", KEYWORDS).level(thresholds) == level


def test_no_more_than_the_beginning_is_examined():
    assert (
        score("x" * 20_000 + "analyze?", KEYWORDS).score == score("x" * 500, ()).score
    )
