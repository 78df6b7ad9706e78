"""How alike two texts are: the cosine of their words and pairs of words."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer

DUPLICATE = 0.9  # a larger cosine says the same again


def cosines(text: str, others: Sequence[str]) -> list[float]:
    """Return the cosine of a text's TF-IDF vector with that of each of the others, in [0, 1]."""
    words = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2))
    analyse = words.build_analyzer()
    if not others or not any(map(analyse, (text, *others))):
        return [0.0] * len(others)
    vectors = words.fit_transform([text, *others])
    return [float(cosine) for cosine in (vectors[1:] @ vectors[0].T).toarray().ravel()]


def repeats(text: str, known: Sequence[str]) -> bool:
    return any(cosine > DUPLICATE for cosine in cosines(text, known))
